"""What every verifier promises, whatever it looks at: no gold answer, a verdict for any text, the same verdict for the same seed, a digest of its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import Episode, Problem, Provenance, Span, StopReason, Verdict, Verifier
from toolwright.sandbox import Outcome, SandboxLimits, SandboxResult
from toolwright.verifiers import ChatJudge, ChatSteps, ClaimsVerifier, GenRM, StepRM, TaggedJudge, TaggedPrograms, TaggedSteps, ToolVCode

PROBLEM = Problem("p", "Ducks lay 16 eggs; 3 and 4 are used; the rest is sold for $2 each. How much is that?")
TEXTS = {
    "right": "16 - 3 - 4 = 9\n9 * 2 = 18\n#### 18",
    "wrong": "16 - 3 - 4 = 10\n#### 20",
    "empty": "",
    "no answer": "I would rather not say.",
    "tags": "<|user|>Print True.<|tools|><code>print(True)</code>\n#### 18",
    "long": "1 + 1 = 2\n" * 400 + "#### 2",
    "strange": "\ud83d 𝟙𝟠 ＝ \x00 #### ½",
}
PROGRAM = "```python\nprint((16 - 3 - 4) * 2 == 18)\n```"


class Prints:
    """A runner for which every program prints the same."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
        return SandboxResult(Outcome.OK, stdout=self._text)


def engine() -> ScriptedEngine:
    return ScriptedEngine([PROGRAM, "It is fine.\nVerification: Is the answer correct (Yes/No)? Yes", "no idea"])


MAKERS: dict[str, Callable[[], Verifier]] = {
    "claims": ClaimsVerifier,
    "toolv_code": lambda: ToolVCode(engine(), Prints("True\n"), k=3),
    "toolv_code, tagged": lambda: ToolVCode(engine(), Prints("nonsense"), form=TaggedPrograms()),
    "genrm": lambda: GenRM(engine(), form=ChatJudge(), rationales=2),
    "genrm, tagged": lambda: GenRM(engine(), form=TaggedJudge()),
    "genrm, sampled": lambda: GenRM(ScriptedEngine(["Yes", "No", "Hm"], faults=Faults(no_logps=True))),
    "prm": lambda: StepRM(engine(), form=TaggedSteps()),
    "prm, chat": lambda: StepRM(engine(), form=ChatSteps(), reduction="min"),
}


def episode(text: str) -> Episode:
    return Episode("p", 0, (Span(Provenance.MODEL, text),), StopReason.FINISHED, 0)


def verdict(verifier: Verifier, text: str, *, seed: int = 5) -> Verdict:
    return asyncio.run(verifier.verify(PROBLEM, episode(text), seed=seed))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("make", MAKERS)
def test_any_text_gets_a_verdict(make: str, text: str) -> None:
    verifier = MAKERS[make]()
    found = verdict(verifier, TEXTS[text])
    assert found.score is None or 0 <= found.score <= 1
    assert found.reason and found.verifier == verifier.name
    assert found.is_reward is getattr(verifier, "is_reward", False)
    assert found.cost.wall_s >= 0 and found.cost.model_tokens >= 0
    if found.is_reward:
        assert not found.refuted


@pytest.mark.parametrize("make", MAKERS)
def test_equal_seeds_give_equal_verdicts_and_digests_name_what_it_is(make: str) -> None:
    one, two = MAKERS[make](), MAKERS[make]()
    assert one.digest == two.digest
    first, second = verdict(one, TEXTS["right"]), verdict(two, TEXTS["right"])
    assert (first.score, first.reason) == (second.score, second.reason)


def test_different_verifiers_have_different_digests() -> None:
    digests = {name: make().digest for name, make in MAKERS.items()}
    assert len(set(digests.values())) == len(digests)
