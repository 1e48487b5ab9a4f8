"""What each strategy picks, and what it does where there is nothing good to pick from."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest

from toolwright.episodes import Attempt, Budget, Choice, Cost, Episode, Problem, Provenance, Span, StopReason, Verdict, Verifier
from toolwright.errors import EngineFault, NoUsableEpisode, UsageError, VerifierFault
from toolwright.scaling import RecordedVerifier, best_of_n, find_strategy, greedy, majority, recorded_attempt, strategy_names, t1

PROBLEM = Problem("p", "How much?", "18")
ALL = (greedy, majority, best_of_n, t1)


def sample(index: int, answer: str | None, logp: float | None = None, **changes: object) -> Episode:
    text = f"I do not know, sorry{'!' * index}" if answer is None else f"Sample {index}.\nThe answer is {answer}."
    span = Span(Provenance.MODEL, text, (1, 2), (logp, logp)) if logp is not None else Span(Provenance.MODEL, text)
    made = {"problem_id": "p", "index": index, "spans": (span,), "stop": StopReason.FINISHED, "seed": index, "cost": Cost(10, 5, 1, 0.5)}
    return Episode(**{**made, **changes})  # type: ignore[arg-type]


def fault(index: int) -> Episode:
    return sample(index, "18", spans=(), stop=StopReason.FAULT, fault="engine: lost")


def refuting(*indices: int) -> RecordedVerifier:
    return RecordedVerifier("check", {("p", i): Verdict(0.0 if i in indices else 1.0, "said so", "check", cost=Cost(1, 1, 1, 1.0)) for i in range(64)})


def run(strategy: object, episodes: Sequence[Episode], verifiers: Sequence[Verifier] = (), budget: Budget | None = None, problem: Problem = PROBLEM) -> Choice:
    return asyncio.run(strategy(problem, recorded_attempt(episodes), verifiers, budget or Budget(samples=len(episodes)), seed=5))  # type: ignore[operator]


def test_majority_counts_values_not_strings() -> None:
    choice = run(majority, [sample(0, "17"), sample(1, "18"), sample(2, "18.0"), sample(3, "17.5")])
    assert choice.answer == "18"
    assert [tried.cluster for tried in choice.tried] == [0, 1, 1, 2]
    assert choice.strategy == "majority" and choice.seed == 5


def test_a_tie_goes_to_the_answer_drawn_first() -> None:
    assert run(majority, [sample(0, "5"), sample(1, "6"), sample(2, "6"), sample(3, "5")]).answer == "5"
    assert run(t1, [sample(0, "6"), sample(1, "5"), sample(2, "5"), sample(3, "6")]).answer == "6"


def test_letters_vote_as_letters() -> None:
    problem = Problem("p", "Which?", "B", ("two", "four"))
    assert run(majority, [sample(0, "A"), sample(1, "B"), sample(2, "(B)")], problem=problem).answer == "B"


def test_greedy_takes_one_sample_at_temperature_0() -> None:
    choice = run(greedy, [sample(0, "1"), sample(1, "2")])
    assert choice.answer == "1" and len(choice.tried) == 1
    assert greedy.temperature == 0.0


def test_best_of_n_takes_the_most_probable() -> None:
    choice = run(best_of_n, [sample(0, "17", -1.0), sample(1, "18", -0.1), sample(2, "17", -0.5)])
    assert choice.answer == "18"
    assert choice.tried[1].reward == pytest.approx(math.exp(-0.1))
    assert choice.fallback is None


def test_best_of_n_without_logps_votes_and_says_so() -> None:
    choice = run(best_of_n, [sample(0, "17", -1.0), sample(1, "18"), sample(2, "18")])
    assert choice.answer == "18"
    assert "log-probabilities" in (choice.fallback or "")


def test_best_of_n_never_takes_a_candidate_without_an_answer() -> None:
    assert run(best_of_n, [sample(0, None, -0.01), sample(1, "18", -3.0)]).answer == "18"


def test_t1_filters_what_is_refuted() -> None:
    episodes = [sample(0, "17"), sample(1, "17"), sample(2, "18")]
    assert run(majority, episodes).answer == "17"
    choice = run(t1, episodes, [refuting(0, 1)])
    assert choice.answer == "18" and choice.fallback is None
    assert [tried.reward for tried in choice.tried] == [0.0, 0.0, 1.0]
    assert choice.tried[0].verdict.refuted and not choice.tried[2].verdict.refuted


def test_t1_weighs_votes_with_probability() -> None:
    choice = run(t1, [sample(0, "17", -2.0), sample(1, "17", -2.0), sample(2, "18", -0.1)], [refuting()])
    assert choice.answer == "18"
    assert run(t1, [sample(0, "17", -0.2), sample(1, "17", -0.2), sample(2, "18", -0.1)], [refuting()]).answer == "17"


def test_t1_uses_no_probability_unless_all_have_one() -> None:
    assert run(t1, [sample(0, "17", -9.0), sample(1, "17", -9.0), sample(2, "18")], [refuting()]).answer == "17"


def test_undecided_never_drops() -> None:
    undecided = RecordedVerifier("check", {("p", i): Verdict(None, "who knows", "check") for i in range(3)})
    assert run(t1, [sample(0, "17"), sample(1, "17"), sample(2, "18")], [undecided]).answer == "17"


def test_t1_drops_the_filter_when_all_are_refuted_and_says_so() -> None:
    choice = run(t1, [sample(0, "17"), sample(1, "18"), sample(2, "18"), sample(3, None)], [refuting(0, 1, 2)])
    assert choice.answer == "18"
    assert (choice.fallback or "").startswith("All 3 candidates")
    assert [tried.reward for tried in choice.tried] == [1.0, 1.0, 1.0, 0.0]
    assert "The one candidate" in (run(t1, [sample(0, "17")], [refuting(0)]).fallback or "")


def test_any_of_several_verifiers_refutes_and_later_ones_are_not_asked() -> None:
    class Second:
        name, digest = "second", "d"
        asked = 0

        async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
            self.asked += 1
            return Verdict(1.0, "fine", "second")

    second = Second()
    choice = run(t1, [sample(0, "17"), sample(1, "18")], [refuting(0), second])
    assert choice.answer == "18"
    assert second.asked == 1


def test_a_verifier_that_cannot_run_is_undecided() -> None:
    class Broken:
        name, digest = "broken", "d"

        async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
            raise VerifierFault("no disk")

    choice = run(t1, [sample(0, "18")], [Broken()])
    assert choice.answer == "18"
    assert choice.tried[0].verdict.score is None and "no disk" in choice.tried[0].verdict.reason


@pytest.mark.parametrize("strategy", ALL, ids=lambda s: s.name)
def test_one_sample(strategy: object) -> None:
    assert run(strategy, [sample(0, "18", -1.0)], [refuting()]).answer == "18"


@pytest.mark.parametrize("strategy", ALL, ids=lambda s: s.name)
@pytest.mark.parametrize("logp", [None, -1.0])
def test_no_answers_at_all(strategy: object, logp: float | None) -> None:
    choice = run(strategy, [sample(0, None, logp), sample(1, None, logp)], [refuting()])
    assert choice.answer is None
    assert choice.fallback
    assert all(tried.cluster is None for tried in choice.tried)


@pytest.mark.parametrize("strategy", [majority, best_of_n, t1], ids=lambda s: s.name)
@pytest.mark.parametrize("logp", [None, -1.0])
def test_empty_texts_and_refusals_do_not_vote(strategy: object, logp: float | None) -> None:
    empty = [sample(i, None, spans=(Span(Provenance.MODEL, text),)) for i, text in enumerate(["", "   ", "I'm sorry, but I can't help with that."])]
    assert run(strategy, [*empty, sample(3, "18", logp)], [refuting()]).answer == "18"


@pytest.mark.parametrize("strategy", [majority, best_of_n, t1], ids=lambda s: s.name)
def test_faults_are_kept_but_have_no_say(strategy: object) -> None:
    choice = run(strategy, [fault(0), sample(1, "18", -1.0), fault(2)], [refuting()])
    assert choice.answer == "18"
    assert len(choice.tried) == 3
    assert choice.tried[0].answer is None and choice.tried[0].reward == 0.0 and "lost" in choice.tried[0].verdict.reason


@pytest.mark.parametrize("strategy", ALL, ids=lambda s: s.name)
def test_nothing_but_faults_is_no_choice(strategy: object) -> None:
    with pytest.raises(NoUsableEpisode, match="engine: lost"):
        run(strategy, [fault(0), fault(1)], [refuting()])


def test_an_attempt_that_raises_is_a_fault_of_that_one() -> None:
    good = recorded_attempt([sample(1, "18")])

    async def attempt(index: int) -> Episode:
        if index == 0:
            raise EngineFault("gone")
        return await good(index)

    choice = asyncio.run(majority(PROBLEM, attempt, (), Budget(samples=2)))
    assert choice.answer == "18" and choice.tried[0].episode.fault == "engine: gone"


@pytest.mark.parametrize("budget", [Budget(samples=0), Budget(samples=-3), Budget(tokens=0), Budget(seconds=0), Budget(cost_usd=1.0)])
def test_impossible_budgets_are_refused(budget: Budget) -> None:
    with pytest.raises(UsageError):
        run(majority, [sample(0, "18")], budget=budget)


def test_costs_add_up_and_equal_texts_are_judged_once() -> None:
    twin = sample(1, "18", spans=sample(0, "18").spans)
    episodes = [sample(0, "18"), twin, sample(2, "18")]
    asked: list[int] = []

    class Counting:
        name, digest = "count", "d"

        async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
            asked.append(episode.index)
            return Verdict(1.0, "fine", "count", cost=Cost(100, 1, 1, 0.0))

    choice = run(t1, episodes, [Counting()])
    assert len(asked) == 2
    assert (choice.cost.prompt_tokens, choice.cost.model_tokens, choice.cost.tool_calls) == (30 + 200, 15 + 2, 3 + 2)
    assert run(majority, episodes, [Counting()]).cost.prompt_tokens == 30
    assert len(asked) == 2, "majority asks no verifier"


def test_the_same_code_chooses_among_recorded_candidates() -> None:
    episodes = [sample(0, "17", -0.3), sample(1, "17", -0.2), sample(2, "18", -0.4), fault(3)]
    live = run(t1, episodes, [refuting(0, 1)])
    from toolwright.scaling import Candidate, clustered

    candidates = clustered(PROBLEM, [Candidate(t.episode, t.answer, t.verdict, None, t.episode.mean_logp, str(t.episode.index)) for t in live.tried])
    again = t1.choose(PROBLEM, candidates, seed=5)
    assert (again.answer, again.tried, again.fallback) == (live.answer, live.tried, live.fallback)


def test_names() -> None:
    assert strategy_names()[:3] == ("greedy", "majority", "best_of_n")
    assert {"weighted", "filtered", "t1", "t1_argmax", "two_stage", "adaptive", "adaptive_beta", "revise", "beam"} <= set(strategy_names())
    for name in strategy_names():
        found = find_strategy(name)
        assert found.name == name and found.about.endswith(".")
    assert find_strategy("t1") is t1
    with pytest.raises(UsageError, match=r"'tl'.*greedy, majority, best_of_n"):
        find_strategy("tl")


def test_asking_for_more_than_was_recorded_is_refused() -> None:
    with pytest.raises(UsageError, match="was not recorded"):
        run(majority, [sample(0, "18")], budget=Budget(samples=2))


class Slow:
    """Attempts that take a while, and count what became of them."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self.seconds, self.cancelled, self.finished = seconds, 0, 0

    def __call__(self, index: int) -> object:
        return self._attempt(index)

    async def _attempt(self, index: int) -> Episode:
        try:
            await asyncio.sleep(self.seconds[index])
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.finished += 1
        return sample(index, "18")


