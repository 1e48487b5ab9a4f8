"""Who goes next: callers take turns, so that one with a thousand snippets does not keep another from its first."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Items by caller; within a caller first come, first served, and between callers round robin."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Item]] = {}
        self._order: deque[str] = deque()
        """Callers with something waiting, the next to be served first."""

    def __bool__(self) -> bool:
        return bool(self._order)

    def push(self, key: str, item: Item) -> None:
        """Queue the item behind the caller's others."""
        self._line(key).append(item)

    def push_front(self, key: str, item: Item) -> None:
        """Queue the item before the caller's others, and the caller before all others."""
        self._line(key).appendleft(item)
        self._order.remove(key)
        self._order.appendleft(key)

    def _line(self, key: str) -> deque[Item]:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = deque()
            self._order.append(key)
        return line

    def pop(self) -> tuple[str, Item]:
        """The next caller and its first item.

        Raises: IndexError where nothing waits.
        """
        key = self._order.popleft()
        line = self._lines[key]
        item = line.popleft()
        if line:
            self._order.append(key)
        else:
            del self._lines[key]
        return key, item

    def remove(self, key: str, item: Item) -> None:
        """Take the item out, wherever it stands; nothing where it does not."""
        line = self._lines.get(key)
        if line is not None and item in line:
            line.remove(item)
            if not line:
                del self._lines[key]
                self._order.remove(key)

    def take_all(self) -> list[Item]:
        """Everything that waits, in the order it would have come; the queue is empty then."""
        items = []
        while self:
            items.append(self.pop()[1])
        return items
