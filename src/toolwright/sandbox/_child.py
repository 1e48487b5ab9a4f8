"""The life of one child: lock-down, then the snippet, then the end. It runs inside the forked zygote and is the only code a snippet shares a process with.

Nothing here is trusted by the rest: what it reports about a snippet, the snippet could have written itself. Only the lock-down counts, and it happens
before the snippet's source is even read.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import io
import linecache
import os
import random
import resource
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from toolwright.sandbox import _landlock, _linux, _seccomp
from toolwright.sandbox._fork import renew_thread_id
from toolwright.sandbox._slot import Slot
from toolwright.sandbox._wire import CUT_VALUE, DONE, ERROR, FRAME, JOB, READY, VALUE

CONTROL_FD = 3
FIRST_ANCHOR_FD = 4
_SETUP_FAILED = 111
_OUTSIDE = 0
"""What getppid says in a process id namespace of one's own."""
_NEIGHBOURS = 1024
"""The kernel counts all threads of a zygote's children together: what others may hold must not be taken from this one."""
_leave = os._exit
"""Taken before a snippet can replace it."""
_ERROR_CHARACTERS = 2000
_NOT_AN_EXPRESSION = " \t#@)]}"
"""What the last line begins with where it goes on from the one before, or says nothing."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Everything the zygote prepared for its children's lock-down."""

    landlock_abi: int | None
    """None: no Landlock layer."""
    rules: list[tuple[int, int]]
    filter: bytes | None
    """The seccomp template; None: no seccomp layer."""
    baseline_bytes: int
    """The zygote's own address space."""
    anchors: int
    """How many folder descriptors, from `FIRST_ANCHOR_FD` on, the imports need."""
    limit_processes: bool
    hard_limits: dict[int, int] = field(default_factory=dict)
    prepared: bool = False
    """The forking process has `prepare_once` behind it, so its children need not do that themselves."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the supervisor asked for, of which the child needs the limits."""

    id: int
    memory_bytes: int
    file_bytes: int
    cpu_s: int
    threads: int
    output_bytes: int
    session: bool


_STREAMS: list[io.TextIOWrapper] = []
_MAIN: list[types.ModuleType] = []
_FILTER: list[_linux.PreparedFilter] = []
_CONSTANT_LIMITS = {resource.RLIMIT_CORE: 0, resource.RLIMIT_MEMLOCK: 0, resource.RLIMIT_MSGQUEUE: 0}


def prepare_once(lock: Lock) -> Lock:
    """The lock for children of this process, after doing here what is the same for all of them."""
    _set_limits(_CONSTANT_LIMITS, lock.hard_limits)
    _linux.forbid_new_privileges()
    _STREAMS[:] = _make_streams()
    _MAIN[:] = [_make_main()]
    if lock.filter is not None:
        _FILTER[:] = [_linux.PreparedFilter(lock.filter, _seccomp.holes(lock.filter))]
    return replace(lock, prepared=True)


def live(lock: Lock, job: Job, fds: tuple[int, int, int], slot: Slot, parent: int) -> NoReturn:
    """Lock down, run what comes over the control descriptor, and exit. Exits with code 111 before `READY` if any layer fails."""
    try:
        renew_thread_id()
        lock_down(lock, job, fds, slot, parent)
    except BaseException:  # whatever it is, the snippet must not start
        os.write(2, traceback.format_exc(limit=4).encode(errors="replace"))
        os._exit(_SETUP_FAILED)
    code = 1
    try:
        speaker = _Speaker(job.output_bytes)
        speaker.send(READY)
        code = _run_session(speaker) if job.session else _run_once(speaker)
    except BaseException:  # the snippet broke what runs it, like the control descriptor; only its own process ends
        os.write(2, b"the snippet broke the process it ran in\n")
    finally:  # never back into the zygote's frames, whatever was patched or raised
        _leave(code)


def lock_down(lock: Lock, job: Job, fds: tuple[int, int, int], slot: Slot, parent: int) -> None:
    """Give up everything a snippet does not need; seccomp last, as it forbids the rest."""
    os.setsid()
    out, err, control = fds
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (err, 2), (control, CONTROL_FD)):
        os.dup2(source, target, inheritable=False)
    os.fchdir(slot.fd)
    for name in ("HOME", "TMPDIR", "PWD"):
        os.environ[name] = slot.folder
    _set_limits(_own_limits(lock, job), lock.hard_limits)
    _linux.drop_capabilities()
    _linux.die_with_parent()
    if os.getppid() not in (parent, _OUTSIDE):
        raise OSError("the zygote is gone")
    if not lock.prepared:
        _linux.forbid_new_privileges()
    if lock.landlock_abi is not None:
        _landlock.restrict(slot.ruleset)
    os.closerange(FIRST_ANCHOR_FD + lock.anchors, 1 << 20)
    if lock.filter is not None and lock.prepared:
        _FILTER[0].install(os.getpid())
    elif lock.filter is not None:
        _linux.install_filter(_seccomp.fill_template(lock.filter, os.getpid()))


