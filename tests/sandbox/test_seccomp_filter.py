"""The filter as a program, for both architectures: walked by a small interpreter of our own, so that aarch64 is checked without one."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from toolwright.sandbox import _landlock, _seccomp

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PID = 4321


def answer(machine: str, number: int, *arguments: int, private_root: bool = False, arch: int | None = None, **rights: bool) -> int:
    """What the filter says to a call."""
    template = _seccomp.build_template(machine, private_root=private_root, **rights)
    program = list(struct.iter_unpack("=HBBI", _seccomp.fill_template(template, PID)))
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=iIQ6Q", number, ARCH[machine] if arch is None else arch, 0, *padded)
    at = register = 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        if code == 0x20:
            (register,) = struct.unpack_from("=I", data, k)
        elif code == 0x54:
            register &= k
        elif code == 0x05:
            at += k
        elif code == 0x06:
            return int(k)
        else:
            holds = {0x15: register == k, 0x35: register >= k, 0x45: bool(register & k)}[code]
            at += yes if holds else no


def numbers(machine: str, table: str) -> dict[str, int]:
    return _seccomp._numbers(table, machine)


@pytest.mark.parametrize("machine", sorted(ARCH))
@pytest.mark.parametrize("private_root", [False, True])
def test_every_listed_call_is_answered_as_listed_and_no_other_is_allowed(machine: str, private_root: bool) -> None:
    plain = [_seccomp._FILES, _seccomp._MEMORY, _seccomp._SIGNALS, _seccomp._TIME, _seccomp._SELF, _seccomp._THREADS, _seccomp._WAITING]
    allowed = {number for table in plain for number in numbers(machine, table).values()}
    touch = set(numbers(machine, _seccomp._TOUCH).values())
    checked, refused = numbers(machine, _seccomp._CHECKED), numbers(machine, _seccomp._REFUSED)
    assert not allowed & touch and not allowed & set(checked.values()) and not allowed & set(refused.values())
    for number in range(460):
        said = answer(machine, number, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, private_root=private_root)
        if number in allowed or (number in touch and private_root):
            assert said == ALLOW, number
        else:
            assert said != ALLOW, number
            assert said != KILL


@pytest.mark.parametrize(("machine", "foreign"), [("x86_64", 0x40000003), ("x86_64", 0xC00000B7), ("aarch64", 0x40000028)])
def test_foreign_architecture_kills(machine: str, foreign: int) -> None:
    assert answer(machine, 1, arch=foreign) == KILL


def test_x32_kills() -> None:
    assert answer("x86_64", 0x40000000 | 1) == KILL


@pytest.mark.parametrize("machine", sorted(ARCH))
def test_arguments_decide(machine: str) -> None:
    call = numbers(machine, _seccomp._CHECKED)
    assert answer(machine, call["kill"], PID, 9) == ALLOW
    assert answer(machine, call["kill"], PID + 1, 9) == EPERM
    assert answer(machine, call["kill"], 0xFFFFFFFF, 9) == EPERM
    assert answer(machine, call["kill"], 0, 9) == EPERM
    assert answer(machine, call["tgkill"], PID, 7) == ALLOW
    assert answer(machine, call["tkill"], PID) == EPERM
    assert answer(machine, call["clone"], 0x3D0F00) == ALLOW
    assert answer(machine, call["clone"], 17) == EPERM
    assert answer(machine, call["clone"], 0x3D0F00 | 0x10000000) == EPERM
    assert answer(machine, call["prctl"], 15) == ALLOW
    assert answer(machine, call["prctl"], 4, 1) == EPERM
    assert answer(machine, call["prlimit64"], 0) == ALLOW
    assert answer(machine, call["prlimit64"], 1) == EPERM
    assert answer(machine, call["ioctl"], 0, 0x5412) == 0x50000 | errno.ENOTTY
    assert answer(machine, call["fcntl"], 0, 3) == ALLOW
    assert answer(machine, call["fcntl"], 0, 8) == EPERM
    assert answer(machine, call["socketpair"], 1, 1 | 0x80000) == ALLOW
    assert answer(machine, call["socketpair"], 1, 2) == EPERM
    assert answer(machine, call["socketpair"], 2, 1) == EPERM
    assert answer(machine, call["sendto"], 5, 0, 0, 1) == EPERM
    refused = numbers(machine, _seccomp._REFUSED)
    assert answer(machine, refused["clone3"]) == ENOSYS
    assert answer(machine, 500) == ENOSYS


@pytest.mark.parametrize(("machine", "socket", "execve"), [("x86_64", 41, 59), ("aarch64", 198, 221)])
def test_sockets_and_programs_are_refused(machine: str, socket: int, execve: int) -> None:
    assert answer(machine, socket, 2, 1) == EPERM
    assert answer(machine, execve) == EPERM


@pytest.mark.parametrize(("machine", "openat", "flags_at"), [("x86_64", 257, 2), ("aarch64", 56, 2), ("x86_64", 2, 1)])
def test_without_writing_flags_decide(machine: str, openat: int, flags_at: int) -> None:
    eacces = 0x50000 | errno.EACCES
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_CREAT, os.O_TRUNC, os.O_WRONLY | os.O_CLOEXEC, 0x400000 | os.O_RDWR):
        arguments = [0, 0, 0, 0]
        arguments[flags_at] = flags
        assert answer(machine, openat, *arguments, may_write=False) == eacces, flags
        assert answer(machine, openat, *arguments) == ALLOW
    arguments = [0xFFFFFFFF] * 4
    arguments[flags_at] = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK
    assert answer(machine, openat, *arguments, may_write=False) == ALLOW
    for name, number in numbers(machine, _seccomp._CHANGING).items():
        assert answer(machine, number, may_write=False) == eacces, name
    assert answer(machine, numbers(machine, _seccomp._FILES)["read"], may_write=False) == ALLOW


@pytest.mark.parametrize(("machine", "openat", "flags_at"), [("x86_64", 257, 2), ("aarch64", 56, 2), ("x86_64", 2, 1)])
def test_where_landlock_does_not_see_truncation_no_path_can_be_emptied(machine: str, openat: int, flags_at: int) -> None:
    eacces = 0x50000 | errno.EACCES
    for flags, said in (
        (os.O_TRUNC, eacces),
        (os.O_TRUNC | os.O_CLOEXEC, eacces),
        (os.O_TRUNC | os.O_WRONLY, ALLOW),
        (os.O_TRUNC | os.O_RDWR, ALLOW),
        (0, ALLOW),
    ):
        arguments = [0xFFFFFFFF] * 4
        arguments[flags_at] = flags
        assert answer(machine, openat, *arguments, may_truncate=False) == said, flags
        assert answer(machine, openat, *arguments) == ALLOW
    files = numbers(machine, _seccomp._FILES)
    assert answer(machine, files["truncate"], may_truncate=False) == eacces
    assert answer(machine, files["ftruncate"], may_truncate=False) == ALLOW, "what was opened for writing may be emptied"
    assert [_landlock.sees_truncation(version) for version in (1, 2, 3, 7)] == [False, False, True, True]


def test_jumps_fit() -> None:
    for machine in ARCH:
        template = _seccomp.build_template(machine, private_root=True)
        assert len(template) // 8 < 4096
        assert template.count(struct.pack("=I", _seccomp._OWN_PID)) == 3
        filled = bytearray(template)
        for at in _seccomp.holes(template):
            struct.pack_into("=I", filled, at, PID)
        assert bytes(filled) == _seccomp.fill_template(template, PID)
