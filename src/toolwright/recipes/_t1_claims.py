"""What the T1 study claims of its tables. All thresholds stood here before the first run of which they speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from toolwright.recipes._results import Measured, claim
from toolwright.recipes._t1_arms import FILTERS, LIKED
from toolwright.recipes._t1_control_tables import SOLVER, TEXT_VERIFIER
from toolwright.recipes._t1_costs import COST_BAR, COSTED, FEW

Row = Mapping[str, Any]
SOURCE = "T1 (arXiv 2504.04718)"
SIZE_BAR, OVER_RM_BAR, OVER_MAJORITY_BAR, REMOVED_BAR, LOST_BAR = 0.10, 0.05, 0.07, 0.53, 0.043
PLAN_LOW, PLAN_HIGH, DISPLACED_BAR = 0.35, 0.65, 0.95
ADAPTIVE_BAR, ADAPTIVE_TOKENS_BAR = -0.02, 0.40


def claims(found: Row) -> list[dict[str, Any]]:
    """What is claimed of the tables."""
    models = [row["model"] for row in found["parameters"]]
    made = [_split_claim(found), *_stage_claims(found), *_verification_claims(found), *_control_claims(found), _adaptive_claim(found), *_cost_claims(found)]
    if len(models) > 1:
        made += _size_claims(found, models[0], models[1])
    return made


def _split_claim(found: Row) -> dict[str, Any]:
    plan = _find(found["errors"], kind="plan")
    value = plan["share_of_wrong"]
    text = f"about half of the wrong samples are errors of the plan, with true arithmetic: between {PLAN_LOW:.0%} and {PLAN_HIGH:.0%}"
    return claim("t1-plan-errors", text, "test bed", Measured(value), seen=None if value is None else PLAN_LOW <= value <= PLAN_HIGH)


def _stage_claims(found: Row) -> list[dict[str, Any]]:
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


def _verification_claims(found: Row) -> list[dict[str, Any]]:
    row = _find(found["verification"], verifier="toolv+genrm")
    removed, lost = _measured(row, "fp_removed"), _measured(row, "tp_lost")
    texts = (
        f"at a chance of Yes of {LIKED} (GenRM), ToolV removes at least {REMOVED_BAR:.0%} of the false positives",
        f"and costs at most {LOST_BAR:.1%} of the true positives",
    )
    plan = _measured(_find(found["errors"], kind="plan"), "above_right")
    told = "ToolV refutes errors of the plan, of which claims see none, oftener than right samples: interval of the difference above zero"
    return [
        claim("t1-false-positives", texts[0], f"{SOURCE}: 2231 of 4179", removed, Measured(REMOVED_BAR), seen=_at_least(removed, REMOVED_BAR)),
        claim("t1-true-positives", texts[1], f"{SOURCE}: 286 of 6684", lost, Measured(LOST_BAR), seen=None if lost.value is None else lost.value <= LOST_BAR),
        claim("t1-plan-caught", told, SOURCE, plan, seen=_above(plan)),
    ]


def _control_claims(found: Row) -> list[dict[str, Any]]:
    made = []
    for name, kind, arm, told in (
        ("random", "filter alone", "random, refuting as many", "a filter that refutes as many at random"),
        ("text", "filter alone", TEXT_VERIFIER, "a text verifier that learned the same labels"),
        ("question-only", "filter alone", "toolv, question only", "ToolV that sees only the question"),
        ("solution-only", "filter alone", "toolv, solution only", "ToolV that sees only the solution"),
        ("own-answers", "filter alone", "the programs' own answers", "the checking programs' own answers, by vote"),
        ("solver-text", SOLVER, "text, majority", "the majority of the generator that was taught the same solutions"),
        ("solver-retool", SOLVER, "retool, majority", "the same with the interpreter"),
    ):
        row = _find(found["controls"], arm=arm, kind=kind)
        gap = Measured(*(None if row.get(part) is None else 0 - row[part] for part in ("to_full", "gap_high", "gap_low"))) if row else Measured()
        text = f"ToolV's filter answers more than {told} (paired 95 % interval of the difference above zero)"
        made.append(claim(f"t1-control-{name}", text, "control", gap, seen=_above(gap)))
    row = _find(found["controls"], kind="solutions of another problem", arm="refuted")
    refused = Measured(row.get("accuracy"), row.get("low"), row.get("high")) if row else Measured()
    text = f"ToolV refutes at least {DISPLACED_BAR:.0%} of another problem's solutions"
    return [*made, claim("t1-control-displaced", text, "control", refused, Measured(DISPLACED_BAR), seen=_at_least(refused, DISPLACED_BAR))]


def _adaptive_claim(found: Row) -> dict[str, Any]:
    gap, n = _gap(found, "adaptive", "claims+toolv+rm"), found["samples"]
    rows = [_find(found["accuracy"], model=found["parameters"][0]["model"], arm=arm, n=n, dialect="text") for arm in ("adaptive", "claims+toolv+rm")]
    used = rows[0]["model_tokens"] / max(1.0, rows[1]["model_tokens"])
    text = f"adaptive loses less than 2 points against fixed n = {n} (lower bound above −0.02), with at most 40 % of its tokens (here {used:.0%})"
    seen = None if gap.low is None else gap.low > ADAPTIVE_BAR and used <= ADAPTIVE_TOKENS_BAR
    return claim("t1-adaptive", text, "new", gap, Measured(ADAPTIVE_BAR), seen=seen)


def _cost_claims(found: Row) -> list[dict[str, Any]]:
    row = _find(found["timing"], arm=COSTED, n=FEW) or _find(found["timing"], arm=COSTED)
    if not row or row.get("over_majority") is None:
        return []
    ratio = Measured(row["over_majority"], row["over_majority_low"], row["over_majority_high"])
    text = f"T1 with the cascade and step scores at n = {row['n']} takes at most {COST_BAR:g} times the wall time of majority at n = {row['n']}"
    return [claim("t1-cost", text, "benchmark", ratio, Measured(COST_BAR), seen=row["over_majority"] <= COST_BAR)]


def _size_claims(found: Row, small: str, large: str) -> list[dict[str, Any]]:
    made, n = [], found["samples"]
    for name in (*FILTERS, *(f"{f}+rm" for f in FILTERS)):
        gap = _gap(found, name, "greedy", against=f"{large}, text")
        text = f"{small} with {name} at n = {n} answers more than greedy {large}: paired 95 % interval of the difference above zero"
        made.append(claim(f"t1-{name}-over-larger", text, f"{SOURCE}: 1B beats 8B", gap, seen=_above(gap)))
    gap = _gap(found, "greedy", "greedy", against=f"{large}, text")
    apart = Measured(*(None if each is None else 0 - each for each in (gap.value, gap.high, gap.low)))
    text = f"greedy {large} answers at least {100 * SIZE_BAR:.0f} points more than greedy {small}"
    made.append(claim("t1-size", text, "test bed", apart, Measured(SIZE_BAR), seen=_at_least(apart, SIZE_BAR)))
    # Of the larger model without its roles: its greedy answers need none.
    counted = [found["parameters"][0].get("with_roles") or found["parameters"][0]["parameters"], found["parameters"][1]["parameters"]]
    if None not in counted:
        text = f"{small} with all its adapters stores fewer parameters than {large}"
        made.append(claim("t1-parameters", text, "all stored parameters counted", Measured(counted[0]), Measured(counted[1]), seen=counted[0] < counted[1]))
    return made


def _gap(found: Row, a: str, b: str, *, against: str | None = None) -> Measured:
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
