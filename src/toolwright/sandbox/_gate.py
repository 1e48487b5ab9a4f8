"""A bound on how many requests are in flight, shared by threads and event loops; who waits longest goes next."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future


class Gate:
    """At most `places` holders at once."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    def _ask(self) -> Future[None]:
        ticket: Future[None] = Future()
        with self._lock:
            if self._free:
                self._free -= 1
                ticket.set_result(None)
            else:
                self._waiting.append(ticket)
        return ticket

    def enter_sync(self) -> None:
        """Wait for a place."""
        ticket = self._ask()
        try:
            ticket.result()
        except BaseException:  # cancelled too: the place must not be lost; raised again
            self._abandon(ticket)
            raise

    async def enter(self) -> None:
        """Wait for a place, on any event loop."""
        ticket = self._ask()
        if ticket.done():
            return
        try:
            await asyncio.wrap_future(ticket)
        except BaseException:  # cancelled too: the place must not be lost; raised again
            self._abandon(ticket)
            raise

    def _abandon(self, ticket: Future[None]) -> None:
        """Give up waiting; a place that was just given is passed on."""
        if not ticket.cancel() and not ticket.cancelled():
            self.leave()

    def leave(self) -> None:
        """Give the place to who waits longest."""
        with self._lock:
            while self._waiting:
                ticket = self._waiting.popleft()
                if ticket.set_running_or_notify_cancel():
                    ticket.set_result(None)
                    return
            self._free += 1