def _own_limits(lock: Lock, job: Job) -> dict[int, int]:
    wished = {
        resource.RLIMIT_AS: lock.baseline_bytes + job.memory_bytes,
        resource.RLIMIT_CPU: job.cpu_s,
        resource.RLIMIT_FSIZE: job.file_bytes,
        resource.RLIMIT_NOFILE: 64,
    }
    if lock.limit_processes:
        wished[resource.RLIMIT_NPROC] = job.threads + _NEIGHBOURS
    return wished if lock.prepared else {**wished, **_CONSTANT_LIMITS}


def _set_limits(wished: dict[int, int], hard: dict[int, int]) -> None:
    for which, most in wished.items():
        inherited = hard.get(which, resource.RLIM_INFINITY)
        value = most if inherited == resource.RLIM_INFINITY else min(most, inherited)
        resource.setrlimit(which, (value, value))


def shorten(text: str, most_bytes: int) -> tuple[bytes, bool]:
    """The text as UTF-8, or its head and tail where that has more than `most_bytes`; and whether it was cut."""
    middle = len(text) - 2 * most_bytes
    ends = (text[:most_bytes], text[-most_bytes:]) if middle > 0 else (text[: len(text) // 2], text[len(text) // 2 :])
    head, tail = (end.encode("utf-8", "backslashreplace") for end in ends)
    if middle <= 0 and len(head) + len(tail) <= most_bytes:
        return head + tail, False
    half = most_bytes // 2
    kept = head[:half].decode("utf-8", "ignore"), tail[max(len(tail) - half, 0) :].decode("utf-8", "ignore")
    left_out = max(middle, 0) + len(head.decode()) + len(tail.decode()) - len(kept[0]) - len(kept[1])
    return f"{kept[0]}[... {left_out} characters left out ...]{kept[1]}".encode(), True


class _Speaker:
    """The child's end of the control descriptor."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._write, self._read = os.write, os.read

    def send(self, kind: bytes, text: str = "") -> None:
        """Send a frame; a text too long keeps its head and tail. A snippet that closed the descriptor only silences itself."""
        payload, cut = shorten(text, self.most_bytes)
        data = FRAME.pack(CUT_VALUE if cut and kind == VALUE else kind, len(payload)) + payload
        try:
            while data:
                data = data[self._write(CONTROL_FD, data) :]
        except OSError:
            return

    def receive(self) -> tuple[str, int] | None:
        """(source, seed) of the next job; None when there will be none."""
        head = self._exactly(JOB.size)
        if head is None:
            return None
        size, seed = JOB.unpack(head)
        body = self._exactly(size)
        return None if body is None else (body.decode("utf-8", "surrogatepass"), seed)

    def _exactly(self, size: int) -> bytes | None:
        parts = []
        while size:
            part = self._read(CONTROL_FD, min(size, 1 << 20))
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _run_once(speaker: _Speaker) -> int:
    job = speaker.receive()
    if job is None:
        return 0
    _open_streams()
    reseed(job[1])
    code = _execute(job[0], _fresh_main(), "<snippet>", speaker)
    return _finish(code)


def _run_session(speaker: _Speaker) -> int:
    names = _fresh_main()
    busy = [False]

    def interrupt(number: int, frame: types.FrameType | None) -> None:
        if busy[0]:
            raise KeyboardInterrupt

    _open_streams()
    turn = 0
    while (job := speaker.receive()) is not None:
        turn += 1
        if turn == 1:
            reseed(job[1])
        code: int | None = None
        signal.signal(signal.SIGINT, interrupt)
        busy[0] = True
        try:
            code = _execute(job[0], names, f"<turn {turn}>", speaker)
            busy[0] = False
        except KeyboardInterrupt:  # it came between two steps of ours
            busy[0] = False
        _flush()
        speaker.send(DONE, str(code))
    return 0


def _fresh_main() -> dict[str, Any]:
    main = _MAIN[0] if _MAIN else _make_main()
    sys.modules["__main__"] = main
    return main.__dict__


def _make_main() -> types.ModuleType:
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    return main


def _make_streams() -> list[io.TextIOWrapper]:
    """Unbuffered text streams, so that what was printed before a crash or a kill is not lost. Made while both descriptors are pipes."""
    return [io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), "utf-8", "backslashreplace", newline="\n", write_through=True) for fd in (1, 2)]


def _open_streams() -> None:
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = _STREAMS or _make_streams()  # type: ignore[misc]


def reseed(seed: int) -> None:
    """Give every shared random generator a stream of its own; a forked child would otherwise continue the zygote's."""
    random.seed(seed)
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed(seed % (1 << 32))
    if (sympy_random := sys.modules.get("sympy.core.random")) is not None:
        sympy_random.seed(seed)


def _execute(source: str, names: dict[str, Any], filename: str, speaker: _Speaker) -> int:
    """The exit code of the source; its value or its error go to the speaker."""
    reserve = [bytes(1 << 20)]  # asked for but untouched: address space to let go of after a MemoryError
    try:
        source = source.removeprefix("\ufeff")
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        body, last = _compile(source, filename)
        exec(body, names)
        if last is not None:
            value = eval(last, names)
            if value is not None:
                speaker.send(VALUE, repr(value))
    except SystemExit as leave:
        return _exit_code(leave, speaker)
    except BaseException as error:
        reserve.clear()
        return _report(error, speaker)
    return 0


def _compile(source: str, filename: str) -> tuple[types.CodeType, types.CodeType | None]:
    """The statements, and the last expression where the source ends in one."""
    return _split_by_line(source, filename) or _split_by_tree(source, filename)


def _split_by_line(source: str, filename: str) -> tuple[types.CodeType, types.CodeType] | None:
    """`_split_by_tree` where the last line is an expression by itself, and the rest is a program without it; None where that is not plain.

    Both then mean together what they mean apart, and no syntax tree need be built.
    """
    before, _, last = source.rstrip().rpartition("\n")
    if not last or last[0] in _NOT_AN_EXPRESSION or "__future__" in source or "\r" in source or "\f" in source:
        return None
    try:
        value = compile("\n" * (before.count("\n") + 1 if before or source.startswith("\n") else 0) + last, filename, "eval", dont_inherit=True)
        return compile(before, filename, "exec", dont_inherit=True), value
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
        return None  # whatever is wrong, the whole is looked at again


def _split_by_tree(source: str, filename: str) -> tuple[types.CodeType, types.CodeType | None]:
    tree: Any = compile(source, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        expression: Any = ast.Expression(tree.body.pop().value)
        last = compile(expression, filename, "eval", _future_flags(tree), dont_inherit=True)
    return compile(tree, filename, "exec", dont_inherit=True), last


def _future_flags(tree: ast.Module) -> int:
    import __future__

    names = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__" for alias in node.names]
    flags = 0
    for name in names:
        feature = getattr(__future__, name, None)
        flags |= getattr(feature, "compiler_flag", 0)
    return flags


def _exit_code(leave: SystemExit, speaker: _Speaker) -> int:
    if leave.code is None:
        return 0
    if isinstance(leave.code, int):
        code = leave.code & 0xFF
    else:
        code = 1
        sys.stderr.write(f"{leave.code}\n")
    if code:
        speaker.send(ERROR, f"SystemExit: {str(leave.code)[:_ERROR_CHARACTERS]}")
    return code


def _report(error: BaseException, speaker: _Speaker, write: Callable[[int, bytes], int] = os.write) -> int:
    """Print the snippet's traceback without our frames, send its last line; exit code 1."""
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)
        speaker.send(ERROR, "MemoryError")
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    try:
        lines = traceback.format_exception(type(error), error.with_traceback(frames), frames)
        last = traceback.format_exception_only(type(error), error)[-1].strip()
        write(2, shorten("".join(lines), speaker.most_bytes)[0])
    except BaseException as second:  # its own __str__ may do anything
        last = f"{type(error).__name__}: (its message could not be shown: {type(second).__name__})"
    if not isinstance(error, MemoryError):
        speaker.send(ERROR, last.replace("\n", " ")[:_ERROR_CHARACTERS])
    return 1


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # the snippet may have put anything there
            continue


def _finish(code: int) -> int:
    """The exit code, after what an interpreter does at its end: wait for threads, run exit handlers, flush."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:  # the snippet's own exit handlers may raise anything
        code = code or 1
    _flush()
    return code
