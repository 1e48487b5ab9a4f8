r"""How a tool call is written in text, and how its result comes back: the dialects.

=============  ===============================================  =====================================================================
``text``       no tools                                         –
``retool``     ``<code>`` … ``</code>``                         ``\n<interpreter>\n`` … ``\n</interpreter>\n\n`` in the same turn
``markdown``   a fence tagged python                            an output fence in the same turn
``hermes``     ``<tool_call>{JSON}</tool_call>`` (`_hermes`)    ``<tool_response>`` in a user message
=============  ===============================================  =====================================================================

A dialect only reads and writes text: it runs nothing, and knows no model. Results travel inside the assistant's turn where the dialect says so and the engine
can continue a turn; everywhere else as a user message, because tool messages are refused by many chat templates, while the templates that know them render
them as exactly such user messages (tested with Qwen's).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from toolwright.episodes import Message, Tool, ToolResult
from toolwright.tools._observations import neutralise

BOX = "When you know the answer, finish with it in \\boxed{}."
_EXAMPLE, _EXAMPLE_RESULT = "print(sum(n * n for n in range(1, 21)))", ToolResult("2870")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the model wrote."""

    tool: str
    arguments: str
    """What `ToolSession.call` takes: the program itself, or a JSON object."""
    end: int
    """Where the call ends in the text; what follows was written without the result."""
    missing: str = ""
    """The closing mark that the model left out, to be written before the result."""


@dataclass(frozen=True, slots=True)
class MalformedCall:
    """Something that was meant as a tool call and cannot be read."""

    message: str
    """For the model: what is wrong and what is right."""
    end: int


class Dialect(Protocol):
    """How calls are written and results come back."""

    @property
    def name(self) -> str:
        """As episodes name it."""

    @property
    def digest(self) -> str:
        """What it is: equal digests write and read alike."""

    @property
    def stops(self) -> tuple[str, ...]:
        """The strings that end a call."""

    @property
    def has_tools(self) -> bool:
        """Whether calls can be written at all."""

    @property
    def only_tool(self) -> str | None:
        """The one tool that calls can name; None where they can name any."""

    @property
    def inline(self) -> bool:
        """Whether results belong inside the assistant's turn."""

    def instruction(self, tools: Sequence[Tool]) -> str:
        """The system message that tells a stock model how to write."""

    def find_call(self, text: str, *, ended: bool = True) -> Call | MalformedCall | None:
        """The first call in what the model wrote since the last result; None where it wrote none, or none that is complete.

        `ended`: the model ended its turn, so that nothing more will close what is open.
        """

    def render_result(self, result: ToolResult, *, after: str = "") -> str:
        """The tool span that answers a call, for the assistant's turn that says `after` so far."""

    def result_message(self, result: ToolResult) -> Message:
        """The result as a message of its own."""


@dataclass(frozen=True, slots=True)
class TextDialect:
    """No tools: the model reasons in words."""

    name: str = "text"
    digest: str = "text/1"
    stops: tuple[str, ...] = ()
    has_tools: bool = False
    only_tool: str | None = None
    inline: bool = True

    def instruction(self, tools: Sequence[Tool]) -> str:
        return f"Solve the problem step by step. {BOX}"

    def find_call(self, text: str, *, ended: bool = True) -> Call | MalformedCall | None:
        return None

    def render_result(self, result: ToolResult, *, after: str = "") -> str:
        return neutralise(result.text)

    def result_message(self, result: ToolResult) -> Message:
        return Message("user", neutralise(result.text))


_OPEN, _CLOSE = "<code>", "</code>"


@dataclass(frozen=True, slots=True)
class RetoolDialect:
    """ReTool's: programs between code tags, output between interpreter tags, all in one assistant turn.

    Source: ReTool, arXiv 2504.11536, section 2 and its released inference code for the exact text after the closing tag. Ours does without the fence inside
    the tags (it is read where a model writes it).
    """

    name: str = "retool"
    digest: str = "retool/1"
    stops: tuple[str, ...] = (_CLOSE,)
    has_tools: bool = True
    only_tool: str | None = "python"
    inline: bool = True

    def instruction(self, tools: Sequence[Tool]) -> str:
        how = "write it between <code> and </code>; what it prints comes back between <interpreter> and </interpreter>"
        call = f"<code>\n{_EXAMPLE}\n</code>"
        return _instruction(tools, how, call + self.render_result(_EXAMPLE_RESULT, after=call))

    def find_call(self, text: str, *, ended: bool = True) -> Call | MalformedCall | None:
        end = _closing(text)
        if end is None:
            start = _opening(text, len(text), alone_only=True)
            return None if not ended or start is None else _unclosed(text, start, _CLOSE)
        start = _opening(text, end)
        if start is None:
            return MalformedCall("There is </code> without <code>. Write the program between <code> and </code>.", end + len(_CLOSE))
        return Call("python", text[start:end], end + len(_CLOSE))

    def render_result(self, result: ToolResult, *, after: str = "") -> str:
        return own_line(after, self._block(result)) + "\n\n"

    def result_message(self, result: ToolResult) -> Message:
        return Message("user", self._block(result))

    def _block(self, result: ToolResult) -> str:
        return f"<interpreter>\n{neutralise(result.text)}\n</interpreter>"


