"""The claims check on text that real models and people wrote: what it refutes, decides and catches.

``python -m toolwright.recipes.claims_study --write results/claims.json`` measures it on the recorded pools and on GSM8K's own worked solutions, beside the
rough regular expression most people would write. The check was developed on one half of the problems (by digest of their id) and only that half's
errors were looked at; the other half is the headline. Nothing here is trained. Left out: solutions with tools, and any judgement of the final answer.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from toolwright.checks import Claim, find_claims
from toolwright.episodes import read_lines
from toolwright.errors import UsageError
from toolwright.recipes._corruption import Corruption, corrupt, false_as_written, strip_marks
from toolwright.recipes._results import publish, result, run_program

POOLS = (
    "gsm8k_zeroeval_greedy",
    "gsm8k_gsmplus_cot",
    "gsm8k_openai_6b_175b",
    "math_l5_zeroeval_greedy",
    "gsm8k_step_errors",
    "math_qwen25math_8x",
)
WITHOUT_LICENCE = frozenset({"gsm8k_gsmplus_cot"})
"""Measured with, never quoted."""
HALVES = ("held_out", "development")
FALSE_REFUTATION_BAR, DECIDED_BAR, CAUGHT_BAR = 0.005, 0.80, 0.95
COMMAND = "python -m toolwright.recipes.claims_study --write results/claims.json"

_NUMBER = r"\$?\d[\d,]*(?:\.\d+)?%?"
_ROUGH = re.compile(r"(\d[\d,]*(?:\.\d+)?)\s*([+\-*/×x÷])\s*\$?(\d[\d,]*(?:\.\d+)?)\s*=\s*\$?(-?\d[\d,]*(?:\.\d+)?)")
_ANCHORED = re.compile(
    r"(?<![\d.,+\-*/×x÷%)(])(?<![+\-*/×x÷=(]\s)(?<![+\-*/×x÷=]\s\$)(\d[\d,]*(?:\.\d+)?)\s*([+\-*/×x÷])\s*\$?(\d[\d,]*(?:\.\d+)?)"
    r"\s*=\s*\$?(-?\d[\d,]*(?:\.\d+)?)(?![\d.]*\s*[%+\-*/×x÷\d])"
)
_OPERAND = rf"{_NUMBER}(?:\s?[A-Za-z]{{2,}}(?:/[A-Za-z]+)?){{0,2}}"
_EQUATION = re.compile(
    rf"(?<![\w.^)}}+\-*/=_$\\])(?<![+\-*/=x×÷]\s)(?<![+\-*/=x×÷]\s\$)\\?{_OPERAND}(?:\s?(?:[+\-*/×x÷·]|\\times|\\cdot|\\div)\s?\\?{_OPERAND})+\s?[=≈]\s?\\?{_NUMBER}"
)
"""Numbers, each with at most two words of unit, joined by signs, then an equals sign and a number: written without a look at the check's own grammar."""


def half(problem_id: str) -> str:
    """Which half of the problems an id belongs to, by its SHA-256: even is *development*."""
    return "development" if int(hashlib.sha256(problem_id.encode()).hexdigest(), 16) % 2 == 0 else "held_out"


def rough_refutes(text: str, *, anchored: bool = False) -> bool:
    """Whether the baseline refutes: `a op b = c` between plain numbers, off by more than a hundredth and by more than 1 %.

    Anchored: only where no sign stands before or behind it, so that it never takes `3 - 4 = 9` out of `16 - 3 - 4 = 9`.
    """
    for match in (_ANCHORED if anchored else _ROUGH).finditer(text):
        a, b, c = (float(match.group(i).replace(",", "")) for i in (1, 3, 4))
        sign = match.group(2)
        if sign in "/÷" and b == 0:
            continue
        value = a + b if sign == "+" else a - b if sign == "-" else a / b if sign in "/÷" else a * b
        if abs(value - c) > max(0.01, 0.01 * abs(value)):
            return True
    return False


def measure(data: Path) -> dict[str, Any]:
    """The whole study on a data folder: a result of the form every `results/*.json` has.

    Raises: UsageError if the folder holds neither the pools nor GSM8K.
    """
    started = time.monotonic()
    pools = list(_pool_rows(data))
    pool_table, model_table = _refutations(pools)
    tables = {
        "pools": pool_table,
        "refuted_right": _refuted_right(pools),
        "models": model_table,
        "equations": _equations(pools),
        "gold": _gold(data),
    }
    return result(COMMAND, seconds=time.monotonic() - started, seeds=[0], tables=tables, claims=_claims(tables))


def wilson(hits: int, total: int) -> tuple[float | None, float | None, float | None]:
    """(share, low, high): the share and its 95 % Wilson interval; None of an empty sample."""
    if total == 0:
        return None, None, None
    z, p = 1.959964, hits / total
    centre, spread = p + z * z / (2 * total), z * ((p * (1 - p) + z * z / (4 * total)) / total) ** 0.5
    scale = 1 + z * z / total
    return round(p, 5), round(max(0.0, (centre - spread) / scale), 5), round(min(1.0, (centre + spread) / scale), 5)


