"""Rows 1–14: endless loops, sleeps, and other ways to hold the processor or the clock."""

from __future__ import annotations

from attack_rows import CPU, ERROR, KILLED, MEMORY, OK, SHORT, WALL, Case, Row, Story, ends, fails, says

ROWS = [
    Row(1, "infinite loop", "ends at the CPU limit"),
    Row(2, "sleep", "ends at the wall limit"),
    Row(3, "one long call in C", "ends at the limit, from outside"),
    Row(4, "regular expression that backtracks", "ends at the CPU limit"),
    Row(5, "symbolic blow-up", "ends at the CPU limit"),
    Row(6, "catches every exception", "ends at the CPU limit"),
    Row(7, "ignores every signal", "may ignore; still ends at the CPU limit"),
    Row(8, "blocks every signal", "ends at the CPU limit"),
    Row(9, "cancels alarms and timers", "the deadline is outside"),
    Row(10, "spinning threads", "the CPU of all threads counts"),
    Row(11, "stops itself", "ends at the wall limit and is reaped"),
    Row(12, "compile bombs", "contained"),
    Row(13, "digits of a huge number", "refused by the interpreter"),
    Row(14, "reads standard input", "empty at once"),
]
_IGNORE = "import signal\nfor n in set(range(1, 65)) - {9, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)\n"
_SPIN = "import threading\ndef f():\n while True: pass\nspinning = [threading.Thread(target=f) for _ in range(8)]\nfor t in spinning: t.start()\n"

CASES = [
    Case(1, "loop", "while True: pass", ends(CPU)),
    Case(2, "sleep", "import time; time.sleep(1e6)", ends(WALL), limits=SHORT),
    Case(2, "waits for an event", "import threading; threading.Event().wait()", ends(WALL), limits=SHORT),
    Case(3, "sum of a range", "sum(range(10**12))", ends(CPU)),
    Case(3, "power", "2**(10**9)", ends(CPU, MEMORY)),
    Case(3, "power of a power", "len(str(7**7**9)) if 7**7**8 else 0", ends(CPU, MEMORY)),
    Case(4, "backtracking", "import re; re.match('(a+)+$', 'a'*40 + 'b')", ends(CPU)),
    Case(5, "factors", "import sympy as s; s.factorint((10**40 + 121) * (10**42 + 63))", ends(CPU)),
    Case(5, "integral", "import sympy as s; x = s.Symbol('x'); s.integrate(s.exp(s.sin(x**3) * x) * s.log(x + s.tan(x)), x)", ends(CPU)),
    Case(6, "catches everything", "while True:\n try:\n  while True: pass\n except BaseException: pass", ends(CPU)),
    Case(7, "ignoring is allowed", _IGNORE + "print('on')", says("on")),
    Case(7, "ignores and loops", _IGNORE + "while True: pass", ends(CPU)),
    Case(8, "blocks and loops", "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass", ends(CPU)),
    Case(8, "blocks and sleeps", "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ntime.sleep(1e6)", ends(WALL), limits=SHORT),
    Case(9, "cancels alarms", "import signal\nsignal.alarm(0); signal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass", ends(CPU)),
    # A session's turn is over when its last line is; the threads are then stopped by the clock of the pause.
    Case(10, "threads left behind", _SPIN, ends(CPU), turn=ends(OK, CPU)),
    Case(10, "threads waited for", _SPIN + "for t in spinning: t.join()", ends(CPU)),
    Case(11, "stops itself", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", ends(WALL), limits=SHORT),
    Case(12, "nested parentheses", "eval('(' * 5000 + ')' * 5000)", ends(ERROR, MEMORY, KILLED)),
    Case(12, "long unary chain", "eval('-' * 10**6 + '1')", ends(ERROR, MEMORY, KILLED, CPU)),
    Case(12, "huge tree", "len(eval('[' + '1,' * 10**6 + ']'))", ends(OK, ERROR, MEMORY, KILLED, CPU)),
    Case(12, "nested blocks", "exec('\\n'.join(' ' * n + 'if 1:' for n in range(200)) + ' pass')", fails("IndentationError", "SyntaxError")),
    Case(13, "digits", "str(10**10**6)", fails("ValueError")),
    Case(13, "number from digits", "int('9' * 10**6)", fails("ValueError")),
    Case(14, "input()", "input()", fails("EOFError")),
    Case(14, "sys.stdin", "import sys; print(repr(sys.stdin.read()))", says("''")),
    Case(14, "descriptor 0", "import os; print(os.read(0, 10))", says("b''")),
]
STORIES: list[Story] = []
