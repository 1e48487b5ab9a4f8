"""Calibration on the user's own problems: where the model errs, how much tools can gain at most, which filters help, and which are to be switched off.

With gold answers everything is measured. Without, the answer that most samples of a problem agree on stands in for the gold one (problems without such an
answer are left out, and the report says what it stands on): then rates are about agreement, nothing is said of errors, and a filter is only switched off where
it refutes the agreed answer at least as often as the others. Nothing is trained or tuned here.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from toolwright.checks import extract_answer, find_claims, grade
from toolwright.episodes import Episode, Problem, RunStore, StopReason, Verdict, Verifier, digest, write_text
from toolwright.errors import EpisodeFault, UsageError
from toolwright.evaluation import paired_bootstrap, pass_at_n
from toolwright.recipes._quality import Quality, Rate, quality, rate
from toolwright.rollouts import Rollout
from toolwright.scaling import StoredVerifier, as_candidate, clustered, is_reward, stored_attempt

SCHEMA = 1
IN_FLIGHT = 64
AGREED = 0.5
"""The share of a problem's samples that must agree for their answer to stand in for the gold one."""
Fault = Literal["arithmetic", "plan", "format", "fact"]
FAULTS: tuple[Fault, ...] = ("arithmetic", "plan", "format", "fact")
_REPAIRS = 40


@dataclass(frozen=True, slots=True)
class Difference:
    """How much accuracy changes, with a 95 % paired bootstrap over problems."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FilterAdvice:
    """What one verifier does here, and whether to use it."""

    quality: Quality
    is_reward: bool
    benefit: Difference | None
    """Of the majority among what it leaves, over the plain majority; for a reward, of the weighted vote. None without gold answers."""
    keep: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a calibration found."""

    model: str
    task: str
    stands_on: Literal["gold", "agreement"]
    problems: int
    samples: int
    accuracy: Rate
    """Of single samples; by agreement, where there is no gold."""
    majority: Rate
    oracle: Rate
    """Problems with at least one right sample: what a perfect choice among these samples would reach."""
    errors: dict[str, Rate]
    """Shares of the wrong samples by source, only with gold answers."""
    gains: dict[str, Difference]
    """The most that tools can bring: `choice` (a perfect verifier over the majority), `calculator` (all false arithmetic put right, in single samples)."""
    filters: tuple[FilterAdvice, ...] = ()
    switch_off: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """The calibration as JSON holds it."""
        return asdict(self)

    def table(self) -> str:
        """The calibration as lines of text for a terminal."""
        told = [
            f"{self.task}: {self.problems} problems × {self.samples} samples, {self.model} (right and wrong by {self.stands_on})",
            f"{'single sample':<26}{_shown(self.accuracy)}",
            f"{'majority':<26}{_shown(self.majority)}",
            f"{'any sample (oracle)':<26}{_shown(self.oracle)}",
        ]
        told += [f"{'wrong by ' + name:<26}{_shown(share)}" for name, share in self.errors.items()]
        told += [f"{'most to gain: ' + name:<26}{_points(gain)}" for name, gain in self.gains.items()]
        for advice in self.filters:
            measured, off = advice.quality, "" if advice.keep else " Switched off."
            auc = "–" if measured.auc is None else f"{measured.auc:.3f}"
            rates = f"AUC {auc}." if advice.is_reward else f"keeps {_shown(measured.q)} of right (q), refutes {_shown(measured.p)} of wrong (p)."
            told.append(f"{'reward' if advice.is_reward else 'filter'} {measured.verifier}: {rates} {advice.reason}{off}")
        return "\n".join([*told, *self.notes])


@dataclass(slots=True)
class _Pool:
    """One problem's samples, with what each verifier says of each."""

    problem: Problem
    episodes: list[Episode]
    verdicts: list[dict[str, Verdict]]
    right: list[bool] = field(default_factory=list)
    clusters: list[int | None] = field(default_factory=list)


