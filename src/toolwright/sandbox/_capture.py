"""Keeps the head and the tail of a stream that may be endless."""

from __future__ import annotations

import codecs


class Capture:
    """Bytes of one stream; memory is bounded by what is kept."""

    def __init__(self, most_bytes: int) -> None:
        self._head_bytes = most_bytes // 2
        self._tail_bytes = most_bytes - self._head_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0
        """Bytes seen, kept or not."""

    def add(self, data: bytes) -> None:
        """Take in the next bytes."""
        self.total += len(data)
        room = self._head_bytes - len(self._head)
        self._head += data[:room]
        rest = data[max(room, 0) :]
        if rest:
            self._tail += rest[-self._tail_bytes :]
            if len(self._tail) > self._tail_bytes:
                del self._tail[: len(self._tail) - self._tail_bytes]

    @property
    def truncated(self) -> bool:
        """Whether anything was left out."""
        return self.total > len(self._head) + len(self._tail)

    def text(self) -> str:
        """What was kept; bytes that are no UTF-8 become backslash escapes, and a gap says how long it is."""
        if not self.truncated:
            return (self._head + self._tail).decode("utf-8", "backslashreplace")
        start = 0
        while start < min(3, len(self._tail)) and self._tail[start] & 0xC0 == 0x80:
            start += 1
        head = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode(bytes(self._head))
        tail = bytes(self._tail[start:]).decode("utf-8", "backslashreplace")
        return f"{head}\n[... {self.total - len(self._head) - len(self._tail)} bytes left out ...]\n{tail}"
