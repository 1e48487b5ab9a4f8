"""The generated parts of README and docs: one function each, from result files and the embedded models' own records to Markdown.

A number gets into a page only through here. Where a result file is not there yet, a sentence says which command measures it. Leaves out where the parts
stand in the pages (`pages`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolwright.recipes._pool_tables import CARDS_HEAD, card_rows, pool_tables
from toolwright.recipes._results import read_result
from toolwright.recipes._sandbox_tables import SOAK_HEAD, SPEED_HEAD, soak_rows, speed_rows
from toolwright.recipes._study_tables import COMMANDS as STUDY_COMMANDS
from toolwright.recipes._study_tables import PARTS, Part

COMMANDS = {
    "wordproblems": "python -m toolwright.recipes.wordproblem_study --write results/wordproblems.json",
    "wordproblems_nano": "python -m toolwright.recipes.wordproblem_study --model nano --beside none --problems 15 --write results/wordproblems_nano.json",
    "benchmarks": "python -m toolwright.recipes.benchmark_study --write results/benchmarks.json",
    "claims": "python -m toolwright.recipes.claims_study --write results/claims.json",
    "equivalence": "python -m toolwright.recipes.equivalence_study --write results/equivalence.json",
    "retrieval": "python -m toolwright.recipes.retrieval_study --write results/retrieval.json",
    "pools": "python -m toolwright.recipes.pools_study --write results/pools.json",
    "sandbox": "scripts/bench sandbox",
    "soak": "scripts/bench soak",
    "attacks": "scripts/bench attacks",
    "engine": "python benchmarks/engine.py --write",
    "solve": "python benchmarks/solve.py --write",
    **STUDY_COMMANDS,
}
CURVE_ROWS = 8
Row = Mapping[str, Any]


class NotMeasured(Exception):
    """What a fragment needs is not there yet; the text is the command that makes it."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers lie."""

    results: Path
    embedded: Path

    def result(self, name: str) -> dict[str, Any]:
        """A result file. Raises: NotMeasured where there is none; UsageError for a broken one."""
        path = self.results / f"{name}.json"
        if not path.is_file():
            raise NotMeasured(COMMANDS[name])
        return read_result(path)

    def card(self, model: str) -> dict[str, Any]:
        """An embedded model's own record."""
        path = self.embedded / model / "training.json"
        if not path.is_file():
            raise NotMeasured(f"toolwright train embedded {model} --export")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def render(name: str, sources: Sources) -> str:
    """The fragment of a name. Raises: KeyError for a name that is none."""
    try:
        return FRAGMENTS[name](sources)
    except NotMeasured as missing:
        return f"*Not measured yet: run `{missing}`.*"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; columns of numbers stand on the right."""
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in (head, *rows)]
    numeric = [all(re.match(r"[-+*–\d]", cell) for cell in column) and i > 0 for i, column in enumerate(zip(*cells[1:], strict=True))]
    rule = ["---:" if right else "---" for right in numeric] or ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (cells[0], rule, *cells[1:]))


def _origin(content: Row) -> str:
    minutes = content["seconds"] / 60
    took = f"{content['seconds']:.0f} s" if minutes < 2 else f"{minutes:.0f} min"
    return f"\n\n<sub>`{content['command']}` · commit {content['commit']} · {content['machine']} · {took}</sub>"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _interval(row: Row, value: str = "accuracy") -> str:
    return "–" if row[value] is None else f"{_percent(row[value])} ({_percent(row['low'])}–{_percent(row['high'])})"


def _find(rows: Iterable[Row], **wanted: Any) -> Row | None:
    return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)


def _gap(rows: Iterable[Row], a: tuple[str, int], b: tuple[str, int], **where: Any) -> tuple[float, float, float] | None:
    """Paired difference of (strategy, n) a less b, whichever way round it was stored."""
    kept = list(rows)
    for sign, (first, second) in ((1, (a, b)), (-1, (b, a))):
        if found := _find(kept, a=first[0], a_n=first[1], b=second[0], b_n=second[1], **where):
            ends = sorted((sign * found["low"], sign * found["high"]))
            return sign * found["difference"], ends[0], ends[1]
    return None


def _shown_gap(gap: tuple[float, float, float] | None) -> str:
    if gap is None:
        return "–"
    mark = " ▲" if gap[1] > 0 else " ▼" if gap[2] < 0 else ""
    return f"{100 * gap[0]:+.1f} ({100 * gap[1]:+.1f} to {100 * gap[2]:+.1f}){mark}"


def _headline(sources: Sources) -> str:
    """What tools add, in one table: the answers right, with intervals and tokens."""
    rows: list[tuple[object, ...]] = []
    notes = []
    try:
        content = sources.result("wordproblems")
    except NotMeasured as missing:
        notes.append(f"*Word problems are not measured yet: run `{missing}`.*")
    else:
        rows += _headline_wordproblems(content)
        notes.append(f"<sub>Word problems: `{content['command']}` (commit {content['commit']}).</sub>")
    try:
        content = sources.result("benchmarks")
    except NotMeasured as missing:
        notes.append(f"*Benchmarks are not measured yet: run `{missing}`.*")
    else:
        rows += _headline_benchmarks(content)
        notes.append(f"<sub>Benchmarks: `{content['command']}` (commit {content['commit']}).</sub>")
    head = ("problems", "model", "how it answers", "right, % (95 %)", "tokens per problem")
    return (_table(head, rows) + "\n\n" if rows else "") + "\n".join(notes)


def _headline_wordproblems(content: Row) -> list[tuple[object, ...]]:
    table: list[Row] = content["tables"]["accuracy"]
    rows: list[tuple[object, ...]] = []
    main, *others = content["models"]
    most = max(row["n"] for row in table)
    ways = [("greedy", 1, "one answer"), ("majority", most, f"majority of {most}"), ("t1", most, f"{most} samples, checked by tools (t1)")]
    for strategy, n, told in ways:
        if row := _find(table, novelty="all", model=main, strategy=strategy, n=n):
            rows.append(("large-number word problems, new templates", _sized(content, main), told, _interval(row), f"{row['model_tokens']:.0f}"))
    for other in others:
        if row := _find(table, novelty="all", model=other, strategy="greedy"):
            rows.append(("large-number word problems, new templates", _sized(content, other), "one answer", _interval(row), f"{row['model_tokens']:.0f}"))
    return rows


def _headline_benchmarks(content: Row) -> list[tuple[object, ...]]:
    table: list[Row] = content["tables"]["accuracy"]
    rows: list[tuple[object, ...]] = []
    main = next(iter(content["models"]))
    ways = (
        ("text", "greedy", 1, "in the head"),
        ("retool", "greedy", 1, "with the interpreter"),
        ("retool", "majority", 16, "with the interpreter, majority of 16"),
    )
    for task in ("multiarith", "svamp"):
        for dialect, strategy, n, told in ways:
            if row := _find(table, model=main, task=task, dialect=dialect, strategy=strategy, n=n):
                rows.append((task, _sized(content, main), told, _interval(row), f"{row['model_tokens']:.0f}"))
    return rows


def _sized(content: Row, model: str) -> str:
    count = content["models"][model]["parameters"]
    return model if not count else f"{model} ({count / 1e6:.1f}M)"


def _grid(sources: Sources) -> str:
    """The grid at a glance: a row for each number of steps, a column for each number of digits."""
    content = sources.result("wordproblems")
    tables, main = content["tables"], next(iter(content["models"]))
    n = max(row["n"] for row in tables["accuracy"])
    digits = sorted({cell["digits"] for cell in tables["cells"]})
    rows = []
    for novelty, steps in sorted({(cell["novelty"], cell["steps"]) for cell in tables["cells"]}, key=lambda pair: (pair[0] != "templates", pair[1])):
        name = f"{steps} step{'s' if steps > 1 else ''}" + (", new orders" if novelty == "compositions" else "")
        rows.append([name, *(_glance(tables, main, n, {"digits": d, "steps": steps, "novelty": novelty}) for d in digits)])
    told = (
        f"{main}, % right: one answer → majority of {n} → **t1 of {n}** (pass@{n}, a perfect choice). "
        "▲ ▼: the paired 95 % interval of t1 less majority is above or below zero."
    )
    return f"{told}\n\n{_table(['', *(f'{d} digits' for d in digits)], rows)}{_origin(content)}"


def _glance(tables: Row, main: str, n: int, where: Row) -> str:
    found = [_find(tables["accuracy"], model=main, strategy=s, n=k, **where) for s, k in (("greedy", 1), ("majority", n), ("t1", n), ("pass@n", n))]
    if any(row is None for row in found):
        return "–"
    greedy, majority, t1, ceiling = (_percent(row["accuracy"], 0) for row in found if row)
    gap = _gap(tables["differences"], ("t1", n), ("majority", n), model=main, **where)
    mark = "" if gap is None else " ▲" if gap[1] > 0 else " ▼" if gap[2] < 0 else ""
    return f"{greedy} → {majority} → **{t1}**{mark} ({ceiling})"


def _grid_full(sources: Sources, *, name: str) -> str:
    """Every cell of digits × steps at every n, with intervals, those where tools do not help like the others."""
    content = sources.result(name)
    tables, (main, *others) = content["tables"], content["models"]
    cells = [*tables["cells"], {"digits": None, "steps": None, "novelty": "all"}]
    parts = []
    for n in sorted({row["n"] for row in tables["accuracy"] if row["strategy"] == "t1"}):
        head = [f"n = {n}", "problems (templates)", *(f"{other} greedy" for other in others), "greedy", "majority", "best_of_n", "t1", "pass@n"]
        rows = [_grid_row(tables, main, others, n, cell) for cell in cells]
        parts.append(_table([*head, "t1 − majority", "t1 − greedy"], [row for row in rows if row]))
    told = "Answers right in %, with 95 % intervals; ▲ ▼: a paired difference whose interval is above or below zero."
    missing = "" if tables["complete"] else " Not all samples are drawn yet."
    return f"{told}{missing}\n\n" + "\n\n".join(parts) + _origin(content)


def _grid_row(tables: Row, main: str, others: Sequence[str], n: int, cell: Row) -> list[str]:
    where = {part: cell[part] for part in ("digits", "steps", "novelty")}
    greedy = _find(tables["accuracy"], model=main, strategy="greedy", **where)
    if greedy is None:
        return []
    name = "**all**" if cell["novelty"] == "all" else f"{cell['digits']} digits, {cell['steps']} step{'s' if cell['steps'] > 1 else ''}"
    count = f"{greedy['problems']}" + (f" ({cell['templates']})" if "templates" in cell else "")
    found = [_find(tables["accuracy"], model=other, strategy="greedy", **where) for other in others]
    found += [greedy, *(_find(tables["accuracy"], model=main, strategy=s, n=n, **where) for s in ("majority", "best_of_n", "t1", "pass@n"))]
    gaps = [_gap(tables["differences"], ("t1", n), against, model=main, **where) for against in (("majority", n), ("greedy", 1))]
    new = ", new orders" if cell["novelty"] == "compositions" else ""
    return [name + new, count, *(_interval(row) if row else "–" for row in found), *map(_shown_gap, gaps)]


def _benchmarks(sources: Sources) -> str:
    """Every task and dialect."""
    content = sources.result("benchmarks")
    tables, (main, *others) = content["tables"], content["models"]
    accuracy, n = tables["accuracy"], max(row["n"] for row in tables["accuracy"])
    head = ["task", "dialect", "problems", *(f"{other} greedy" for other in others), f"{main} greedy", f"majority@{n}", f"t1@{n}", f"pass@{n}", "t1 − majority"]
    rows = []
    for task in dict.fromkeys(row["task"] for row in accuracy):
        of = _find(tables["tasks"], task=task)
        for dialect in ("text", "retool"):
            where = {"task": task, "dialect": dialect}
            cells = [_find(accuracy, model=other, strategy="greedy", **where) for other in others]
            cells += [_find(accuracy, model=main, strategy=s, n=k, **where) for s, k in (("greedy", 1), ("majority", n), ("t1", n), ("pass@n", n))]
            if cells[len(others)] is None:
                continue
            count = f"{cells[len(others)]['problems']}" + (f" of {of['of']}" if of else "")  # type: ignore[index]
            gap = _shown_gap(_gap(tables["differences"], ("t1", n), ("majority", n), model=main, **where))
            rows.append([task, dialect, count, *(_interval(cell) if cell else "–" for cell in cells), gap])
    told = "Answers right in % with 95 % intervals. *text*: arithmetic in the head; *retool*: with the interpreter."
    return f"{told}\n\n{_table(head, rows)}{_origin(content)}"


def _trained_on(sources: Sources) -> str:
    """What the measured models had seen of the benchmarks."""
    content = sources.result("benchmarks")
    lines = []
    for row in content["tables"]["trained_on"]:
        shares = "unknown" if row["mixture"] is None else ", ".join(f"{part} {value}" for part, value in row["mixture"].items())
        lines.append(f"- **{row['model']}** was trained on: {shares}. Test items in training: {row['test_items'] or 'unknown'}.")
    return "\n".join(lines)


def _claims(sources: Sources) -> str:
    """Per pool: what the claims check refutes of right and of wrong solutions, beside a rough regular expression."""
    content = sources.result("claims")
    head = ("pool (held-out half)", "right solutions", "of these refuted, %", "by the regex, %", "wrong solutions", "of these refuted, %", "by the regex, %")
    rows = []
    for row in content["tables"]["pools"]:
        if row["half"] == "held_out":
            shares = {name: _percent(row[name]["share"], 2) for name in row if name.endswith(("_ours", "_rough"))}
            right, wrong = (row["right"], shares["right_refuted_ours"], shares["right_refuted_rough"]), (row["wrong"], shares["wrong_refuted_ours"])
            rows.append((row["pool"] if row["pool"] != "all" else "**all**", *right, *wrong, shares["wrong_refuted_rough"]))
    return _table(head, rows) + _origin(content)


def _claims_gold(sources: Sources) -> str:
    """GSM8K's own solutions: refuted, decided, planted errors caught."""
    content = sources.result("claims")
    head = ("GSM8K gold, marks stripped", "solutions", "refuted, %", "equations decided, %", "planted errors caught, %", "by the regex, %")
    rows = [
        (
            f"{row['split']}, {row['half'].replace('_', '-')} half",
            row["solutions"],
            _percent(row["refuted"]["share"], 2),
            _percent(row["decided"]["share"]),
            _percent(row["caught"]["share"]),
            _percent(row["caught_rough"]["share"]),
        )
        for row in content["tables"]["gold"]
    ]
    return _table(head, rows) + _origin(content)


