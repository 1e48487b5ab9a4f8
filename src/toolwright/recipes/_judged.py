"""Pools for experiments: the same candidates judged by every verifier apart, so that any set of verifiers can be put together afterwards without a model.

`evaluation` asks verifiers one after the other until one refutes, as a user would; an experiment wants to know what each of them says of everything, and then
what every combination would have chosen. Samples and verdicts lie in the run store: what was drawn is never drawn again. Leaves out what is compared.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from toolwright.checks import grade
from toolwright.episodes import Choice, Cost, Episode, Problem, RunStore, Span, Verdict, Verifier, derive_seed
from toolwright.errors import NoUsableEpisode
from toolwright.evaluation import crossed_bootstrap, mean_interval, paired_bootstrap
from toolwright.rollouts import Rollout
from toolwright.scaling import Candidate, StoredVerifier, as_candidate, at_temperature, clustered, judge_each, stored_attempt, with_verdicts

SUBSETS = 8
"""Random subsets that a problem's mean is over, for fewer samples than were drawn."""


@dataclass(slots=True)
class JudgedPool:
    """One problem's samples, with what each verifier says of each text."""

    problem: Problem
    candidates: list[Candidate]
    """Clustered, in draw order, not yet judged."""
    greedy: Candidate | None = None
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    """By the verifier's name here, then by the text's key."""
    _grades: dict[str, bool | None] = field(default_factory=dict)
    _seen: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Candidate]] = field(default_factory=dict)

    def right(self, answer: str | None) -> bool | None:
        """Whether an answer is right; None could not be decided."""
        if answer is None or self.problem.gold is None:
            return False if self.problem.gold is not None else None
        if answer not in self._grades:
            self._grades[answer] = grade(answer, self.problem.gold, choices=self.problem.choices)
        return self._grades[answer]

    def verdict(self, name: str, candidate: Candidate) -> Verdict | None:
        """What a verifier says of a candidate; None where it was not asked."""
        return self.verdicts.get(name, {}).get(candidate.text_key)

    def seen_by(self, filters: tuple[str, ...], rewards: tuple[str, ...]) -> list[Candidate]:
        """The candidates as a strategy with these verifiers sees them: filters in their order until one refutes, then the rewards."""
        if (filters, rewards) not in self._seen:
            known: dict[str, list[Verdict]] = {}
            for candidate in self.candidates:
                if candidate.usable and candidate.text_key not in known:
                    known[candidate.text_key] = self._found(candidate, filters, rewards)
            self._seen[filters, rewards] = [with_verdicts(c, known[c.text_key]) if c.usable else c for c in self.candidates]
        return self._seen[filters, rewards]

    def _found(self, candidate: Candidate, filters: Sequence[str], rewards: Sequence[str]) -> list[Verdict]:
        found: list[Verdict] = []
        for name in filters:
            if (verdict := self.verdict(name, candidate)) is not None:
                found.append(verdict)
                if verdict.refuted:
                    break
        for name in rewards:
            if (verdict := self.verdict(name, candidate)) is not None:
                found.append(replace(verdict, is_reward=True, cost=_reading(verdict.cost, candidate.episode)))
        return found


def _reading(cost: Cost, episode: Episode) -> Cost:
    """The cost of a score: where the verifier wrote nothing, it still read question and solution once."""
    return cost if cost.prompt_tokens else replace(cost, prompt_tokens=episode.cost.prompt_tokens + episode.cost.model_tokens)


