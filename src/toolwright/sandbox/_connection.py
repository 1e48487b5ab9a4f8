"""One caller's socket as the supervisor sees it: what it asked for, what it waits for, and what it may still use."""

from __future__ import annotations

import math
import socket
from typing import Any

from toolwright.sandbox._running import Child, Limits, Turn
from toolwright.sandbox._wire import MAX_SOURCE_BYTES, pack_message, split_message


class Connection:
    """One session of the caller, or any number of runs one after the other."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self.open = True
        self.key = ""
        """Whose turn it is among the callers."""
        self.limits: Limits | None = None
        self.session = False
        self.turn: Turn | None = None
        """Waiting or running."""
        self.child: Child | None = None
        self.was_reset = False
        self.wants_hello = False
        self._left = {"cpu": math.inf, "wall": math.inf}
        self._incoming = bytearray()
        self._outgoing = bytearray()

    # ---- what comes ----

    def receive(self) -> bool:
        """Take in what has come; False where the caller is gone."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._incoming += data
        return bool(data)

    def request(self) -> tuple[dict[str, Any], list[bytes]] | None:
        """The next whole request, if there is one.

        Raises: ValueError for garbage.
        """
        message = split_message(self._incoming, MAX_SOURCE_BYTES)
        if message is None:
            return None
        del self._incoming[: message[2]]
        return message[0], message[1]

    # ---- what goes ----

    def answer(self, header: dict[str, Any]) -> bool:
        """Send an answer, as far as the socket takes it now; False where the caller is gone."""
        texts = header.pop("texts", [])
        kept = [text is not None for text in texts]
        blobs = [text.encode("utf-8", "backslashreplace") for text in texts if text is not None]
        self._outgoing += pack_message({**header, "kept": kept}, blobs)
        return self.send()

    def send(self) -> bool:
        """Send what waits, as far as the socket takes it; False where the caller is gone."""
        while self._outgoing:
            try:
                sent = self.sock.send(self._outgoing)
            except BlockingIOError:
                return True
            except OSError:
                return False
            del self._outgoing[:sent]
        return True

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._outgoing)

    # ---- a session's budget ----

    def budget(self, cpu_s: float | None, wall_s: float | None) -> None:
        """What all turns together may use."""
        self._left = {"cpu": math.inf if cpu_s is None else float(cpu_s), "wall": math.inf if wall_s is None else float(wall_s)}

    def allot(self, turn: Turn) -> str | None:
        """Give the turn what is left; the name of the time that is used up, if one is."""
        for name, left in self._left.items():
            if left <= 0:
                return name
        turn.cpu_limit_s, turn.wall_limit_s = self._left["cpu"], self._left["wall"]
        return None

    def charge(self, verdict: dict[str, Any]) -> None:
        """Take what a turn used from the budget."""
        self._left["cpu"] -= verdict.get("cpu_s", 0.0)
        self._left["wall"] -= verdict.get("wall_s", 0.0)
