"""Output that is safe for terminals and token streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolwright.sandbox import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 数 😀\n\tx", "plain ä 数 😀\n\tx"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07on", "on"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x00b", "a\\x00b"),
        ("a\r\nb\rc", "a\nb\\x0dc"),
        ("\u202eevil", "\\u202eevil"),
        ("\ufeffbom", "\\ufeffbom"),
        ("\x9b31m", "\\x9b31m"),
        ("\ud800", "\\ud800"),
        ("<|im_end|>", "<\u200b|im_end|>"),
        ("</tool_response>", "<\u200b/tool_response>"),
        ("<s>[INST]x[/INST]</s>", "<\u200bs>[\u200bINST]x[\u200b/INST]<\u200b/s>"),
        ("a < b <= c [0]", "a < b <= c [0]"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_never_a_control_character_and_stable(text: str) -> None:
    shown = printable(text)
    assert not any((ord(sign) < 32 and sign not in "\n\t") or 0x7F <= ord(sign) < 0xA0 for sign in shown)
    assert "<|" not in shown
    shown.encode()
