"""From judged pools to the tables of the T1 study. No model: the same pools give the same tables.

With roles of several training seeds every arm that asks a role is the mean over them, and its intervals are over problems and seeds. Leaves out controls
(`_t1_control_tables`), wall times (`_t1_costs`) and what is claimed (`_t1_claims`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toolwright.recipes._cast import Cast
from toolwright.recipes._judged import Arm, Column, JudgedPool, column, difference, greedy_column, oracle_column, over_seeds
from toolwright.recipes._t1_arms import BOTH, FILTERS, LIKED, REWARDS, UNTAUGHT, arms, more_arms, ns_of, of_seed, of_seeds, stages
from toolwright.recipes._t1_control_tables import controls, lying
from toolwright.recipes._t1_costs import crossover
from toolwright.scaling import Candidate, majority, weighted
from toolwright.tasks import split_digest

if TYPE_CHECKING:
    from toolwright.recipes.t1_study import Drawn, Settings

Row = dict[str, Any]
KINDS = ("right", "plan", "arithmetic", "nothing stated", "no answer")


def tables(cast: Cast, drawn: Drawn, settings: Settings) -> dict[str, Any]:
    """Everything that was found, as tables."""
    seeds = 1 + len(cast.seeds)
    rm, validation = reward_model(drawn.validation, seeds)
    pools, most = drawn.pools, settings.samples

    def seeded(arm: Arm, n: int) -> Column:
        return over_seeds([column(pools, each, n, run_seed=settings.seed) for each in of_seeds(arm, seeds)])

    columns = {(arm.name, n): seeded(arm, n) for arm in arms(rm) for n in ns_of(most)}
    columns |= {(arm.name, most): seeded(arm, most) for arm in more_arms(rm)}
    columns["greedy", 1] = greedy_column(pools)
    columns |= {("pass@n", n): oracle_column(pools, n) for n in ns_of(most)}
    rows = [_with_flops(c.row(model=cast.name, dialect="text"), cast) for c in columns.values()]
    beside = _beside(cast, drawn, settings, rm)
    rows += [_with_flops(c.row(model=model, dialect=dialect), cast) for (model, dialect, *_), c in beside.items()]
    return {
        "reward_model": rm,
        "complete": drawn.complete,
        "problems": len(pools),
        "samples": most,
        "training_seeds": seeds,
        "split": {"digest": split_digest(), "name": "test"},
        "parameters": [{"model": name, **facts} for name, facts in cast.models.items()],
        "cells": cells(pools),
        "by_cell": by_cell(pools, columns, beside, cast, most),
        "errors": errors(pools, rm, seeds),
        "validation": validation,
        "accuracy": rows,
        "differences": _differences(columns, beside, cast, most),
        "verification": verification(pools, seeds),
        "controls": controls(drawn, settings, rm),
        "lying": lying(drawn, settings, rm, cast.name),
        "timing": drawn.timing,
        "crossover": crossover(rows, drawn.timing, cast.name, list(dict.fromkeys(arm.name for arm in arms(rm)))),
    }


def reward_model(pools: Sequence[JudgedPool], seeds: int = 1) -> tuple[str, list[Row]]:
    """The reward model that did best on validation problems (the first one where there are none), and what was found there."""
    if not pools:
        return REWARDS[0], []
    n = max(len(pool.candidates) for pool in pools)
    base = column(pools, Arm("majority", majority), n)
    found = {name: over_seeds([column(pools, arm, n) for arm in of_seeds(Arm(name, weighted, (), (name,)), seeds)]) for name in REWARDS}
    rows = [base.row(**difference(base, base))] + [c.row(**difference(c, base)) for c in found.values()]
    best = max(REWARDS, key=lambda name: _mean(found[name].values))
    return best, [{**row, "chosen": row["arm"] == best} for row in rows]


def cells(pools: Sequence[JudgedPool]) -> list[Row]:
    """The test bed: what problems there are, and what kind of wrong samples they bring about."""
    found = []
    for name, places in _by_cell(pools).items():
        mine = [pools[i] for i in places]
        kinds = Counter(kind for pool in mine for kind, _, _ in samples(pool) if kind != "right")
        total = max(1, kinds.total())
        templates = len({pool.problem.meta.get("template") for pool in mine})
        found.append({"cell": name, "problems": len(mine), "templates": templates, "wrong": kinds.total(), "plan": kinds["plan"] / total})
    return found


def by_cell(
    pools: Sequence[JudgedPool], columns: Mapping[tuple[str, int], Column], beside: Mapping[tuple[str, str, str], Column], cast: Cast, most: int
) -> list[Row]:
    """Where each arm succeeds and where it fails: its accuracy in every cell, at N, and that of greedy answers."""
    told = [(cast.name, "text", found) for (_, n), found in columns.items() if n in (most, 1) and (n == most or found.name == "greedy")]
    told += [(model, dialect, found) for (model, dialect, _), found in beside.items()]
    return [_part(found, places).row(cell=name, model=model, dialect=dialect) for name, places in _by_cell(pools).items() for model, dialect, found in told]


def _by_cell(pools: Sequence[JudgedPool]) -> dict[str, list[int]]:
    """The places of each cell's problems."""
    found: dict[str, list[int]] = {}
    for place, pool in enumerate(pools):
        found.setdefault(pool.problem.meta.get("cell", ""), []).append(place)
    return found


