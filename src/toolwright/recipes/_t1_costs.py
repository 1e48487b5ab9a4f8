"""What the strategies of the T1 study cost: wall time of each, from nothing and one problem after the other, and where a small model catches up with a larger.

Times are of the machine they were taken on, which should do nothing else. Seeds are of each row's own, so that nothing is remembered from another row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolwright.episodes import Budget, Choice, Problem, Strategy, Verifier, derive_seed
from toolwright.errors import UsageError
from toolwright.recipes._cast import Cast
from toolwright.recipes._judged import JudgedPool
from toolwright.rollouts import Rollout
from toolwright.scaling import (
    adaptive,
    adaptive_beta,
    at_temperature,
    beam,
    best_of_n,
    filtered,
    greedy,
    majority,
    revise,
    stored_attempt,
    t1,
    t1_argmax,
    two_stage,
    weighted,
)

if TYPE_CHECKING:
    from toolwright.recipes.t1_study import Settings

Row = dict[str, Any]
FEW = 16
"""Where the bar stands."""
COSTED, COST_BAR = "claims+toolv+prm", 2.5
"""The arm that the bar is about, and how many times the majority's wall time it may take."""
PAPER = "the paper's setting"
"""Four programs and eight rationales for every sample, nothing spared."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One strategy to run."""

    arm: str
    model: str
    strategy: Strategy
    verifiers: tuple[str, ...]
    n: int
    rollout: Rollout
    stands_for: str
    """The arm of the study's other tables that has its accuracy; empty where none has."""


async def timed(
    cast: Cast,
    verifiers: Mapping[str, Verifier],
    paper: Mapping[str, Verifier],
    pools: Sequence[JudgedPool],
    settings: Settings,
    rollout: Rollout,
    rm: str,
) -> list[Row]:
    """A row per strategy: wall seconds, tokens and right answers per problem, and wall time over that of the majority at the same n, with its interval.

    `paper`: the verifiers of the paper's full setting. A strategy that the engine cannot play has no seconds, and `why` tells.
    """
    known = {**verifiers, **{f"paper {name}": each for name, each in paper.items()}}
    plan = _plan(cast, tuple(f"paper {name}" for name in paper), settings, rollout, rm)
    if pools:
        # The sandbox starts with the first program, and a cold model is slow: neither is a strategy's to pay.
        await _run(next(each for each in plan if each.arm == COSTED), pools[0].problem, known, derive_seed("warm", settings.seed) % 2**31)
    rows: list[Row] = []
    walls: dict[tuple[str, str, int], list[float]] = {}
    for number, each in enumerate(plan):
        row, taken = await _timed(each, pools, known, derive_seed("timed", settings.seed, number) % 2**31)
        walls[each.model, each.arm, each.n] = taken
        rows.append(row | _over(taken, walls.get((each.model, "majority", each.n), [])))
    return rows


def crossover(accuracy: Sequence[Row], timing: Sequence[Row], small: str, arms: Sequence[str]) -> list[Row]:
    """Where an arm of the small model is first as accurate as the larger one's greedy answers or majority, and what each pays there.

    On two axes: FLOPs (of all n) and wall seconds (of the n that were timed). `n` None: it never is. `ratio`: the small model's cost over the larger one's.
    """
    found = []
    text = [row for row in accuracy if row["dialect"] == "text" and row["accuracy"] is not None]
    targets = [row for row in text if row["model"] != small and row["arm"] in ("greedy", "majority")]
    seconds = {(row["model"], row["stands_for"], row["n"]): row["seconds"] for row in timing if row["seconds"] is not None and row["stands_for"]}
    for axis in ("flops", "seconds"):
        for target in targets:
            paid = target.get("flops") if axis == "flops" else seconds.get((target["model"], target["arm"], target["n"]))
            if paid is None:
                continue
            for arm in arms:
                mine = [row for row in text if (row["model"], row["arm"]) == (small, arm)]
                costs = [(row, row.get("flops") if axis == "flops" else seconds.get((small, arm, row["n"]))) for row in mine]
                known = sorted(((cost, row["n"], row["accuracy"]) for row, cost in costs if cost is not None), key=lambda point: point[:2])
                if not known:
                    continue
                there = next((point for point in known if point[2] >= target["accuracy"]), None)
                cost, n, right = there if there is not None else (None, None, max(point[2] for point in known))
                against = {"against": target["model"], "against_arm": target["arm"], "against_accuracy": target["accuracy"], "against_cost": paid}
                found.append({"axis": axis, "arm": arm, "n": n, "accuracy": right, "cost": cost, **against, "ratio": None if cost is None else cost / paid})
    return found


