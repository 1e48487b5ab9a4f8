"""From judged pools to the tables and claims of the T1 study. No model (but for wall times): the same pools give the same tables.

An arm is named by what it stands on: ``majority``, ``rm`` (weighted best of n by the reward model), ``claims`` and ``toolv`` (the majority of what a filter
left), and sums of these: ``toolv+rm`` is the paper's T1. All thresholds stood here before the first run.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolwright.episodes import Budget, Verifier, derive_seed
from toolwright.evaluation import paired_bootstrap
from toolwright.recipes._cast import Cast
from toolwright.recipes._controls import shuffled
from toolwright.recipes._judged import Arm, Column, JudgedPool, column, greedy_column, oracle_column
from toolwright.recipes._measuring import share
from toolwright.recipes._results import Measured, claim
from toolwright.rollouts import Rollout
from toolwright.scaling import Candidate, adaptive, at_temperature, best_of_n, filtered, greedy, majority, stored_attempt, t1, t1_argmax, two_stage, weighted
from toolwright.tasks import split_digest

if TYPE_CHECKING:
    from toolwright.recipes.t1_study import Drawn, Settings

Row = dict[str, Any]
BOTH = ("claims", "toolv")
FILTERS: dict[str, tuple[str, ...]] = {"claims": ("claims",), "toolv": ("toolv",), "claims+toolv": BOTH}
REWARDS = ("genrm", "prm")
LIKED = 0.5
SHUFFLES = 5
SOURCE = "T1 (arXiv 2504.04718)"
SIZE_BAR, OVER_RM_BAR, OVER_MAJORITY_BAR, REMOVED_BAR, LOST_BAR = 0.10, 0.05, 0.07, 0.53, 0.043
PLAN_LOW, PLAN_HIGH, DISPLACED_BAR = 0.35, 0.65, 0.95
ADAPTIVE_BAR, ADAPTIVE_TOKENS_BAR = -0.02, 0.40


def arms(rm: str) -> list[Arm]:
    """The stages and their combinations, measured at every n; the last is adaptive, which stops by itself."""
    found = [Arm("majority", majority), Arm("rm", weighted, (), (rm,))]
    found += [Arm(name, filtered, filters) for name, filters in FILTERS.items()]
    found += [Arm(f"{name}+rm", t1, filters, (rm,)) for name, filters in FILTERS.items()]
    return [*found, Arm("adaptive", adaptive, BOTH, (rm,))]


def more_arms(rm: str) -> list[Arm]:
    """Other strategies over the same verdicts, measured at N."""
    other = next(name for name in REWARDS if name != rm)
    named = [Arm("best_of_n", best_of_n, (), (rm,)), Arm("t1_argmax", t1_argmax, BOTH, (rm,)), Arm("two_stage", two_stage, (), (rm,))]
    return [*named, Arm(f"rm ({other})", weighted, (), (other,)), Arm(f"claims+toolv+rm ({other})", t1, BOTH, (other,))]


def tables(cast: Cast, drawn: Drawn, settings: Settings) -> dict[str, Any]:
    """Everything that was found, as tables."""
    rm, validation = reward_model(drawn.validation)
    pools, most = drawn.pools, settings.samples
    columns = {(arm.name, n): column(pools, arm, n, run_seed=settings.seed) for arm in arms(rm) for n in ns_of(most)}
    columns |= {(arm.name, most): column(pools, arm, most, run_seed=settings.seed) for arm in more_arms(rm)}
    columns["greedy", 1] = greedy_column(pools)
    columns |= {("pass@n", n): oracle_column(pools, n) for n in ns_of(most)}
    parameters = {name: facts.get("with_roles") or facts["parameters"] for name, facts in cast.models.items()}
    rows = [_with_flops(c.row(model=cast.name, dialect="text"), parameters.get(cast.name)) for c in columns.values()]
    beside = _beside(cast, drawn, settings)
    rows += [_with_flops(c.row(model=model, dialect=dialect), parameters.get(model)) for (model, dialect, *_), c in beside.items()]
    return {
        "reward_model": rm,
        "complete": drawn.complete,
        "problems": len(pools),
        "samples": most,
        "split": {"digest": split_digest(), "name": "test"},
        "parameters": [{"model": name, **facts} for name, facts in cast.models.items()],
        "cells": cells(pools),
        "errors": errors(pools, rm),
        "validation": validation,
        "accuracy": rows,
        "differences": _differences(columns, beside, cast, most),
        "verification": verification(pools, rm),
        "controls": controls(drawn, settings, rm),
        "lying": lying(drawn, settings, rm, cast.name),
        "timing": drawn.timing,
    }


def ns_of(most: int) -> list[int]:
    """1, 2, 4, … and the most."""
    return [*(2**k for k in range(most.bit_length()) if 2**k < most), most]


def reward_model(pools: Sequence[JudgedPool]) -> tuple[str, list[Row]]:
    """The reward model that did best on validation problems (the first one where there are none), and what was found there."""
    if not pools:
        return REWARDS[0], []
    n = max(len(pool.candidates) for pool in pools)
    base = column(pools, Arm("majority", majority), n)
    found = {name: column(pools, Arm(name, weighted, (), (name,)), n) for name in REWARDS}
    rows = [base.row(**difference(base, base))] + [c.row(**difference(c, base)) for c in found.values()]
    best = max(REWARDS, key=lambda name: _mean(found[name].values))
    return best, [{**row, "chosen": row["arm"] == best} for row in rows]


def difference(a: Column, b: Column) -> Row:
    """How much more accurate a is than b: paired bootstrap over problems."""
    kept = [(x, y) for x, y in zip(a.values, b.values, strict=True) if not math.isnan(x - y)]
    if not kept:
        return {"a": a.name, "a_n": a.n, "b": b.name, "b_n": b.n, "difference": None, "gap_low": None, "gap_high": None, "problems": 0}
    found = paired_bootstrap([x for x, _ in kept], [y for _, y in kept], seed=derive_seed("difference") % 2**32)
    return {"a": a.name, "a_n": a.n, "b": b.name, "b_n": b.n, "difference": found[0], "gap_low": found[1], "gap_high": found[2], "problems": len(kept)}


def cells(pools: Sequence[JudgedPool]) -> list[Row]:
    """The test bed: what problems there are, and what kind of wrong samples they bring about."""
    found = []
    for name in dict.fromkeys(pool.problem.meta.get("cell", "") for pool in pools):
        mine = [pool for pool in pools if pool.problem.meta.get("cell", "") == name]
        kinds = Counter(kind for pool in mine for kind, _, _ in samples(pool) if kind != "right")
        total = max(1, kinds.total())
        templates = len({pool.problem.meta.get("template") for pool in mine})
        found.append({"cell": name, "problems": len(mine), "templates": templates, "wrong": kinds.total(), "plan": kinds["plan"] / total})
    return found


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


def errors(pools: Sequence[JudgedPool], rm: str) -> list[Row]:
    """What each verifier says of each kind of sample; intervals by bootstrap over problems."""
    kinds = ("right", "plan", "arithmetic", "nothing stated", "no answer")
    counted = [[(kind, c) for kind, c, _ in samples(pool)] for pool in pools]
    wrong = sum(kind != "right" for each in counted for kind, _ in each)
    found = []
    for kind in kinds:
        mine = [[c for k, c in each if k == kind] for each in counted]
        total = sum(map(len, mine))
        row: Row = {"kind": kind, "samples": total, "share_of_wrong": None if kind == "right" or not wrong else total / wrong}
        for name in BOTH:
            row |= _ratio(f"{name}_refutes", [sum(_refutes(p, name, c) for c in cs) for p, cs in zip(pools, mine, strict=True)], list(map(len, mine)))
        row |= _ratio("rm_dislikes", [sum(not _likes(p, rm, c) for c in cs) for p, cs in zip(pools, mine, strict=True)], list(map(len, mine)))
        found.append(row)
    return found


def verification(pools: Sequence[JudgedPool], rm: str) -> list[Row]:
    """The confusion of the reward model at 0.5, alone and after each filter, over samples with an answer: the paper's table of false positives."""
    graded = [[(c, right) for _, c, right in samples(pool) if c.votes] for pool in pools]
    found = []
    for name, filters in {"rm": (), **FILTERS}.items():
        parts: dict[str, list[int]] = {}
        for pool, mine in zip(pools, graded, strict=True):
            counts: Counter[str] = Counter()
            for candidate, right in mine:
                liked, refuted = _likes(pool, rm, candidate), any(_refutes(pool, f, candidate) for f in filters)
                counts[("tp" if right else "fp") if liked and not refuted else ("fn" if right else "tn")] += 1
                counts["removed_fp" if not right else "lost_tp"] += liked and refuted
                counts["was_fp" if not right else "was_tp"] += liked
            for key in ("tp", "fp", "fn", "tn", "removed_fp", "lost_tp", "was_fp", "was_tp"):
                parts.setdefault(key, []).append(counts[key])
        totals = {key: sum(parts[key]) for key in ("tp", "fp", "fn", "tn")} if parts else {}
        row: Row = {"verifier": "rm" if name == "rm" else f"{name}+rm", **totals}
        row |= _ratio("fp_removed", parts.get("removed_fp", []), parts.get("was_fp", []))
        row |= _ratio("tp_lost", parts.get("lost_tp", []), parts.get("was_tp", []))
        found.append(row)
    return found


