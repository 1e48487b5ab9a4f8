"""One request and its answer over a socket to the supervisor, with an event loop and without."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from toolwright.sandbox._wire import MAX_REPLY_BYTES, message_size, split_message

_CHUNK = 4096
_MOST_AT_ONCE = 1 << 20
Answer = tuple[dict[str, Any], list[bytes]]


class LostError(Exception):
    """The supervisor went away in the middle of a request."""


async def exchange(sock: socket.socket, request: bytes) -> Answer:
    """What the supervisor answers.

    Raises: LostError where it ends before.
    """
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    buffer = bytearray()
    try:
        await loop.sock_sendall(sock, request)
        while (message := split_message(buffer, MAX_REPLY_BYTES)) is None:
            part = await loop.sock_recv(sock, _missing(buffer))
            if not part:
                raise LostError
            buffer += part
    except ConnectionError as error:
        raise LostError from error
    return message[0], message[1]


def exchange_sync(sock: socket.socket, request: bytes) -> Answer:
    """`exchange`, without an event loop."""
    sock.setblocking(True)
    buffer = bytearray()
    try:
        sock.sendall(request)
        while (message := split_message(buffer, MAX_REPLY_BYTES)) is None:
            part = sock.recv(_missing(buffer))
            if not part:
                raise LostError
            buffer += part
    except ConnectionError as error:
        raise LostError from error
    return message[0], message[1]


def _missing(buffer: bytearray) -> int:
    return max(_CHUNK, min(_MOST_AT_ONCE, message_size(buffer) - len(buffer)))
