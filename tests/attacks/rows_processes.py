"""Rows 26–40: more processes, other programs, other processes, more rights, and raw system calls."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from attack_rows import ERROR, LIMITS, OK, REFUSED, Case, Row, Story, either, ends, fails, says

from toolwright.sandbox import Outcome

if TYPE_CHECKING:
    from attack_stage import Stage

ROWS = [
    Row(26, "fork bomb", "refused at the first"),
    Row(27, "daemon by double fork", "refused; no survivor"),
    Row(28, "subprocess, os.system, posix_spawn, pty", "no program starts"),
    Row(29, "exec of a file, of a descriptor, of memory", "refused"),
    Row(30, "multiprocessing and process pools", "a clean error, no hang"),
    Row(31, "thread bomb", "an error at the limit; killed where only watching bounds them"),
    Row(32, "raw clone, clone3, fork, vfork", "refused"),
    Row(33, "kills parent, everybody, group, neighbours", "refused; nobody is hurt"),
    Row(34, "kills another session", "refused; its variables are intact"),
    Row(35, "ptrace, memory and descriptors of others", "refused"),
    Row(36, "limits, priority, cores of its parent", "refused"),
    Row(37, "namespaces, mounts, another root", "refused"),
    Row(38, "becomes root, capabilities", "refused"),
    Row(39, "system calls of a foreign architecture", "killed"),
    Row(40, "io_uring, bpf, perf, userfaultfd, keys and the rest", "refused"),
]
_MANY_THREADS = """
import threading, time
threading.stack_size(32768)
try:
    for _ in range(3000): threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()
    time.sleep(1e6)
