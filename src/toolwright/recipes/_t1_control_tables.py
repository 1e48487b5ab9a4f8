"""The easy explanations of a gain, and bad tools, as tables of the T1 study: what stands in for ToolV, each beside ToolV in full on the same problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolwright.recipes._controls import shuffled
from toolwright.recipes._judged import Arm, Column, JudgedPool, column, difference, greedy_column
from toolwright.recipes._measuring import share
from toolwright.recipes._results import Measured
from toolwright.recipes._t1_arms import BOTH, LIKED
from toolwright.scaling import adaptive, filtered, majority, t1, t1_argmax, weighted

if TYPE_CHECKING:
    from toolwright.recipes.t1_study import Drawn, Settings

Row = dict[str, Any]
SHUFFLES = 5
TEXT_VERIFIER = "text verifier: the judge, no tool"
SOLVER = "solver data to the generator"


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
        found.append(column(pools, replace(full, name=TEXT_VERIFIER, filters=(_text_verifier(pools),)), n, run_seed=settings.seed))
        found.append(_random_filter(pools, full, n, settings.seed))
        rows += [_control_row(kind, each, reference, pools) for each in (reference, *found)]
    rows += _solver_rows(drawn, settings, pools)
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


def _text_verifier(pools: Sequence[JudgedPool]) -> str:
    """The judge's word as a filter: it learned the same labels of the same candidates, with as many tokens to learn from, and has no tool."""
    for pool in pools:
        known = pool.verdicts["genrm"].items()
        said = {key: replace(v, score=None if v.score is None else float(v.score >= LIKED), is_reward=False) for key, v in known}
        pool.verdicts.setdefault(TEXT_VERIFIER, said)
    return TEXT_VERIFIER


def _solver_rows(drawn: Drawn, settings: Settings, pools: Sequence[JudgedPool]) -> list[Row]:
    """The generator after it was taught the teacher's own solutions of the same problems: greedy and by majority, in its head and with the interpreter."""
    rows = []
    for dialect, mine in drawn.solver.items():
        reference = column(pools, Arm("toolv", filtered, ("toolv",)), settings.samples, run_seed=settings.seed)
        found = [greedy_column(mine, f"{dialect}, greedy")]
        if most := len(mine[0].candidates):
            found.append(column(mine, Arm(f"{dialect}, majority", majority), most, run_seed=settings.seed))
        rows += [_control_row(SOLVER, each, reference, mine) for each in found]
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


def _as_row(found: Measured) -> Row:
    return {"accuracy": found.value, "low": found.low, "high": found.high}
