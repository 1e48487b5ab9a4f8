"""The record: what was asked, what was written by whom, what it cost, what was concluded.

All of it is plain frozen data with a JSON form (`_jsonl`). Test-time episodes and training data are the same objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 1
"""Written on every stored line; raised when a field changes its meaning."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is asked, with its gold answer if known."""

    id: str
    question: str
    gold: str | None = None
    """The right answer as text, as the task's own data gives it (after the loader's clean-up)."""
    choices: tuple[str, ...] = ()
    """Options of a multiple-choice problem, in the order of the letters A, B, …; the gold is then a letter."""
    meta: dict[str, Any] = field(default_factory=dict)
    """Facts for analysis (level, steps, template, licence); never shown to a model."""

    def asked(self) -> Problem:
        """The problem as whoever must solve or judge it may see it: without gold and facts."""
        return Problem(self.id, self.question, choices=self.choices)


class Provenance(StrEnum):
    """Who wrote a span. The training mask and answer extraction follow this and nothing else."""

    PROMPT = "prompt"
    MODEL = "model"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Span:
    """A run of tokens of one provenance."""

    provenance: Provenance
    text: str
    token_ids: tuple[int, ...] | None = None
    """(T,) as sampled or as fed to the model; None where the engine only takes text."""
    logps: tuple[float, ...] | None = None
    """(T,) natural log, under the untempered model, of the sampled tokens; only on model spans."""

    def __post_init__(self) -> None:
        if self.logps is not None and (self.token_ids is None or len(self.logps) != len(self.token_ids)):
            raise ValueError(f"a span with {len(self.logps)} logps needs as many token_ids")


class StopReason(StrEnum):
    """Every way an episode ends."""

    FINISHED = "finished"
    """The model ended its turn."""
    MAX_TOKENS = "max_tokens"
    """The cumulative token budget was spent."""
    CONTEXT_FULL = "context_full"
    """Prompt and spans fill the model's context; also when the prompt alone does (then there is no model span)."""
    MAX_TOOL_CALLS = "max_tool_calls"
    """One more tool call than allowed was asked for."""
    MALFORMED_CALLS = "malformed_calls"
    """More malformed tool calls than allowed; each was answered with an observation first."""
    CANCELLED = "cancelled"
    """The strategy had seen enough, or the user interrupted."""
    FAULT = "fault"
    """A boundary failed; `Episode.fault` says which and how. Never scored 0."""


class FinishReason(StrEnum):
    """Every way one generation ends."""

    EOS = "eos"
    STOP = "stop"
    """A stop string was written; it is the end of the completion's text."""
    LENGTH = "length"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost; costs add up."""

    prompt_tokens: int = 0
    """Tokens fed to the model that it did not write, each counted once per request that sent it."""
    model_tokens: int = 0
    tool_calls: int = 0
    wall_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.prompt_tokens + other.prompt_tokens,
            self.model_tokens + other.model_tokens,
            self.tool_calls + other.tool_calls,
            self.wall_s + other.wall_s,
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent on one problem; None means no bound of that kind."""

    samples: int = 16
    tokens: int | None = None
    """Model tokens over all samples, verifier calls included."""
    seconds: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back for one call."""

    text: str
    """The observation as the model reads it."""
    ok: bool = True
    """False: the call ran into an error that the model can read (never an infrastructure fault)."""
    outcome: str = "ok"
    """The tool's own typed outcome, e.g. the sandbox's ``timeout_cpu``; ``malformed`` for an unreadable call."""
    tool: str = ""
    wall_s: float = 0.0
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check concluded about one candidate."""

    score: float | None
    """In [0, 1]; None: the check could not decide, which is never *wrong*."""
    reason: str
    """One sentence a person can act on."""
    verifier: str = ""
    evidence: tuple[ToolResult, ...] = ()
    cost: Cost = Cost()
    is_reward: bool = False
    """True: a reward model's score, which ranks candidates and refutes none."""

    @property
    def refuted(self) -> bool:
        """True where the check decided, and decided against; a reward never does."""
        return self.score is not None and self.score < 0.5 and not self.is_reward


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How an engine draws."""

    max_new_tokens: int = 512
    temperature: float = 0.8
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    stop: tuple[str, ...] = ()
    """Stop strings; the one that matched stays at the end of the text."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message, as a chat template takes it."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an engine continues: messages, and then whatever the answer holds so far.

    The spans are the assistant's turn as far as it got (model and tool spans, token-exact where they carry ids). With no messages the spans are a raw prompt.
    """

    messages: tuple[Message, ...] = ()
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """One continuation of a prompt."""

    text: str
    finish: FinishReason
    token_ids: tuple[int, ...] | None = None
    """(T,) the sampled ids, end-of-sequence token included where one was drawn."""
    logps: tuple[float, ...] | None = None
    """(T,) natural log under the untempered model; same T."""
    prompt_tokens: int = 0
    model_tokens: int = 0
    stop: str | None = None
    """The stop string that matched; it is the end of `text`."""
    prompt_token_ids: tuple[int, ...] | None = None
    """The ids of messages and spans as they were fed, where the engine knows them."""
    surplus: str = ""
    """What the last of `token_ids` holds beyond the stop string, such as the line break in ``>\\n``; not in `text`, but read by the model when it goes on."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One attempt at a problem."""

    problem_id: str
    index: int
    """The sample index: which of the N attempts this is."""
    spans: tuple[Span, ...]
    stop: StopReason
    seed: int
    """The sample's own seed, ``derive_seed(run_seed, problem_id, index)``."""
    dialect: str = "text"
    engine: str = ""
    """The engine's digest: model weights, tokenizer, template, dtype."""
    params: SamplingParams = SamplingParams()
    cost: Cost = Cost()
    tool_results: tuple[ToolResult, ...] = ()
    """One per tool span, in order."""
    verdicts: tuple[Verdict, ...] = ()
    rewards: tuple[float, ...] = ()
    """Per turn; empty until something rewards the episode."""
    reward: float | None = None
    """Final."""
    fault: str | None = None
    schema: int = SCHEMA_VERSION

    @property
    def text(self) -> str:
        """Everything after the prompt, model and tool spans alike, as a person reads it."""
        return "".join(s.text for s in self.spans if s.provenance is not Provenance.PROMPT)

    @property
    def model_text(self) -> str:
        """The model's own words only: what may be graded."""
        return "".join(s.text for s in self.spans if s.provenance is Provenance.MODEL)

    @property
    def mean_logp(self) -> float | None:
        """Mean natural log-probability per model token; None where the engine gave none."""
        logps = [x for s in self.spans if s.provenance is Provenance.MODEL for x in s.logps or ()]
        return sum(logps) / len(logps) if logps else None


@dataclass(frozen=True, slots=True)
class Tried:
    """One candidate of a choice, with everything concluded about it."""

    episode: Episode
    answer: str | None
    verdict: Verdict
    """The verdicts of all verifiers as one: refuted if any refutes."""
    reward: float
    """What the strategy ranked or voted with."""
    cluster: int | None
    """Candidates with equivalent answers share a number; None without an answer."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer to a problem, with all that was tried."""

    problem_id: str
    answer: str | None
    tried: tuple[Tried, ...]
    strategy: str
    fallback: str | None = None
    """Why the strategy could not do what its name says (e.g. every candidate was refuted), and what it did instead."""
    cost: Cost = Cost()
    seed: int = 0
    note: str | None = None
    """What else the strategy has to tell, e.g. why it stopped drawing."""
