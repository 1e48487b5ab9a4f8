"""Rows 84–88: crashes of the interpreter, and odd sources."""

from __future__ import annotations

from attack_rows import CPU, ERROR, KILLED, MEMORY, OK, Case, Row, Story, dies_of, either, ends, fails, says

ROWS = [
    Row(84, "null pointer, abort, out of bounds, bad bytecode", "contained; no core file"),
    Row(85, "empty, NUL, byte order mark, line ends, tabs, huge, cookies", "an answer or an error, never a fault of the sandbox"),
    Row(86, "syntax errors, future imports, await, return outside", "an error with the right line"),
    Row(87, "__name__, __file__, exit(), quit(), help()", "as documented"),
    Row(88, "handlers that loop on a crash", "killed or stopped in time"),
]

CASES = [
    Case(84, "null pointer", "import ctypes; ctypes.string_at(0)", dies_of(11)),
    Case(84, "abort", "import os; os.abort()", dies_of(6)),
    Case(84, "out of bounds", "import numpy as np\nnp.lib.stride_tricks.as_strided(np.zeros(1), (1 << 40,))[1 << 39]", dies_of(11)),
    Case(84, "bad bytecode", "exec((lambda: 0).__code__.replace(co_code=bytes([125, 200]) * 8, co_consts=()))", ends(KILLED, ERROR, CPU, OK)),
    Case(
        84,
        "bad marshal",
        "import marshal\nfor n in range(300):\n try: marshal.loads(bytes([n % 256]) + bytes(range(40)))\n except Exception: pass",
        ends(KILLED, ERROR, CPU, OK, MEMORY),
    ),
    Case(84, "no core file", "import os, resource\nprint(resource.getrlimit(resource.RLIMIT_CORE)[1])", says("0")),
    Case(85, "empty", "", lambda r: r.outcome is OK and r.value is None),
    Case(85, "comment", "# nothing", ends(OK)),
    Case(85, "NUL in the source", "a = 1\0", fails("SyntaxError", "ValueError")),
    Case(85, "byte order mark", "\ufeffprint(1)", says("1")),
    Case(85, "carriage returns", "x = 1\r\ny = 2\r\nprint(x + y)", says("3")),
    Case(85, "mixed tabs", "if 1:\n\tx = 1\n        y = 2", fails("TabError", "IndentationError")),
    Case(85, "long", "x = 1\n" * 200_000 + "print(x)", either(says("1"), ends(CPU, MEMORY))),
    Case(85, "10 MiB", "#" + "x" * (10 << 20) + "\nprint(1)", says("1")),
    Case(85, "cookie", "# -*- coding: latin-1 -*-\nprint('ä')", says("ä")),
    Case(85, "surrogate", "print('\ud800')", fails("UnicodeEncodeError", "SyntaxError")),
    Case(85, "form feeds and odd spaces", "\x0cx\u00a0= 1", fails("SyntaxError")),
    Case(86, "syntax", "x = 1\nx = = 2", lambda r: fails("SyntaxError")(r) and "line 2" in r.stderr),
    Case(86, "return outside", "x = 1\n\nreturn 1", lambda r: fails("SyntaxError")(r) and "line 3" in r.stderr),
    Case(86, "await outside", "await x", fails("SyntaxError")),
    Case(86, "future import", "from __future__ import annotations\ndef f(x: y): ...\nf.__annotations__", lambda r: r.value == "{'x': 'y'}"),
    Case(86, "future import too late", "x = 1\nfrom __future__ import annotations", lambda r: fails("SyntaxError")(r) and "line 2" in r.stderr),
    Case(87, "__name__", "print(__name__)", says("__main__")),
    Case(87, "__file__", "__file__", fails("NameError")),
    Case(87, "exit", "exit(3)", lambda r: r.outcome is ERROR and r.exit_code == 3),
    Case(87, "quit", "quit()", lambda r: r.outcome is OK and r.value is None),
    Case(87, "exit with words", "exit('why')", lambda r: r.exit_code == 1 and r.stderr == "why\n"),
    Case(87, "help", "help(len)", lambda r: r.outcome is OK and "number of items" in r.stdout),
    Case(88, "signal handler", "import signal, ctypes\nsignal.signal(signal.SIGSEGV, lambda *a: None)\nctypes.string_at(0)", ends(CPU)),
    Case(88, "fault handler", "import faulthandler, ctypes\nfaulthandler.enable()\nctypes.string_at(0)", dies_of(11)),
    Case(88, "abort handler", "import signal, os\nsignal.signal(signal.SIGABRT, lambda *a: None)\nos.abort()", dies_of(6)),
]
STORIES: list[Story] = []
