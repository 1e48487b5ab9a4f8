"""What the pages show of `toolwright reproduce`'s results: for each part a sentence, a head and rows. Leaves out Markdown, which `_fragments` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], list[tuple[object, ...]]]
COMMANDS = {
    "t1": "toolwright reproduce t1 --problems 1000 --controls 200 --validation 200 --lying 0.01,0.05,0.2 --timed 30 --write results/t1.json",
    "t1_grid": "toolwright reproduce t1 --grid --problems 1000 --controls 0 --write results/t1_grid.json",
    "arithmetic": "toolwright reproduce arithmetic --write results/arithmetic.json",
    "knowledge": "toolwright reproduce knowledge encyclopedia:count=1000,form=choice --write results/knowledge.json",
    "memory": "toolwright reproduce memory --write results/memory.json",
    "adaptive": "toolwright reproduce adaptive --write results/adaptive.json",
    "theory": "toolwright reproduce theory --write results/theory.json",
}
ARMS = ("greedy", "majority", "rm", "claims", "toolv", "claims+toolv", "claims+rm", "toolv+rm", "claims+toolv+rm", "adaptive", "pass@n")
CELL_ARMS = ("greedy", "majority", "claims", "toolv", "claims+toolv", "claims+toolv+rm", "pass@n")
SHOWN_NS = (1, 4, 16, 64)


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a page."""

    file: str
    """The result file it is from."""
    told: str
    made: Callable[[Row], Table]
    """From the file's tables."""


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _interval(row: Row, value: str = "accuracy", low: str = "low", high: str = "high") -> str:
    return "–" if row.get(value) is None else f"{_percent(row[value])} ({_percent(row[low])}–{_percent(row[high])})"


def _gap(row: Row | None, value: str = "difference") -> str:
    if row is None or row.get(value) is None or row.get("gap_low") is None:
        return "–"
    mark = " ▲" if row["gap_low"] > 0 else " ▼" if row["gap_high"] < 0 else ""
    return f"{100 * row[value]:+.1f} ({100 * row['gap_low']:+.1f} to {100 * row['gap_high']:+.1f}){mark}"


def _find(rows: Iterable[Row], **wanted: Any) -> Row | None:
    return next((row for row in rows if all(row.get(name) == value for name, value in wanted.items())), None)


def _stages(tables: Row) -> Table:
    small = tables["parameters"][0]["model"]
    mine = [row for row in tables["accuracy"] if row["model"] == small and row["dialect"] == "text"]
    most = tables["samples"]
    ns = [n for n in dict.fromkeys((*SHOWN_NS, most)) if n < most and any(row["n"] == n for row in mine)]
    rows: list[tuple[object, ...]] = []
    for arm in dict.fromkeys((*ARMS, *(row["arm"] for row in mine))):
        last = _find(mine, arm=arm, n=1 if arm == "greedy" else most)
        if last is None:
            continue
        few = [_percent(found["accuracy"]) if (found := _find(mine, arm=arm, n=n)) else "–" for n in ns]
        gaps = [_gap(_find(tables["differences"], a=arm, b=other, against=small)) for other in ("majority", "rm")]
        rows.append((arm, *few, _interval(last), *gaps, f"{last.get('prompt_tokens', 0):.0f}", f"{last.get('model_tokens', 0):.0f}"))
    return ("how it chooses", *(f"n = {n}" for n in ns), f"n = {most}", "less majority", "less rm", "tokens read", "written"), rows


def _beside(tables: Row) -> Table:
    small = tables["parameters"][0]["model"]
    rows: list[tuple[object, ...]] = []
    for row in tables["accuracy"]:
        if row["model"] != small or row["dialect"] != "text":
            told = f"{row['model']}, {row['dialect']}"
            # Two rows of a model and dialect differ in their arm; differences name only the first of both.
            gaps = [
                _gap(next((d for d in tables["differences"] if d["against"] == told and d["a"] == arm and (d["b"], d["b_n"]) == (row["arm"], row["n"])), None))
                for arm in ("claims", "toolv", "claims+toolv+rm")
            ]
            rows.append((row["model"], row["dialect"], f"{row['arm']}@{row['n']}", _interval(row), *gaps))
    head = ("model", "dialect", "how", "right, %", f"{small} claims less it", f"{small} toolv less it", f"{small} claims+toolv+rm less it")
    return head, rows


