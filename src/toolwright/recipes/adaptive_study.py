"""Adaptive sampling against a fixed number of samples, and against the Beta stop of its_hub at equal accuracy.

``toolwright reproduce adaptive``: thresholds are fixed on problems of the validation split (`fitted`), and what they come to is measured on test problems, the
same ones in the same order as the T1 study's, so that the two share a run folder. A stop can only save what its votes leave to be saved, so each is compared
with others on the same votes: T1's (refuted samples have none) and plain ones. The Beta stop's threshold is the cheapest that was as accurate on validation.

Tokens are those of whole batches that were begun, judging included; all stops draw in the same batches. Leaves out wall time (`_t1_costs` has it).
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toolwright.episodes import Problem, RunStore
from toolwright.errors import UsageError
from toolwright.evaluation import SETTLED, VERIFIED, Fitted, SamplePool, fitted, mean_interval, paired_bootstrap
from toolwright.recipes._cast import Cast, open_cast
from toolwright.recipes._judged import Arm, JudgedPool, judged_pools
from toolwright.recipes._results import Measured, claim, result
from toolwright.recipes._t1_arms import REWARDS
from toolwright.recipes.t1_study import CELLS, CHUNK, PARAMS, Settings, problems_of, verifiers_of
from toolwright.rollouts import Rollout
from toolwright.sandbox import Sandbox
from toolwright.scaling import Adaptive, adaptive, adaptive_beta, majority, t1
from toolwright.tasks import split_digest

PROBLEMS, VALIDATION, SAMPLES = 2000, 300, 64
VERIFIERS = ("claims", "toolv", "genrm")
MARGIN, TOKENS_BAR = 0.02, 0.40
BETA = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.995, 0.999)
"""Thresholds of the Beta stop that are tried; 0.95 is its_hub's own."""
PLAIN = replace(adaptive, name="adaptive, plain votes", rule=majority.pick, judging="nothing", verified_settled=2.0)
TOOLED_BETA = replace(adaptive, name="Beta stop, T1's votes", stop="beats_second", verified_settled=2.0)
BETA_STOP = "Beta stop as accurate on validation"
SOURCE = "its_hub's BetaSelfConsistency; Adaptive-Consistency (arXiv 2305.11860)"
Row = dict[str, Any]
Tell = Callable[[str], None]


@dataclass(slots=True)
class Drawn:
    """The judged samples."""

    validation: list[JudgedPool] = field(default_factory=list)
    pools: list[JudgedPool] = field(default_factory=list)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Played:
    """What a strategy came to, problem by problem."""

    name: str
    right: tuple[float, ...]
    tokens: tuple[float, ...]


