"""A bound on how many requests are in flight, shared by threads and event loops; callers take turns, and within a caller who waits longest goes next."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

from toolwright.sandbox._queue import FairQueue


class Gate:
    """At most `places` holders at once."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: FairQueue[Future[None]] = FairQueue()
        self._lock = threading.Lock()

    def _ask(self, key: str) -> Future[None] | None:
        """None where there is a place at once, else the ticket that will be called."""
        with self._lock:
            if self._free:
                self._free -= 1
                return None
            ticket: Future[None] = Future()
            self._waiting.push(key, ticket)
        return ticket

    def enter_sync(self, key: str = "") -> None:
        """Wait for a place."""
        ticket = self._ask(key)
        if ticket is None:
            return
        try:
            ticket.result()
        except BaseException:  # cancelled too: the place must not be lost; raised again
            self._abandon(ticket)
            raise

    async def enter(self, key: str = "") -> None:
        """Wait for a place, on any event loop."""
        ticket = self._ask(key)
        if ticket is None:
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
        """Give the place to who is next."""
        with self._lock:
            while self._waiting:
                _, ticket = self._waiting.pop()
                if ticket.set_running_or_notify_cancel():
                    ticket.set_result(None)
                    return
            self._free += 1