except RuntimeError: print("refused")
"""
"""Far fewer than its memory has room for."""
_NO_PROCESS = fails("PermissionError", "ProcessLookupError")

CASES = [
    Case(26, "fork", "import os\nwhile True: os.fork()", fails("PermissionError")),
    Case(26, "forkpty", "import os; os.forkpty()", REFUSED),
    Case(27, "daemon", "import os\nif os.fork() == 0:\n os.setsid()\n os.fork()", fails("PermissionError")),
    Case(28, "subprocess", "import subprocess; subprocess.run(['/bin/echo', 'out'])", REFUSED),
    Case(28, "os.system", "import os\nprint(os.system('echo out') != 0)", says("True")),
    Case(28, "os.popen", "import os\nos.popen('echo out').read()", REFUSED),
    Case(28, "posix_spawn", "import os; os.posix_spawn('/bin/echo', ['echo'], {})", REFUSED),
    Case(28, "pty", "import pty; pty.spawn('/bin/sh')", REFUSED),
    Case(28, "set-uid program", "import os; os.execv('/bin/su', ['su'])", REFUSED),
    Case(29, "execve", "import os; os.execv('/bin/echo', ['echo', 'out'])", REFUSED),
    Case(29, "its own interpreter", "import os, sys; os.execv(sys.executable, ['python', '-c', 'print(1)'])", REFUSED),
    Case(29, "a descriptor", "import os, sympy; os.execve(os.open(sympy.__file__, os.O_RDONLY), ['x'], {})", REFUSED),
    Case(29, "memory", "import os\nfd = os.memfd_create('x')\nos.write(fd, b'#!/bin/sh\\n')\nos.execve(fd, ['x'], {})", REFUSED),
    Case(
        29,
        "a script in scratch",
        "import os\nopen('x', 'w').write('#!/bin/sh\\necho out')\ntry: os.chmod('x', 0o755)\nexcept PermissionError: pass\nos.execv('./x', ['x'])",
        REFUSED,
    ),
    Case(30, "fork pool", "import multiprocessing as m\nm.get_context('fork').Pool(2)", either(REFUSED, fails("ImportError"))),
    Case(30, "spawn pool", "import multiprocessing as m\nm.get_context('spawn').Pool(2)", either(REFUSED, fails("ImportError"))),
    Case(30, "executor", "from concurrent.futures import ProcessPoolExecutor as P\nprint(list(P(2).map(abs, [1])))", ends(ERROR)),
    Case(
        31,
        "thread bomb",
        "import threading, time\nfor _ in range(5000): threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()",
        fails("RuntimeError"),
    ),
    Case(31, "threads that need little memory", _MANY_THREADS, says("refused"), below=ends(Outcome.POLICY), limits=replace(LIMITS, cpu_s=10.0)),
    Case(33, "parent", "import os; os.kill(os.getppid(), 9)", _NO_PROCESS),
    Case(33, "everybody", "import os; os.kill(-1, 9)", fails("PermissionError")),
    Case(33, "group", "import os; os.killpg(0, 9)", fails("PermissionError")),
    Case(
        33,
        "neighbours",
        "import os\nhit = 0\nfor pid in range(max(1, os.getpid() - 200), os.getpid() + 200):\n"
        " if pid != os.getpid():\n  try: os.kill(pid, 9); hit += 1\n  except OSError: pass\nprint(hit)",
        says("0"),
    ),
    Case(
        33,
        "through a descriptor's owner",
        "import fcntl, os\nr, w = os.pipe()\nfcntl.fcntl(r, 10, 9)\nfcntl.fcntl(r, 8, os.getppid())",
        fails("PermissionError"),
    ),
    Case(33, "by a thread's id", "import ctypes, os\nlibc = ctypes.CDLL(None)\nprint(libc.tgkill(os.getppid(), os.getppid(), 9))", says("-1")),
    Case(35, "pidfd of its parent", "import os; os.pidfd_open(os.getppid())", fails("PermissionError")),
    Case(36, "limits", "import os, resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))", _NO_PROCESS),
    Case(36, "priority", "import os; os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)", fails("PermissionError")),
    Case(36, "affinity", "import os; os.sched_setaffinity(os.getppid(), {0})", fails("PermissionError")),
    Case(36, "scheduler", "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))", fails("PermissionError")),
    Case(37, "chroot", "import os; os.chroot('.')", fails("PermissionError")),
    Case(38, "user", "import os; os.setuid(0)", fails("PermissionError")),
    Case(38, "group", "import os; os.setresgid(0, 0, 0)", fails("PermissionError")),
    Case(38, "groups", "import os; os.setgroups([0])", fails("PermissionError")),
    Case(38, "who it is", "import os\nprint(0 in {*os.getresuid(), *os.getresgid(), *os.getgroups()})", says("False")),
    Case(39, "x32", "import ctypes; ctypes.CDLL(None).syscall(0x40000000 | 39)", ends(Outcome.POLICY), only="x86_64"),
    Case(
        39,
        "int 0x80",
        "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()",
        ends(Outcome.POLICY),
        only="x86_64",
    ),
]

RAW = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
for name, (number, *arguments) in {calls!r}.items():
    result = libc.syscall(*[ctypes.c_long(x) for x in (number, *arguments)])
    answer = "went through" if result >= 0 else errno.errorcode[ctypes.get_errno()]
    if answer not in ("EPERM", "ENOSYS"): print(name, answer)
"""
_CLONE_THREAD, _NEW_USER, _ALL = 0x10000, 0x10000000, 0xFFFFFFFF
SYSTEM_CALLS = {
    # row: (name, number on x86-64, number on aarch64 (None: it has none), arguments)
    32: (
        ("fork", 57, None), ("vfork", 58, None), ("clone", 56, 220, 17), ("clone with a namespace", 56, 220, _NEW_USER | _CLONE_THREAD), ("clone3", 435, 435),
    ),
    35: (
        ("ptrace", 101, 117, 16, 1), ("process_vm_readv", 310, 270, 1), ("process_vm_writev", 311, 271, 1), ("pidfd_open", 434, 434, 1),
        ("pidfd_getfd", 438, 438, 3, 0), ("kcmp", 312, 272, 1, 1), ("process_madvise", 440, 440), ("tkill", 200, 130, 1, 9),
        ("rt_sigqueueinfo", 129, 138, 1, 9), ("pidfd_send_signal", 424, 424),
    ),
    37: (
        ("unshare", 272, 97, _NEW_USER), ("setns", 308, 268, 0), ("mount", 165, 40), ("umount2", 166, 39), ("pivot_root", 155, 41), ("chroot", 161, 51),
        ("move_mount", 429, 429), ("open_tree", 428, 428), ("fsopen", 430, 430), ("mount_setattr", 442, 442),
    ),
    38: (
        ("capset", 126, 91), ("setuid", 105, 146), ("setfsuid", 122, 151), ("personality", 135, 92, _ALL), ("seccomp", 317, 277, 1),
        ("prctl dumpable", 157, 167, 4, 1), ("prctl seccomp", 157, 167, 22, 2),
    ),
    40: (
        ("io_uring_setup", 425, 425, 8, 0), ("bpf", 321, 280, 0), ("perf_event_open", 298, 241), ("userfaultfd", 323, 282), ("keyctl", 250, 219, 0),
        ("add_key", 248, 217), ("execveat", 322, 281), ("memfd_create", 319, 279), ("memfd_secret", 447, 447), ("open_by_handle_at", 304, 265),
        ("name_to_handle_at", 303, 264), ("shmget", 29, 194, 0, 4096, 0o1666), ("semget", 64, 190, 0, 1, 0o1666), ("msgget", 68, 186, 0, 0o1666),
        ("mq_open", 240, 180), ("inotify_init1", 294, 26, 0), ("fanotify_init", 300, 262), ("modify_ldt", 154, None), ("iopl", 172, None, 3),
        ("kexec_load", 246, 104), ("init_module", 175, 105), ("reboot", 169, 142), ("sethostname", 170, 161), ("settimeofday", 164, 170),
        ("clock_settime", 227, 112), ("sendmsg", 46, 211, 1), ("recvmsg", 47, 212, 0), ("quotactl", 179, 60), ("swapon", 167, 224), ("syslog", 103, 116, 3),
        ("a number from the future", 1000, 1000),
    ),
}  # fmt: skip


def _raw(row: int) -> Case:
    column = {"x86_64": 1, "aarch64": 2}[MACHINE]
    calls = {call[0]: (call[column], *call[3:]) for call in SYSTEM_CALLS[row] if call[column] is not None}
    # Whatever is not refused is printed by name.
    return Case(row, "system calls", RAW.format(calls=calls), lambda result: result.outcome is OK and result.stdout == "")


MACHINE = os.uname().machine
if MACHINE in ("x86_64", "aarch64"):
    CASES += [_raw(row) for row in SYSTEM_CALLS]


async def _sibling(stage: Stage) -> str:
    kill = "import os\nhit = 0\nfor pid in {*range(1, 400), *range(max(1, os.getpid() - 400), os.getpid() + 400)} - {os.getpid()}:\n"
    kill += " try: os.kill(pid, 9); hit += 1\n except OSError: pass\nprint(hit)"
    async with stage.sandbox.session() as sibling:
        assert (await sibling.run("x = 41")).ok
        result = await stage.run(kill)
        assert result.stdout == "0\n", result
        after = await sibling.run("x + 1")
        assert (after.value, after.session_reset) == ("42", False), after
    return "refused; the other session is intact"


STORIES = [Story(34, "kills another session", _sibling, ways=("one-shot", "session"))]
