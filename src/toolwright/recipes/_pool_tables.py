"""The generated tables of recorded pools: votes, rewards, programs, and the claims check's report cards. Leaves out measuring (``pools_study``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], Sequence[Sequence[object]]]
WAYS = {
    "plain": "same string",
    "majority": "majority",
    "filtered": "claims-filtered",
    "best_of_n": "best reward",
    "weighted": "weighted",
    "t1": "t1",
    "adaptive": "adaptive (samples)",
}
CARDS_HEAD = ("pool", "right", "wrong", "refuted of wrong, %", "of right, %", "wrong of refuted, %", "undecided, %", "lost every right one", "as recorded, %")


def pool_tables(tables: Mapping[str, Sequence[Row]]) -> list[Table]:
    """(head, rows) of the votes and, where they were measured, of the programs."""
    found: list[Table] = []
    accuracy = tables.get("accuracy", [])
    rows = [_vote_row(pool, accuracy, tables.get("models", [])) for pool in dict.fromkeys(row["pool"] for row in accuracy)]
    if rows:
        found.append((("recorded pool, % right", "problems", "n", "best model", "one at random", *WAYS.values(), "pass@n"), rows))
    if code := tables.get("code", []):
        ways = list(dict.fromkeys(row["strategy"] for row in code))
        cells = {(row["strategy"], row["n"]): f"{_percent(row['accuracy'])} ({_percent(row['low'])}–{_percent(row['high'])})" for row in code}
        lines = [(n, *(cells.get((way, n), "–") for way in ways)) for n in sorted({row["n"] for row in code})]
        found.append((("HumanEval, programs of CodeGen-16B: n", *ways), lines))
    return found


def card_rows(tables: Mapping[str, Sequence[Row]]) -> list[Sequence[object]]:
    """A row for each pool's report card."""
    return [
        (
            card["pool"],
            card["refuted_right"] + card["passed_right"] + card["undecided_right"],
            card["refuted_wrong"] + card["passed_wrong"] + card["undecided_wrong"],
            *(_percent(card[name]) for name in ("caught", "false_refutation", "precision", "abstained")),
            f"{card['problems_lost']} of {card['problems_with_right']}",
            _percent(card["agreed"] / card["recorded"] if card["recorded"] else None),
        )
        for card in tables.get("cards", [])
    ]


def _vote_row(pool: str, accuracy: Sequence[Row], models: Sequence[Row]) -> tuple[object, ...]:
    mine = {(row["strategy"], row["n"]): row for row in accuracy if row["pool"] == pool}
    most = max(n for _, n in mine)
    best = max((row["accuracy"] for row in models if row["pool"] == pool), default=None)
    shown = [_shown(mine.get((way, most)), mine.get(("majority", most)), most) for way in (*WAYS, "pass@n")]
    lone = mine.get(("random", 1))
    return (pool, max(row["problems"] for row in mine.values()), most, _percent(best), _percent(lone["accuracy"] if lone else None), *shown)


def _shown(row: Row | None, whole: Row | None, most: int) -> str:
    """The accuracy; for adaptive with how many samples it took, by the share of their tokens."""
    if row is None:
        return "–"
    share = row["model_tokens"] / whole["model_tokens"] if whole and whole["model_tokens"] else 1.0
    return _percent(row["accuracy"]) + (f" ({share * most:.1f})" if row["strategy"] == "adaptive" else "")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"