async def calibrate(
    task: str,
    problems: Sequence[Problem],
    rollout: Rollout,
    verifiers: Sequence[Verifier],
    *,
    n: int = 8,
    store: RunStore | None = None,
    run_seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> Calibration:
    """What the model and its verifiers do on these problems. All verifiers judge all samples, whatever others said.

    Raises: UsageError for no problem or n < 2; EngineFault where the backend is lost.
    """
    if not problems:
        raise UsageError("there are no problems to calibrate on; give 50 to 200 of your own")
    if n < 2:
        raise UsageError(f"n = {n} samples show no agreement; give 2 or more")
    with_gold = all(problem.gold is not None for problem in problems)
    if not with_gold:
        problems = [replace(problem, gold=None) for problem in problems]
    pools = await _pools(problems, rollout, verifiers, n, store, run_seed, report)
    notes = [f"{len(problems)} problems are few: all intervals are wide, and 50 to 200 are better."] if len(problems) < 50 else []
    judged = _judged(pools, with_gold)
    if not with_gold:
        left_out = len(pools) - len(judged)
        notes.append(f"No gold answers: agreement of at least {100 * AGREED:.0f} % of a problem's samples stands in, which {left_out} problems lack.")
    if not judged:
        raise UsageError("no problem has samples that can be judged; give gold answers, or more samples per problem")
    return _concluded(task, rollout, verifiers, judged, with_gold, n, notes, run_seed)


def save(calibration: Calibration, path: Path) -> None:
    """Write the calibration where ``--calibration`` finds it."""
    write_text(path, json.dumps(calibration.to_json(), indent=1, ensure_ascii=False) + "\n")


def switched_off(path: Path) -> frozenset[str]:
    """The names of the verifiers that a stored calibration switches off. Raises: UsageError for a file that is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no calibration ({error}); make one with: toolwright calibrate") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not isinstance(data.get("switch_off"), list):
        raise UsageError(f"{path} is no calibration of this version; make one with: toolwright calibrate")
    return frozenset(str(name) for name in data["switch_off"])


def source_of(problem: Problem, episode: Episode) -> Fault:
    """Why a wrong sample is wrong.

    *format*: no answer, or cut off. *arithmetic*: with its false statements put right, and what follows from them, its answer is right. *fact*: no arithmetic
    in it, and no number for an answer. *plan*: all else, false arithmetic on top of a wrong plan included.
    """
    if episode.stop is not StopReason.FINISHED or extract_answer(episode.model_text, choices=problem.choices) is None:
        return "format"
    repaired, changed = repair(episode.model_text)
    if changed and problem.gold is not None and _is_right(problem, repaired):
        return "arithmetic"
    if not find_claims(episode.model_text) and not (problem.gold or "").strip("$ ").replace(",", "").replace(".", "", 1).isdigit():
        return "fact"
    return "plan"


def repair(text: str) -> tuple[str, int]:
    """(the text with false arithmetic statements put right one after the other, how many). A wrong result that is used later is replaced there too."""
    count = 0
    for _ in range(_REPAIRS):
        false = next((c for c in find_claims(text) if c.verdict is False and c.expected is not None), None)
        if false is None:
            break
        stated = false.text.rpartition("=")[2].strip().strip("$€£ .") if "=" in false.text else ""
        if not stated or stated not in text[false.start : false.end]:
            break
        at = text.rindex(stated, false.start, false.end)
        tail = _replaced(text[at + len(stated) :], stated, str(false.expected))
        text = text[:at] + str(false.expected) + tail
        count += 1
    return text, count


def _replaced(text: str, number: str, other: str) -> str:
    """The text with a number replaced wherever it stands alone."""
    return re.sub(rf"(?<![\d.,]){re.escape(number)}(?![\d]|[.,]\d)", other, text)


async def _pools(
    problems: Sequence[Problem],
    rollout: Rollout,
    verifiers: Sequence[Verifier],
    n: int,
    store: RunStore | None,
    run_seed: int,
    report: Callable[[str], None],
) -> list[_Pool]:
    gate, done = asyncio.Semaphore(IN_FLIGHT), 0
    asked = verifiers if store is None else [StoredVerifier(v, store, rollout, run_seed=run_seed) for v in verifiers]

    async def one(problem: Problem, index: int) -> tuple[Episode, dict[str, Verdict]]:
        nonlocal done
        async with gate:
            episode = await stored_attempt(rollout, problem.asked(), store, run_seed=run_seed)(index)
            found = {}
            for verifier in asked:
                found[verifier.name] = await _verdict(verifier, problem.asked(), episode)
        done += 1
        if done % 50 == 0 or done == len(problems) * n:
            report(f"{done} of {len(problems) * n} samples drawn and judged")
        return episode, found

    jobs = [asyncio.ensure_future(one(problem, index)) for problem in problems for index in range(n)]
    try:
        results = await asyncio.gather(*jobs)
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
    pools = []
    for number, problem in enumerate(problems):
        pairs = [pair for pair in results[number * n : (number + 1) * n] if pair[0].stop is not StopReason.FAULT]
        pools.append(_Pool(problem, [episode for episode, _ in pairs], [found for _, found in pairs]))
    return pools


async def _verdict(verifier: Verifier, problem: Problem, episode: Episode) -> Verdict:
    try:
        return await verifier.verify(problem, episode, seed=int(digest("calibrate", problem.id, episode.text)[:8], 16))
    except EpisodeFault as fault:
        return Verdict(None, f"The verifier {verifier.name} could not be run ({fault.boundary}: {fault}).", verifier.name)


def _judged(pools: Sequence[_Pool], with_gold: bool) -> list[_Pool]:
    """The pools whose samples are known to be right or wrong, and which."""
    kept = []
    for pool in pools:
        pool.clusters = [c.cluster for c in clustered(pool.problem, [as_candidate(pool.problem, e) for e in pool.episodes])]
        if with_gold:
            pool.right = [_is_right(pool.problem, e.model_text) for e in pool.episodes]
        else:
            votes = Counter(c for c in pool.clusters if c is not None).most_common(1)
            if not votes or votes[0][1] < max(2, AGREED * len(pool.episodes)):
                continue
            pool.right = [c == votes[0][0] for c in pool.clusters]
        if pool.episodes:
            kept.append(pool)
    return kept


def _is_right(problem: Problem, text: str) -> bool:
    return grade(extract_answer(text, choices=problem.choices), problem.gold or "", choices=problem.choices) is True


def _concluded(
    task: str, rollout: Rollout, verifiers: Sequence[Verifier], pools: Sequence[_Pool], with_gold: bool, n: int, notes: list[str], seed: int
) -> Calibration:
    flags = [right for pool in pools for right in pool.right]
    plain = [_vote(pool, [1.0] * len(pool.episodes)) for pool in pools]
    oracle = [pass_at_n(len(p.right), sum(p.right), len(p.right)) for p in pools]
    wrong = [source_of(pool.problem, e) for pool in pools for e, right in zip(pool.episodes, pool.right, strict=True) if not right] if with_gold else []
    gains = {}
    if with_gold:
        gains["choice"] = _difference(oracle, plain, seed)
        gains["calculator"] = _difference([_mean_repaired(p) for p in pools], [sum(p.right) / len(p.right) for p in pools], seed)
    advice = [_advice(verifier, pools, plain, with_gold, seed) for verifier in verifiers]
    return Calibration(
        model=rollout.engine.name,
        task=task,
        stands_on="gold" if with_gold else "agreement",
        problems=len(pools),
        samples=n,
        accuracy=rate(sum(flags), len(flags)),
        majority=rate(round(sum(plain)), len(plain)),
        oracle=rate(round(sum(oracle)), len(oracle)),
        errors={name: rate(wrong.count(name), len(wrong)) for name in FAULTS} if with_gold else {},
        gains=gains,
        filters=tuple(advice),
        switch_off=tuple(a.quality.verifier for a in advice if not a.keep),
        notes=tuple(notes),
    )


def _advice(verifier: Verifier, pools: Sequence[_Pool], plain: Sequence[float], with_gold: bool, seed: int) -> FilterAdvice:
    """Do no harm: a filter stays where its benefit cannot be shown to be below nothing on these problems."""
    pairs = [(found[verifier.name], right) for pool in pools for found, right in zip(pool.verdicts, pool.right, strict=True)]
    measured, rewarding = quality(verifier.name, pairs), is_reward(verifier)
    if not with_gold:
        refuted_agreed = 1 - (measured.q.value if measured.q.value is not None else 1.0)
        useless = not rewarding and refuted_agreed > 0 and refuted_agreed >= (measured.p.value or 0.0)
        told = "refutes the agreed answers as often as the others" if useless else "does not refute the agreed answers more often than the others"
        return FilterAdvice(measured, rewarding, None, not useless, f"It {told} (agreement, not truth).")
    votes = [_vote(pool, [_weight(found[verifier.name], rewarding) for found in pool.verdicts]) for pool in pools]
    benefit = _difference(votes, plain, seed)
    if benefit.low < 0:
        how = "It hurts" if benefit.high < 0 else "That it helps is not shown on these problems"
        return FilterAdvice(measured, rewarding, benefit, False, f"{how}: {_points(benefit)} over the majority.")
    how = "It helps" if benefit.low > 0 else "It does no harm"
    return FilterAdvice(measured, rewarding, benefit, True, f"{how}: {_points(benefit)} over the majority.")


def _weight(verdict: Verdict, rewarding: bool) -> float:
    if rewarding:
        return 0.5 if verdict.score is None else verdict.score
    return 0.0 if verdict.refuted else 1.0


def _vote(pool: _Pool, weights: Sequence[float]) -> float:
    """1 where the cluster with the largest weight is right; all weights count one where none is left."""
    votes: dict[int, float] = {}
    for cluster, weight in zip(pool.clusters, weights if any(weights) else [1.0] * len(weights), strict=True):
        if cluster is not None:
            votes[cluster] = votes.get(cluster, 0.0) + weight
    if not votes:
        return 0.0
    winner = max(votes, key=votes.__getitem__)
    return float(pool.right[pool.clusters.index(winner)])


def _mean_repaired(pool: _Pool) -> float:
    right = [good or _is_right(pool.problem, repair(e.model_text)[0]) for e, good in zip(pool.episodes, pool.right, strict=True)]
    return sum(right) / len(right)


def _difference(a: Sequence[float], b: Sequence[float], seed: int) -> Difference:
    return Difference(*paired_bootstrap(a, b, seed=seed))


def _points(difference: Difference) -> str:
    return f"{100 * difference.value:+.1f} points, 95 % {100 * difference.low:+.1f} to {100 * difference.high:+.1f}"


def _shown(share: Rate) -> str:
    return "–" if share.value is None else f"{100 * share.value:.1f} % ({100 * share.low:.1f} – {100 * share.high:.1f})"
