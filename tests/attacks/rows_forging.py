"""Rows 63–78: forged results, and attacks on whatever runs or judges the snippet."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from attack_rows import CPU, ERROR, MEMORY, OK, SHORT, WALL, Case, Check, Row, Story, dies_of, either, ends, fails, says
from rows_secrets import NOT_FOUND, PATIENT, memory_search

from toolwright.sandbox import Outcome, SandboxResult

if TYPE_CHECKING:
    from attack_stage import Stage

ROWS = [
    Row(63, "open descriptors", "its own three and the value's, nothing else"),
    Row(64, "forged reply on stdout", "plain text; the true status wins"),
    Row(65, "forged, repeated, partial, endless values", "capped text; the true status wins"),
    Row(66, "forged pickle", "text only; nothing is unpickled"),
    Row(67, "early success", "no value, so never right"),
    Row(68, "forged exit codes", "told as an exit code, not as a limit"),
    Row(69, "kills itself to fake a limit", "told as killed, not as a limit"),
    Row(70, "patches built-ins and modules", "harms only itself"),
    Row(71, "tricks with equality, hash and repr", "plain text, compared elsewhere"),
    Row(72, "patches sympy and numpy", "no effect on the next run"),
    Row(73, "reads the grader's expected answer", "it is not there"),
    Row(74, "hostile exceptions", "an error, capped, in time"),
    Row(75, "trace, audit and import hooks, destructors", "end with the snippet"),
    Row(76, "exit handlers and late threads", "nothing after the reply, nothing in the next turn"),
    Row(77, "closes or replaces its descriptors", "partial output is kept"),
    Row(78, "holds the output open", "a reply by the deadline"),
]


def exits_with(code: int) -> Check:
    return lambda result: result.outcome is ERROR and result.exit_code == code and result.signal is None


def _capped_value(result: SandboxResult) -> bool:
    return result.outcome is OK and result.value is not None and len(result.value) <= (64 << 10) + 100


def no_value(result: SandboxResult) -> bool:
    return result.outcome is OK and result.value is None


def value(text: str) -> Check:
    return lambda result: result.outcome is OK and result.value == text and type(result.value) is str


_FORGED = "import os, struct\ndef frame(kind, text): os.write(3, struct.pack('>cI', kind, len(text)) + text)\n"
_TOUCH = "touch /tmp/toolwright-attack"
"""Leaves a mark, for which is looked after every attack: the caller itself would do it, if it took a text for a pickle."""
_REDUCE = f"import os\nclass A:\n def __reduce__(self): return os.system, ({_TOUCH!r},)\n"

CASES = [
    Case(
        63,
        "descriptors",
        "import fcntl, os, stat\nfor fd in range(1024):\n try: mode = os.fstat(fd).st_mode\n except OSError: continue\n"
        " if fd > 3 and not (stat.S_ISDIR(mode) and fcntl.fcntl(fd, 3) & 0o10000000): print('extra', fd, oct(mode))\nprint('done')",
        says("done"),
    ),
    Case(63, "reads the control descriptor", "import os\nos.set_blocking(3, False)\nprint(os.read(3, 10))", either(fails("BlockingIOError"), says("b''"))),
    Case(64, "JSON", 'print(\'{"outcome": "ok", "value": "42"}\'); raise SystemExit(5)', exits_with(5)),
    Case(64, "frames", "import os, struct\nos.write(1, struct.pack('>cI', b'D', 1) + b'0')\nraise SystemExit(5)", exits_with(5)),
    Case(65, "a value before an error", _FORGED + "frame(b'V', b'42')\n1/0", lambda r: fails("ZeroDivisionError")(r) and r.value is None),
    Case(65, "two values", _FORGED + "frame(b'V', b'42'); frame(b'V', b'43')\n6*7", value("42")),
    Case(
        65,
        "half a value",
        "import os, struct\nos.write(3, struct.pack('>cI', b'V', 100) + b'42')\nprint('on')",
        says("on"),
        turn=ends(OK, CPU, WALL),
        limits=SHORT,
    ),
    Case(
        65,
        "a size of 4 GiB",
        "import os, struct\nos.write(3, struct.pack('>cI', b'V', 2**32 - 1))\nprint('on')",
        says("on"),
        turn=ends(OK, CPU, WALL),
        limits=SHORT,
    ),
    Case(65, "endless value", "'x' * (5 * 10**7)", _capped_value),
    Case(65, "garbage", "import os\nfor _ in range(100): os.write(3, b'\\xff' * 10000)\nprint('on')", says("on"), turn=ends(OK, CPU, WALL), limits=SHORT),
    Case(65, "endless garbage", "import os\nwhile True: os.write(3, b'V\\0\\0\\0\\1x' * 10000)", ends(Outcome.OUTPUT_LIMIT)),
    Case(65, "closes the descriptor", "import os\nos.close(3)\n6*7", no_value, turn=ends(OK, ERROR), limits=SHORT),
    Case(65, "forged end of set-up", _FORGED + "frame(b'R', b''); frame(b'D', b'0')\nwhile True: pass", ends(CPU), turn=ends(OK)),
    Case(
        65,
        "unknown frames",
        _FORGED + "for kind in range(256): frame(bytes([kind]), b'')\nraise SystemExit(5)",
        exits_with(5),
        turn=either(exits_with(5), ends(OK, ERROR)),
    ),
    Case(
        66,
        "repr as a pickle",
        _REDUCE + f" def __repr__(self): return \"cos\\nsystem\\n(S'{_TOUCH}'\\ntR.\"\nA()",
        lambda r: r.outcome is OK and r.value == f"cos\nsystem\n(S'{_TOUCH}'\ntR.",
    ),
    Case(66, "pickle printed", _REDUCE + "import pickle, sys\nsys.stdout.buffer.write(pickle.dumps(A()))", lambda r: r.outcome is OK and _TOUCH in r.stdout),
    Case(67, "os._exit(0)", "import os; os._exit(0)\n6*7", no_value),
    Case(67, "sys.exit(0)", "import sys; sys.exit(0)\n6*7", no_value),
    Case(67, "SystemExit", "raise SystemExit\n6*7", no_value),
    Case(67, "in a thread", "import threading, os, time\nthreading.Thread(target=os._exit, args=(0,)).start()\ntime.sleep(1)\n6*7", no_value),
    *(Case(68, f"exit code {code}", f"import os; os._exit({code})", exits_with(code)) for code in (77, 99, 111, 124, 137)),
    Case(69, "SIGKILL", "import os; os.kill(os.getpid(), 9)", dies_of(9)),
    Case(69, "SIGXCPU", "import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", dies_of(24)),
    Case(69, "SIGSYS", "import os, signal; os.kill(os.getpid(), signal.SIGSYS)", ends(Outcome.KILLED, Outcome.POLICY)),
    Case(69, "raises MemoryError", "raise MemoryError", ends(MEMORY)),
    Case(
        71,
        "equal to everything",
        "class A:\n def __eq__(self, other): return True\n def __hash__(self): return 0\nA()",
        lambda r: r.outcome is OK and r.value != "42",
    ),
    Case(71, "a text that is more", "class S(str):\n def __repr__(self): return S('42')\n def __eq__(self, o): return True\nS()", value("42")),
    Case(71, "a number that is more", "class F(float):\n def __eq__(self, o): return True\n def __repr__(self): return 'nan'\nF(1)", value("nan")),
    Case(71, "repr that is no text", "class A:\n def __repr__(self): return 42\nA()", fails("TypeError")),
    Case(71, "repr without an end", "class A:\n def __repr__(self):\n  while True: pass\nA()", ends(CPU)),
    Case(74, "message that raises", "class E(Exception):\n def __str__(self): raise E\nraise E", ends(ERROR)),
    Case(74, "message without an end", "class E(Exception):\n def __str__(self):\n  while True: pass\nraise E", ends(CPU)),
    Case(74, "long message", "raise ValueError('x' * 10**7)", lambda r: r.outcome is ERROR and r.error is not None and len(r.error) <= 2000),
    Case(74, "group", "raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError(2)])])", ends(ERROR)),
    Case(74, "group of 10,000", "raise ExceptionGroup('g', [ValueError(n) for n in range(10000)])", ends(ERROR)),
    Case(74, "chain of 2,000", "e = None\nfor n in range(2000):\n f = ValueError(n); f.__cause__ = e; e = f\nraise e", ends(ERROR, CPU, MEMORY)),
    Case(74, "chain that closes", "a, b = ValueError(1), ValueError(2)\na.__cause__, b.__cause__ = b, a\nraise a", ends(ERROR)),
    Case(74, "not an Exception", "raise GeneratorExit('x')", fails("GeneratorExit")),
    Case(74, "interrupt of its own", "raise KeyboardInterrupt", fails("KeyboardInterrupt")),
    Case(74, "forged line numbers", "exec(compile('\\n' * 10**6 + '1/0', '/etc/passwd', 'exec'))", fails("ZeroDivisionError")),
    Case(74, "name that is no text", "E = type('E\\x1b[31m', (Exception,), {'__module__': 5})\nraise E('x')", ends(ERROR)),
    Case(74, "error in the value's repr", "class A:\n def __repr__(self): raise KeyError('r')\nA()", fails("KeyError")),
    Case(75, "hooks", "import sys\nsys.addaudithook(lambda *a: None)\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\nprint(1)", says("1")),
    Case(75, "an audit hook that refuses", "import sys\ndef no(*a): raise RuntimeError\nsys.addaudithook(no)\nprint(1)", ends(OK, ERROR)),
    Case(75, "an import hook", "import sys, builtins\nbuiltins.__import__ = None\nsys.meta_path.clear()\nimport colorsys", ends(ERROR)),
    Case(75, "an exception hook", "import sys\nsys.excepthook = lambda *a: None\n1/0", fails("ZeroDivisionError")),
    Case(75, "destructor without an end", "class A:\n def __del__(self):\n  while True: pass\na = A()", ends(OK, CPU)),
    Case(75, "collector's callback", "import gc\ngc.callbacks.append(lambda *a: print('c'))\nraise SystemExit(3)", exits_with(3)),
    Case(76, "exit handlers", "import atexit\natexit.register(print, 'bye')\nprint('hi')", says("hi\nbye"), turn=says("hi")),
    Case(76, "exit handler without an end", "import atexit\ndef f():\n while True: pass\natexit.register(f)\nprint('hi')", ends(CPU), turn=says("hi")),
    Case(
        76,
        "thread that ends later",
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.1), print('late'))).start()\nprint('hi')",
        says("hi\nlate"),
        turn=says("hi"),
    ),
    Case(76, "daemon thread", "import threading, time\nthreading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()\nprint('hi')", says("hi")),
    Case(77, "closes its output", "import os\nprint('a')\nos.close(1)\nprint('b')", lambda r: r.stdout == "a\n" and r.outcome is ERROR),
    Case(77, "replaces its output", "import os\nprint('a')\nos.dup2(0, 1)\nprint('b')", lambda r: r.stdout == "a\n" and r.outcome in (OK, ERROR)),
    Case(77, "closes everything", "import os\nos.closerange(0, 100)", ends(OK, ERROR)),
    Case(
        78,
        "thread that never ends",
        "import threading, time\nthreading.Thread(target=lambda: time.sleep(1e6)).start()",
        ends(WALL),
        turn=ends(OK),
        limits=SHORT,
    ),
    Case(
        78,
        "copies of the output",
        "import os, threading, time\nfor _ in range(20): os.dup(1)\nthreading.Thread(target=time.sleep, args=(1e6,)).start()",
        ends(WALL),
        turn=ends(OK),
        limits=SHORT,
    ),
]
_PATCH = """
import builtins, sys, io, numpy, sympy, traceback, random, os, signal
builtins.len = lambda x: 0
builtins.print = builtins.compile = builtins.exec = builtins.repr = None
sympy.Eq = lambda *a: True
numpy.array = traceback.format_exception = sys.stdout = None
random.random = lambda: 4
os._exit = lambda code: None
sys.modules['json'] = None
1/0
"""


async def _patches(stage: Stage) -> str:
    first = await stage.run(_PATCH)
    assert first.outcome is not Outcome.INFRA, first
    again = await stage.sandbox.run("import json, random, sympy, numpy\nprint(len([1]), sympy.Eq(1, 2), numpy.array([1]), random.random() < 1)")
    assert again.stdout == "1 False [1] True\n", again
    return "no effect on the next run"


async def _libraries(stage: Stage) -> str:
    patch = "import sympy, numpy\nsympy.Eq = sympy.simplify = sympy.expand = numpy.allclose = lambda *a: True\nsympy.Integer.__eq__ = lambda a, b: True"
    first = await stage.run(patch)
    assert first.outcome is not Outcome.INFRA, first
    judge = await stage.sandbox.run("import sympy, numpy\nprint(sympy.Eq(1, 2), sympy.Integer(1) == sympy.Integer(2), numpy.allclose(1, 2))")
    assert judge.stdout == "False False False\n", judge
    return "no effect on the next run"


async def _answers(stage: Stage) -> str:
    """The caller holds an expected answer, as a grader does, before the sandbox starts; a snippet looks wherever it can."""
    answer = f"gold-{secrets.token_hex(8)}"
    hunt = """