def _claims_models(sources: Sources) -> str:
    """Per model: the share of wrong solutions refuted."""
    content = sources.result("claims")
    head = ("model", "pool", "right", "refuted, %", "wrong", "refuted, %")
    rows = [
        (row["model"], row["pool"], row["right"], _percent(row["right_refuted_ours"]["share"], 2), row["wrong"], _percent(row["wrong_refuted_ours"]["share"]))
        for row in content["tables"]["models"]
        if row["half"] == "held_out"
    ]
    return _table(head, rows) + _origin(content)


def _equivalence(sources: Sources) -> str:
    """The hand-made pairs, ours beside math-verify, and MATH500's golds."""
    content = sources.result("equivalence")
    head = ("decided by", "pairs", "right", "false equal", "false unequal", "undecided", "order matters")
    rows = [(r["by"], r["pairs"], r["right"], r["false_equal"], r["false_unequal"], r["undecided"], r["asymmetric"]) for r in content["tables"]["pairs"]]
    golds = [(r["against"], r["golds"], r["equal"], r["unequal"], r["undecided"]) for r in content["tables"].get("math500", [])]
    more = "\n\n" + _table(("MATH500's golds against", "golds", "equal", "unequal", "undecided"), golds) if golds else ""
    return _table(head, rows) + more + _origin(content)


