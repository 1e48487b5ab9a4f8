"""The supervisor's event loop: descriptors and timers, nothing else. Written for few system calls: the loop runs several times per snippet."""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
EDGE = select.EPOLLET
"""Tell of every change once, instead of as long as there is something."""
Handler = Callable[[int], None]


class Loop:
    """Calls handlers when their descriptor has something, and callbacks when their time has come.

    A handler may be called once more after its descriptor was replaced within one batch of events, so every handler must bear finding nothing.
    """

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._masks: dict[int, int] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0

    def watch(self, fd: int, handler: Handler, mask: int = READ) -> None:
        """Call the handler with what happened; an end of file counts as `READ`."""
        self._poll.register(fd, mask)
        self._handlers[fd], self._masks[fd] = handler, mask

    def wait_for(self, fd: int, mask: int) -> None:
        """Change what is waited for; nothing where the descriptor is not watched."""
        if self._masks.get(fd, mask) != mask:
            self._poll.modify(fd, mask)
            self._masks[fd] = mask

    def unwatch(self, fd: int) -> None:
        """Forget the descriptor, open or not."""
        if self._handlers.pop(fd, None) is not None:
            del self._masks[fd]
            try:
                self._poll.unregister(fd)
            except OSError:  # closed already
                return

    def closed(self, fd: int) -> None:
        """Forget a descriptor that was closed, and that no other process holds."""
        if self._handlers.pop(fd, None) is not None:
            del self._masks[fd]

    def call_at(self, due: float, callback: Callable[[], None]) -> None:
        """Call back at that monotonic time, or soon after."""
        self._serial += 1
        heapq.heappush(self._timers, (due, self._serial, callback))

    def turn(self) -> None:
        """Wait for something to happen, and handle it."""
        timeout = max(self._timers[0][0] - time.monotonic(), 0) if self._timers else None
        for fd, mask in self._poll.poll(timeout):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler((mask & (READ | WRITE)) or READ)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
