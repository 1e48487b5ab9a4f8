"""Reward models: chances from log-probabilities, shares of sampled words, step scores, and a served one."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence

import httpx
import pytest

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import Episode, Problem, Prompt, Provenance, Span, StopReason, Verdict
from toolwright.errors import UsageError, VerifierFault
from toolwright.verifiers import ChatSteps, GenRM, ServedRM, StepRM, TaggedJudge, combine, reduce_steps, split_steps

PROBLEM = Problem("p", "Ducks lay 16 eggs; 3 and 4 are used; the rest is sold for $2 each. How much is that?", "18")
TEXT = "16-3=13\n13-4=9\n9*2=18\n#### 18"


def solved(text: str = TEXT) -> Episode:
    return Episode("p", 0, (Span(Provenance.MODEL, text),), StopReason.FINISHED, 0)


def run(verifier: object, episode: Episode | None = None) -> Verdict:
    return asyncio.run(verifier.verify(PROBLEM, episode or solved(), seed=3))  # type: ignore[attr-defined]


def said(prompt: Prompt) -> str:
    return "".join(span.text for span in prompt.spans)


def chances(**by_text: float):
    """Scores by which the first word has this chance where the prompt contains the text."""

    def scores(prompt: Prompt, continuation: str) -> Sequence[float]:
        chance = next(value for text, value in by_text.items() if text.replace("_", "") in said(prompt).replace("\n", ""))
        # Split over two tokens, and far from summing to one: only the ratio counts.
        return (-3.0, math.log(chance if continuation.strip() in ("Yes", "+") else 1 - chance))

    return scores


def test_the_tagged_judge_gives_the_chance_of_yes() -> None:
    engine = ScriptedEngine([""], scores=chances(judge=0.8))
    verdict = run(GenRM(engine, form=TaggedJudge()))
    assert verdict.score == pytest.approx(0.8)
    assert verdict.is_reward and not run(GenRM(ScriptedEngine([""], scores=chances(judge=0.1)), form=TaggedJudge())).refuted
    assert engine.samples == 0


def test_rationales_are_averaged() -> None:
    replies = ["First, it adds up.\nVerification: Is the answer correct (Yes/No)? Yes", "There is a slip.\nVerification: Is the answer correct (Yes/No)? No"]
    engine = ScriptedEngine(replies, in_order=True, scores=chances(adds=0.9, slip=0.2))
    verdict = run(GenRM(engine, rationales=4))
    assert verdict.score == pytest.approx(0.55)
    assert [e.meta["score"] for e in verdict.evidence] == pytest.approx([0.9, 0.2, 0.9, 0.2])
    assert verdict.cost.model_tokens > 0 and "There is a slip." in verdict.evidence[1].text


def test_without_log_probabilities_sampled_words_are_counted() -> None:
    replies = [
        "Verification: Is the answer correct (Yes/No)? Yes",
        "Yes, 9 * 2.\nVerification: Is the answer correct (Yes/No)? No.",
        "I cannot tell.",
    ]
    engine = ScriptedEngine(replies, in_order=True, faults=Faults(no_logps=True))
    verdict = run(GenRM(engine, samples=3))
    assert verdict.score == 0.5
    assert [e.meta["score"] for e in verdict.evidence] == [1.0, 0.0, None]
    silent = run(GenRM(ScriptedEngine(["Hm."], faults=Faults(no_logps=True)), samples=2))
    assert silent.score is None and "None of 2" in silent.reason


def test_servers_that_score_only_what_they_draw_are_sampled_too() -> None:
    def refuse(prompt: Prompt, continuation: str) -> Sequence[float]:
        raise UsageError("no log-probabilities of given text")

    verdict = run(GenRM(ScriptedEngine(["No."], scores=refuse), form=TaggedJudge(), samples=4))
    assert verdict.score == 0.0


def test_step_scores_and_their_reductions() -> None:
    # The steps before a mark decide it, and all marks before it are good ones.
    table = {"16-3=13\n+13-4=9\n+9*2=18\n+#### 18\n": 0.4, "16-3=13\n+13-4=9\n+9*2=18\n": 0.5, "16-3=13\n+13-4=9\n": 0.8, "16-3=13\n": 0.9}

    def scores(prompt: Prompt, continuation: str) -> Sequence[float]:
        chance = next(value for text, value in table.items() if said(prompt).endswith(f"<|judge|>{text}"))
        return (math.log(chance if continuation == "+" else 1 - chance),)

    found = {reduction: run(StepRM(ScriptedEngine([""], scores=scores), reduction=reduction)) for reduction in ("last", "min", "product")}  # type: ignore[arg-type]
    assert {name: pytest.approx(verdict.score) for name, verdict in found.items()} == {"last": 0.4, "min": 0.4, "product": 0.9 * 0.8 * 0.5 * 0.4}
    assert [e.meta["score"] for e in found["min"].evidence] == pytest.approx([0.9, 0.8, 0.5, 0.4])
    assert "step 4" in found["min"].reason and found["min"].is_reward


def test_marks_of_other_models_do_not_go_into_the_text() -> None:
    seen: list[str] = []

    def scores(prompt: Prompt, continuation: str) -> Sequence[float]:
        seen.append(said(prompt))
        return (-0.5,)

    assert run(StepRM(ScriptedEngine([""], scores=scores), form=ChatSteps())).score == 0.5
    assert seen[0].endswith("Step 1: 16-3=13 ки") and "+" not in seen[-1].replace("Step", "")


def test_no_solution_is_undecided() -> None:
    for verifier in (GenRM(ScriptedEngine(["Yes"]), form=TaggedJudge()), StepRM(ScriptedEngine([""]))):
        verdict = run(verifier, solved(""))
        assert verdict.score is None and verdict.is_reward


def test_a_reward_never_refutes_in_a_combination() -> None:
    reward = run(GenRM(ScriptedEngine([""], scores=chances(judge=0.01)), form=TaggedJudge()))
    assert not combine([reward, Verdict(1.0, "fine")]).refuted


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="rationales"):
        GenRM(ScriptedEngine([""]), rationales=0)
    with pytest.raises(UsageError, match="last, min, product"):
        StepRM(ScriptedEngine([""]), reduction="mean")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="address"):
        ServedRM("localhost:8000", model="m")
    with pytest.raises(UsageError):
        reduce_steps([], "min")


def served(answer: object, status: int = 200, **options: object) -> tuple[ServedRM, list[dict[str, object]]]:
    asked: list[dict[str, object]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append({"path": request.url.path, **json.loads(request.content)})
        return httpx.Response(status, json=answer)

    return ServedRM("http://rm.test:8000/v1", model="prm", transport=httpx.MockTransport(respond), **options), asked  # type: ignore[arg-type]


def test_a_served_prm_gives_step_scores() -> None:
    rows = [[0.1, 0.9], [0.3, 0.7], [0.8, 0.2], [0.5, 0.5]]
    verifier, asked = served({"data": [{"data": rows}], "usage": {"prompt_tokens": 40}}, reduction="min")
    verdict = run(verifier)
    assert verdict.score == pytest.approx(0.2) and verdict.is_reward and verdict.cost.prompt_tokens == 40
    assert asked[0]["path"] == "/pooling" and asked[0]["model"] == "prm"
    messages = asked[0]["messages"]
    assert [m["role"] for m in messages] == ["system", "user", "assistant"]  # type: ignore[union-attr]
    assert messages[2]["content"] == "16-3=13<extra_0>13-4=9<extra_0>9*2=18<extra_0>#### 18<extra_0>"  # type: ignore[index]


def test_a_served_outcome_model_gives_one_score_and_logits_become_chances() -> None:
    verifier, asked = served({"data": [{"data": [2.0]}]}, step_tag="", system="")
    assert run(verifier).score == pytest.approx(1 / (1 + math.exp(-2)))
    assert asked[0]["messages"] == [{"role": "user", "content": PROBLEM.question}, {"role": "assistant", "content": TEXT}]


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        ({"error": "no such model"}, 404, "404"),
        ({"data": []}, 200, "no known form"),
        ({"data": [{"data": [[0.1], [0.2]]}]}, 200, "2 scores for 4 steps"),
    ],
)
def test_a_broken_reward_server_is_a_fault(answer: object, status: int, told: str) -> None:
    with pytest.raises(VerifierFault, match=told):
        run(served(answer, status)[0])


@pytest.mark.parametrize(
    ("text", "count"),
    [(TEXT, 4), ("First we add.\n16-3=13\n\nThen we halve.\n13/2", 2), ("Step 1: add\n16-3=13\nStep 2: halve\nStep 3: done", 3), ("All at once.", 1), ("", 0)],
)
def test_solutions_are_split_into_steps(text: str, count: int) -> None:
    steps = split_steps(text)
    assert len(steps) == count and all(step.strip() for step in steps)