def controls(drawn: Drawn, settings: Settings, rm: str) -> list[Row]:
    """The easy explanations, on the problems of the controls, each beside ToolV in full: accuracy at N, and the difference to it."""
    pools, n = drawn.pools[: drawn.controls], settings.samples
    if not pools:
        return []
    rows = []
    for kind, full in (("filter alone", Arm("toolv", filtered, ("toolv",))), ("with rm", Arm("toolv+rm", t1, ("toolv",), (rm,)))):
        reference = column(pools, full, n, run_seed=settings.seed)
        others = [replace(full, name=name, filters=(name,)) for name in pools[0].verdicts if name.startswith("toolv, ") and "lying" not in name]
        found = [column(pools, arm, n, run_seed=settings.seed) for arm in others]
        found.append(_random_filter(pools, full, n, settings.seed))
        rows += [_control_row(kind, each, reference, pools) for each in (reference, *found)]
    if drawn.own:
        values = tuple(math.nan if (right := pool.right(own)) is None else float(right) for pool, own in zip(pools, drawn.own, strict=True))
        reference = column(pools, Arm("toolv", filtered, ("toolv",)), n, run_seed=settings.seed)
        rows.append(_control_row("filter alone", Column("the programs' own answers", n, values), reference, pools))
    said = [verdict for each in drawn.displaced for verdict in each]
    if said:
        for name, count in (("refuted", sum(v.refuted for v in said)), ("passed", sum(v.score is not None and not v.refuted for v in said))):
            found_share = share(count, len(said))
            rows.append({"kind": "solutions of another problem", "arm": name, "n": len(said), **_as_row(found_share)})
    return rows