def _part(found: Column, places: Sequence[int]) -> Column:
    """The column over some of its problems, costs left out."""
    return Column(found.name, found.n, tuple(found.values[i] for i in places), by_seed=tuple(tuple(values[i] for i in places) for values in found.by_seed))


def samples(pool: JudgedPool) -> Iterable[tuple[str, Candidate, bool]]:
    """(kind, candidate, whether it is right) of the graded samples; wrong ones are of the arithmetic where a statement is false, of the plan where all hold."""
    for candidate in pool.candidates:
        right = pool.right(candidate.answer) if candidate.usable else None
        if right is None:
            continue
        said = pool.verdict("claims", candidate)
        if right:
            kind = "right"
        elif not candidate.votes:
            kind = "no answer"
        elif said is None or said.score is None:
            kind = "nothing stated"
        else:
            kind = "arithmetic" if said.refuted else "plan"
        yield kind, candidate, right


def errors(pools: Sequence[JudgedPool], rm: str, seeds: int = 1) -> list[Row]:
    """What each verifier says of each kind of sample; intervals by bootstrap over problems and training seeds.

    `above_right`: how much oftener ToolV refutes the kind than right samples; a filter that throws dice refutes all kinds alike.
    """
    counted = [[(kind, c) for kind, c, _ in samples(pool)] for pool in pools]
    wrong = sum(kind != "right" for each in counted for kind, _ in each)

    def refuted(kind: str, name: str) -> Counts:
        return [[sum(k == kind and _refutes(p, of_seed(name, s), c) for k, c in each) for p, each in zip(pools, counted, strict=True)] for s in range(seeds)]

    def disliked(kind: str) -> Counts:
        return [[sum(k == kind and not _likes(p, of_seed(rm, s), c) for k, c in each) for p, each in zip(pools, counted, strict=True)] for s in range(seeds)]

    sizes = {kind: [[sum(k == kind for k, _ in each) for each in counted]] * seeds for kind in KINDS}
    found = []
    for kind in KINDS:
        total = sum(sizes[kind][0])
        row: Row = {"kind": kind, "samples": total, "share_of_wrong": None if kind == "right" or not wrong else total / wrong}
        for name in BOTH:
            row |= _ratio(f"{name}_refutes", refuted(kind, name), sizes[kind])
        row |= _ratio("rm_dislikes", disliked(kind), sizes[kind])
        row |= _ratio("above_right", refuted(kind, "toolv"), sizes[kind], refuted("right", "toolv"), sizes["right"])
        found.append(row)
    return found


def verification(pools: Sequence[JudgedPool], seeds: int = 1) -> list[Row]:
    """The confusion of each reward model at 0.5, alone and after each filter, over samples with an answer: the paper's table of false positives.

    Counts are sums over training seeds.
    """
    graded = [[(c, right) for _, c, right in samples(pool) if c.votes] for pool in pools]
    return [_confusion(pools, graded, reward, name, filters, seeds) for reward in REWARDS for name, filters in {"": (), **FILTERS}.items()]


def _confusion(
    pools: Sequence[JudgedPool], graded: Sequence[Sequence[tuple[Candidate, bool]]], reward: str, name: str, filters: Sequence[str], seeds: int
) -> Row:
    parts: dict[str, list[list[int]]] = {}
    for seed in range(seeds):
        for pool, mine in zip(pools, graded, strict=True):
            counts: Counter[str] = Counter()
            for candidate, right in mine:
                liked, refuted = _likes(pool, of_seed(reward, seed), candidate), any(_refutes(pool, of_seed(f, seed), candidate) for f in filters)
                counts[("tp" if right else "fp") if liked and not refuted else ("fn" if right else "tn")] += 1
                counts["removed_fp" if not right else "lost_tp"] += liked and refuted
                counts["was_fp" if not right else "was_tp"] += liked
            for key in ("tp", "fp", "fn", "tn", "removed_fp", "lost_tp", "was_fp", "was_tp"):
                parts.setdefault(key, [[] for _ in range(seeds)])[seed].append(counts[key])
    row: Row = {"reward": reward, "verifier": f"{name}+{reward}" if name else reward}
    row |= {key: sum(map(sum, parts.get(key, []))) for key in ("tp", "fp", "fn", "tn")}
    row |= _ratio("fp_removed", parts.get("removed_fp", []), parts.get("was_fp", []))
    return row | _ratio("tp_lost", parts.get("lost_tp", []), parts.get("was_tp", []))


