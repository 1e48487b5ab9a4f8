"""Rows 41–53: files outside the scratch directory, tricks to reach them, and too much inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attack_rows import ERROR, OK, REFUSED, THROUGH, Case, Row, Story, either, ends, fails, says

from toolwright.sandbox import Outcome

if TYPE_CHECKING:
    from attack_stage import Stage

ROWS = [
    Row(41, "reads users, passwords, keys, tokens", "refused; at level 1 what user 65534 may read is open"),
    Row(42, "lists the root, walks the homes", "refused or nothing there; at level 1 open"),
    Row(43, "writes to /tmp, home, the libraries", "refused"),
    Row(44, "mode, time, owner, attributes, size of a library", "refused"),
    Row(45, "asks whether a path exists", "nothing exists at level 3; answered below"),
    Row(46, "links, renames, dots, /proc/self/root, openat2", "refused; at level 1 files are open to it as in row 41"),
    Row(47, "named pipe, device node, socket file in scratch", "refused"),
    Row(48, "fills the disk", "an error at the limit; scratch is gone after"),
    Row(49, "leaves a file for the next run", "not seen by it; by the same session's turns only"),
    Row(50, "poisons the import path", "harms only itself"),
    Row(51, "/proc: environment, command lines, memory, descriptors of others", "refused"),
    Row(52, "reopens descriptors, terminals, memory and machine devices", "refused; its own pipe, below level 3, may be had again"),
    Row(53, "/sys, control groups, core pattern, system request", "refused"),
]
_LIBRARY = "import os, sympy; "
_MARK = "toolwright-attack"
_WRITE = "import os\nopen({path!r}, 'w').write('x')\nos.remove({path!r})"

CASES = [
    Case(41, "users", "open('/etc/passwd').read()", REFUSED, through=THROUGH),
    Case(41, "passwords", "open('/etc/shadow').read()", REFUSED),
    Case(41, "a key", "open('/root/.ssh/id_rsa').read()", REFUSED),
    Case(41, "a token", "import os; open(os.path.expanduser('~root') + '/.cache/huggingface/token').read()", either(REFUSED, fails("KeyError"))),
    Case(41, "a name after the end", "open('x\\0y')", fails("ValueError")),
    Case(42, "root", "import os; os.listdir('/')", REFUSED, through=THROUGH),
    Case(
        42,
        "homes",
        "import os\nfound = [x for top in ('/home', '/root', '/var', '/opt', '/srv') for x in os.walk(top)]\nif found: raise FileExistsError(len(found))",
        ends(OK),
        through=fails("FileExistsError"),
    ),
    Case(42, "wildcard", "import glob; print(glob.glob('/*') + glob.glob('/etc/*'))", says("[]"), through=THROUGH),
    Case(43, "/tmp", _WRITE.format(path=f"/tmp/{_MARK}"), REFUSED),
    Case(43, "/dev/shm", _WRITE.format(path=f"/dev/shm/{_MARK}"), REFUSED),
    Case(43, "home of root", _WRITE.format(path=f"/root/{_MARK}"), REFUSED),
    Case(43, "beside the library", _LIBRARY + f"open(os.path.dirname(sympy.__file__) + '/{_MARK}.py', 'w')", REFUSED),
    Case(43, "start-up file", _LIBRARY + f"open(os.path.dirname(os.path.dirname(sympy.__file__)) + '/{_MARK}.pth', 'w')", REFUSED),
    Case(43, "overwrites the library", _LIBRARY + "open(sympy.__file__, 'r+')", REFUSED),
    Case(43, "folder beside the library", _LIBRARY + f"os.mkdir(os.path.dirname(sympy.__file__) + '/{_MARK}')", REFUSED),
    Case(43, "removes the library", _LIBRARY + "os.remove(sympy.__file__)", REFUSED),
    Case(44, "mode", _LIBRARY + "os.chmod(sympy.__file__, 0o777)", REFUSED),
    Case(44, "time", _LIBRARY + "os.utime(sympy.__file__, (0, 0))", REFUSED),
    Case(44, "time now", _LIBRARY + "os.utime(sympy.__file__)", REFUSED),
    Case(44, "owner", _LIBRARY + "os.chown(sympy.__file__, os.getuid(), os.getgid())", REFUSED),
    Case(44, "attributes", _LIBRARY + "os.setxattr(sympy.__file__, 'user.x', b'1')", REFUSED),
    Case(44, "size", _LIBRARY + "os.truncate(sympy.__file__, 0)", REFUSED),
    Case(44, "mode of the scratch directory's parent", "import os; os.chmod('..', 0o777)", REFUSED),
    Case(
        45,
        "existence",
        "import os\nseen = [p for p in ('/etc/passwd', '/proc/1', '/sys/kernel', '/bin/sh', '/var') if os.path.exists(p)]\n"
        "if seen: raise FileExistsError(seen)",
        ends(OK),
        below=fails("FileExistsError"),
    ),
    Case(46, "symbolic link", "import os\nos.symlink('/etc/passwd', 'x')\nopen('x').read()", REFUSED),
    Case(46, "hard link", _LIBRARY + "os.link(sympy.__file__, 'x')", REFUSED),
    Case(46, "moves the library in", _LIBRARY + "os.rename(sympy.__file__, 'x')", REFUSED),
    Case(
        46,
        "moves scratch out",
        f"import os\nopen('x', 'w').close()\nos.rename('x', '/tmp/{_MARK}')\nos.remove('/tmp/{_MARK}')",
        REFUSED,
    ),
    Case(46, "dots", "open('../../../../../../../../etc/passwd').read()", REFUSED, through=THROUGH),
    Case(46, "root through /proc", "open('/proc/self/root/etc/passwd').read()", REFUSED, through=either(THROUGH, REFUSED)),
    Case(46, "parent's root", "import os; open(f'/proc/{os.getppid()}/root/etc/passwd').read()", REFUSED),
    Case(46, "parent's folder", "import os; os.listdir(f'/proc/{os.getppid()}/cwd/')", REFUSED),
    Case(47, "named pipe", "import os; os.mkfifo('x')", REFUSED),
    Case(47, "device node", "import os; os.mknod('x', 0o60644, os.makedev(8, 0))", REFUSED),
    Case(47, "socket file", "import socket; socket.socket(socket.AF_UNIX).bind('x')", REFUSED),
    Case(48, "one huge file", "with open('x', 'wb') as f:\n while True: f.write(bytes(1 << 20))", fails("OSError", "PermissionError")),
    Case(48, "sparse file", "import os; fd = os.open('x', os.O_CREAT | os.O_RDWR); os.truncate('x', 1 << 50)", fails("OSError", "PermissionError")),
    Case(
        48,
        "many files",
        "n = 0\nwhile True:\n with open(f'f{n}', 'wb') as f: f.write(bytes(1 << 20))\n n += 1",
        ends(ERROR, Outcome.POLICY, Outcome.TIMEOUT_CPU),
    ),
    Case(48, "many empty files", "n = 0\nwhile True:\n open(f'f{n}', 'wb').close()\n n += 1", ends(ERROR, Outcome.POLICY, Outcome.TIMEOUT_CPU)),
    Case(48, "deep folders", "import os\nwhile True:\n os.mkdir('d'); os.chdir('d')", ends(ERROR, Outcome.POLICY, Outcome.TIMEOUT_CPU)),
    Case(49, "removes its own directory", "import os; os.rmdir(os.environ['HOME'])", REFUSED),
    Case(49, "moves its own directory", "import os; os.rename(os.environ['HOME'], os.environ['HOME'] + 'x')", REFUSED),
    Case(
        48,
        "files without a name",
        "import os, tempfile\nheld = []\nwhile True:\n f = tempfile.TemporaryFile(dir='.')\n f.write(bytes(1 << 20)); f.flush(); held.append(f)",
        ends(ERROR, Outcome.POLICY),
    ),
    Case(51, "own environment", "open('/proc/self/environ').read()", REFUSED),
    Case(51, "own memory", "open('/proc/self/mem', 'rb')", REFUSED),
    Case(51, "parent's environment", "import os; open(f'/proc/{os.getppid()}/environ').read()", REFUSED),
    Case(51, "parent's memory", "import os; open(f'/proc/{os.getppid()}/mem', 'rb')", REFUSED),
    Case(51, "parent's maps", "import os; open(f'/proc/{os.getppid()}/maps').read()", REFUSED),
    Case(51, "parent's descriptors", "import os; os.listdir(f'/proc/{os.getppid()}/fd')", REFUSED),
    Case(
        51,
        "all environments",
        "import glob\nseen = []\nfor path in glob.glob('/proc/[0-9]*/environ'):\n try: seen.append(open(path).read())\n except OSError: pass\n"
        "if any('TOOLWRIGHT_TEST' + '_SECRET' in text for text in seen): raise FileExistsError(len(seen))",
        ends(OK),
    ),
    Case(
        51,
        "all command lines",
        "import glob\nseen = [open(path).read() for path in glob.glob('/proc/[0-9]*/cmdline')]\nif seen: raise FileExistsError(len(seen))",
        either(ends(OK), REFUSED),
        through=either(fails("FileExistsError"), REFUSED, ends(OK)),
    ),
    Case(52, "reopens its output", "open('/proc/self/fd/1', 'w')", REFUSED, below=either(REFUSED, THROUGH)),
    Case(52, "reopens through /dev", "open('/dev/fd/1', 'w')", REFUSED, below=either(REFUSED, THROUGH)),
    Case(52, "terminal", "open('/dev/tty')", REFUSED),
    Case(52, "memory", "open('/dev/mem', 'rb')", REFUSED),
    Case(52, "virtual machines", "open('/dev/kvm')", REFUSED),
    Case(52, "a disk", "open('/dev/vda', 'rb')", REFUSED),
    Case(52, "new terminals", "open('/dev/ptmx', 'r+b', buffering=0)", REFUSED, through=either(THROUGH, REFUSED)),
    Case(53, "core pattern", "open('/proc/sys/kernel/core_pattern', 'w')", REFUSED),
    Case(53, "system request", "open('/proc/sysrq-trigger', 'w')", REFUSED),
    Case(53, "control groups", "open('/sys/fs/cgroup/cgroup.procs', 'w')", REFUSED),
    Case(53, "out-of-memory score", "open('/proc/self/oom_score_adj', 'w')", REFUSED),
]
_OPENAT2 = """
import ctypes, errno, struct
libc = ctypes.CDLL(None, use_errno=True)
how = ctypes.create_string_buffer(struct.pack("=QQQ", 0, 0, 0))
result = libc.syscall(ctypes.c_long(437), ctypes.c_long(-100), b"/etc/passwd", how, ctypes.c_long(24))
print(errno.errorcode[ctypes.get_errno()] if result < 0 else "went through")
"""
CASES.append(Case(46, "openat2", _OPENAT2, says("ENOSYS")))


async def _no_writing(stage: Stage) -> str:
    """Without Landlock nothing is written, not even in scratch: there is no next run that could find it."""
    for act in ("open('mine', 'w')", "os.mkdir('d')", "os.symlink('/', 'x')", "os.open('.', os.O_TMPFILE | os.O_RDWR)", "open('/dev/null', 'a+').truncate()"):
        result = await stage.run(f"import os\n{act}")
        assert REFUSED(result) or (result.outcome is OK and "null" in act), (act, result)
    return "nothing can be written"


async def _scratch(stage: Stage) -> str:
    first = await stage.run("open('mine', 'w').write('x'); __import__('os').listdir('.')")
    assert first.value == "['mine']", first
    again = await stage.run("__import__('os').listdir('.')")
    assert again.value == ("['mine']" if stage.way == "session" else "[]"), again
    other = await stage.sandbox.run("__import__('os').listdir('.')")
    assert other.value == "[]", other
    return "seen by the session's own turns only" if stage.way == "session" else "not seen"


async def _elsewhere(stage: Stage) -> str:
    """Landlock does not see stat, chmod, chdir and times: none of them may reach another session's scratch directory, whose path must not be guessed."""
    async with stage.sandbox.session() as owner:
        await owner.run("import os\nopen('secret', 'w').write('x')\nhome = os.environ['HOME']")
        reach = "import os\ntop = os.path.dirname(os.environ['HOME'])\nreached = []\n"
        reach += "for name in ['', *map(str, range(500))]:\n"
        reach += " for act in (os.stat, os.chdir, os.readlink, lambda p: os.chmod(p, 0), lambda p: os.utime(p, (0, 0)), os.listdir):\n"
        reach += "  try: act(f'{top}/{name}')\n  except OSError: continue\n  if name: reached.append(name)\n"
        reach += "for act in (lambda: os.chmod(top, 0), lambda: os.utime(top, (0, 0)), lambda: os.chmod('..', 0), lambda: open(f'{top}/x', 'w')):\n"
        reach += " try: act(); reached.append('top')\n except OSError: pass\nprint(reached)"
        result = await stage.run(reach)
        assert result.stdout == "[]\n", result
        still = await owner.run("open(home + '/secret').read()")
        assert still.value == "'x'", still
    return "out of reach"


async def _poison(stage: Stage) -> str:
    poison = "raise SystemExit('poisoned')"
    names = ("numpy.py", "colorsys.py", "sitecustomize.py", "mimetypes.py")
    first = await stage.run(f"for name in {names}: open(name, 'w').write({poison!r})\nimport colorsys")
    assert first.outcome is OK, first
    next_run = await stage.sandbox.run("import colorsys, mimetypes, numpy, sympy; print(1)")
    assert next_run.stdout == "1\n", next_run
    return "no effect on the next run"


STORIES = [
    Story(49, "a file for the next run", _scratch, ways=("one-shot", "session"), levels=(3, 2)),
    Story(49, "writes without Landlock", _no_writing, ways=("one-shot", "session"), levels=(1,)),
    Story(49, "another session's directory", _elsewhere, ways=("one-shot", "session"), levels=(3, 2)),
    Story(50, "writes without Landlock", _no_writing, levels=(1,)),
    Story(50, "modules in scratch", _poison, ways=("one-shot", "session"), levels=(3, 2)),
]