def _retrieval(sources: Sources) -> str:
    """SciFact and XQuAD, and the time per query where it was measured."""
    content = sources.result("retrieval")
    tables = content["tables"]
    scifact = [(r["search"], r["claims"], _spread(r, "ndcg10", 3), _spread(r, "recall3")) for r in tables["scifact"]]
    parts = [_table(("SciFact validation claims", "claims", "nDCG@10", "recall@3, %"), scifact)]
    xquad = [(r["passages"], r["questions"], *(_spread(r, f"recall{k}") for k in (1, 3, 10))) for r in tables["xquad"]]
    parts.append(_table(("XQuAD questions, gold paragraph among", "questions", "first, %", "first 3, %", "first 10, %"), xquad))
    times = [(r["queries"], r["backend"], r["passages"], r["words"], *(f"{r[name]:.1f}" for name in ("p50_ms", "p90_ms", "p99_ms"))) for r in tables["latency"]]
    head = ("time per query, k = 3", "backend", "passages", "words (median)", "ms, median", "ms, 90 %", "ms, 99 %")
    parts.append(_table(head, times) if times else "*Times were left out of this run.*")
    for row in tables["mmlu_pro"]:
        share = _spread(row, "half_of_words_in_first")
        parts.append(f"Of {row['questions']} questions of {row['task']}, {share} % have half of their longer words in the first passage found.")
    return "\n\n".join(parts) + _origin(content)


