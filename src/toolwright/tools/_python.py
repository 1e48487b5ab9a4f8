"""The Python interpreter as a tool: a program in, what it printed out.

Models wrap programs in what their training showed them, so fences, tags and JSON around a program are taken off; the program itself is never changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict

from toolwright.episodes import ToolResult, ToolSession, derive_seed, digest
from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox import Outcome, SandboxBackend, SandboxLimits, SandboxResult
from toolwright.tools._observations import cap, neutralise, observation

OBSERVATION_VERSION = 1
"""Raised when the wording of observations changes, because models answer to it."""
_FENCED = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?:python3?|py)?[ \t]*\n(?P<body>.*?)(?:^[ \t]*(?P=fence)[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_LOOSE_FENCE = re.compile(r"^\s*`{3}(?:python3?|py)?\s+|\s*`{3}\s*$", re.IGNORECASE)
_LEAD = re.compile(r"^\s*(?:python3?|py)[ \t]*\n", re.IGNORECASE)
_TAGS = re.compile(r"^\s*<code>[ \t]*\n?|\n?[ \t]*</code>\s*$", re.IGNORECASE)

Run = Callable[[str, int], Awaitable[SandboxResult]]
"""Runs a program as the n-th of its session."""


class PythonTool:
    """A Python interpreter in the sandbox.

    `stateful` programs of one episode see each other's variables; otherwise each starts anew, as ReTool's do. `output_chars` bounds an observation (head and
    tail are kept).
    """

    def __init__(self, sandbox: SandboxBackend, *, stateful: bool = False, limits: SandboxLimits | None = None, output_chars: int = 800) -> None:
        if output_chars < 16:
            raise UsageError(f"output_chars is {output_chars}, but at least 16 are needed to say anything")
        self._sandbox, self._limits, self._output_chars = sandbox, limits or sandbox.limits, output_chars
        self.stateful = stateful

    @property
    def name(self) -> str:
        return "python"

    @property
    def digest(self) -> str:
        return digest("python", OBSERVATION_VERSION, self._sandbox.digest, self.stateful, self._limits, self._output_chars)

    @property
    def schema(self) -> dict[str, object]:
        memory = "Variables stay from one program to the next" if self.stateful else "Each program starts anew, so it must import and define all it uses"
        return {
            "type": "function",
            "function": {
                "name": "python",
                "description": f"Runs a Python program and gives back what it prints. {memory}. numpy and sympy are there; files and the network are not.",
                "parameters": {
                    "type": "object",
                    "properties": {"code": {"type": "string", "description": "The program; it must print what is to be seen."}},
                    "required": ["code"],
                },
            },
        }

    def open(self, *, seed: int) -> AbstractAsyncContextManager[ToolSession]:
        return self._opened(seed)

    @asynccontextmanager
    async def _opened(self, seed: int) -> AsyncIterator[ToolSession]:
        if self.stateful:
            async with self._sandbox.session(limits=self._limits, seed=seed) as session:
                yield _PythonSession(lambda code, turn: session.run(code), self._limits, self._output_chars)
        else:
            run: Run = lambda code, turn: self._sandbox.run(code, limits=self._limits, seed=derive_seed(seed, turn))  # noqa: E731
            yield _PythonSession(run, self._limits, self._output_chars)


class _PythonSession:
    """The interpreter of one episode."""

    def __init__(self, run: Run, limits: SandboxLimits, output_chars: int) -> None:
        self._run, self._limits, self._output_chars = run, limits, output_chars
        self._turn = 0

    async def call(self, arguments: str) -> ToolResult:
        code = program(arguments)
        if not code.strip():
            return ToolResult("The program is empty; write Python code that prints its result.", ok=False, outcome="malformed", tool="python")
        result = await self._run(code, self._turn)
        self._turn += 1
        if result.outcome is Outcome.INFRA:
            raise SandboxFault(f"the sandbox could not run a program: {result.error or 'no reason given'}")
        text = observation(result, code, self._limits)
        if result.session_reset:
            text += "\nThe variables of earlier programs are lost."
        return ToolResult(
            text=neutralise(cap(text, self._output_chars)),
            ok=result.ok,
            outcome=str(result.outcome),
            tool="python",
            wall_s=result.wall_s,
            meta={"cpu_s": result.cpu_s, "level": result.level, **({"fault": asdict(result.fault)} if result.fault else {})},
        )


def program(arguments: str) -> str:
    """The program of a call: plain, in fences (several are joined), in leftover tags, with a leading word "python", or as JSON ``{"code": …}``."""
    text = _from_json(arguments).replace("\r\n", "\n").replace("\x00", "")
    text = _TAGS.sub("", text)
    blocks = list(_FENCED.finditer(text))
    # A fence behind an opened long string is part of the program.
    if blocks and not re.search(r"\"{3}|'{3}", text[: blocks[0].start()]):
        text = "\n".join(block["body"].rstrip("\n") for block in blocks)
    text = _LOOSE_FENCE.sub("", text)
    return _undented(_LEAD.sub("", _TAGS.sub("", text), count=1).strip("\n"))


def _from_json(arguments: str) -> str:
    """The value of the one argument ``code``, where the arguments are such an object."""
    if not arguments.lstrip().startswith("{"):
        return arguments
    try:
        found = json.loads(arguments, strict=False)
    except ValueError:
        return arguments
    return found["code"] if isinstance(found, dict) and isinstance(found.get("code"), str) else arguments


def _undented(text: str) -> str:
    """The program moved left where all of it is indented, as in a list item."""
    first = re.match(r"[ \t]+", text)
    if not first:
        return text
    margin = first[0]
    lines = text.split("\n")
    if any(line.strip() and not line.startswith(margin) for line in lines):
        # Only the first line is indented: a model's slip at the start of its text.
        return text[len(margin) :]
    return "\n".join(line.removeprefix(margin) for line in lines)
