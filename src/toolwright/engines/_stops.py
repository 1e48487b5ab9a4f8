"""Where generated text stops: the same rule for engines that see tokens and for engines that see only text.

The stop that is completed first wins; of two completed at the same place, the longer. The text ends with it. Where one token carries the end of a stop
string and more, the text is cut and the token stays whole in ``token_ids``, because that is what the model wrote and what it is fed when the episode goes
on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]


def find_stop(text: str, stops: Sequence[str]) -> tuple[int, str] | None:
    """(end of the match, stop string) of the stop completed first; None where none is in the text."""
    found = [(start + len(stop), -len(stop), stop) for stop in stops if (start := text.find(stop)) >= 0]
    if not found:
        return None
    end, _, stop = min(found)
    return end, stop


def stop_window(stops: Sequence[str]) -> int:
    """How many of the last tokens must be decoded to see a stop string the last one completes.

    A token carries at least one byte of visible text; the margin covers a character cut at the left edge and a leading space that a decoder strips there.
    """
    return max((len(stop.encode()) for stop in stops), default=0) + 4


def whole_characters(text: str) -> str:
    """The text without a character that the last tokens only began to write; its bytes stay in the token ids."""
    return text.rstrip("\ufffd")


def text_after(decode: Decode, before: Sequence[int], ids: Sequence[int]) -> str:
    """The text of ids as they read after what stands before them.

    Decoders of the SentencePiece family drop the space at the start of a text, so one token of context is decoded along and taken off again.
    """
    if not ids:
        return ""
    if before:
        lead = decode(before[-1:])
        whole = decode([*before[-1:], *ids])
        if whole.startswith(lead):
            return whole[len(lead) :]
    return decode(ids)