def _random_filter(pools: Sequence[JudgedPool], full: Arm, n: int, seed: int) -> Column:
    """Mean over several deals of the same verdicts."""
    dealt = []
    for number in range(SHUFFLES):
        name = f"random {number}"
        for pool in pools:
            pool.verdicts.setdefault(name, shuffled(pool, "toolv", seed=number))
        dealt.append(column(pools, replace(full, name=name, filters=(name,)), n, run_seed=seed))
    values = tuple(sum(each.values[i] for each in dealt) / SHUFFLES for i in range(len(pools)))
    return Column("random, refuting as many", n, values)


def _control_row(kind: str, found: Column, reference: Column, pools: Sequence[JudgedPool]) -> Row:
    gap = difference(found, reference)
    refuted = None
    if found.name in pools[0].verdicts:
        said = [v for pool in pools for v in pool.verdicts[found.name].values()]
        refuted = sum(v.refuted for v in said) / max(1, len(said))
    return {**found.row(kind=kind), "to_full": gap["difference"], "gap_low": gap["gap_low"], "gap_high": gap["gap_high"], "refutes": refuted}


def lying(drawn: Drawn, settings: Settings, rm: str, name: str) -> list[Row]:
    """What a calculator that lies does to each strategy, beside the honest one on the same problems."""
    pools, n = drawn.pools[: drawn.controls], settings.samples
    if not settings.lying or not pools:
        return []
    made: list[Arm] = [
        Arm("toolv", filtered, ("toolv",)),
        Arm("claims+toolv", filtered, BOTH),
        Arm("toolv+rm", t1, ("toolv",), (rm,)),
        Arm("claims+toolv+rm", t1, BOTH, (rm,)),
        Arm("t1_argmax", t1_argmax, BOTH, (rm,)),
        Arm("adaptive", adaptive, BOTH, (rm,)),
    ]
    rows = [{**column(pools, Arm(a, s, (), r), n).row(lying=0.0), "damage": 0.0} for a, s, r in (("majority", majority, ()), ("rm", weighted, (rm,)))]
    for arm in made:
        honest = _with_liar(pools, arm, n, 0.0)
        rows.append({**honest.row(lying=0.0), "damage": 0.0})
        rows += [_damaged(_with_liar(pools, arm, n, each), honest, each) for each in settings.lying]
    for told, taken in (("greedy with the interpreter", None), (f"majority@{settings.beside_samples} with the interpreter", majority)):
        if taken is not None and not settings.beside_samples:
            continue

        def answered(key: str, taken: Any = taken, told: str = told) -> Column:
            mine = drawn.tools.get(key, [])[: drawn.controls]
            return greedy_column(mine, told) if taken is None else column(mine, Arm(told, taken), settings.beside_samples)

        if drawn.tools.get(name):
            honest = answered(name)
            rows.append({**honest.row(lying=0.0), "damage": 0.0})
            rows += [_damaged(answered(f"{name} lying {each:g}"), honest, each) for each in settings.lying]
    return rows