_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,})[ \t]*(?P<tag>[\w+#-]*)[^\n`]*$", re.MULTILINE)
_PYTHON_TAGS = frozenset({"python", "py", "python3", "tool_code"})


@dataclass(frozen=True, slots=True)
class MarkdownDialect:
    """Fenced python blocks, answered by an output block: what mathematical models with tool-integrated reasoning were trained on (ToRA, Qwen2.5-Math).

    The stop string also ends blocks of other languages; those are no calls, and the model goes on.
    """

    name: str = "markdown"
    digest: str = "markdown/1"
    stops: tuple[str, ...] = ("\n```\n",)
    has_tools: bool = True
    only_tool: str | None = "python"
    inline: bool = True

    def instruction(self, tools: Sequence[Tool]) -> str:
        how = "write it as a ```python block and stop; what it prints comes back as an ```output block"
        call = f"```python\n{_EXAMPLE}\n```\n"
        return _instruction(tools, how, call + self.render_result(_EXAMPLE_RESULT, after=call))

    def find_call(self, text: str, *, ended: bool = True) -> Call | MalformedCall | None:
        closed, opened = _python_block(text, heed_strings=True)
        if closed is None and ended and opened is not None:
            # A long string that is never closed is the program's own error.
            closed, opened = _python_block(text, heed_strings=False)
        if closed is not None:
            return closed
        return None if not ended or opened is None else _unclosed(text, opened.end() + 1, opened["fence"] + "\n")

    def render_result(self, result: ToolResult, *, after: str = "") -> str:
        return (own_line(after, self._block(result)) if after else self._block(result)) + "\n"

    def result_message(self, result: ToolResult) -> Message:
        return Message("user", self._block(result))

    def _block(self, result: ToolResult) -> str:
        return f"```output\n{neutralise(result.text).replace('```', '` ` `')}\n```"


def _python_block(text: str, *, heed_strings: bool) -> tuple[Call | None, re.Match[str] | None]:
    """The call of the first python block that is closed, and the fence of a python block that is still open."""
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
            continue
        if fence["tag"] or len(fence["fence"]) < len(opened["fence"]) or (heed_strings and _in_long_string(text[opened.end() : fence.start()])):
            continue
        if opened["tag"].lower() in _PYTHON_TAGS:
            return Call("python", text[opened.end() + 1 : fence.start()], min(fence.end() + 1, len(text))), None
        opened = None
    return None, opened if opened is not None and opened["tag"].lower() in _PYTHON_TAGS else None


def own_line(text: str, mark: str) -> str:
    """The mark as it is written after the text: on a line of its own."""
    return mark if text.endswith("\n") else "\n" + mark


def _unclosed(text: str, start: int, close: str) -> Call | None:
    """The call of a program that was begun and never closed: all that follows is the program; None where nothing follows."""
    return Call("python", text[start:], len(text), missing=own_line(text, close)) if text[start:].strip() else None


def _instruction(tools: Sequence[Tool], how: str, answered: str) -> str:
    """The system message of a dialect for programs; `answered` is the example's program with its result."""
    return (
        f"Solve the problem step by step. {_described(tools)}\nTo run a program, {how}, and you go on. {BOX}\n\n"
        f"Example:\nWhat is the sum of the squares of the whole numbers from 1 to 20?\n{answered}The sum is \\boxed{{{_EXAMPLE_RESULT.text}}}."
    )


def _described(tools: Sequence[Tool]) -> str:
    """What the tools' schemas say about them, one sentence after the other."""
    said = []
    for tool in tools:
        function = tool.schema.get("function")
        if isinstance(function, dict) and function.get("description"):
            said.append(f"You have the tool {tool.name}. {function['description']}")
    return " ".join(said)


def _closing(text: str) -> int | None:
    """Where the closing tag stands, passing over tags in a string that is open on their line."""
    start = text.find(_CLOSE)
    while start >= 0:
        line = text[text.rfind("\n", 0, start) + 1 : start]
        if not _in_string(line.rpartition(_OPEN)[2] if line.count(_OPEN) == 1 else line):
            return start
        start = text.find(_CLOSE, start + 1)
    return None


def _opening(text: str, end: int, *, alone_only: bool = False) -> int | None:
    """Where the program starts: after the last opening tag that begins or ends a line, or else after the first."""
    places = [found.end() for found in re.finditer(re.escape(_OPEN), text[:end])]
    alone = [place for place in places if _alone(text, place - len(_OPEN), place)]
    if alone:
        return alone[-1]
    return places[0] if places and not alone_only else None


def _alone(text: str, start: int, end: int) -> bool:
    before = text[text.rfind("\n", 0, start) + 1 : start]
    return not before.strip() or text[end : end + 1] == "\n"


def _in_string(line: str) -> bool:
    """Whether a Python line, read up to here, is inside a quoted string."""
    quote = ""
    escaped = False
    for character in line:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = bool(quote)
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#":
            return False
    return bool(quote)


def _in_long_string(program: str) -> bool:
    return program.count('"""') % 2 == 1 or program.count("'''") % 2 == 1