async def judged_pools(
    problems: Sequence[Problem],
    rollout: Rollout,
    verifiers: Mapping[str, Verifier],
    store: RunStore,
    *,
    n: int,
    greedy: bool = True,
    run_seed: int = 0,
    in_flight: int = 128,
) -> list[JudgedPool]:
    """The pool of each problem: n samples (and a greedy one), every distinct text judged by every verifier. Gold answers stay here.

    An episode or a judgement that ended in a fault is undecided and not stored, so that another run tries it again.
    """
    gate = asyncio.Semaphore(in_flight)
    cold = at_temperature(rollout, 0.0)

    async def draw(problem: Problem, index: int | None) -> Episode:
        async with gate:
            return await stored_attempt(cold if index is None else rollout, problem.asked(), store, run_seed=run_seed)(index or 0)

    async def judge(problem: Problem, name: str, episode: Episode) -> tuple[str, Verdict]:
        async with gate:
            stored = StoredVerifier(verifiers[name], store, rollout, run_seed=run_seed)
            (verdict,) = await judge_each(problem.asked(), episode, [stored], seed=run_seed)
            return name, verdict

    async def one(problem: Problem) -> JudgedPool:
        drawn = await asyncio.gather(*(draw(problem, index) for index in ([None] if greedy else []) + [*range(n)]))
        first = as_candidate(problem, drawn[0]) if greedy else None
        candidates = clustered(problem, [as_candidate(problem, episode) for episode in (drawn[1:] if greedy else drawn)])
        texts = {c.text_key: c.episode for c in reversed(candidates) if c.usable}
        asked = [(key, judge(problem, name, episode)) for key, episode in texts.items() for name in verifiers]
        verdicts: dict[str, dict[str, Verdict]] = {name: {} for name in verifiers}
        for (key, _), (name, verdict) in zip(asked, await asyncio.gather(*(work for _, work in asked)), strict=True):
            verdicts[name][key] = verdict
        return JudgedPool(problem, [_slim(c) for c in candidates], None if first is None else _slim(first), verdicts)

    return list(await asyncio.gather(*map(one, problems)))


def _slim(candidate: Candidate) -> Candidate:
    """The candidate without token ids and log-probabilities, whose mean it keeps: a thousand pools must fit in memory."""
    spans = tuple(Span(span.provenance, span.text) for span in candidate.episode.spans)
    return replace(candidate, episode=replace(candidate.episode, spans=spans))


class Chooser(Protocol):
    """A strategy that chooses among candidates that are there already."""

    @property
    def name(self) -> str:
        """As results name it."""

    def choose(self, problem: Problem, candidates: list[Candidate], *, seed: int = 0, keep_tried: bool = True) -> Choice:
        """The choice among clustered candidates in draw order."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to choose: a strategy with the verifiers it is given."""

    name: str
    strategy: Chooser
    filters: tuple[str, ...] = ()
    rewards: tuple[str, ...] = ()

    def see(self, pool: JudgedPool) -> list[Candidate]:
        """The pool's candidates as this arm sees them."""
        return pool.seen_by(self.filters, self.rewards)


@dataclass(frozen=True, slots=True)
class Column:
    """What an arm came to, problem by problem."""

    name: str
    n: int
    values: tuple[float, ...]
    """(P,) expected accuracy of each problem; NaN where nothing could be judged."""
    cost: Mapping[str, float] = field(default_factory=dict)
    """Mean per problem."""
    by_seed: tuple[tuple[float, ...], ...] = ()
    """(S, P) the values with the roles of each training seed, of which `values` is the mean; empty where there is one."""

    def row(self, **where: object) -> dict[str, object]:
        """As a table holds it: the mean with its 95 % bootstrap interval over problems, and over training seeds where there are several."""
        judged = [v for v in self.values if not math.isnan(v)]
        mean, low, high = (None, None, None) if not judged else crossed_bootstrap(self.by_seed) if self.by_seed else mean_interval(judged)
        cost = {name: round(self.cost[name], 1) for name in ("prompt_tokens", "model_tokens", "tool_calls") if name in self.cost}
        return {**where, "arm": self.name, "n": self.n, "accuracy": mean, "low": low, "high": high, "problems": len(judged), **cost}


def over_seeds(columns: Sequence[Column]) -> Column:
    """One column of the same arm with the roles of several training seeds; a single one as it is."""
    if len(columns) == 1:
        return columns[0]
    by_seed = tuple(each.values for each in columns)
    cost = {name: math.fsum(each.cost[name] for each in columns) / len(columns) for name in columns[0].cost}
    return Column(columns[0].name, columns[0].n, tuple(math.fsum(values) / len(columns) for values in zip(*by_seed, strict=True)), cost, by_seed)