def _pool_rows(data: Path) -> Iterator[dict[str, Any]]:
    for pool in POOLS:
        path = data / "pools" / pool / "pool.jsonl.gz"
        if not path.is_file():
            raise UsageError(f"no pool at {path}; give the data folder with --data or TOOLWRIGHT_DATA")
        for _, row in read_lines(path):
            text = strip_marks(row["text"])[0]
            claims = find_claims(text)
            yield {
                "pool": pool,
                "id": row["id"],
                "model": row["model"],
                "half": half(row["problem_id"]),
                "right": bool(row["is_correct"]),
                "text": text,
                "claims": claims,
                "ours": any(claim.verdict is False for claim in claims),
                "rough": rough_refutes(text),
                "anchored": rough_refutes(text, anchored=True),
            }


def _refutations(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Shares of right and of wrong solutions refuted, per half and pool and per half, pool and model."""
    pool_table = []
    for side in HALVES:
        for pool in (*POOLS, "all"):
            pool_table.append({"half": side, "pool": pool, **_shares([r for r in rows if r["half"] == side and pool in (r["pool"], "all")])})
    model_table = []
    for side in HALVES:
        for pool, model in sorted({(r["pool"], r["model"]) for r in rows}):
            chosen = [r for r in rows if (r["half"], r["pool"], r["model"]) == (side, pool, model)]
            model_table.append({"half": side, "pool": pool, "model": model, **_shares(chosen)})
    return pool_table, model_table


def _shares(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind, right in (("right", True), ("wrong", False)):
        chosen = [r for r in rows if r["right"] is right]
        found[kind] = len(chosen)
        for name in ("ours", "rough", "anchored"):
            hits = sum(r[name] for r in chosen)
            share, low, high = wilson(hits, len(chosen))
            found[f"{kind}_refuted_{name}"] = {"count": hits, "share": share, "low": low, "high": high}
    return found


def _refuted_right(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every statement refuted in a right solution, and whether an independent reader finds it false as written too."""
    return [
        {
            "half": row["half"],
            "pool": row["pool"],
            "id": row["id"],
            "model": row["model"],
            "statement": None if row["pool"] in WITHOUT_LICENCE else claim.text,
            "expected": claim.expected,
            "false_as_written": false_as_written(claim.text),
        }
        for row in rows
        if row["right"]
        for claim in row["claims"]
        if claim.verdict is False
    ]


def _unconfirmed(tables: dict[str, list[dict[str, Any]]], right: int) -> dict[str, Any]:
    """The share of right solutions with a refuted statement that the independent reader does not confirm to be false: at most this many are misreadings."""
    solutions = {(r["pool"], r["id"]) for r in tables["refuted_right"] if r["half"] == "held_out" and r["false_as_written"] is not True}
    share, low, high = wilson(len(solutions), right)
    return {"share": share, "low": low, "high": high}


def _equations(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the equations between numbers that an independent pattern finds, the share that gets a verdict."""
    table = []
    for side in HALVES:
        for pool in (*POOLS, "all"):
            total = decided = 0
            for row in rows:
                if row["half"] == side and pool in (row["pool"], "all"):
                    for match in _EQUATION.finditer(row["text"]):
                        total += 1
                        decided += _decided(row["claims"], match.start() + re.search(r"[=≈]", match.group()).start())  # type: ignore[union-attr]
            share, low, high = wilson(decided, total)
            table.append({"half": side, "pool": pool, "equations": total, "decided": decided, "share": share, "low": low, "high": high})
    return table


def _decided(claims: tuple[Claim, ...], place: int) -> bool:
    return any(claim.start <= place <= claim.end and claim.verdict is not None for claim in claims)


def _gold(data: Path) -> list[dict[str, Any]]:
    """GSM8K's own solutions with their marks stripped: refuted as they are, equations decided, planted errors caught."""
    table = []
    for split, name in (("test", "test.jsonl"), ("train", "train.jsonl.gz")):
        path = data / "gsm8k" / name
        if not path.is_file():
            raise UsageError(f"no GSM8K at {path}; give the data folder with --data or TOOLWRIGHT_DATA")
        rows = [row for _, row in read_lines(path)]
        for side in HALVES:
            table.append({"split": split, "half": side, **_gold_half([row for row in rows if half(row["id"]) == side])})
    return table


def _gold_half(rows: list[dict[str, Any]]) -> dict[str, Any]:
    tally = _Tally()
    for row in rows:
        text, marks = strip_marks(row["answer"])
        claims = find_claims(text)
        tally.add("refuted", any(claim.verdict is False for claim in claims))
        tally.add("refuted_rough", rough_refutes(text))
        tally.add("refuted_anchored", rough_refutes(text, anchored=True))
        for mark in marks:
            if mark.is_equation:
                tally.add("decided", _decided(claims, mark.place))
        planted = corrupt(text, marks, seed=row["id"])
        if planted is not None:
            _catch(tally, planted)
    return {"solutions": len(rows), **tally.shares()}


def _catch(tally: _Tally, planted: Corruption) -> None:
    caught = any(claim.verdict is False for claim in find_claims(planted.text))
    for name in ("caught", f"caught_{planted.where}", f"caught_{planted.kind}"):
        tally.add(name, caught)
    tally.add("caught_rough", rough_refutes(planted.text))
    tally.add("caught_anchored", rough_refutes(planted.text, anchored=True))


class _Tally:
    """Counts of yes among all, by name."""

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = {}

    def add(self, name: str, hit: bool) -> None:
        count = self.counts.setdefault(name, [0, 0])
        count[0] += hit
        count[1] += 1

    def shares(self) -> dict[str, Any]:
        found = {}
        for name, (hits, total) in sorted(self.counts.items()):
            share, low, high = wilson(hits, total)
            found[name] = {"count": hits, "of": total, "share": share, "low": low, "high": high}
        return found


def _claims(tables: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What is claimed, with the thresholds that were set before the run; headline numbers are of the held-out half."""
    everything = next(r for r in tables["pools"] if r["half"] == "held_out" and r["pool"] == "all")
    gold = [r for r in tables["gold"] if r["half"] == "held_out"]
    equations = next(r for r in tables["equations"] if r["half"] == "held_out" and r["pool"] == "all")
    refuted, decided, caught, caught_rough, gold_rough = (
        _pooled(gold, name) for name in ("refuted", "decided", "caught", "caught_anchored", "refuted_anchored")
    )
    right, wrong = everything["right_refuted_ours"], everything["wrong_refuted_ours"]
    rough_right, rough_wrong = everything["right_refuted_anchored"], everything["wrong_refuted_anchored"]
    unconfirmed = _unconfirmed(tables, everything["right"])
    at_most: Callable[[dict[str, Any], float], bool] = lambda found, bar: found["share"] <= bar  # noqa: E731 (two one-line tests)
    return [
        _claim(
            "claims-false-pools",
            "share of right solutions of the pools with a refuted statement ≤ 0.5 %",
            right,
            rough_right,
            at_most(right, FALSE_REFUTATION_BAR),
        ),
        _claim(
            "claims-misread-pools",
            "share of right solutions of the pools with a refuted statement that an independent reader does not confirm to be false as written ≤ 0.5 %",
            unconfirmed,
            None,
            at_most(unconfirmed, FALSE_REFUTATION_BAR),
        ),
        _claim(
            "claims-false-gold", "share of GSM8K gold solutions with a refuted statement ≤ 0.5 %", refuted, gold_rough, at_most(refuted, FALSE_REFUTATION_BAR)
        ),
        _claim("claims-decided-gold", "share of the equations of GSM8K gold that get a verdict ≥ 80 %", decided, None, decided["share"] >= DECIDED_BAR),
        _claim(
            "claims-decided-pools",
            "share of the equations between numbers in the pools that get a verdict ≥ 80 %",
            equations,
            None,
            equations["share"] >= DECIDED_BAR,
        ),
        _claim(
            "claims-caught",
            "share of single corrupted numbers planted in GSM8K gold that are caught ≥ 95 %",
            caught,
            caught_rough,
            caught["share"] >= CAUGHT_BAR,
        ),
        _claim(
            "claims-wrong",
            "more wrong solutions of the pools refuted than by the anchored regex, with fewer right ones refuted",
            wrong,
            rough_wrong,
            wrong["share"] > rough_wrong["share"] and right["share"] < rough_right["share"],
        ),
    ]


def _pooled(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    hits, total = sum(r[name]["count"] for r in rows), sum(r[name]["of"] for r in rows)
    share, low, high = wilson(hits, total)
    return {"share": share, "low": low, "high": high}


def _claim(name: str, text: str, found: dict[str, Any], against: dict[str, Any] | None, seen: bool) -> dict[str, Any]:
    other = against or {"share": None, "low": None, "high": None}
    return {
        "id": name,
        "text": text,
        "source": "held-out half of the problems; against: the anchored regex" if against else "held-out half of the problems",
        "value": found["share"],
        "low": found["low"],
        "high": found["high"],
        "against": other["share"],
        "against_low": other["low"],
        "against_high": other["high"],
        "seen": bool(seen),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the claims, and write the result where asked."""
    parser = argparse.ArgumentParser(prog="python -m toolwright.recipes.claims_study", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TOOLWRIGHT_DATA"), help="the data folder (default: TOOLWRIGHT_DATA)")
    parser.add_argument("--write", type=Path, help="where to write the result as JSON")
    options = parser.parse_args(arguments)
    if options.data is None:
        raise UsageError("no data folder: give --data or set TOOLWRIGHT_DATA")
    content = measure(Path(options.data))
    publish(content, options.write)


if __name__ == "__main__":
    sys.exit(run_program(main))
