"""What the rooms promise one another: engine, tool, verifier, strategy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from toolwright.episodes._types import Budget, Choice, Completion, Episode, Problem, Prompt, SamplingParams, ToolResult, Verdict

Attempt = Callable[[int], Awaitable[Episode]]
"""Makes (or finds stored) the episode of one sample index."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do: probed, not assumed."""

    logps: bool = False
    token_ids: bool = False
    """Sampled ids come back, and prompts may be given as ids."""
    prefill: bool = False
    """An assistant turn can be continued where it stopped."""
    multiple: bool = False
    """n > 1 in one request; where false it is emulated in parallel."""
    system_role: bool = True
    context_tokens: int | None = None
    notes: tuple[str, ...] = ()
    """Quirks found, one sentence each."""


@runtime_checkable
class Engine(Protocol):
    """A model that continues prompts."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def digest(self) -> str:
        """What it is: equal digests draw equal samples from equal seeds."""

    async def capabilities(self) -> Capabilities:
        """What this engine can do, probed once."""

    async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
        """N independent continuations, in draw order; the i-th draws from the stream ``derive_seed(seed, i)``.

        Shapes: each completion holds `token_ids` (T,) and `logps` (T,), natural log, same T, where the engine has them.
        Raises: EngineFault when the backend is lost; UsageError for n < 1 or impossible parameters. A spent budget is a FinishReason, not an error.
        """

    async def score(self, prompt: Prompt, continuation: str) -> tuple[float, ...]:
        """(T,) log-probabilities of the continuation's tokens, natural log.

        Raises: UsageError where the engine offers none.
        """

    async def aclose(self) -> None:
        """Free what the engine holds; safe to call twice."""


class ToolSession(Protocol):
    """A tool opened for one episode: the interpreter's variables, the editor's files."""

    async def call(self, arguments: str) -> ToolResult:
        """The observation for one call. Raises SandboxFault (an EpisodeFault) when the infrastructure failed."""


class Tool(Protocol):
    """A recipe that opens a single-use session per episode."""

    @property
    def name(self) -> str:
        """As a tool call names it."""

    @property
    def digest(self) -> str:
        """What it is, limits included."""

    @property
    def schema(self) -> dict[str, object]:
        """Its JSON schema in the function-calling form."""

    def open(self, *, seed: int) -> AbstractAsyncContextManager[ToolSession]:
        """A fresh session, closed with its episode."""


class Verifier(Protocol):
    """Something that concludes about one candidate.

    A reward model has ``is_reward = True`` beside these members: its scores rank candidates (`Verdict.is_reward`) and filter none.
    """

    @property
    def name(self) -> str:
        """As results name it."""

    @property
    def digest(self) -> str:
        """What it is: equal digests give equal verdicts."""

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        """The verdict; *could not decide* is a score of None. The gold answer must not be looked at."""


class Strategy(Protocol):
    """How candidates become a choice."""

    @property
    def name(self) -> str:
        """As results name it."""

    async def __call__(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], budget: Budget, *, seed: int = 0) -> Choice:
        """The choice, with all that was tried."""