def difference(a: Column, b: Column) -> dict[str, Any]:
    """How much more accurate a is than b: paired bootstrap over problems; over training seeds too, where either has several (paired where both have)."""
    told = {"a": a.name, "a_n": a.n, "b": b.name, "b_n": b.n}
    seeds = max(len(a.by_seed), len(b.by_seed), 1)
    gaps = [
        tuple(x - y for x, y in zip(first, second, strict=True))
        for first, second in zip(a.by_seed or (a.values,) * seeds, b.by_seed or (b.values,) * seeds, strict=True)
    ]
    problems = sum(not any(map(math.isnan, each)) for each in zip(*gaps, strict=True))
    if not problems:
        return {**told, "difference": None, "gap_low": None, "gap_high": None, "problems": 0}
    seed = derive_seed("difference") % 2**32
    found = crossed_bootstrap(gaps, seed=seed) if seeds > 1 else paired_bootstrap(gaps[0], [0.0] * len(gaps[0]), seed=seed)
    return {**told, "difference": found[0], "gap_low": found[1], "gap_high": found[2], "problems": problems}


def column(pools: Sequence[JudgedPool], arm: Arm, n: int, *, subsets: int = SUBSETS, run_seed: int = 0) -> Column:
    """The arm's expected accuracy with n samples; for n below what was drawn over random subsets, the same for every arm."""
    values, costs = [], []
    for pool in pools:
        graded, paid = _expected(pool, arm, n, subsets, run_seed)
        judged = [g for g in graded if g is not None]
        values.append(sum(judged) / len(judged) if judged else math.nan)
        costs.append(paid)
    return Column(arm.name, n, tuple(values), mean_cost(costs))


def _expected(pool: JudgedPool, arm: Arm, n: int, subsets: int, run_seed: int) -> tuple[list[bool | None], Cost]:
    candidates = arm.see(pool)
    if n >= len(candidates):
        chosen = [candidates]
    else:
        rng = random.Random(derive_seed(run_seed, "subsets", pool.problem.id, n))
        chosen = [[candidates[i] for i in sorted(rng.sample(range(len(candidates)), n))] for _ in range(subsets)]
    graded: list[bool | None] = []
    paid: list[Cost] = []
    for subset in chosen:
        try:
            choice = arm.strategy.choose(pool.problem, subset, seed=run_seed, keep_tried=False)
        except NoUsableEpisode:
            continue
        graded.append(pool.right(choice.answer))
        paid.append(choice.cost)
    total = sum(paid, Cost())
    count = max(1, len(paid))
    return graded, Cost(round(total.prompt_tokens / count), round(total.model_tokens / count), round(total.tool_calls / count), total.wall_s / count)


def greedy_column(pools: Sequence[JudgedPool], name: str = "greedy") -> Column:
    """One sample at temperature 0."""
    values = [math.nan if pool.greedy is None or not pool.greedy.usable else _as_value(pool.right(pool.greedy.answer)) for pool in pools]
    return Column(name, 1, tuple(values), mean_cost([pool.greedy.episode.cost for pool in pools if pool.greedy is not None]))


def oracle_column(pools: Sequence[JudgedPool], n: int) -> Column:
    """pass@n: whether any of n samples is right, in expectation."""
    values = []
    for pool in pools:
        grades = [g for g in (pool.right(c.answer) for c in pool.candidates if c.usable) if g is not None]
        right, k = sum(grades), min(n, len(grades))
        values.append(1 - math.comb(len(grades) - right, k) / math.comb(len(grades), k) if grades else math.nan)
    return Column("pass@n", n, tuple(values))


def mean_cost(costs: Sequence[Cost]) -> dict[str, float]:
    """The mean of each part of the costs."""
    return {name: math.fsum(getattr(cost, name) for cost in costs) / max(1, len(costs)) for name in asdict(Cost())}


def _as_value(right: bool | None) -> float:
    return math.nan if right is None else float(right)