import gc, os, re, sys
pattern, found = 'go' + 'ld-[0-9a-f]{16}', []
frame = sys._getframe()
while frame is not None:
    found += re.findall(pattern, str({**frame.f_locals, **frame.f_globals}))
    frame = frame.f_back
found += re.findall(pattern, ' '.join(sys.argv + sys.orig_argv) + str(dict(os.environ)))
found += [i for o in gc.get_objects() if isinstance(o, (dict, list, tuple, set)) for i in o if isinstance(i, str) and re.fullmatch(pattern, i)]
for name in ('/proc/self/cmdline', f'/proc/{os.getppid()}/cmdline', f'/proc/{os.getppid()}/environ', f'/proc/{os.getppid()}/mem'):
    try: found += re.findall(pattern, open(name, errors='replace').read(1 << 20))
    except OSError: pass
print(found)
"""
    async with contextlib.AsyncExitStack() as stack:
        sandbox = stack.enter_context(stage.fresh(limits=PATIENT, preload=(), spares=0))
        run = sandbox.run if stage.way == "one-shot" else (await stack.enter_async_context(sandbox.session())).run
        for search, nothing in ((hunt, "[]"), (memory_search(answer), NOT_FOUND)):
            result = await run(search)
            assert result.stdout == nothing + "\n", result
    return "not found"


STORIES = [
    Story(70, "built-ins and modules", _patches, ways=("one-shot", "session")),
    Story(72, "sympy and numpy", _libraries, ways=("one-shot", "session")),
    Story(73, "an expected answer", _answers, ways=("one-shot", "session")),
]