def _with_liar(pools: Sequence[JudgedPool], arm: Arm, n: int, lies: float) -> Column:
    """The arm with the checker that lies so often in place of ToolV."""
    return column(pools, replace(arm, filters=tuple(f"toolv, lying {lies:g}" if name == "toolv" else name for name in arm.filters)), n)


def _damaged(found: Column, honest: Column, lies: float) -> Row:
    gap = difference(found, honest)
    return {**found.row(lying=lies), "damage": gap["difference"], "gap_low": gap["gap_low"], "gap_high": gap["gap_high"]}


async def timed(cast: Cast, verifiers: Mapping[str, Verifier], pools: Sequence[JudgedPool], settings: Settings, rollout: Rollout) -> list[Row]:
    """Wall seconds per problem of strategies that are run from nothing, one problem after the other."""
    most, few = settings.samples, min(16, settings.samples)
    plan: list[tuple[str, str, Any, tuple[str, ...], int, Rollout]] = [
        ("greedy", cast.name, greedy, (), 1, at_temperature(rollout, 0.0)),
        *(("majority", cast.name, majority, (), n, rollout) for n in sorted({few, most})),
        *(("claims", cast.name, filtered, ("claims",), n, rollout) for n in sorted({few, most})),
        *(("claims+toolv+rm", cast.name, t1, (*BOTH, "genrm"), n, rollout) for n in sorted({few, most})),
        ("adaptive", cast.name, adaptive, (*BOTH, "genrm"), most, rollout),
    ]
    if cast.beside is not None:
        large = replace_engine(rollout, cast.beside)
        plan.append(("greedy", cast.beside_name or "beside", greedy, (), 1, at_temperature(large, 0.0)))
        if settings.beside_samples:
            plan.append(("majority", cast.beside_name or "beside", majority, (), settings.beside_samples, large))
    rows = []
    for number, (arm, model, strategy, names, n, how) in enumerate(plan):
        # Seeds of its own: nothing may be remembered from another row.
        seed = derive_seed("timed", settings.seed, number) % 2**31
        walls = []
        for pool in pools:
            attempt = stored_attempt(how, pool.problem.asked(), None, run_seed=seed)
            choice = await strategy(pool.problem.asked(), attempt, [verifiers[name] for name in names], Budget(samples=n), seed=seed)
            walls.append(choice.cost.wall_s)
        rows.append({"model": model, "arm": arm, "n": n, "seconds": sum(walls) / max(1, len(walls)), "problems": len(walls)})
    return rows


