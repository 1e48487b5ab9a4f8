"""A back end that falsifies the results of another, on purpose and on record: for placebos, and to learn how much a model or a strategy leans on its tools.

Whether and how a request is touched is decided by the seed and the request alone, so equal runs are touched equally. Every touched result says so in
`SandboxResult.fault`. Leaves out faults that the snippet itself could cause.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields, replace

from toolwright.episodes import derive_seed, digest
from toolwright.errors import UsageError
from toolwright.sandbox._backend import BackendSession, SandboxBackend
from toolwright.sandbox._types import InjectedFault, Outcome, SandboxCapabilities, SandboxLimits, SandboxResult

VERSION = 2
_KINDS = ("lying", "empty", "shuffled", "slow", "lost")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")
"""A number that stands for itself: not part of a name, a version or a hexadecimal."""
_TRUTH = re.compile(r"\b(?:True|False)\b")
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class SandboxFaults:
    """Which share of the requests is falsified, and how; a request gets one fault at most."""

    lying: float = 0.0
    """One number of the output is another; where it has none, its True is False or the other way round; any other output is left as it is."""
    empty: float = 0.0
    """The snippet seems to have said nothing."""
    shuffled: float = 0.0
    """The texts are those of another request, made before; left as it is where there was none."""
    slow: float = 0.0
    """The result comes `slow_s` later."""
    lost: float = 0.0
    """The outcome is `INFRA`."""
    slow_s: float = 1.0

    def __post_init__(self) -> None:
        shares = {kind: getattr(self, kind) for kind in _KINDS}
        for kind, share in shares.items():
            if not 0 <= share <= 1:
                raise UsageError(f"{kind}={share!r} is no share; give a number from 0 to 1")
        if sum(shares.values()) > 1 + 1e-9:
            raise UsageError(f"the shares {', '.join(f'{k}={v:g}' for k, v in shares.items() if v)} add up to more than 1; a request gets one fault at most")
        if not 0 <= self.slow_s <= 3600:
            raise UsageError(f"slow_s={self.slow_s!r} is out of range; give seconds from 0 to 3600")

    @classmethod
    def parse(cls, text: str) -> SandboxFaults:
        """The faults of a text like ``lying=0.05,slow=0.1``. Raises: UsageError for anything else."""
        names = [field.name for field in fields(cls)]
        found: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, number = (piece.strip() for piece in part.partition("="))
            try:
                found[name] = float(number)
            except ValueError:
                name = ""
            if name not in names:
                raise UsageError(f"{part!r} is no sandbox fault; give name=share pairs like lying=0.05,slow=0.1 with the names {', '.join(names)}")
        return cls(**found)

    def kind(self, draw: float) -> str | None:
        """The fault that a draw from [0, 1) falls on."""
        for kind in _KINDS:
            draw -= getattr(self, kind)
            if draw < 0:
                return kind
        return None


class FaultySandbox:
    """`inner`, with some of its results falsified.

    Which requests, and how, follows from `seed` and the request (code, limits, seed; in a session also its number); only whose texts a *shuffled* one gets
    depends also on the order in which requests were made. A fault never changes what runs, so a session's variables are what they would be.
    """

    def __init__(self, inner: SandboxBackend, faults: SandboxFaults | None = None, *, seed: int = 0, **shares: float) -> None:
        """`shares`: the fields of `SandboxFaults`, in its place. Raises: UsageError where both are given, or one is no share."""
        if faults is not None and shares:
            raise UsageError("give SandboxFaults or single shares, not both")
        if unknown := set(shares) - {field.name for field in fields(SandboxFaults)}:
            raise UsageError(f"{sorted(unknown)[0]!r} is no sandbox fault; there are {', '.join(field.name for field in fields(SandboxFaults))}")
        self.inner, self.faults, self.seed = inner, faults or SandboxFaults(**shares), seed
        self._asked: OrderedDict[str, Future[SandboxResult]] = OrderedDict()

    @property
    def limits(self) -> SandboxLimits:
        return self.inner.limits

    @property
    def digest(self) -> str:
        return digest("faulty", VERSION, self.inner.digest, self.faults, self.seed)

    async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
        mark = digest(code, limits or self.limits, seed)
        return await self._falsified(mark, lambda: self.inner.run(code, limits=limits, seed=seed))

    def session(self, *, limits: SandboxLimits | None = None, seed: int = 0) -> AbstractAsyncContextManager[BackendSession]:
        return self._session(limits, seed)

    @contextlib.asynccontextmanager
    async def _session(self, limits: SandboxLimits | None, seed: int) -> AsyncIterator[BackendSession]:
        async with self.inner.session(limits=limits, seed=seed) as inner:
            yield _FaultySession(self, inner, digest("session", limits or self.limits, seed))

    def capabilities(self) -> SandboxCapabilities:
        return self.inner.capabilities()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def __aenter__(self) -> FaultySandbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _falsified(self, mark: str, run: Callable[[], Awaitable[SandboxResult]]) -> SandboxResult:
        """The result, after what the dials say about the request of that mark."""
        earlier = [] if not self.faults.shuffled else [future for other, future in self._asked.items() if other != mark]
        remembered = self._remember(mark)
        try:
            result = await run()
        except BaseException:  # cancelled too: who waits for it must not wait for ever; raised again
            remembered.cancel()
            raise
        if not remembered.done():
            remembered.set_result(result)
        draws = random.Random(derive_seed("sandbox fault", self.seed, mark))
        kind = self.faults.kind(draws.random())
        if kind is None or result.outcome is Outcome.INFRA:
            return result
        touched = await self._touch(kind, result, draws, earlier)
        return result if touched is None else replace(touched, fault=InjectedFault(kind, result.stdout, result.value))

    def _remember(self, mark: str) -> Future[SandboxResult]:
        future: Future[SandboxResult] = Future()
        if self.faults.shuffled:
            self._asked.pop(mark, None)
            self._asked[mark] = future
            while len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)
        return future

    async def _touch(self, kind: str, result: SandboxResult, draws: random.Random, earlier: list[Future[SandboxResult]]) -> SandboxResult | None:
        """The falsified result; None where this one cannot be."""
        if kind == "lying":
            return _lie(result, draws)
        if kind == "empty":
            return replace(result, stdout="", stderr="", value=None, error=None)
        if kind == "slow":
            await asyncio.sleep(self.faults.slow_s)
            return replace(result, wall_s=result.wall_s + self.faults.slow_s)
        if kind == "lost":
            why = "the result was lost, on purpose"
            return SandboxResult(Outcome.INFRA, error=why, level=result.level, session_reset=result.session_reset)
        draws.shuffle(earlier)
        for future in earlier:
            try:
                other = await asyncio.shield(asyncio.wrap_future(future))
            except asyncio.CancelledError:
                if not future.cancelled():
                    raise  # it is this request that is given up, not the other
                continue
            return replace(other, level=result.level, session_reset=result.session_reset)
        return None


class _FaultySession:
    """A session of `FaultySandbox`."""

    def __init__(self, owner: FaultySandbox, inner: BackendSession, mark: str) -> None:
        self._owner, self._inner, self._mark = owner, inner, mark

    async def run(self, code: str) -> SandboxResult:
        # The mark holds all turns so far, so that equal turns of different conversations are told apart.
        self._mark = digest(self._mark, code)
        return await self._owner._falsified(self._mark, lambda: self._inner.run(code))


def _lie(result: SandboxResult, draws: random.Random) -> SandboxResult | None:
    """The result with one number changed, or where there is none one True or False: in what was printed, or else in the value."""
    for name in ("stdout", "value"):
        text = getattr(result, name)
        numbers = list(_NUMBER.finditer(text or ""))
        if numbers:
            chosen = draws.choice(numbers)
            changes = {name: text[: chosen.start()] + _another(chosen[0], draws) + text[chosen.end() :]}
            return replace(result, **changes)
    for name in ("stdout", "value"):
        text = getattr(result, name)
        if said := list(_TRUTH.finditer(text or "")):
            chosen = draws.choice(said)
            changes = {name: text[: chosen.start()] + ("False" if chosen[0] == "True" else "True") + text[chosen.end() :]}
            return replace(result, **changes)
    return None


def _another(number: str, draws: random.Random) -> str:
    """A number of the same look: one digit is changed, the first never to 0."""
    places = [at for at, sign in enumerate(number) if sign.isdigit()]
    at = draws.choice(places)
    digits = [digit for digit in "0123456789" if digit != number[at] and (digit != "0" or at > 0 or len(number) == 1)]
    return number[:at] + draws.choice(digits) + number[at + 1 :]
