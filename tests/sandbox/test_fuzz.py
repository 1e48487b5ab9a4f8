"""Random bytes where the sandbox takes bytes: as code, as requests of the caller, and as what a hostile child writes on its control descriptor."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolwright.sandbox import Outcome, Sandbox, SandboxLimits
from toolwright.sandbox._remove import remove_tree
from toolwright.sandbox._running import Child, Limits, Turn
from toolwright.sandbox._wire import FRAME, HEAD, MAX_REPLY_BYTES, message_size, pack_message, split_message

LIMITS = SandboxLimits(wall_s=20.0, cpu_s=0.3, memory_bytes=96 << 20, file_bytes=1 << 16)
TOKENS = [
    "def",
    "class",
    "return",
    "yield",
    "async",
    "await",
    "lambda",
    "for",
    "while",
    "if",
    "else",
    "try",
    "except",
    "finally",
    "with",
    "as",
    "import",
    "from",
    "in",
    "is",
    "not",
    "and",
    "or",
    "None",
    "True",
    "del",
    "global",
    "print",
    "exec",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    ";",
    ",",
    ".",
    "=",
    "==",
    "+",
    "-",
    "*",
    "**",
    "/",
    "//",
    "%",
    "@",
    "&",
    "|",
    "~",
    "<<",
    ">>",
    ":=",
    "->",
    "...",
    "\n",
    "\n",
    "\t",
    "\\",
    "#",
    "'",
    '"',
    "'''",
    "f'",
    "b'",
    "r'",
    "\x00",
    "0",
    "1",
    "9999999999999999",
    "1e999",
    "0x",
    "x",
    "y",
    "self",
    "__class__",
    "__import__",
    "os",
    "sys",
    "open",
    "eval",
    "compile",
    "globals",
    "�",
    "é",
    "数",
    "\u202e",
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(limits=LIMITS, preload=()) as made:
        yield made


def sources(seed: int, count: int) -> list[str]:
    """Half raw bytes, half words of Python in any order."""
    draw = random.Random(seed)
    found = []
    for n in range(count):
        if n % 2:
            found.append(draw.randbytes(draw.choice((1, 10, 100, 2000))).decode("utf-8" if n % 4 == 1 else "latin-1", "surrogateescape"))
        else:
            found.append("".join(draw.choice(TOKENS) + draw.choice(("", " ", " ", "\n")) for _ in range(draw.randrange(1, 60))))
    return found


async def run_all(sandbox: Sandbox, codes: list[str]) -> None:
    results = await asyncio.gather(*(sandbox.run(code) for code in codes))
    faults = [(code, result) for code, result in zip(codes, results, strict=True) if result.outcome is Outcome.INFRA]
    assert not faults
    assert all(result.outcome is not Outcome.POLICY for result in results)
    canary = await sandbox.run("sum(range(10))")
    assert canary.value == "45"


def test_random_bytes_as_code_are_the_snippets_own_fault(sandbox: Sandbox) -> None:
    asyncio.run(run_all(sandbox, sources(1, 120)))


@pytest.mark.slow
def test_many_random_bytes_as_code(sandbox: Sandbox) -> None:
    for seed in range(20):
        asyncio.run(run_all(sandbox, sources(100 + seed, 500)))


def test_random_bytes_in_a_session_never_fool_it(sandbox: Sandbox) -> None:
    async def story() -> None:
        async with sandbox.session() as session:
            lost = True
            for n, code in enumerate(sources(2, 60)):
                result = await session.run(code)
                assert result.outcome is not Outcome.INFRA, (code, result)
                lost = lost or result.session_reset
                result = await session.run(f"kept_{n} = {n}" if lost else f"kept_{n} = kept_{n - 1} + 1")
                assert result.ok or result.session_reset, result
                lost = result.session_reset

    asyncio.run(story())


# ---- the caller's protocol ----


def _mutated(draw: st.DrawFn) -> bytes:
    header = draw(st.dictionaries(st.sampled_from(["op", "limits", "seed", "blobs", "x"]), _JSON, max_size=5))
    if draw(st.booleans()):
        header["op"] = draw(st.sampled_from(["run", "open", "turn", "hello", "fork", ""]))
    text = json.dumps(header).encode()
    sizes = draw(st.sampled_from([(len(text), 0), (len(text), 5), (len(text) + 1, 0), (1 << 30, 1 << 30), (len(text), (1 << 32) - 1), (0, 0)]))
    return HEAD.pack(*sizes) + text + draw(st.binary(max_size=20))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
MESSAGES = st.binary(max_size=64) | st.composite(_mutated)() | st.just(pack_message({"op": "hello"})[:7]) | st.just(HEAD.pack(1 << 30, 0))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(message=MESSAGES)
def test_random_requests_close_their_own_connection_only(sandbox: Sandbox, message: bytes) -> None:
    sandbox.capabilities()
    assert sandbox._link is not None
    supervisor = sandbox._link.process.pid
    with sandbox._connect() as sock:
        sock.settimeout(10)
        sock.sendall(message)
        sock.shutdown(socket.SHUT_WR)  # whatever it waits for will not come
        answer = bytearray()
        while part := sock.recv(1 << 16):
            answer += part
    if answer:
        assert split_message(answer, MAX_REPLY_BYTES) is not None, "an answer that is no message"
    assert sandbox.run_sync("1 + 1").value == "2"
    assert sandbox._link.process.pid == supervisor


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_split_message_gives_a_message_or_a_value_error(data: bytes) -> None:
    try:
        found = split_message(data, 1 << 20)
    except (ValueError, RecursionError, TypeError):
        return  # what the supervisor takes for garbage
    if found is not None:
        header, blobs, used = found
        assert isinstance(header, dict) and used <= len(data) and sum(map(len, blobs)) <= used
    else:
        assert message_size(data) > len(data)


# ---- the child's side ----


FRAMES = st.lists(
    st.binary(max_size=30)
    | st.builds(
        lambda kind, size, body: FRAME.pack(kind, size) + body,
        st.sampled_from([b"R", b"V", b"C", b"E", b"D", b"x"]),
        st.integers(0, 40),
        st.binary(max_size=40),
    )
    | st.just(FRAME.pack(b"V", (1 << 32) - 1)),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(frames=FRAMES, session=st.booleans(), cuts=st.randoms(use_true_random=False))
def test_random_frames_of_a_child_stay_bounded_text(frames: list[bytes], session: bool, cuts: random.Random) -> None:
    child = Child(1, Limits(1.0, 1.0, 1 << 24, 256, 0, 1), session)
    ours = socket.socket(fileno=child.theirs[2])
    child.theirs.pop()
    try:
        turn = Turn(b"pass", 0)
        child.begin(turn)
        data = FRAME.pack(b"R", 0) + b"".join(frames)
        while data:
            cut = cuts.randrange(1, len(data) + 1)
            ours.sendall(data[:cut])
            child.readable(child.control_fd)
            data = data[cut:]
        assert child.ready
        for text in (turn.value, turn.error):
            assert text is None or len(text) <= 256 + 256
        assert child.done_code is None or (session and len(child.done_code) <= 16)
        verdict = child.end(0, 0.0)
        assert verdict is not None and verdict["outcome"] == "ok", "frames must not decide how a snippet ended"
    finally:
        ours.close()
        child.close()


def test_random_frames_of_a_real_child_do_not_change_its_end(sandbox: Sandbox) -> None:
    write = (
        "import os, random, struct\nr = random.Random({seed})\nfor _ in range(40):\n kind, size = r.choice(b'RVCED?'), r.choice([0, 1, 9, 2**20, 2**32 - 1])\n"
    )
    write += " os.write(3, struct.pack('>BI', kind, size) + r.randbytes(r.randrange(20)))\nraise SystemExit(7)"
    for seed in range(10):
        result = sandbox.run_sync(write.format(seed=seed))
        assert (result.outcome, result.exit_code) == (Outcome.ERROR, 7), result
    assert struct.calcsize(">BI") == FRAME.size, "the snippet writes other frames than ours"


# ---- what it leaves ----


def test_a_tree_of_any_depth_is_removed(tmp_path: Path) -> None:
    """Deeper than Python's stack, with closed folders, and with links that must not be followed."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(kept)
    (top / "closed").mkdir(mode=0)
    here = os.open(top, os.O_RDONLY)
    for _ in range(sys.getrecursionlimit() + 100):
        os.mkdir("d", dir_fd=here)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    remove_tree(str(top))
    assert sorted(os.listdir(tmp_path)) == ["kept"]
    assert (kept / "file").read_text() == "x"
    remove_tree(str(top))  # gone already
