"""Strategies that need a model: revise shows the refutation, beam drops refuted beginnings; both keep every budget."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import Budget, Capabilities, Choice, Completion, Problem, Prompt, RunStore, SamplingParams
from toolwright.errors import NoUsableEpisode, UsageError
from toolwright.rollouts import Rollout
from toolwright.scaling import Beam, recorded_attempt, revise, solve
from toolwright.verifiers import ClaimsVerifier

PROBLEM = Problem("p", "A box holds 12 pens. Nadia buys 3 and gives 6 away. How many are left?", "30")
WRONG = "3 * 12 = 38 pens.\n38 - 6 = 32.\nThe answer is 32."
RIGHT = "3 * 12 = 36 pens.\n36 - 6 = 30.\nThe answer is 30."


def go(engine: ScriptedEngine, strategy: object, store: RunStore | None = None, **budget: float) -> Choice:
    verifiers = [ClaimsVerifier()]
    return asyncio.run(solve(PROBLEM, Rollout(engine), strategy=strategy, verifiers=verifiers, budget=Budget(**budget), store=store))  # type: ignore[arg-type]


def heeding(prompt: Prompt, seed: int) -> str:
    """A model that is right once it is told what was wrong."""
    return RIGHT if "36" in prompt.messages[-1].content else WRONG


def test_revise_shows_the_refutation_and_takes_what_stands() -> None:
    engine = ScriptedEngine(heeding)
    choice = go(engine, "revise", samples=8)
    assert choice.answer == "30" and choice.fallback is None and choice.note == "2 tries, 1 refuted."
    first, second = engine.requests
    told = second.prompt.messages
    assert [m.role for m in told] == [*(m.role for m in first.prompt.messages), "assistant", "user"]
    assert told[-2].content == WRONG and "3 * 12 = 38" in told[-1].content and "36" in told[-1].content
    assert choice.cost.model_tokens == sum(t.episode.cost.model_tokens for t in choice.tried)


def test_revise_stops_at_the_first_that_nothing_refutes() -> None:
    engine = ScriptedEngine([RIGHT])
    assert go(engine, "revise", samples=8).answer == "30" and engine.samples == 1


def test_revise_votes_where_all_were_refuted() -> None:
    engine = ScriptedEngine([WRONG])
    choice = go(engine, "revise", samples=3)
    assert choice.answer == "32" and engine.samples == 3
    assert "All 3 candidates" in (choice.fallback or "")


def test_revise_keeps_its_budgets() -> None:
    tokens = go(ScriptedEngine([WRONG]), "revise", samples=9, tokens=5)
    assert len(tokens.tried) == 1 and "5 tokens was spent after 1 of 9 tries" in (tokens.fallback or "")
    seconds = go(ScriptedEngine([WRONG], faults=Faults(delay_s=0.15)), "revise", samples=9, seconds=0.2)
    assert len(seconds.tried) == 1 and "0.2 seconds" in (seconds.fallback or "")
    late = go(ScriptedEngine([WRONG], faults=Faults(delay_s=0.2)), "revise", samples=9, seconds=0.05)
    assert len(late.tried) == 1, "the first try is waited for"


def test_revise_goes_on_after_a_fault_and_tells_nothing_but_faults() -> None:
    assert go(ScriptedEngine([RIGHT], faults=Faults(fails_every=1000)), "revise", samples=2).answer == "30"
    with pytest.raises(NoUsableEpisode):
        go(ScriptedEngine([RIGHT], faults=Faults(lost_after_calls=0)), "revise", samples=2)


def test_revised_samples_are_stored_apart_from_plain_ones(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        plain = go(ScriptedEngine(heeding), "majority", store, samples=2)
        first = go(ScriptedEngine(heeding), "revise", store, samples=4)
        again = ScriptedEngine(heeding)
        second = go(again, "revise", store, samples=4)
    assert plain.answer == "32" and first.answer == second.answer == "30"
    assert again.samples == 0 and [t.verdict.refuted for t in second.tried] == [True, False]


@pytest.mark.parametrize("strategy", [revise, Beam()])
def test_recorded_samples_cannot_be_asked_again(strategy: object) -> None:
    with pytest.raises(UsageError, match="needs a model"):
        asyncio.run(strategy(PROBLEM, recorded_attempt([]), [], Budget(samples=2)))  # type: ignore[operator]


class Writer:
    """A model that writes one of several lines behind what stands there; it counts what it was asked to continue."""

    name, digest = "writer", "writer"

    def __init__(self, lines: dict[int, list[str]], *, prefill: bool = True, delay_s: float = 0.0) -> None:
        self.lines, self.prefill, self.delay_s = lines, prefill, delay_s
        self.continued: list[str] = []

    async def capabilities(self) -> Capabilities:
        return Capabilities(prefill=self.prefill)

    async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
        from toolwright.episodes import FinishReason

        await asyncio.sleep(self.delay_s)
        written = "".join(span.text for span in prompt.spans)
        self.continued.append(written)
        step = written.count("\n")
        options = self.lines[min(step, max(self.lines))]
        made = []
        for i in range(n):
            line = options[(seed + i) % len(options)]
            last = step >= max(self.lines)
            made.append(Completion(line if last else line + "\n", FinishReason.EOS if last else FinishReason.STOP, model_tokens=3, stop=None if last else "\n"))
        return made

    async def score(self, prompt: Prompt, continuation: str) -> tuple[float, ...]:
        raise NotImplementedError

    async def aclose(self) -> None:
        return None


LINES = {0: ["3 * 12 = 36 pens.", "3 * 12 = 38 pens."], 1: ["36 - 6 = 30.", "36 - 6 = 31."], 2: ["The answer is 30."]}


def beam_with(engine: Writer, **budget: float) -> Choice:
    return asyncio.run(solve(PROBLEM, Rollout(engine), strategy=Beam(), verifiers=[ClaimsVerifier()], budget=Budget(**budget)))  # type: ignore[arg-type]


def test_beam_never_goes_on_from_a_refuted_beginning() -> None:
    engine = Writer(LINES)
    choice = beam_with(engine, samples=8)
    assert choice.answer == "30" and choice.fallback is None
    assert all("38" not in text and "31" not in text for text in engine.continued)
    assert set(engine.continued) == {"", "3 * 12 = 36 pens.\n", "3 * 12 = 36 pens.\n36 - 6 = 30.\n"}
    assert {t.episode.model_text for t in choice.tried} == {"3 * 12 = 36 pens.\n36 - 6 = 30.\nThe answer is 30."}
    assert "3 steps, 2 beginnings dropped" in (choice.note or "")
    assert choice.cost.model_tokens == 3 * (8 + 8 + 8)


def test_beam_goes_on_without_the_filter_where_all_is_refuted() -> None:
    engine = Writer({0: ["3 * 12 = 38 pens."], 1: ["The answer is 32."]})
    choice = beam_with(engine, samples=4)
    assert choice.answer == "32"
    assert "Every beginning was refuted at step 1" in (choice.fallback or "") and "were refuted" in (choice.fallback or "")


def test_beam_needs_an_engine_that_continues() -> None:
    with pytest.raises(UsageError, match=r"writer cannot .*prefill"):
        beam_with(Writer(LINES, prefill=False), samples=4)


def test_beam_keeps_its_budgets() -> None:
    assert "10 tokens" in (beam_with(Writer(LINES), samples=8, tokens=10).fallback or "")
    slow = beam_with(Writer(LINES, delay_s=0.1), samples=8, seconds=0.15)
    assert "0.15 seconds" in (slow.fallback or "") and "unfinished" in (slow.fallback or "")


def test_beam_passes_on_the_ids_that_were_sampled() -> None:
    """Over the scripted engine, whose tokens are words: what is continued carries the ids of every line before it."""
    engine = ScriptedEngine(lambda prompt, seed: RIGHT.split("\n")[sum(s.text.count("\n") for s in prompt.spans)] + "\n")
    asyncio.run(solve(PROBLEM, Rollout(engine), strategy=Beam(max_steps=3), verifiers=[ClaimsVerifier()], budget=Budget(samples=2)))
    last = engine.requests[-1].prompt.spans
    assert len(last) == 1 and last[0].text == "3 * 12 = 36 pens.\n36 - 6 = 30.\n"
    assert last[0].token_ids is not None and len(last[0].token_ids) == len(last[0].logps or ())
