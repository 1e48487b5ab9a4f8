"""Rows 54–62: secrets of the caller, memory of others, the network, and channels between processes."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from attack_rows import LIMITS, REFUSED, THROUGH, Case, Check, Row, Story, either, fails, says

if TYPE_CHECKING:
    from attack_stage import Stage

ROWS = [
    Row(54, "secrets in the environment", "not there"),
    Row(55, "secrets in frames, heap and memory", "not found"),
    Row(56, "code and output of the run before", "not found"),
    Row(57, "sockets of every family", "refused"),
    Row(58, "names, web, mail", "an error at once"),
    Row(59, "Unix sockets, abstract and named", "refused"),
    Row(60, "listens on localhost", "refused"),
    Row(61, "shared memory, semaphores, message queues", "refused; nothing is left"),
    Row(62, "types into a terminal", "refused; there is none"),
]
SECRET_NAME, SECRET = "TOOLWRIGHT_TEST_SECRET", "hunter2-in-the-environment"
_SEARCH = """
import gc, os, sys
def search():
    secret = 'hun' + 'ter2-in-the-' + str('environment')
    found = [k for k, v in os.environ.items() if secret in v]
    frame = sys._getframe().f_back
    while frame is not None:
        found += [k for k, v in {**frame.f_locals, **frame.f_globals}.items() if secret in str(v)[:10000]]
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, (dict, list, tuple)):
            for item in (thing.values() if isinstance(thing, dict) else thing):
                if isinstance(item, str) and item is not secret and secret in item: found.append(item)
    return found
print(search())
"""
_MEMORY = """
import ctypes, gc, os, re
def parts():
    libc = ctypes.CDLL(None)
    libc.write.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
    libc.sbrk.restype = ctypes.c_void_p
    reader, writer = os.pipe()
    heap = libc.sbrk(0) >> 20
    for block in sorted({{id(each) >> 20 for each in gc.get_objects()}} | set(range(heap - 8, heap + 1))):
        for at in range(block << 20, (block + 1) << 20, 1 << 16):
            size = libc.write(writer, at, 1 << 16)
            if size > 0: yield os.read(reader, size)
planted = ''.join(['what-it-pla', 'nted-itself'])
searched = [({head!r}, {tail!r}), (b'what-it-pla', b'nted-itself')]
patterns = [re.compile(re.escape(head) + b'(?=' + re.escape(tail) + b')') for head, tail in searched]
found = [0, 0]
for part in parts():
    for at, pattern in enumerate(patterns): found[at] += len(pattern.findall(part))
print(found[0], found[1] > 0)
"""
"""Looks through all the memory that Python's own objects and the C heap lie in, without ever having the word it looks for in one piece there."""
NOT_FOUND = "0 True"
"""What it prints then: nothing of the other's, and what it planted itself, so that it is seen to look."""


