"""The system calls a snippet may make, as a seccomp filter: an allow list with argument checks, for x86-64 and aarch64.

Each entry below is a name, its number on x86-64, its number on aarch64 (``-``: that architecture has none). What is on no list answers EPERM, so that a
snippet sees a PermissionError; numbers newer than this file answer ENOSYS, so that a newer C library falls back. A foreign architecture (32-bit calls on
x86-64, x32) kills the process. Sockets, exec, fork, ptrace, mounts, chown, keys, io_uring, bpf and the like are simply not here.
"""

from __future__ import annotations

import errno
import struct

_FILES = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70, preadv2 327 286, pwritev2 328 287,
lseek 8 62, close 3 57, close_range 436 436, dup 32 23, dup2 33 -, dup3 292 24, flock 73 32, fsync 74 82, fdatasync 75 83,
sync_file_range 277 84, ftruncate 77 46, truncate 76 45, fallocate 285 47, fadvise64 221 223, readahead 187 213, copy_file_range 326 285,
sendfile 40 71, open 2 -, openat 257 56, creat 85 -, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79, statx 332 291, access 21 -, faccessat 269 48,
faccessat2 439 439, readlink 89 -, readlinkat 267 78, getcwd 79 17, chdir 80 49, fchdir 81 50, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -,
unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276, symlink 88 -, symlinkat 266 36, getdents 78 -, getdents64 217 61, statfs 137 43,
fstatfs 138 44, umask 95 166
"""
_MEMORY = """
mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, brk 12 214, madvise 28 233, msync 26 227, mincore 27 232, membarrier 324 283
"""
_SIGNALS = """
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigtimedwait 128 137, rt_sigsuspend 130 133,
sigaltstack 131 132, pause 34 -, alarm 37 -, getitimer 36 102, setitimer 38 103, signalfd 282 -, signalfd4 289 74
"""
_TIME = """
time 201 -, gettimeofday 96 169, clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101, times 100 153,
getrusage 98 165, timer_create 222 107, timer_settime 223 110, timer_gettime 224 108, timer_getoverrun 225 109, timer_delete 226 111,
timerfd_create 283 85, timerfd_settime 286 86, timerfd_gettime 287 87
"""
_SELF = """
getpid 39 172, getppid 110 173, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177, getgroups 115 158,
getresuid 118 148, getresgid 120 150, getpgrp 111 -, getpgid 121 155, getsid 124 156, uname 63 160, sysinfo 99 179, getrlimit 97 163,
setrlimit 160 164, capget 125 90, getpriority 140 141, getcpu 309 168, getrandom 318 278, sched_yield 24 124, sched_getaffinity 204 123,
sched_getparam 143 121, sched_getscheduler 145 120, sched_get_priority_max 146 125, sched_get_priority_min 147 126, sched_getattr 315 275,
arch_prctl 158 -
"""
_THREADS = """
futex 202 98, futex_waitv 449 449, set_robust_list 273 99, get_robust_list 274 100, set_tid_address 218 96, rseq 334 293, restart_syscall 219 128,
exit 60 93, exit_group 231 94, wait4 61 260, waitid 247 95
"""
_WAITING = """
poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create 213 -, epoll_create1 291 20, epoll_ctl 233 21, epoll_wait 232 -,
epoll_pwait 281 22, epoll_pwait2 441 441, eventfd 284 -, eventfd2 290 19, pipe 22 -, shutdown 48 210,
getsockopt 55 209, getsockname 51 204, getpeername 52 205
"""
_TOUCH = """
chmod 90 -, fchmod 91 52, fchmodat 268 53, utime 132 -, utimes 235 -, utimensat 280 88, futimesat 261 -
"""
_CHECKED = """
clone 56 220, fcntl 72 25, kill 62 129, tkill 200 130, tgkill 234 131, prctl 157 167, prlimit64 302 261, ioctl 16 29, socketpair 53 199,
pipe2 293 59, sendto 44 206, recvfrom 45 207
"""
_CHANGING = """
creat 85 -, truncate 76 45, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276,
symlink 88 -, symlinkat 266 36
"""
"""Of the files' calls above, those that change folders or files by path."""
_OPENING = """
open 2 -, openat 257 56
"""
_REFUSED = """
clone3 435 435, openat2 437 437, getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10, listxattr 194 11, llistxattr 195 12, flistxattr 196 13
"""

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 1, "aarch64": 2}
_NEWEST_KNOWN = 450
_X32_BIT = 0x40000000
_CLONE_THREAD, _CLONE_NEW_NAMESPACES = 0x00010000, 0x7E020000
_PR_SET_NAME, _PR_GET_NAME = 15, 16
_TCGETS, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX = 0x5401, 0x541B, 0x5421, 0x5450, 0x5451
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1031, 1032)
"""Duplicate, flags, locks, pipe size."""
_PIPE_FLAGS = (0, 0x800, 0x80000, 0x80800)
"""Non-blocking and close-on-exec, not the kernel's notification queues."""
_SEND_FLAGS, _RECEIVE_FLAGS = (0, 0x40, 0x4000, 0x4040), (0, 0x2, 0x40, 0x100)
"""Without out-of-band data, which has had holes of its own."""
_AF_UNIX, _SOCK_TYPE_MASK, _SOCK_STREAM = 1, 0xF, 1

