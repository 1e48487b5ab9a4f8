"""Frames between the processes of the sandbox. Nothing here interprets a payload, and nothing is ever unpickled.

Caller and supervisor exchange *messages*: a JSON header, then raw blobs whose sizes the header's length table gives. Supervisor and zygote exchange
*records* of fixed size with descriptors beside them. Supervisor and child exchange *frames*: one kind byte, a length, raw bytes; the child's side is under
the snippet's control, so a reader caps and never trusts it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

HEAD = struct.Struct(">II")
"""Bytes of JSON, bytes of all blobs."""
FRAME = struct.Struct(">cI")
JOB = struct.Struct(">IQ")
"""Bytes of source, seed."""

FORK = struct.Struct(">QQQQII?")
"""The child's number, memory bytes, file bytes, CPU seconds, threads, output bytes, whether a session; with it stdout, stderr and control."""
REPORT = struct.Struct(">cQid")
"""What happened, the child's number, its wait status, its CPU seconds; text may follow, and a pidfd come along."""
HELLO, STARTED, EXITED, FAILED = b"H", b"S", b"X", b"F"

READY, VALUE, CUT_VALUE, ERROR, DONE = b"R", b"V", b"C", b"E", b"D"
MAX_JSON_BYTES = 1 << 20
MAX_SOURCE_BYTES = 32 << 20
MAX_REPLY_BYTES = 2 << 30
"""Four texts of 64 MiB at most, any byte of which may become an escape of four."""


def pack_message(header: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """A message of the header and the blobs."""
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join((HEAD.pack(len(text), sum(map(len, blobs))), text, *blobs))


def split_message(buffer: bytes | bytearray, most_blob_bytes: int) -> tuple[dict[str, Any], list[bytes], int] | None:
    """(header, blobs, bytes used) of the first message in the buffer; None while it is incomplete.

    Raises: ValueError for anything that is no message.
    """
    if len(buffer) < HEAD.size:
        return None
    text_size, blob_size = HEAD.unpack_from(buffer)
    if text_size > MAX_JSON_BYTES or blob_size > most_blob_bytes:
        raise ValueError("message too long")
    end = HEAD.size + text_size + blob_size
    if len(buffer) < end:
        return None
    header = json.loads(bytes(buffer[HEAD.size : HEAD.size + text_size]))
    if not isinstance(header, dict):
        raise ValueError("message header is no object")
    blobs, at = [], HEAD.size + text_size
    for size in header.pop("blobs", []):
        if not isinstance(size, int) or not 0 <= size <= end - at:
            raise ValueError("blob sizes do not add up")
        blobs.append(bytes(buffer[at : at + size]))
        at += size
    return header, blobs, end


def message_size(buffer: bytes | bytearray) -> int:
    """Bytes the message at the start of the buffer will have; the header's size while even that is incomplete."""
    if len(buffer) < HEAD.size:
        return HEAD.size
    text_size, blob_size = HEAD.unpack_from(buffer)
    return HEAD.size + int(text_size) + int(blob_size)