def _encyclopedia(sources: Sources) -> str:
    """How hard the generated encyclopedia is to search: recall at 3 by dial and by what is searched for."""
    content = sources.result("retrieval")
    rows = content["tables"]["encyclopedia"]
    queries = list(dict.fromkeys(row["query"] for row in rows))
    shown = []
    for entities, twins, kind in dict.fromkeys((row["entities"], row["twins"], row["kind"]) for row in rows):
        found = [_find(rows, entities=entities, twins=twins, kind=kind, query=query) for query in queries]
        count = next(row["problems"] for row in found if row)
        if kind != "all" and (entities, twins) != (2000, 6):
            # The kinds apart are worth a line at the default dial only; the result file has them all.
            continue
        shown.append((f"{entities:,}", twins, kind, count, *(_spread(row, "recall3") if row else "–" for row in found)))
    return _table(("entities", "twins", "problems", "count", *queries), shown) + _origin(content)


def _spread(row: Row, name: str, places: int = 1) -> str:
    """A number with its interval: a share in %, or with three places as it is."""
    numbers = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
    value, low, high = (f"{number:.3f}" if places == 3 else _percent(number) for number in numbers)
    return f"{value} ({low}–{high})"


def _pools(sources: Sources) -> str:
    """Votes, rewards and programs of recorded pools, with the most samples there are."""
    content = sources.result("pools")
    return "\n\n".join(_table(head, rows) for head, rows in pool_tables(content["tables"])) + _origin(content)