def _errors(tables: Row) -> Table:
    rows: list[tuple[object, ...]] = [
        (
            row["kind"],
            f"{row['samples']:,}",
            _percent(row["share_of_wrong"]),
            *(_interval(row, name, f"{name}_low", f"{name}_high") for name in ("claims_refutes", "toolv_refutes", "above_right", "rm_dislikes")),
        )
        for row in tables["errors"]
    ]
    return ("samples", "count", "of the wrong, %", "claims refute, %", "ToolV refutes, %", "less of right ones, points", "the reward model dislikes, %"), rows


def _verification(tables: Row) -> Table:
    rows: list[tuple[object, ...]] = []
    for row in tables["verification"]:
        if "tp" in row:
            counts = [f"{row[key]:,}" for key in ("tp", "fp", "fn", "tn")]
            rows.append((row["verifier"], *counts, *(_interval(row, name, f"{name}_low", f"{name}_high") for name in ("fp_removed", "tp_lost"))))
    return ("accepted by", "true pos.", "false pos.", "false neg.", "true neg.", "false positives removed, %", "true positives lost, %"), rows


def _controls(tables: Row) -> Table:
    rows: list[tuple[object, ...]] = []
    for row in tables["controls"]:
        rows.append((row["kind"], row["arm"], _interval(row), _gap(row, "to_full"), _percent(row.get("refutes"))))
    return ("", "filter", "right (or share), %", "less ToolV in full", "texts refuted, %"), rows


def _lying(tables: Row) -> Table:
    lies = sorted({row["lying"] for row in tables["lying"]})
    rows: list[tuple[object, ...]] = []
    for arm in dict.fromkeys(row["arm"] for row in tables["lying"]):
        found = [_find(tables["lying"], arm=arm, lying=lie) for lie in lies]
        rows.append((arm, *("–" if row is None else _interval(row) if not row["lying"] else _gap(row, "damage") for row in found)))
    return ("strategy", "honest, %", *(f"lies in {100 * lie:g} %" for lie in lies if lie)), rows


def _timing(tables: Row) -> Table:
    rows: list[tuple[object, ...]] = []
    for row in tables["timing"]:
        seconds = "–" if row["seconds"] is None else f"{row['seconds']:.2f}"
        over = row.get("over_majority")
        times = "–" if over is None else f"{over:.2f} ({row['over_majority_low']:.2f}–{row['over_majority_high']:.2f})"
        rows.append((row["model"], row["arm"], row["n"], seconds, times, *(_whole(row.get(name)) for name in ("model_tokens", "tool_calls"))))
    return ("model", "how", "n", "seconds per problem", "times the majority", "tokens written", "runs of programs"), rows


def _crossover(tables: Row) -> Table:
    rows: list[tuple[object, ...]] = []
    for row in tables.get("crossover", []):
        there = "never" if row["n"] is None else row["n"]
        pays = "–" if row["ratio"] is None else f"{row['ratio']:.1f}"
        unit = "FLOPs" if row["axis"] == "flops" else "seconds"
        rows.append((f"{row['against']} {row['against_arm']}, {_percent(row['against_accuracy'])}", unit, row["arm"], there, _percent(row["accuracy"]), pays))
    return ("caught up with (right, %)", "paid in", "how it chooses", "from n", "right there, or at most, %", "times the larger model's"), rows


def _cells(tables: Row) -> Table:
    found: list[Row] = tables.get("by_cell", [])
    small = tables["parameters"][0]["model"]
    others = [row["model"] for row in tables["parameters"][1:]]
    shown = [(small, arm, arm) for arm in CELL_ARMS] + [(other, "greedy", f"{other} greedy") for other in others]
    plans = {row["cell"]: row["plan"] for row in tables["cells"]}
    rows: list[tuple[object, ...]] = []
    for cell in dict.fromkeys(row["cell"] for row in found):
        mine = [row for row in found if row["cell"] == cell and row["dialect"] == "text"]
        cells = [_find(mine, model=model, arm=arm) for model, arm, _ in shown]
        count = next(row["problems"] for row in mine)
        rows.append((cell, count, _percent(plans.get(cell)), *("–" if row is None else _interval(row) for row in cells)))
    return ("cell", "problems", "plans among the wrong, %", *(told for _, _, told in shown)), rows


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _arithmetic(tables: Row) -> Table:
    counts = sorted({row["operands"] for row in tables["accuracy"]})
    rows: list[tuple[object, ...]] = []
    for way in dict.fromkeys(row["way"] for row in tables["accuracy"]):
        found = [_find(tables["accuracy"], way=way, operands=k) for k in counts]
        rows.append((way, *("–" if row is None else _interval(row) for row in found)))
    return ("way", *(f"{k} operands" for k in counts)), rows