def _plan(cast: Cast, paper: tuple[str, ...], settings: Settings, rollout: Rollout, rm: str) -> list[Timed]:
    """Every strategy at the n of the bar, and the main ones at N; the majority of each n stands before what is compared with it."""
    most, few = settings.samples, min(FEW, settings.samples)
    both = sorted({few, most})
    other = "genrm" if rm == "prm" else "prm"
    found = [Timed("greedy", cast.name, greedy, (), 1, at_temperature(rollout, 0.0), "greedy")]

    def add(arm: str, strategy: Strategy, names: tuple[str, ...] = (), ns: Sequence[int] = (few,), stands_for: str = "") -> None:
        found.extend(Timed(arm, cast.name, strategy, names, n, rollout, stands_for) for n in ns)

    add("majority", majority, ns=both, stands_for="majority")
    add("claims", filtered, ("claims",), both, "claims")
    add("claims+toolv", filtered, ("claims", "toolv"), both, "claims+toolv")
    for reward in ("prm", "genrm"):
        stands_for = "claims+toolv+rm" if reward == rm else f"claims+toolv+rm ({other})"
        add(f"claims+toolv+{reward}", t1, ("claims", "toolv", reward), both, stands_for)
    add("best_of_n", best_of_n, (rm,), stands_for="best_of_n")
    add("weighted", weighted, (rm,), stands_for="rm")
    add("t1_argmax", t1_argmax, ("claims", "toolv", rm), stands_for="t1_argmax")
    add("two_stage", two_stage, (rm,), stands_for="two_stage")
    add("adaptive", adaptive, ("claims", "toolv", rm), both, "adaptive")
    add("adaptive_beta", adaptive_beta, (), both, "adaptive_beta")
    add("revise", revise, ("claims", "toolv"))
    add("beam", beam, ("claims", "toolv", rm))
    add(PAPER, t1, paper)
    if cast.beside is not None:
        large, told = replace_engine(rollout, cast.beside), cast.beside_name or "beside"
        found.append(Timed("greedy", told, greedy, (), 1, at_temperature(large, 0.0), "greedy"))
        if settings.beside_samples:
            found.append(Timed("majority", told, majority, (), settings.beside_samples, large, "majority"))
    return found


def replace_engine(rollout: Rollout, engine: Any) -> Rollout:
    """The same rollout with another engine."""
    return Rollout(engine, params=rollout.params)


async def _timed(each: Timed, pools: Sequence[JudgedPool], verifiers: Mapping[str, Verifier], seed: int) -> tuple[Row, list[float]]:
    row: Row = {"model": each.model, "arm": each.arm, "n": each.n, "stands_for": each.stands_for, "why": None}
    choices: list[Choice] = []
    try:
        for pool in pools:
            choices.append(await _run(each, pool.problem, verifiers, seed))
    except UsageError as error:
        return row | {"seconds": None, "problems": 0, "right": None, "model_tokens": None, "tool_calls": None, "why": str(error)}, []
    walls, count = [choice.cost.wall_s for choice in choices], max(1, len(pools))
    right = [pool.right(choice.answer) is True for pool, choice in zip(pools, choices, strict=True)]
    return row | {
        "seconds": sum(walls) / count,
        "problems": len(walls),
        "right": sum(right) / count,
        "model_tokens": sum(choice.cost.model_tokens for choice in choices) / count,
        "tool_calls": sum(choice.cost.tool_calls for choice in choices) / count,
    }, walls


async def _run(each: Timed, problem: Problem, verifiers: Mapping[str, Verifier], seed: int) -> Choice:
    attempt = stored_attempt(each.rollout, problem.asked(), None, run_seed=seed)
    return await each.strategy(problem.asked(), attempt, [verifiers[name] for name in each.verifiers], Budget(samples=each.n), seed=seed)


def _over(walls: Sequence[float], majority_walls: Sequence[float]) -> Row:
    """Wall time over that of the majority on the same problems: the ratio of sums, 95 % bootstrap over problems."""
    import numpy

    names = ("over_majority", "over_majority_low", "over_majority_high")
    if len(walls) != len(majority_walls) or not sum(majority_walls):
        return dict.fromkeys(names)
    mine, base = numpy.asarray(walls), numpy.asarray(majority_walls)
    drawn = numpy.random.default_rng(0).integers(0, len(mine), size=(2000, len(mine)))
    value = float(mine.sum() / base.sum())
    low, high = numpy.quantile(mine[drawn].sum(axis=1) / base[drawn].sum(axis=1), [0.025, 0.975])
    return dict(zip(names, (value, min(value, float(low)), max(value, float(high))), strict=True))