def replace_engine(rollout: Rollout, engine: Any) -> Rollout:
    """The same rollout with another engine."""
    return Rollout(engine, params=rollout.params)


def _beside(cast: Cast, drawn: Drawn, settings: Settings) -> dict[tuple[str, str, str], Column]:
    """The larger model, and both with the interpreter, by (model, dialect, arm)."""
    found: dict[tuple[str, str, str], Column] = {}
    pairs = [(cast.beside_name or "beside", "text", drawn.beside)] if drawn.beside else []
    pairs += [(model, "retool", pools) for model, pools in drawn.tools.items() if " lying " not in model]
    for model, dialect, pools in pairs:
        found[model, dialect, "greedy"] = greedy_column(pools)
        if settings.beside_samples:
            found[model, dialect, "majority"] = column(pools, Arm("majority", majority), settings.beside_samples)
    return found


def _differences(columns: Mapping[tuple[str, int], Column], beside: Mapping[tuple[str, str, str], Column], cast: Cast, most: int) -> list[Row]:
    """The pairs that the claims speak of."""
    at = {name: found for (name, n), found in columns.items() if n == most} | {"greedy": columns["greedy", 1]}
    pairs = [(name, other) for name in ("rm", *FILTERS, *(f"{f}+rm" for f in FILTERS)) for other in ("majority", "greedy")]
    pairs += [(f"{name}+rm", "rm") for name in FILTERS] + [(f"{name}+rm", name) for name in FILTERS]
    pairs += [("claims+toolv", "claims"), ("claims+toolv", "toolv"), ("claims+toolv+rm", "claims+rm"), ("adaptive", "claims+toolv+rm"), ("two_stage", "rm")]
    pairs += [("claims+toolv+rm", "two_stage"), ("best_of_n", "majority"), ("t1_argmax", "best_of_n")]
    rows = [{"model": cast.name, "against": cast.name, **difference(at[a], at[b])} for a, b in pairs]
    for (model, dialect, arm), other in beside.items():
        told = f"{model}, {dialect}"
        rows += [{"model": cast.name, "against": told, **difference(at[name], other)} for name in ("greedy", *FILTERS, *(f"{f}+rm" for f in FILTERS))]
        if arm == "majority":
            rows.append({"model": told, "against": told, **difference(other, beside[model, dialect, "greedy"])})
    return rows


def claims(found: Mapping[str, Any], settings: Settings) -> list[dict[str, Any]]:
    """What is claimed of the tables."""
    models = [row["model"] for row in found["parameters"]]
    made = [_split_claim(found), *_stage_claims(found), *_verification_claims(found), *_control_claims(found), _adaptive_claim(found)]
    if len(models) > 1:
        made += _size_claims(found, models[0], models[1])
    return made


def _split_claim(found: Mapping[str, Any]) -> dict[str, Any]:
    plan = _find(found["errors"], kind="plan")
    value = plan["share_of_wrong"]
    text = f"about half of the wrong samples are errors of the plan, with true arithmetic: between {PLAN_LOW:.0%} and {PLAN_HIGH:.0%}"
    return claim("t1-plan-errors", text, "test bed", Measured(value), seen=None if value is None else PLAN_LOW <= value <= PLAN_HIGH)