def _beside(cast: Cast, drawn: Drawn, settings: Settings, rm: str) -> dict[tuple[str, str, str], Column]:
    """The larger model with what checks it, and both with the interpreter, by (model, dialect, arm)."""
    found: dict[tuple[str, str, str], Column] = {}
    pairs = [(cast.beside_name or "beside", "text", drawn.beside)] if drawn.beside else []
    pairs += [(model, "retool", pools) for model, pools in drawn.tools.items() if " lying " not in model]
    for model, dialect, pools in pairs:
        found[model, dialect, "greedy"] = greedy_column(pools)
        known = {"claims", *pools[0].verdicts} if dialect == "text" else set()
        for arm in stages(rm) if settings.beside_samples else ():
            if arm.name == "majority" or (known and {*arm.filters, *arm.rewards} <= known):
                found[model, dialect, arm.name] = column(pools, arm, settings.beside_samples, run_seed=settings.seed)
    return found


def _differences(columns: Mapping[tuple[str, int], Column], beside: Mapping[tuple[str, str, str], Column], cast: Cast, most: int) -> list[Row]:
    """The pairs that the claims speak of."""
    at = {name: found for (name, n), found in columns.items() if n == most} | {"greedy": columns["greedy", 1]}
    pairs = [(name, other) for name in ("rm", *FILTERS, *(f"{f}+rm" for f in FILTERS)) for other in ("majority", "greedy")]
    pairs += [(f"{name}+rm", "rm") for name in FILTERS] + [(f"{name}+rm", name) for name in FILTERS]
    pairs += [("claims+toolv", "claims"), ("claims+toolv", "toolv"), ("claims+toolv+rm", "claims+rm"), ("adaptive", "claims+toolv+rm"), ("two_stage", "rm")]
    pairs += [("claims+toolv+rm", "two_stage"), ("best_of_n", "majority"), ("t1_argmax", "best_of_n"), ("adaptive_beta", "majority")]
    rows = [{"model": cast.name, "against": cast.name, **difference(at[a], at[b])} for a, b in pairs]
    for (model, dialect, arm), other in beside.items():
        told = f"{model}, {dialect}"
        rows += [{"model": cast.name, "against": told, **difference(at[name], other)} for name in ("greedy", *FILTERS, *(f"{f}+rm" for f in FILTERS))]
        if arm != "greedy":
            rows.append({"model": told, "against": told, **difference(other, beside[model, dialect, "greedy"])})
    return rows


Counts = Sequence[Sequence[int]]
"""(S, P): of each training seed and problem."""


def _ratio(name: str, parts: Counts, wholes: Counts, less_parts: Counts = (), less_wholes: Counts = ()) -> Row:
    """A share over all samples, less another one where that is given, with a 95 % bootstrap over problems and training seeds."""
    import numpy

    empty = {name: None, f"{name}_low": None, f"{name}_high": None}
    if not sum(map(sum, wholes)) or (less_wholes and not sum(map(sum, less_wholes))):
        return empty
    generator = numpy.random.default_rng(0)
    seeds, count = len(wholes), len(wholes[0])
    problems = generator.multinomial(count, [1 / count] * count, size=1000)
    drawn = generator.multinomial(seeds, [1 / seeds] * seeds, size=1000) if seeds > 1 else numpy.ones((1000, 1))

    def shares(part: Counts, whole: Counts) -> tuple[float, Any]:
        a, b = numpy.asarray(part, dtype=float), numpy.asarray(whole, dtype=float)
        below = ((drawn @ b) * problems).sum(axis=1)
        # A draw without any sample of the kind says nothing.
        return float(a.sum() / b.sum()), numpy.where(below > 0, ((drawn @ a) * problems).sum(axis=1) / numpy.maximum(below, 1e-9), math.nan)

    value, ratios = shares(parts, wholes)
    if less_wholes:
        other, others = shares(less_parts, less_wholes)
        value, ratios = value - other, ratios - others
    low, high = numpy.nanquantile(ratios, [0.025, 0.975])
    return {name: value, f"{name}_low": min(value, float(low)), f"{name}_high": max(value, float(high))}


def _refutes(pool: JudgedPool, name: str, candidate: Candidate) -> bool:
    said = pool.verdict(name, candidate)
    return said is not None and said.refuted


def _likes(pool: JudgedPool, rm: str, candidate: Candidate) -> bool:
    said = pool.verdict(rm, candidate)
    return said is not None and said.score is not None and said.score >= LIKED


def _with_flops(row: Row, cast: Cast) -> Row:
    """With 2 × parameters × tokens read and written. Adapters count in every call of an arm that asks a role, which no call does with all: an upper bound."""
    facts = cast.models.get(row["model"], {})
    parameters = facts.get("parameters") if row["arm"] in UNTAUGHT else facts.get("with_roles") or facts.get("parameters")
    if parameters is None or "model_tokens" not in row:
        return row
    return row | {"flops": 2.0 * parameters * (row["prompt_tokens"] + row["model_tokens"])}


def _mean(values: Sequence[float]) -> float:
    judged = [v for v in values if not math.isnan(v)]
    return sum(judged) / len(judged) if judged else 0.0