def go(strategy: object, attempt: object, budget: Budget, verifiers: Sequence[Verifier] = ()) -> Choice:
    taken: Attempt = attempt  # type: ignore[assignment]
    return asyncio.run(strategy(PROBLEM, taken, verifiers, budget))  # type: ignore[operator]


def test_attempts_run_at_once() -> None:
    choice = go(majority, Slow([0.2] * 16), Budget(samples=16))
    assert choice.cost.wall_s < 1.0


def test_time_runs_out_and_the_rest_is_cancelled() -> None:
    slow = Slow([0.0, 0.0, 60.0, 60.0])
    choice = go(majority, slow, Budget(samples=4, seconds=0.2))
    assert choice.answer == "18" and len(choice.tried) == 2
    assert "0.2 seconds" in (choice.fallback or "") and "2 of 4" in (choice.fallback or "")
    assert slow.cancelled == 2


def test_the_first_sample_is_waited_for_whatever_the_time() -> None:
    choice = go(majority, Slow([0.2, 60.0]), Budget(samples=2, seconds=0.01))
    assert choice.answer == "18" and len(choice.tried) == 1


def test_tokens_run_out() -> None:
    slow = Slow([0.0, 0.05, 0.1, 60.0])
    choice = go(majority, slow, Budget(samples=4, tokens=15))
    assert len(choice.tried) == 3
    assert "15 tokens" in (choice.fallback or "")


def test_judging_starts_as_soon_as_a_candidate_is_there() -> None:
    slow = Slow([0.0, 0.3])
    finished_when_asked: list[int] = []

    class Watching:
        name, digest = "watch", "d"

        async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
            finished_when_asked.append(slow.finished)
            return Verdict(1.0, "fine", "watch")

    go(t1, slow, Budget(samples=2), [Watching()])
    assert finished_when_asked == [1, 2]


def test_judging_cut_off_is_undecided() -> None:
    class Endless:
        name, digest = "endless", "d"

        async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
            await asyncio.sleep(60)
            raise AssertionError

    choice = go(t1, Slow([0.0]), Budget(samples=1, seconds=0.1), [Endless()])
    assert choice.answer == "18"
    assert choice.tried[0].verdict.score is None


def test_cancelling_a_strategy_cancels_its_attempts() -> None:
    slow = Slow([60.0] * 3)

    async def interrupted() -> None:
        task = asyncio.ensure_future(majority(PROBLEM, slow, (), Budget(samples=3)))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert slow.cancelled == 3
