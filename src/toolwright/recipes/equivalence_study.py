"""Equivalence and answer extraction, measured: hand-made pairs beside math-verify, MATH500's golds, and the answers of recorded solutions.

``python -m toolwright.recipes.equivalence_study --write results/equivalence.json``. The pairs (`equivalence_pairs.jsonl`) were written by hand together with
the check and are its regression suite, not a sample of anything: pairs that failed at first were worked on. Pairs whose answer depends on the question ("10%"
and "10") are not among them; the tests hold those to *undecided*. What went wrong in the recorded solutions was looked at while extraction was written.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from toolwright.checks import Equivalence, extract_answer
from toolwright.errors import UsageError
from toolwright.recipes._results import publish, result, run_program

COMMAND = "python -m toolwright.recipes.equivalence_study --write results/equivalence.json"
PAIRS_BAR, UNDECIDED_BAR, MATH500_BAR = 300, 0.05, 0.02
POOLS = ("gsm8k_zeroeval_greedy", "gsm8k_gsmplus_cot", "gsm8k_openai_6b_175b", "gsm8k_tora_programs", "math_l5_zeroeval_greedy", "math_qwen25math_8x")
_SHOWN = 80
"""Characters of an answer that the tables show; some pairs have ten thousand digits."""


def load_pairs() -> list[dict[str, Any]]:
    """The hand-made pairs: a, b, whether they are equal, kind, note."""
    text = files("toolwright.recipes").joinpath("equivalence_pairs.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def measure(data: Path | None) -> dict[str, Any]:
    """The result, in the format of `results/`; without a data folder only the pairs."""
    start = time.monotonic()
    with Equivalence() as equivalence:
        pairs = [_judged(pair, equivalence) for pair in load_pairs()]
        tables: dict[str, list[dict[str, Any]]] = {"pairs": _summaries(pairs), "kinds": _kinds(pairs), "each_pair": pairs}
        if data is not None:
            tables["math500"], tables["math500_not_equal"] = _math500(data, equivalence)
            tables["extraction"] = [_extraction(data, pool, equivalence) for pool in POOLS]
    return result(COMMAND, seconds=time.monotonic() - start, seeds=[], tables=tables, claims=_claims(tables))


def _judged(pair: dict[str, Any], equivalence: Equivalence) -> dict[str, Any]:
    a, b = pair["a"], pair["b"]
    return {
        "a": _short(a),
        "b": _short(b),
        "equal": pair["equal"],
        "kind": pair["kind"],
        "note": pair["note"],
        "ours": equivalence.compare(a, b),
        "reversed": equivalence.compare(b, a),
        "math_verify": equivalence.peer_verdict(a, b),
        "math_verify_reversed": equivalence.peer_verdict(b, a),
    }


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}… ({len(text)} characters) …{text[-10:]}"


def _summaries(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each way to decide."""
    rows = [_summary("toolwright", pairs, [pair["ours"] for pair in pairs])]
    rows.append(_summary("math-verify, a as gold", pairs, [pair["math_verify"] for pair in pairs]))
    rows.append(_summary("math-verify, b as gold", pairs, [pair["math_verify_reversed"] for pair in pairs]))
    rows[0]["asymmetric"] = sum(pair["ours"] is not pair["reversed"] for pair in pairs)
    for row in rows[1:]:
        row["asymmetric"] = sum(pair["math_verify"] is not pair["math_verify_reversed"] for pair in pairs)
    return rows


def _summary(name: str, pairs: list[dict[str, Any]], verdicts: list[bool | None]) -> dict[str, Any]:
    found = list(zip(pairs, verdicts, strict=True))
    return {
        "by": name,
        "pairs": len(pairs),
        "right": sum(verdict is pair["equal"] for pair, verdict in found),
        "false_equal": sum(verdict is True and not pair["equal"] for pair, verdict in found),
        "false_unequal": sum(verdict is False and pair["equal"] for pair, verdict in found),
        "undecided": sum(verdict is None for verdict in verdicts),
    }