_LOAD, _JUMP, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x54, 0x06
_WRITING = 0x1 | 0x2 | 0x40 | 0x200 | 0x400000
"""Of open's flags: for writing, for both, create, truncate, unnamed file; the same on both architectures."""
_ACCESS_AND_TRUNCATE, _TRUNCATE = 0x203, 0x200
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH = 0, 4
_OWN_PID = 0x7E57_01D5
"""Stands in the template where the child's own process id goes."""

Instruction = tuple[int, int, int, int]
_WRITES: list[Instruction] = [(_ANY_BIT, 0, 1, _WRITING)]
_READS_AND_TRUNCATES: list[Instruction] = [(_AND, 0, 0, _ACCESS_AND_TRUNCATE), (_EQUAL, 0, 1, _TRUNCATE)]
"""Opened for reading only, a file is emptied all the same; opened for writing, Landlock sees it."""


def supported(machine: str) -> bool:
    """Whether there is a table for the machine."""
    return machine in _AUDIT_ARCH


def build_template(machine: str, *, private_root: bool, may_write: bool = True, may_truncate: bool = True) -> bytes:
    """The filter for a machine, with a place for the child's process id.

    With `private_root` the libraries lie on a read-only mount, so mode and time changes are allowed: they can only touch the child's own scratch.
    Without `may_write` no file can be opened for writing, made, moved or removed anywhere, the child's own scratch included: a filter sees flags, not paths.
    It is for where neither Landlock nor a private root tells scratch from the rest.
    Without `may_truncate` no file can be emptied by its path: for where a Landlock that does not see truncation (before version 3) is all that guards files.
    """
    program: list[Instruction] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _AUDIT_ARCH[machine]), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    program += _tree(_leaves(machine, private_root=private_root, may_write=may_write, may_truncate=may_truncate))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _leaves(machine: str, *, private_root: bool, may_write: bool, may_truncate: bool) -> list[tuple[int, list[Instruction]]]:
    """What is done from each system call number on, in order; neighbours that are treated alike are one entry."""
    answers: dict[int, list[Instruction]] = {}
    for table in (_FILES, _MEMORY, _SIGNALS, _TIME, _SELF, _THREADS, _WAITING, *((_TOUCH,) if private_root else ())):
        answers.update({number: [(_RETURN, 0, 0, _ALLOW)] for number in _numbers(table, machine).values()})
    for name, number in _numbers(_CHECKED, machine).items():
        answers[number] = _checks(name)
    if not may_truncate:
        answers[_numbers(_FILES, machine)["truncate"]] = [(_RETURN, 0, 0, _ERRNO | errno.EACCES)]
        answers.update({number: _opening(name, _READS_AND_TRUNCATES) for name, number in _numbers(_OPENING, machine).items()})
    if not may_write:
        answers.update({number: [(_RETURN, 0, 0, _ERRNO | errno.EACCES)] for number in _numbers(_CHANGING, machine).values()})
        answers.update({number: _opening(name, _WRITES) for name, number in _numbers(_OPENING, machine).items()})
    for name, number in _numbers(_REFUSED, machine).items():
        answers[number] = [(_RETURN, 0, 0, _ERRNO | (errno.EOPNOTSUPP if "xattr" in name else errno.ENOSYS))]
    leaves: list[tuple[int, list[Instruction]]] = []
    for number in range(_NEWEST_KNOWN + 1):
        answer = answers.get(number, [(_RETURN, 0, 0, _ERRNO | errno.EPERM)])
        if not leaves or leaves[-1][1] != answer:
            leaves.append((number, answer))
    return [*leaves, (_NEWEST_KNOWN + 1, [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)])]