def _stage_claims(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = []
    for a, b, bar in (("toolv+rm", "rm", OVER_RM_BAR), ("toolv+rm", "majority", OVER_MAJORITY_BAR), ("claims+toolv+rm", "rm", OVER_RM_BAR),
                      ("claims+toolv+rm", "majority", OVER_MAJORITY_BAR)):  # fmt: skip
        gap = _gap(found, a, b)
        text = f"{a} answers at least {100 * bar:.0f} points more than {b} at n = {found['samples']} (value: the difference; against: the bar)"
        made.append(claim(f"t1-{a}-over-{b}", text, f"{SOURCE}, tables 8 to 16", gap, Measured(bar), seen=None if gap.value is None else gap.value >= bar))
    for a, b, told in (("rm", "majority", "the reward model beats the majority"), ("claims+toolv", "claims", "ToolV adds to what claims reach"),
                       ("claims+toolv+rm", "claims+rm", "ToolV adds to claims and reward model"), ("toolv", "majority", "ToolV alone beats the majority"),
                       ("claims", "majority", "claims alone beat the majority")):  # fmt: skip
        gap = _gap(found, a, b)
        made.append(claim(f"t1-{a}-above-{b}", f"{told}: paired 95 % interval of the difference above zero", SOURCE, gap, seen=_above(gap)))
    rows = [row for row in found["validation"] if row["arm"] == found["reward_model"]]
    gap = Measured(rows[0]["difference"], rows[0]["gap_low"], rows[0]["gap_high"]) if rows else Measured()
    text = "the chosen reward model beats the majority on validation problems: paired 95 % interval above zero"
    return [*made, claim("t1-rm-validation", text, "issue: the RM beats majority on validation first", gap, seen=_above(gap))]


def _verification_claims(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    row = _find(found["verification"], verifier="toolv+rm")
    removed, lost = _measured(row, "fp_removed"), _measured(row, "tp_lost")
    texts = (
        f"at a reward of {LIKED}, ToolV removes at least {REMOVED_BAR:.0%} of the false positives",
        f"and costs at most {LOST_BAR:.1%} of the true positives",
    )
    plan = _measured(_find(found["errors"], kind="plan"), "toolv_refutes")
    return [
        claim("t1-false-positives", texts[0], f"{SOURCE}: 2231 of 4179", removed, Measured(REMOVED_BAR), seen=_at_least(removed, REMOVED_BAR)),
        claim("t1-true-positives", texts[1], f"{SOURCE}: 286 of 6684", lost, Measured(LOST_BAR), seen=None if lost.value is None else lost.value <= LOST_BAR),
        claim("t1-plan-caught", "ToolV refutes errors of the plan, of which claims see none: interval above zero", SOURCE, plan, seen=_above(plan)),
    ]


def _control_claims(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = []
    for name, arm, told in (
        ("random", "random, refuting as many", "a filter that refutes as many at random"),
        ("question-only", "toolv, question only", "ToolV that sees only the question"),
        ("solution-only", "toolv, solution only", "ToolV that sees only the solution"),
        ("own-answers", "the programs' own answers", "the checking programs' own answers, by vote"),
    ):
        row = _find(found["controls"], arm=arm, kind="filter alone")
        gap = Measured(*(None if row.get(part) is None else 0 - row[part] for part in ("to_full", "gap_high", "gap_low"))) if row else Measured()
        text = f"ToolV's filter answers more than {told} (paired 95 % interval of the difference above zero)"
        made.append(claim(f"t1-control-{name}", text, "control", gap, seen=_above(gap)))
    row = _find(found["controls"], kind="solutions of another problem", arm="refuted")
    refused = Measured(row.get("accuracy"), row.get("low"), row.get("high")) if row else Measured()
    text = f"ToolV refutes at least {DISPLACED_BAR:.0%} of another problem's solutions"
    return [*made, claim("t1-control-displaced", text, "control", refused, Measured(DISPLACED_BAR), seen=_at_least(refused, DISPLACED_BAR))]


def _adaptive_claim(found: Mapping[str, Any]) -> dict[str, Any]:
    gap, n = _gap(found, "adaptive", "claims+toolv+rm"), found["samples"]
    rows = [_find(found["accuracy"], arm=arm, n=n, dialect="text") for arm in ("adaptive", "claims+toolv+rm")]
    used = rows[0]["model_tokens"] / max(1.0, rows[1]["model_tokens"])
    text = f"adaptive loses less than 2 points against fixed n = {n} (lower bound above −0.02), with at most 40 % of its tokens (here {used:.0%})"
    seen = None if gap.low is None else gap.low > ADAPTIVE_BAR and used <= ADAPTIVE_TOKENS_BAR
    return claim("t1-adaptive", text, "new", gap, Measured(ADAPTIVE_BAR), seen=seen)


def _size_claims(found: Mapping[str, Any], small: str, large: str) -> list[dict[str, Any]]:
    made, n = [], found["samples"]
    for name in (*FILTERS, *(f"{f}+rm" for f in FILTERS)):
        gap = _gap(found, name, "greedy", against=f"{large}, text")
        text = f"{small} with {name} at n = {n} answers more than greedy {large}: paired 95 % interval of the difference above zero"
        made.append(claim(f"t1-{name}-over-larger", text, f"{SOURCE}: 1B beats 8B", gap, seen=_above(gap)))
    gap = _gap(found, "greedy", "greedy", against=f"{large}, text")
    apart = Measured(*(None if each is None else 0 - each for each in (gap.value, gap.high, gap.low)))
    text = f"greedy {large} answers at least {100 * SIZE_BAR:.0f} points more than greedy {small}"
    made.append(claim("t1-size", text, "test bed", apart, Measured(SIZE_BAR), seen=_at_least(apart, SIZE_BAR)))
    counted = [row.get("with_roles") or row["parameters"] for row in found["parameters"][:2]]
    if None not in counted:
        text = f"{small} with all its adapters stores fewer parameters than {large}"
        made.append(claim("t1-parameters", text, "all stored parameters counted", Measured(counted[0]), Measured(counted[1]), seen=counted[0] < counted[1]))
    return made


def _gap(found: Mapping[str, Any], a: str, b: str, *, against: str | None = None) -> Measured:
    for row in found["differences"]:
        if (row["a"], row["b"]) == (a, b) and row["against"] == (against or row["model"]):
            return Measured(row["difference"], row["gap_low"], row["gap_high"])
    return Measured()


def _above(gap: Measured) -> bool | None:
    return None if gap.low is None else gap.low > 0


def _at_least(found: Measured, bar: float) -> bool | None:
    return None if found.value is None else found.value >= bar


def _find(rows: Iterable[Row], **wanted: Any) -> Row:
    return next((row for row in rows if all(row.get(name) == value for name, value in wanted.items())), {})


def _measured(row: Row, name: str) -> Measured:
    return Measured(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"))


def _as_row(found: Measured) -> Row:
    return {"accuracy": found.value, "low": found.low, "high": found.high}


def _ratio(name: str, parts: Sequence[int], wholes: Sequence[int]) -> Row:
    """A share over all samples, with a 95 % bootstrap over problems."""
    import numpy

    if not sum(wholes):
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    part, whole = numpy.asarray(parts, dtype=float), numpy.asarray(wholes, dtype=float)
    drawn = numpy.random.default_rng(0).integers(0, len(part), size=(1000, len(part)))
    below = whole[drawn].sum(axis=1)
    ratios = part[drawn].sum(axis=1)[below > 0] / below[below > 0]
    low, high = numpy.quantile(ratios, [0.025, 0.975])
    value = float(part.sum() / whole.sum())
    return {name: value, f"{name}_low": min(value, float(low)), f"{name}_high": max(value, float(high))}


def _refutes(pool: JudgedPool, name: str, candidate: Candidate) -> bool:
    said = pool.verdict(name, candidate)
    return said is not None and said.refuted


def _likes(pool: JudgedPool, rm: str, candidate: Candidate) -> bool:
    said = pool.verdict(rm, candidate)
    return said is not None and said.score is not None and said.score >= LIKED


def _with_flops(row: dict[str, object], parameters: int | None) -> dict[str, object]:
    """With 2 × all stored parameters × tokens read and written: an upper bound, as no call uses every adapter."""
    if parameters is None or "model_tokens" not in row:
        return row
    return row | {"flops": 2.0 * parameters * (float(str(row["prompt_tokens"])) + float(str(row["model_tokens"])))}


def _mean(values: Sequence[float]) -> float:
    judged = [v for v in values if not math.isnan(v)]
    return sum(judged) / len(judged) if judged else 0.0