def _memory(tables: Row) -> Table:
    sizes = sorted({row["table"] for row in tables["accuracy"]})
    rows: list[tuple[object, ...]] = []
    for model, way in dict.fromkeys((row["model"], row["way"]) for row in tables["accuracy"]):
        found = [_find(tables["accuracy"], model=model, way=way, table=size) for size in sizes]
        rows.append((model, way, *("–" if row is None else _interval(row) for row in found)))
    return ("model", "way", *(f"M = {size}" for size in sizes)), rows


def _knowledge(tables: Row) -> Table:
    conditions = list(dict.fromkeys(row["condition"] for row in tables["accuracy"]))
    rows: list[tuple[object, ...]] = []
    for strategy, n in dict.fromkeys((row["strategy"], row["n"]) for row in tables["accuracy"]):
        found = [_find(tables["accuracy"], strategy=strategy, n=n, condition=condition) for condition in conditions]
        rows.append((f"{strategy}@{n}", *("–" if row is None else _interval(row) for row in found)))
    return ("strategy", *conditions), rows


def _knowledge_gaps(tables: Row) -> Table:
    return ("filtered with", "less with", "points"), [(row["a"], row["b"], _gap(row)) for row in tables.get("differences", [])]


def _adaptive(tables: Row) -> Table:
    rows: list[tuple[object, ...]] = [
        (
            row["arm"],
            _interval(row),
            _gap({"difference": row["to_fixed"], "gap_low": row["to_fixed_low"], "gap_high": row["to_fixed_high"]}),
            f"{row['tokens']:.0f}",
            _interval(row, "share", "share_low", "share_high"),
            _interval(row, "our_tokens_over_its", "our_tokens_over_its_low", "our_tokens_over_its_high"),
        )
        for row in tables["accuracy"]
    ]
    head = ("stop", "right, %", "less the fixed number", "tokens written", "of the fixed number's, %", "adaptive's tokens, % of these")
    return head, rows


def _theory(tables: Row) -> Table:
    filters = list(dict.fromkeys((row["filter_p"], row["filter_q"]) for row in tables["points"]))
    ns = sorted({row["n"] for row in tables["points"]})
    wanted = [row for row in tables["points"] if row["base"] == 0.5 and row["reward_p"] == max(each["reward_p"] for each in tables["points"])]
    rows: list[tuple[object, ...]] = []
    for p, q in filters:
        mine = [_find(wanted, filter_p=p, filter_q=q, n=n) for n in ns]
        rows.append((f"{p:g}, {q:g}", *("–" if row is None else f"{_percent(row['closed'], 2)} ({_percent(row['simulated'], 2)})" for row in mine)))
    return ("filter: rejects of wrong, keeps of right", *(f"n = {n}" for n in ns)), rows


PARTS: Mapping[str, Part] = {
    "t1-stages": Part("t1", "Right answers in %, with 95 % intervals (bootstrap over problems); ▲ ▼: a paired difference above or below zero.", _stages),
    "t1-beside": Part("t1", "The larger model, and both models with the interpreter.", _beside),
    "t1-errors": Part("t1", "What each verifier says of each kind of sample: *plan* is a wrong answer whose arithmetic is true.", _errors),
    "t1-verification": Part("t1", "The reward models at 0.5, alone and after each filter.", _verification),
    "t1-cells": Part("t1", "Right answers in % by cell: digits of the numbers, steps of the solution, what is new.", _cells),
    "t1-grid": Part("t1_grid", "The same over the full grid, with the cells where nothing helps.", _cells),
    "t1-crossover": Part("t1", "Where the small model is first as accurate as the larger one, and what it pays there.", _crossover),
    "t1-controls": Part("t1", "What stands in for ToolV, on the problems of the controls.", _controls),
    "t1-lying": Part("t1", "A calculator that lies: what is lost against an honest one, in points.", _lying),
    "t1-timing": Part("t1", "Wall time, each problem from nothing and one after the other.", _timing),
    "arithmetic": Part("arithmetic", "Equations judged rightly, in %; chance is 50.", _arithmetic),
    "knowledge": Part("knowledge", "Right answers in % by the documents that the verifier reads.", _knowledge),
    "knowledge-gaps": Part("knowledge", "Paired differences: the same candidates, other documents.", _knowledge_gaps),
    "adaptive": Part("adaptive", "Stops on the same votes; thresholds from validation problems.", _adaptive),
    "theory": Part("theory", "Right choices in % as computed (and as simulated), half of the candidates right.", _theory),
    "memory": Part("memory", "Verified rightly, in %, after the same short training; chance is 50.", _memory),
}