def _tree(leaves: list[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """A search by halves; the kernel walks the filter for every number when it is installed, so a list would be felt in every child."""
    if len(leaves) == 1:
        return leaves[0][1]
    middle = len(leaves) // 2
    low, high = _tree(leaves[:middle]), _tree(leaves[middle:])
    return [(_AT_LEAST, 0, 1, leaves[middle][0]), (_JUMP, 0, 0, len(low)), *low, *high]


def fill_template(template: bytes, pid: int) -> bytes:
    """The template with the process id a child may signal: its own."""
    return template.replace(struct.pack("=I", _OWN_PID), struct.pack("=I", pid))


def holes(template: bytes) -> list[int]:
    """Where in the template the process id goes."""
    mark = struct.pack("=I", _OWN_PID)
    return [at for at in range(0, len(template), 4) if template[at : at + 4] == mark]


def _numbers(table: str, machine: str) -> dict[str, int]:
    entries = (entry.split() for entry in table.replace("\n", " ").strip().strip(",").split(","))
    return {entry[0]: int(entry[_COLUMN[machine]]) for entry in entries if entry[_COLUMN[machine]] != "-"}


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, 16 + 8 * index)


def _only(index: int, values: tuple[int, ...], answer: int) -> list[Instruction]:
    """Allow when the argument is one of the values, else answer with an errno."""
    compares = [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_argument(index), *compares, (_RETURN, 0, 0, _ERRNO | answer), (_RETURN, 0, 0, _ALLOW)]


def _opening(name: str, refused: list[Instruction]) -> list[Instruction]:
    """Allow to open unless the flags are refused."""
    return [_argument(1 if name == "open" else 2), *refused, (_RETURN, 0, 0, _ERRNO | errno.EACCES), (_RETURN, 0, 0, _ALLOW)]


def _checks(name: str) -> list[Instruction]:
    refuse: Instruction = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    if name in ("kill", "tgkill"):
        return _only(0, (_OWN_PID,), errno.EPERM)
    if name == "prctl":
        return _only(0, (_PR_SET_NAME, _PR_GET_NAME), errno.EPERM)
    if name == "prlimit64":
        return _only(0, (0, _OWN_PID), errno.EPERM)
    if name == "ioctl":
        return _only(1, (_TCGETS, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX), errno.ENOTTY)
    if name == "fcntl":  # not the owner and signal of a descriptor: with them any process of the same user can be killed
        return _only(1, _FCNTL_COMMANDS, errno.EPERM)
    if name == "pipe2":
        return _only(1, _PIPE_FLAGS, errno.EINVAL)
    if name in ("sendto", "recvfrom"):
        return _only(3, _SEND_FLAGS if name == "sendto" else _RECEIVE_FLAGS, errno.EPERM)
    if name == "clone":  # threads only, and no new namespaces
        return [_argument(0), (_ANY_BIT, 0, 2, _CLONE_THREAD), (_ANY_BIT, 1, 0, _CLONE_NEW_NAMESPACES), (_RETURN, 0, 0, _ALLOW), refuse]
    if name == "socketpair":  # what asyncio wakes itself with; a datagram pair could send to named sockets
        typed = [_argument(1), (_AND, 0, 0, _SOCK_TYPE_MASK), (_EQUAL, 0, 1, _SOCK_STREAM), (_RETURN, 0, 0, _ALLOW)]
        return [_argument(0), (_EQUAL, 0, len(typed), _AF_UNIX), *typed, refuse]
    return [refuse]  # tkill: its target may be any process
