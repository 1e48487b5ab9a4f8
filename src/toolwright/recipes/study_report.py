"""Which pictures the studies' results have: from tables to `Chart`s, by the name of the study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from toolwright.recipes._study_page import Chart, Line, Point, study_page

Row = Mapping[str, Any]
CURVES = ("majority", "rm", "claims", "toolv", "toolv+rm", "claims+toolv+rm", "pass@n")
_T1_LEAD = "What tools and a reward model add to a small model at test time on held-out word problems, stage by stage, and what each gain is due to."
_ARITHMETIC_LEAD = "Judging sums and differences of three to ten three-digit numbers: in words, by a program the model writes, by the exact claims check."
_KNOWLEDGE_LEAD = "Questions about a made-up encyclopedia, with no, unrelated, retrieved and gold documents for the verifier that reads."
_MEMORY_LEAD = "Verifying a + b = c for a, b < M after a short training, in words and by a program, for two sizes of model."


_ADAPTIVE_LEAD = "How few samples are enough: stops with thresholds from validation problems, beside the fixed number and its_hub's Beta stop."
_THEORY_LEAD = "Best of n with an imperfect verifier, in closed form and simulated, and what a filter that errs does to it."


def report(study: str, content: Row) -> str:
    """The page of a study's result. Raises: KeyError for a study that has none."""
    title, lead, charts = STUDIES[study]
    return study_page(title, lead, content, charts(content["tables"]))


def _t1(tables: Row) -> list[Chart]:
    found: list[Row] = tables["accuracy"]
    small = tables["parameters"][0]["model"]
    mine = [row for row in found if row["model"] == small and row["dialect"] == "text"]
    beside = [row for row in found if row["model"] != small and row["dialect"] == "text" and row["arm"] == "greedy"]
    charts = []
    for key, label in (("n", "samples per problem"), ("model_tokens", "tokens written per problem"), ("flops", "FLOPs per problem")):
        lines = [Line(f"{small}: {arm}", _points([r for r in mine if r["arm"] == arm and r.get(key)], key)) for arm in CURVES]
        lines += [Line(f"{row['model']} greedy", _points([row], key)) for row in beside if row.get(key)]
        about = "FLOPs count all stored parameters for every token read or written." if key == "flops" else ""
        charts.append(Chart(f"Right answers against {label}", label, lines, about, "log"))
    grid = {"no filter": ("majority", "rm"), "claims": ("claims", "claims+rm"), "ToolV": ("toolv", "toolv+rm"), "both": ("claims+toolv", "claims+toolv+rm")}
    at = {row["arm"]: row for row in mine if row["n"] == tables["samples"]}
    two = [Line(name, [_point(label, at[pair[i]]) for label, pair in grid.items() if pair[i] in at]) for i, name in enumerate(("votes", "reward model"))]
    charts.append(Chart(f"Filter and reward model at n = {tables['samples']}", "filter", two, scale="names"))
    shadows = [row for row in tables["controls"] if row["kind"] == "filter alone"]
    names = {"random, refuting as many": "random", "the programs' own answers": "own answers"}
    if shadows:
        points = [_point(names.get(r["arm"], r["arm"].removeprefix("toolv, ")), r) for r in shadows]
        charts.append(Chart("ToolV's filter beside its shadows", "what stands in for it", [Line("right answers", points)], "", "names"))
    if tables["lying"]:
        arms = dict.fromkeys(row["arm"] for row in tables["lying"])
        lines = [Line(arm, [Point(f"{100 * r['lying']:g} %", r["accuracy"], r["low"], r["high"]) for r in tables["lying"] if r["arm"] == arm]) for arm in arms]
        charts.append(Chart("A calculator that lies", "share of its calls in which it lies", lines, scale="names"))
    timing = [row | {"accuracy": at_n["accuracy"]} for row in tables["timing"] if (at_n := _accuracy_of(found, row)) is not None]
    if timing:
        lines = [Line(f"{r['model']}: {r['arm']}, n = {r['n']}", [Point(r["seconds"], r["accuracy"])]) for r in timing if r["seconds"] > 0]
        charts.append(Chart("Right answers against wall time", "seconds per problem, one after the other", lines, scale="log"))
    return charts


def _accuracy_of(found: Iterable[Row], timed: Row) -> Row | None:
    if timed["seconds"] is None:
        return None
    wanted = {"model": timed["model"], "arm": timed["stands_for"], "n": timed["n"], "dialect": "text"}
    return next((row for row in found if all(row[key] == value for key, value in wanted.items())), None)


def _arithmetic(tables: Row) -> list[Chart]:
    return [Chart("Equations judged rightly", "operands", _lines(tables["accuracy"], "way", "operands"), "Dashed: chance.", chance=0.5)]


def _memory(tables: Row) -> list[Chart]:
    rows = [{**row, "name": f"{row['model']}, {row['way']}"} for row in tables["accuracy"]]
    return [Chart("Verified rightly against the size of the table", "M", _lines(rows, "name", "table"), "Dashed: chance.", "log", chance=0.5)]


def _knowledge(tables: Row) -> list[Chart]:
    rows = tables["accuracy"]
    most = max((row["n"] for row in rows), default=0)
    names = [row["strategy"] for row in rows if row["n"] in (1, most)]
    lines = [
        Line(name, [_point(row["condition"], row) for row in rows if row["strategy"] == name and row["n"] in (1, most) and row["accuracy"] is not None])
        for name in dict.fromkeys(names)
    ]
    return [Chart("Right answers by the documents that the verifier reads", "documents", lines, scale="names")]


def _lines(rows: Sequence[Row], name: str, x: str) -> list[Line]:
    return [Line(each, _points([row for row in rows if row[name] == each], x)) for each in dict.fromkeys(row[name] for row in rows)]


def _points(rows: Iterable[Row], x: str) -> list[Point]:
    return [_point(row[x], row) for row in rows if row["accuracy"] is not None]


def _point(x: float | str, row: Row) -> Point:
    return Point(x, row["accuracy"], row["low"], row["high"])


def _adaptive(tables: Row) -> list[Chart]:
    charts = []
    for votes in dict.fromkeys(row["votes"] for row in tables["accuracy"]):
        mine = [row for row in tables["accuracy"] if row["votes"] == votes]
        charts.append(Chart(f"Right answers against tokens, {votes}", "tokens written per problem", [Line(r["arm"], _points([r], "tokens")) for r in mine]))
    return charts


def _theory(tables: Row) -> list[Chart]:
    rows = tables["curves"]
    named = {(r["p"], r["q"]): "no filter" if (r["p"], r["q"]) == (0, 1) else f"rejects {r['p']:g} of wrong, keeps {r['q']:g} of right" for r in rows}
    lines = [Line(name, [Point(r["n"], r["accuracy"]) for r in rows if (r["p"], r["q"]) == rates]) for rates, name in named.items()]
    return [Chart("Right choices against n, as computed", "n", lines, "The reward model has the rates that the paper measured.", "log")]


STUDIES: Mapping[str, tuple[str, str, Callable[[Row], list[Chart]]]] = {
    "t1": ("T1: tools at test time", _T1_LEAD, _t1),
    "arithmetic": ("Arithmetic in words and by program", _ARITHMETIC_LEAD, _arithmetic),
    "knowledge": ("Knowledge and documents", _KNOWLEDGE_LEAD, _knowledge),
    "adaptive": ("Adaptive sampling", _ADAPTIVE_LEAD, _adaptive),
    "theory": ("The theory of best of n", _THEORY_LEAD, _theory),
    "memory": ("Remembering against calculating", _MEMORY_LEAD, _memory),
}
