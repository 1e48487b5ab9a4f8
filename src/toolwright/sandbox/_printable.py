"""Makes a snippet's output safe to show and to feed back to a model. Leaves the words alone: it guards terminals and token streams, not readers."""

from __future__ import annotations

import re
import unicodedata

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?")
_SPECIAL_TOKEN = re.compile(r"<(?=[|｜])|<(?=/?(?:s|bos|eos|pad|unk|tool_call|tool_response|think|code|interpreter|start_of_turn|end_of_turn)>)|\[(?=/?INST\])")
_KEPT_CONTROLS = "\n\t"


def printable(text: str) -> str:
    """The text without terminal escapes, control and direction characters, and with special tokens of chat templates broken by a zero-width space.

    A carriage return before a newline is dropped; other invisible characters become visible hexadecimal escapes.
    """
    text = _ESCAPE.sub("", text).replace("\r\n", "\n")
    text = _SPECIAL_TOKEN.sub(lambda match: match[0] + "\u200b", text)
    return "".join(_visible(sign) for sign in text)


def _visible(sign: str) -> str:
    if sign in _KEPT_CONTROLS or sign == "\u200b" or unicodedata.category(sign) not in ("Cc", "Cf", "Cs"):
        return sign
    return f"\\x{ord(sign):02x}" if ord(sign) < 0x100 else f"\\u{ord(sign):04x}"
