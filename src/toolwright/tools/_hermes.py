"""The dialect of Hermes and Qwen models: a JSON object between tool-call tags, answered by a tool response in a turn of its own.

Small models write JSON badly, above all when it holds a program: raw line breaks, single quotes, trailing commas, quotes that are not escaped. What can be
read in only one way is read; for the rest the model is told what to fix.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toolwright.episodes import Message, Tool, ToolResult
from toolwright.tools._dialects import BOX, Call, MalformedCall, own_line
from toolwright.tools._observations import neutralise

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_EXAMPLE = '<tool_call>\n{"name": "python", "arguments": {"code": "print(6 * 7)"}}\n</tool_call>'
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")
_BARE_CODE = re.compile(r'"code"\s*:\s*(?P<quote>"{3}|\'{3}|`{3}(?:python)?|"|\')(?P<code>.*?)(?P=quote)?\s*,?\s*[}\s]*\Z', re.DOTALL)
_NAME = re.compile(r'["\']name["\']\s*:\s*["\'](?P<name>[^"\']+)["\']')
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(?P<body>.*?)\n?\s*```\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HermesDialect:
    """Function calls as JSON, results as tool responses.

    Source: the wording of the instruction is that of Qwen's chat templates (Apache-2.0), after the Hermes function-calling format, because the models were
    trained on it to the letter.
    """

    name: str = "hermes"
    digest: str = "hermes/1"
    stops: tuple[str, ...] = (_CLOSE,)
    has_tools: bool = True
    only_tool: str | None = None
    inline: bool = False

    def instruction(self, tools: Sequence[Tool]) -> str:
        signatures = "\n".join(json.dumps(tool.schema, ensure_ascii=False) for tool in tools)
        return (
            f"Solve the problem step by step. Compute with the tools, not in your head. {BOX}\n\n"
            "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
            f"You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{signatures}\n</tools>\n\n"
            "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n"
            '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
        )

    def find_call(self, text: str, *, ended: bool = True) -> Call | MalformedCall | None:
        start = text.find(_OPEN)
        if start < 0:
            return _untagged(text, ended)
        body_start = start + len(_OPEN)
        for end in [found.start() for found in re.finditer(re.escape(_CLOSE), text[body_start:])]:
            # A closing tag inside the program's own strings leaves JSON that is not whole; the next one may close it.
            call = _read(text[body_start : body_start + end])
            if call is not None:
                return Call(*call, end=body_start + end + len(_CLOSE))
        closed = text.rfind(_CLOSE, body_start)
        if closed >= 0 and not ended and _string_open(text[body_start:closed]):
            return None
        if closed >= 0:
            return _malformed(text[body_start:closed], closed + len(_CLOSE))
        if not ended or not text[body_start:].strip():
            return None
        call = _read(text[body_start:])
        if call is None:
            return _malformed(text[body_start:], len(text))
        return Call(*call, end=len(text), missing=own_line(text, _CLOSE))

    def render_result(self, result: ToolResult, *, after: str = "") -> str:
        return f"\n{self._response(result)}\n"

    def result_message(self, result: ToolResult) -> Message:
        return Message("user", self._response(result))

    def _response(self, result: ToolResult) -> str:
        return f"<tool_response>\n{neutralise(result.text)}\n</tool_response>"


def _untagged(text: str, ended: bool) -> Call | MalformedCall | None:
    """A call that is the whole turn, without tags: so Llama models write them."""
    if ended and _CLOSE in text:
        return MalformedCall(f"There is {_CLOSE} without {_OPEN}. Write the call like this:\n{_EXAMPLE}", text.find(_CLOSE) + len(_CLOSE))
    if not ended or not text.strip().startswith("{") or not _NAME.search(text):
        return None
    call = _read(text)
    return Call(*call, end=len(text)) if call is not None else None


def _read(body: str) -> tuple[str, str] | None:
    """(tool, arguments as JSON) of a call's body; None where it cannot be read."""
    if fenced := _FENCE.match(body):
        body = fenced["body"]
    found = _object(body.strip())
    if isinstance(found, dict) and isinstance(found.get("function"), dict):
        found = found["function"]
    if isinstance(found, dict) and isinstance(found.get("name"), str):
        arguments = found.get("arguments", found.get("parameters"))
        if isinstance(arguments, str):
            # Arguments written as a string that holds the object.
            inner = _object(arguments)
            arguments = inner if isinstance(inner, dict) else {"code": arguments}
        if isinstance(arguments, dict):
            return found["name"], json.dumps(arguments, ensure_ascii=False)
    return _with_bare_code(body)


def _object(text: str) -> Any:
    """The value of JSON, or of what is JSON but for raw line breaks, trailing commas, single quotes or a missing last brace; None otherwise."""
    for candidate in (text, _TRAILING_COMMA.sub("", text), text + "}", text + "}}"):
        try:
            return json.loads(candidate, strict=False)
        except (ValueError, RecursionError):
            continue
    if len(text) > 20_000:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _with_bare_code(body: str) -> tuple[str, str] | None:
    """A call whose program has quotes that are not escaped: everything between the first quote and the last braces is the program."""
    name, found = _NAME.search(body), _BARE_CODE.search(body)
    if not name or not found or not found["code"].strip() or not body.rstrip().endswith("}"):
        return None
    code = found["code"]
    if "\n" not in code.strip("\n"):
        # All on one line: the line breaks are written as JSON writes them.
        code = code.replace("\\n", "\n").replace("\\t", "\t")
    return name["name"], json.dumps({"code": code.replace('\\"', '"')}, ensure_ascii=False)


def _string_open(body: str) -> bool:
    """Whether JSON, read up to here, is inside a string: then a closing tag there belongs to the program."""
    return not body.rstrip().endswith("}") and len(re.findall(r'(?<!\\)(?:\\\\)*"', body)) % 2 == 1


def _malformed(body: str, end: int) -> MalformedCall:
    reason = "it is empty"
    if body.strip():
        try:
            found = json.loads(body.strip(), strict=False)
            reason = 'it must be one object with "name" and "arguments"' if isinstance(found, dict) else "it is not a JSON object"
        except ValueError as error:
            reason = f"it is not valid JSON ({error})"
        except RecursionError:
            reason = "it is nested too deep"
    return MalformedCall(f'The tool call could not be read: {reason}. In the program, write line breaks as \\n and quotes as \\". Example:\n{_EXAMPLE}', end)