def measure(
    model: str = "pico",
    *,
    store: Path,
    problems: int = PROBLEMS,
    validation: int = VALIDATION,
    samples: int = SAMPLES,
    verify: Sequence[str] = VERIFIERS,
    cells: Sequence[tuple[int, int, str]] = CELLS,
    roles: Sequence[Path] = (),
    seed: int = 0,
    max_minutes: float | None = None,
    cast: Cast | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """The result; the same call goes on from what the store holds. `verify`: whose votes T1's are, of ``claims``, ``toolv``, ``genrm`` and ``prm``.

    Raises: UsageError for impossible counts, an unknown verifier, or where the time was not enough.
    """
    started = time.monotonic()
    if problems < 1 or validation < 1 or samples <= adaptive.first:
        raise UsageError(f"problems = {problems}, validation = {validation}, samples = {samples}; at least 1, 1 and {adaptive.first + 1} are needed")
    if unknown := [name for name in verify if name not in ("claims", "toolv", *REWARDS)]:
        raise UsageError(f"no verifier {unknown[0]!r} in this study; there are claims, toolv, {', '.join(REWARDS)}")
    playing = cast or open_cast(model, roles=roles)
    wanted = [problems_of([c for c in cells if c[2] == "templates"] or cells, validation, split="validation"), problems_of(cells, problems)]
    until = None if max_minutes is None else started + 60 * max_minutes
    drawn = asyncio.run(_draw(playing, wanted, samples, tuple(verify), store, until, seed, tell or _to_stderr))
    if not drawn.pools:
        raise UsageError(
            "the time was not enough for the first test problems; what was drawn is stored, so give --max-minutes more and run the same command again"
        )
    found = tables(drawn, tuple(verify), samples, seed)
    counts = f"--problems {problems} --validation {validation} -n {samples} --verify {','.join(verify)}"
    command = f"toolwright reproduce adaptive --model {Path(model).name} {counts}" + "".join(f" --roles {folder.name}" for folder in roles)
    return result(command, seconds=time.monotonic() - started, seeds=[seed], models=playing.models, tables=found, claims=claims(found))


async def _draw(
    cast: Cast, wanted: Sequence[Sequence[Problem]], samples: int, verify: tuple[str, ...], path: Path, until: float | None, seed: int, tell: Tell
) -> Drawn:
    drawn = Drawn()
    try:
        with RunStore(path) as store:
            async with Sandbox(allow_degraded=True) as sandbox:
                rollout = Rollout(cast.generator, params=PARAMS)
                verifiers = {name: each for name, each in verifiers_of(cast, sandbox, Settings()).items() if name in verify}
                try:
                    async with asyncio.timeout(None if until is None else max(0.0, until - time.monotonic())):
                        for pools, problems in zip((drawn.validation, drawn.pools), wanted, strict=True):
                            for start in range(0, len(problems), CHUNK):
                                some = problems[start : start + CHUNK]
                                pools += await judged_pools(some, rollout, verifiers, store, n=samples, greedy=False, run_seed=seed)
                                tell(f"{len(pools)} of {len(problems)} {'test' if pools is drawn.pools else 'validation'} problems")
                except TimeoutError:
                    drawn.complete = False
                    tell("time is up; the same command goes on from there")
    finally:
        await cast.aclose()
    return drawn


def tables(drawn: Drawn, verify: tuple[str, ...], samples: int, seed: int) -> dict[str, Any]:
    """Thresholds from the validation problems, and what every stop comes to on the test problems."""
    filters = tuple(name for name in verify if name not in REWARDS)
    rewards = tuple(name for name in verify if name in REWARDS)
    sides = {
        "T1's votes": (Arm("fixed, T1's votes", t1, filters, rewards), adaptive, TOOLED_BETA),
        "plain votes": (Arm("fixed, plain votes", majority), PLAIN, adaptive_beta),
    }
    rows: list[Row] = []
    settings: list[Row] = []
    for votes, (fixed, start, beta) in sides.items():
        fit = fitted(_samples(drawn.validation, fixed), margin=MARGIN, start=start, settled=SETTLED, verified=VERIFIED, seed=seed)
        ours = replace(fixed, name=f"adaptive, {votes}", strategy=fit.strategy)
        bar = _mean(_play(drawn.validation, ours).right)
        equal = matched(drawn.validation, fixed, beta, bar)
        settings.append(_told(fit, votes, equal.settled))
        betas = [(f"{BETA_STOP}, {votes}", equal), (f"Beta stop at {beta.settled}, {votes}", beta)]
        played = [_play(drawn.pools, each) for each in (fixed, ours, *(replace(fixed, name=name, strategy=stop) for name, stop in betas))]
        rows += [{"votes": votes, **_row(each, played[0], played[1])} for each in played]
    return {
        "accuracy": rows,
        "thresholds": settings,
        "problems": len(drawn.pools),
        "samples": samples,
        "verify": list(verify),
        "split": {"digest": split_digest(), "name": "test"},
        "complete": drawn.complete,
    }


def _samples(pools: Sequence[JudgedPool], arm: Arm) -> list[SamplePool]:
    return [SamplePool(pool.problem, arm.see(pool)) for pool in pools]


def matched(pools: Sequence[JudgedPool], fixed: Arm, beta: Adaptive, bar: float) -> Adaptive:
    """The Beta stop with the cheapest threshold that is at least so accurate on these problems; the most accurate one where none is."""
    stops = [replace(beta, settled=settled) for settled in BETA]
    played = [_play(pools, replace(fixed, strategy=stop)) for stop in stops]
    enough = [i for i, found in enumerate(played) if _mean(found.right) >= bar - 1e-9]
    cheapest = min(enough, key=lambda i: math.fsum(played[i].tokens), default=None)
    return stops[max(range(len(stops)), key=lambda i: _mean(played[i].right)) if cheapest is None else cheapest]


def _play(pools: Sequence[JudgedPool], arm: Arm) -> Played:
    """The arm on all samples of each problem, in draw order."""
    right, tokens = [], []
    for pool in pools:
        candidates = arm.see(pool)
        if not any(c.usable for c in candidates):
            right.append(math.nan)
            tokens.append(0.0)
            continue
        choice = arm.strategy.choose(pool.problem, candidates, keep_tried=False)
        good = pool.right(choice.answer)
        right.append(math.nan if good is None else float(good))
        tokens.append(float(choice.cost.model_tokens))
    return Played(arm.name, tuple(right), tuple(tokens))


def _row(found: Played, whole: Played, ours: Played) -> Row:
    """Accuracy, and tokens as a share of the fixed number's; our stop's difference to it in accuracy, and its tokens over its."""
    mean, low, high = mean_interval(found.right)
    share, gap, ratio = _ratio(found.tokens, whole.tokens), paired_bootstrap(found.right, whole.right), _ratio(ours.tokens, found.tokens)
    against = paired_bootstrap(ours.right, found.right)
    row: Row = {"arm": found.name, "accuracy": mean, "low": low, "high": high, "tokens": math.fsum(found.tokens) / len(found.tokens)}
    parts = {"share": share, "to_fixed": gap, "ours_less_it": against, "our_tokens_over_its": ratio}
    return row | {name if i == 0 else f"{name}_{('low', 'high')[i - 1]}": value for name, three in parts.items() for i, value in enumerate(three)}


def _ratio(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """The ratio of the sums, with a 95 % bootstrap over problems."""
    import numpy

    first, second = numpy.asarray(a), numpy.asarray(b)
    drawn = numpy.random.default_rng(0).integers(0, len(first), size=(1000, len(first)))
    below = numpy.maximum(second[drawn].sum(axis=1), 1e-9)
    low, high = numpy.quantile(first[drawn].sum(axis=1) / below, [0.025, 0.975])
    value = float(first.sum() / max(1e-9, second.sum()))
    return value, min(value, float(low)), max(value, float(high))


def _told(fit: Fitted, votes: str, beta: float) -> Row:
    chosen = fit.chosen
    told = {"votes": votes, "problems": fit.problems, "settled": fit.strategy.settled, "verified_settled": fit.strategy.verified_settled, "beta": beta}
    return {**told, "safe": chosen is not None, "difference": chosen and chosen.difference, "low": chosen and chosen.low, "share": chosen and chosen.tokens}


def claims(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is claimed of the tables; the bars stood here before the first run."""
    rows = {row["arm"]: row for row in found["accuracy"]}
    ours, many = rows["adaptive, T1's votes"], f"fixed n = {found['samples']} over {found['problems']} problems"
    gap, share = _measured(ours, "to_fixed"), _measured(ours, "share")
    made = [
        claim(
            "adaptive-loss", f"adaptive loses less than 2 points against {many} (lower bound above {-MARGIN})", "new", gap, Measured(-MARGIN), seen=_safe(gap)
        ),
        claim("adaptive-tokens", f"with at most {TOKENS_BAR:.0%} of its tokens", "new", share, Measured(TOKENS_BAR), seen=ours["share"] <= TOKENS_BAR),
    ]
    for name, votes in (("plain", "plain votes"), ("t1", "T1's votes")):
        row = rows[f"{BETA_STOP}, {votes}"]
        ratio, less = _measured(row, "our_tokens_over_its"), _measured(row, "ours_less_it")
        text = f"adaptive writes fewer tokens than the Beta stop at equal accuracy, {votes} (the ratio's 95 % interval below 1, no more than 2 points lost)"
        seen = ratio.high is not None and ratio.high < 1 and _safe(less)
        made.append(claim(f"adaptive-beta-{name}", text, SOURCE, ratio, Measured(1.0), seen=seen))
    return made


def _safe(gap: Measured) -> bool:
    return gap.low is not None and gap.low > -MARGIN


def _measured(row: Mapping[str, Any], name: str) -> Measured:
    return Measured(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _mean(values: Sequence[float]) -> float:
    judged = [v for v in values if not math.isnan(v)]
    return math.fsum(judged) / max(1, len(judged))


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