def _pool_cards(sources: Sources) -> str:
    """The claims check as a filter, on every pool of text."""
    content = sources.result("pools")
    return _table(CARDS_HEAD, card_rows(content["tables"])) + _origin(content)


def _sandbox(sources: Sources) -> str:
    """Speed of the sandbox beside other ways to run snippets."""
    content = sources.result("sandbox")
    return _table(SPEED_HEAD, speed_rows(content["tables"])) + _origin(content)


def _soak(sources: Sources) -> str:
    """What very many snippets with attacks and kills among them left."""
    content = sources.result("soak")
    return _table(SOAK_HEAD, soak_rows(content["tables"]["soak"])) + _origin(content)


def _attacks(sources: Sources) -> str:
    """Every row of the attack list, and how its cases ended at each level."""
    content = sources.result("attacks")
    rows = [
        (row["number"], row["attack"], row["must"], *(row[f"level_{level}"] or "–" for level in (3, 2, 1)), f"{row['held']} of {row['played']}")
        for row in content["tables"]["rows"]
    ]
    return _table(("#", "attack", "what must come of it", "level 3", "level 2", "level 1", "held"), rows) + _origin(content)


def _attacks_late(sources: Sources) -> str:
    """How far beyond their time limit runs ended, for each user, level and way."""
    content = sources.result("attacks")
    keys = ("user", "level", "way", "played", "held", "met_limit")
    rows = [
        (*(row[key] for key in keys), *("–" if row[name] is None else f"{1000 * row[name]:.0f}" for name in ("median_s", "p99_s", "most_s")))
        for row in content["tables"]["combinations"]
    ]
    head = ("as", "level", "way", "cases", "held", "met a time limit", "ms late, median", "99 %", "most")
    return _table(head, rows) + _origin(content)


def _engine(sources: Sources) -> str:
    """Tokens per second beside transformers' own generate."""
    content = sources.result("engine")
    head = ("model", "samples at once", "lengths", "tokens/s", "generate, tokens/s", "ratio")
    keys = ("model", "rows", "lengths", "engine_tokens_per_s", "generate_tokens_per_s", "ratio")
    return _table(head, [[row[key] for key in keys] for row in content["tables"]["speed"]]) + _origin(content)


def _solve(sources: Sources) -> str:
    """How long `toolwright solve` takes."""
    content = sources.result("solve")
    rows = [(c["text"].partition(":")[0], f"{c['value']:.1f}", f"{c['low']:.1f}–{c['high']:.1f}", _seen(c)) for c in content["claims"]]
    return _table(("whole processes", "seconds, median", "quickest–slowest", "within the bar"), rows) + _origin(content)


