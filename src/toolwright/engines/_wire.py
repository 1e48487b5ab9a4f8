"""Talking to a server over HTTP: one pool of connections, bounded concurrency, retries where waiting helps, and clear sentences where it does not.

Three endings: an answer; `Refused` (the server understood and said no: the caller may have another way, or tells the user); EngineFault (the server is gone
or broken, after the retries). Nothing here knows what is asked. Left out: websockets, proxies beyond what httpx takes from the environment.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any

from toolwright.errors import EngineFault

if TYPE_CHECKING:
    import httpx

_WORTH_WAITING = {408, 425, 429, 500, 502, 503, 504, 529}
_LONGEST_WAIT_S = 60.0


class Refused(Exception):
    """The server answered with an error that asking again will not change."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


@dataclass(slots=True)
class _Session:
    """What belongs to one event loop."""

    loop: asyncio.AbstractEventLoop
    client: httpx.AsyncClient
    turns: asyncio.Semaphore


class Wire:
    """Requests to one server."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        concurrent: int = 64,
        retries: int = 4,
        backoff_s: float = 0.5,
        timeout_s: float = 600.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/").removesuffix("/chat/completions")
        self.requests = 0
        self.retried = 0
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._concurrent, self._retries, self._backoff_s, self._timeout_s, self._transport = concurrent, retries, backoff_s, timeout_s, transport
        self._session: _Session | None = None

    @property
    def root_url(self) -> str:
        """Where a server keeps what is not part of the OpenAI interface."""
        return self.base_url.removesuffix("/v1")

    async def get(self, url: str, *, retries: int | None = None) -> Any:
        """The JSON answer to GET."""
        return await self._json("GET", url, None, self._retries if retries is None else retries)

    async def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer to POST."""
        return await self._json("POST", url, body, self._retries)

    async def stream(self, url: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a streamed answer; closing the iterator closes the connection, at which servers stop decoding.

        A connection that fails before the first event is tried again; one that breaks later is an EngineFault.
        """
        import httpx

        session = self._open()
        attempt = 0
        async with session.turns:
            while True:
                begun = False
                try:
                    self.requests += 1
                    async with session.client.stream("POST", url, json=dict(body)) as response:
                        if response.status_code < 400:
                            async for event in _events(response):
                                begun = True
                                yield event
                            return
                        await response.aread()
                        wait_s = self._wait_after_answer(response, attempt, self._retries)
                except httpx.TransportError as error:
                    if begun:
                        raise EngineFault(f"the server at {self.base_url} broke off in the middle of an answer ({error!r}); run again to go on") from error
                    wait_s = self._wait_after_error(error, attempt, self._retries)
                await asyncio.sleep(wait_s)
                attempt += 1

    async def aclose(self) -> None:
        """Close the connections; the next request would open new ones."""
        session, self._session = self._session, None
        if session is not None and session.loop is asyncio.get_running_loop():
            await session.client.aclose()

    async def _json(self, method: str, url: str, body: Mapping[str, Any] | None, retries: int) -> Any:
        import httpx

        session = self._open()
        attempt = 0
        async with session.turns:
            while True:
                try:
                    self.requests += 1
                    response = await session.client.request(method, url, json=None if body is None else dict(body))
                    if response.status_code < 400:
                        return _parsed(response, url)
                    wait_s = self._wait_after_answer(response, attempt, retries)
                except httpx.TransportError as error:
                    wait_s = self._wait_after_error(error, attempt, retries)
                await asyncio.sleep(wait_s)
                attempt += 1

    def _open(self) -> _Session:
        """The session of the running loop: connections cannot be used from another."""
        import httpx

        loop = asyncio.get_running_loop()
        if self._session is None or self._session.loop is not loop:
            limits = httpx.Limits(max_connections=self._concurrent, max_keepalive_connections=self._concurrent)
            timeout = httpx.Timeout(self._timeout_s, connect=min(10.0, self._timeout_s))
            client = httpx.AsyncClient(headers=self._headers, limits=limits, timeout=timeout, transport=self._transport, follow_redirects=True)
            self._session = _Session(loop, client, asyncio.Semaphore(self._concurrent))
        return self._session

    def _wait_after_answer(self, response: httpx.Response, attempt: int, retries: int) -> float:
        """Seconds to wait before asking again. Raises: Refused where that is no use; EngineFault where it was tried often enough."""
        message = _message(response)
        if response.status_code not in _WORTH_WAITING:
            raise Refused(response.status_code, message)
        if attempt >= retries:
            raise EngineFault(
                f"the server at {self.base_url} answered {response.status_code} {attempt + 1} times ({message}); "
                "look at its log, restart it or ask for less at once, and run again: finished samples are kept"
            )
        self.retried += 1
        asked = _retry_after_s(response.headers.get("retry-after"))
        return min(asked, _LONGEST_WAIT_S) if asked is not None else self._backoff(attempt)

    def _wait_after_error(self, error: Exception, attempt: int, retries: int) -> float:
        if attempt >= retries:
            raise EngineFault(
                f"no answer from the server at {self.base_url} ({type(error).__name__}: {error}); "
                "start it again or check the address, and run again: finished samples are kept"
            ) from error
        self.retried += 1
        return self._backoff(attempt)

    def _backoff(self, attempt: int) -> float:
        # Spread out, so that many requests refused at once do not come back at once.
        return min(self._backoff_s * 2.0**attempt, _LONGEST_WAIT_S) * random.uniform(0.5, 1.0)


def _parsed(response: httpx.Response, url: str) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise EngineFault(f"{url} answered with something that is not JSON ({response.text[:80]!r}); is that an OpenAI-compatible server?") from error


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or not data:
            continue
        if data == "[DONE]":
            return
        try:
            event = json.loads(data)
        except ValueError as error:
            raise EngineFault(f"{response.url} sent an event that is not JSON ({data[:80]!r})") from error
        if "error" in event:
            raise EngineFault(f"{response.url} failed in the middle of an answer: {_error_text(event['error'])}")
        yield event


def _message(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return " ".join(response.text.split())[:300] or response.reason_phrase
    if isinstance(body, dict):
        return _error_text(body.get("error") or body.get("detail") or body.get("message") or body)
    return str(body)[:300]


def _error_text(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(text or error).split())[:500]


def _retry_after_s(header: str | None) -> float | None:
    """Seconds, from either form of the header; None where it says nothing readable."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time())
    except ValueError:
        return None