def _kinds(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for kind in dict.fromkeys(pair["kind"] for pair in pairs):
        own = [pair for pair in pairs if pair["kind"] == kind]
        rows.append(
            {
                "kind": kind,
                "equal": sum(pair["equal"] for pair in own),
                "unequal": sum(not pair["equal"] for pair in own),
                "right": sum(pair["ours"] is pair["equal"] for pair in own),
                "undecided": sum(pair["ours"] is None for pair in own),
                "math_verify_right": sum(pair["math_verify"] is pair["equal"] for pair in own),
            }
        )
    return rows


def _math500(data: Path, equivalence: Equivalence) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """MATH500's golds against themselves (boxed, so that the texts differ) and against what sympy prints of them; and the pairs not found equal."""
    golds = [row["answer"] for row in _rows(data / "math" / "math500.jsonl")]
    rewritten = [equivalence.rewrite(gold) for gold in golds]
    forms = {
        "itself, in a box": [f"$\\boxed{{{gold}}}$" for gold in golds],
        "its sympy-normalised form": [gold if form is None else form for gold, form in zip(golds, rewritten, strict=True)],
    }
    rows, misses = [], []
    for name, others in forms.items():
        verdicts = [equivalence.compare(gold, other) for gold, other in zip(golds, others, strict=True)]
        found = {"against": name, "golds": len(golds), "equal": verdicts.count(True), "unequal": verdicts.count(False), "undecided": verdicts.count(None)}
        rows.append({**found, "unreadable_by_sympy": rewritten.count(None) if name.startswith("its") else 0})
        misses += [{"gold": g, "other": o, "verdict": v} for g, o, v in zip(golds, others, verdicts, strict=True) if v is not True]
    return rows, misses


def _extraction(data: Path, pool: str, equivalence: Equivalence) -> dict[str, Any]:
    """How the grade of the extracted answer agrees with the pool's own labels, which are mistaken themselves where the pool's own extraction failed."""
    row = dict.fromkeys(("solutions", "agree", "only_label_right", "only_ours_right", "undecided", "no_answer"), 0)
    for solution in _rows(data / "pools" / pool / "pool.jsonl.gz"):
        answer = extract_answer(solution["text"])
        verdict = equivalence.grade(answer, str(solution["gold"]))
        row["solutions"] += 1
        row["no_answer"] += answer is None
        row["undecided"] += verdict is None
        if verdict is not None:
            row["agree"] += verdict is bool(solution["is_correct"])
            row["only_label_right"] += bool(solution["is_correct"]) and not verdict
            row["only_ours_right"] += verdict and not solution["is_correct"]
    return {"pool": pool, **row}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise UsageError(f"no file at {path}; --data (or TOOLWRIGHT_DATA) must be a folder with math/ and pools/")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _claims(tables: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The bars, which were set before anything was measured."""
    ours, peer = tables["pairs"][0], tables["pairs"][1]
    wrong, peer_wrong = (row["false_equal"] + row["false_unequal"] for row in (ours, peer))
    claims = [
        _claim("pairs-wrong", f"of at least {PAIRS_BAR} hand-made pairs none is decided wrongly", wrong, peer_wrong, wrong == 0 and ours["pairs"] >= PAIRS_BAR),
        _claim(
            "pairs-undecided",
            f"at most {UNDECIDED_BAR:.0%} of the pairs stay undecided",
            ours["undecided"] / ours["pairs"],
            peer["undecided"] / peer["pairs"],
            ours["undecided"] <= UNDECIDED_BAR * ours["pairs"],
        ),
        _claim("symmetric", "the verdict does not depend on the order of the pair", ours["asymmetric"], peer["asymmetric"], ours["asymmetric"] == 0),
    ]
    for row in tables.get("math500", []):
        seen = row["unequal"] == 0 and row["undecided"] <= MATH500_BAR * row["golds"]
        text = f"MATH500's golds against {row['against']}: none unequal, at most {MATH500_BAR:.0%} undecided"
        claims.append(_claim(f"math500-{row['against'].split(',')[0].replace(' ', '-')}", text, row["undecided"] / row["golds"], None, seen))
    if "math500" not in tables:
        claims.append(_claim("math500", "MATH500's golds against themselves and their sympy-normalised form (needs the data folder)", None, None, None))
    return claims


def _claim(name: str, text: str, value: float | None, against: float | None, seen: bool | None) -> dict[str, Any]:
    bounds = {"low": None, "high": None, "against": against, "against_low": None, "against_high": None}
    return {
        "id": name,
        "text": text,
        "source": "pairs by the author of the check, who fixed what failed: a regression figure; MATH500 (PRM800K split), looked at while building",
        "value": value,
        **bounds,
        "seen": seen,
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print every pair beside math-verify's verdict and then the claims, and write the result where asked."""
    parser = argparse.ArgumentParser(prog="python -m toolwright.recipes.equivalence_study", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TOOLWRIGHT_DATA"), help="the data folder (default: TOOLWRIGHT_DATA)")
    parser.add_argument("--write", type=Path, help="where to write the result as JSON")
    options = parser.parse_args(arguments)
    content = measure(None if options.data is None else Path(options.data))
    spelled = {True: "equal", False: "unequal", None: "undecided"}
    print(f"{'expected':<10}{'toolwright':<11}{'math-verify':<12}{'reversed':<10} pair")
    for pair in content["tables"]["each_pair"]:
        verdicts = [spelled[pair[by]] for by in ("equal", "ours", "math_verify", "math_verify_reversed")]
        print(f"{verdicts[0]:<10}{verdicts[1]:<11}{verdicts[2]:<12}{verdicts[3]:<10} {pair['a']}   |   {pair['b']}")
    for row in [*content["tables"]["pairs"], *content["tables"].get("math500", []), *content["tables"].get("extraction", [])]:
        print(json.dumps(row, ensure_ascii=False))
    publish(content, options.write)


if __name__ == "__main__":
    sys.exit(run_program(main))