def _seen(each: Row) -> str:
    return {True: "yes", False: "**no**", None: "not testable"}[each["seen"]]


def _all_claims(sources: Sources) -> str:
    """Every claim of every result file, those not seen too."""
    rows = []
    for path in sorted(sources.results.glob("*.json")):
        for each in read_result(path)["claims"]:
            rows.append((each["text"], _number(each), _number(each, "against"), _seen(each), f"`{path.name}`"))
    if not rows:
        raise NotMeasured("scripts/bench, and the commands below")
    return _table(("claim", "found", "against", "seen", "file"), rows)


def _number(each: Row, name: str = "value") -> str:
    value, low, high = each[name], *((each["low"], each["high"]) if name == "value" else (each["against_low"], each["against_high"]))
    if value is None:
        return "–"
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} ({low:.4g}–{high:.4g})"


def _card(sources: Sources, *, model: str) -> str:
    """The facts of an embedded model."""
    facts = sources.card(model)
    settings = facts.get("settings", {})
    shares = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.get("mixture", {}).items())
    rows = [
        ("parameters", f"{facts['parameters']:,}"),
        ("trained tokens", f"{facts['tokens']:,}"),
        ("training time", f"{facts['seconds'] / 3600:.1f} h on {_machine_of(settings)}"),
        ("mixture", shares),
        ("word-problem split", f"`{facts.get('split', '?')}`"),
        ("weights", f"`{facts['digest']}`"),
        ("made by", f"`toolwright train embedded {model}`"),
    ]
    return _table((f"**{model}**", ""), rows)


def _machine_of(settings: Row) -> str:
    threads = settings.get("threads")
    return "the device the run found" if not threads else f"{threads} CPU thread{'s' if threads > 1 else ''}"


def _curve(sources: Sources, *, model: str) -> str:
    """The training curve at a few places: losses, and the share of validation answers right to the letter."""
    curve = sources.card(model)["curve"]
    last = len(curve) - 1
    chosen = sorted({round(i * last / (CURVE_ROWS - 1)) for i in range(CURVE_ROWS)}) if last else [0]
    sets = list(curve[0]["validation"])
    head = ("tokens", "training loss", *(f"{name.replace('_', ' ')}: loss (exact, %)" for name in sets))
    rows = []
    for point in (curve[i] for i in chosen):
        found = [point["validation"][name] for name in sets]
        rows.append((f"{point['tokens'] / 1e6:.1f}M", f"{point['train_loss']:.3f}", *(f"{f['loss']:.3f} ({_percent(f['exact'])})" for f in found)))
    return _table(head, rows)


def _study(sources: Sources, *, part: Part) -> str:
    """A table of what `toolwright reproduce` measured."""
    content = sources.result(part.file)
    head, rows = part.made(content["tables"])
    missing = "" if content["tables"].get("complete", True) else " Not everything is drawn yet."
    return f"{part.told}{missing}\n\n{_table(head, rows) if rows else '*Not measured in this run.*'}{_origin(content)}"


FRAGMENTS: Mapping[str, Callable[[Sources], str]] = {
    "headline": _headline,
    "grid": _grid,
    "grid-full": partial(_grid_full, name="wordproblems"),
    "grid-nano": partial(_grid_full, name="wordproblems_nano"),
    "benchmarks": _benchmarks,
    "trained-on": _trained_on,
    "claims": _claims,
    "claims-gold": _claims_gold,
    "claims-models": _claims_models,
    "equivalence": _equivalence,
    "retrieval": _retrieval,
    "encyclopedia": _encyclopedia,
    "pools": _pools,
    "pools-cards": _pool_cards,
    "sandbox": _sandbox,
    "soak": _soak,
    "attacks": _attacks,
    "attacks-late": _attacks_late,
    "engine": _engine,
    "solve": _solve,
    "all-claims": _all_claims,
    "card-pico": partial(_card, model="pico"),
    "card-nano": partial(_card, model="nano"),
    "curve-pico": partial(_curve, model="pico"),
    "curve-nano": partial(_curve, model="nano"),
    **{name: partial(_study, part=part) for name, part in PARTS.items()},
}