def memory_search(word: str) -> str:
    """A snippet that counts how often the word stands in its memory."""
    head, tail = word[: len(word) // 2].encode(), word[len(word) // 2 :].encode()
    return _MEMORY.format(head=head, tail=tail)


_AT_ONCE_S = 3.0
"""Less than a name or a connection that is waited for takes to fail, more than an import on a busy machine."""
PATIENT = replace(LIMITS, cpu_s=10.0)


def at_once(*names: str) -> Check:
    """It failed with one of these, and not because it had waited in vain."""
    return lambda result: fails(*names)(result) and result.wall_s < _AT_ONCE_S


_GAI = at_once("socket.gaierror", "PermissionError", "OSError")
_URL = at_once("urllib.error.URLError", "PermissionError", "OSError")

CASES = [
    Case(54, "its name", f"import os; print(os.environ.get({SECRET_NAME!r}), os.getenv('HF_TOKEN'))", says("None None")),
    Case(
        54,
        "in C",
        f"import ctypes; libc = ctypes.CDLL(None); libc.getenv.restype = ctypes.c_char_p; print(libc.getenv({SECRET_NAME.encode()!r}))",
        says("None"),
    ),
    Case(55, "frames and heap", _SEARCH, says("[]")),
    Case(55, "raw memory", memory_search(SECRET), says(NOT_FOUND), limits=PATIENT),
    Case(55, "harness by its name", "import toolwright.sandbox", fails("ModuleNotFoundError")),
    Case(55, "harness by its path", "import sys; print([n for n in sys.modules if n.startswith('toolwright')])", says("[]")),
    Case(57, "TCP", "import socket; socket.create_connection(('127.0.0.1', 22), 1)", REFUSED),
    Case(57, "UDP", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", REFUSED),
    Case(57, "raw", "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", REFUSED),
    Case(57, "IPv6", "import socket; socket.socket(socket.AF_INET6)", REFUSED),
    Case(57, "MPTCP", "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)", REFUSED),
    Case(57, "netlink", "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", REFUSED),
    Case(57, "packet", "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", REFUSED),
    Case(57, "vsock", "import socket; socket.socket(40)", REFUSED),
    Case(57, "kernel crypto", "import socket; socket.socket(38, 5, 0)", REFUSED),
    Case(57, "asyncio", "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', 22))", REFUSED),
    Case(58, "cloud metadata", "import urllib.request; urllib.request.urlopen('http://169.254.169.254/', timeout=1)", _URL),
    Case(58, "names", "import socket; socket.getaddrinfo('example.com', 80)", _GAI),
    Case(58, "web", "import urllib.request; urllib.request.urlopen('https://example.com/', timeout=1)", _URL),
    Case(58, "mail", "import smtplib; smtplib.SMTP('localhost', timeout=1)", _GAI),
    Case(59, "docker", "import socket; socket.socket(socket.AF_UNIX).connect('/run/docker.sock')", REFUSED),
    Case(59, "abstract", "import socket; socket.socket(socket.AF_UNIX).connect('\\0x')", REFUSED),
    Case(59, "datagram pair", "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)", REFUSED),
    Case(59, "out-of-band data", "import socket\na, b = socket.socketpair()\na.send(b'x', socket.MSG_OOB)", REFUSED),
    Case(59, "descriptor over a socket", "import socket, os\na, b = socket.socketpair()\nsocket.send_fds(a, [b'x'], [1])", REFUSED),
    Case(59, "notification pipe", "import os; os.pipe2(os.O_EXCL)", REFUSED),
    Case(60, "listens", "import socket; socket.create_server(('127.0.0.1', 0))", REFUSED),
    Case(60, "web server", "import http.server; http.server.HTTPServer(('', 0), None)", REFUSED),
    Case(
        61, "shared memory", "from multiprocessing import shared_memory as s; s.SharedMemory(create=True, size=10)", REFUSED, through=either(THROUGH, REFUSED)
    ),
    Case(61, "semaphore", "import multiprocessing; multiprocessing.get_context('fork').Lock()", REFUSED, through=either(THROUGH, REFUSED)),
    Case(62, "ioctl", "import fcntl; fcntl.ioctl(0, 0x5412, b'x')", REFUSED),
    Case(62, "controlling terminal", "import os; os.ctermid(); os.open('/dev/tty', os.O_RDWR)", REFUSED),
    Case(62, "pseudo-terminal", "import os; os.openpty()", REFUSED, through=either(THROUGH, REFUSED)),
]


async def _before(stage: Stage) -> str:
    word = f"swordfish-{secrets.token_hex(8)}"
    first = await stage.sandbox.run(f"x = {word!r}; print(x)")
    assert first.stdout == word + "\n", first
    result = await stage.run(memory_search(word), limits=PATIENT)
    assert result.stdout == NOT_FOUND + "\n", result
    head, tail = word[:10], word[10:]
    objects = f"import gc\nhead, tail = {head!r}, {tail!r}\nprint(sum(isinstance(i, str) and head + tail in i"
    objects += " for o in gc.get_objects() if isinstance(o, (dict, list, tuple, set)) for i in o))"
    result = await stage.run(objects, limits=PATIENT)
    assert result.stdout == "0\n", result
    return "not found"


STORIES = [Story(56, "searches memory for the run before", _before, ways=("one-shot", "session"))]
