"""Recorded pools of real models: what filters, votes and rewards do on text that nobody here wrote. No model is run.

``python -m toolwright.recipes.pools_study --write results/pools.json``. Nothing is tuned on these pools: the claims check was developed on half of the GSM8K
and MATH problems in them (see ``claims_study``, which keeps that half apart), and every threshold here is a default. The part ``codet`` runs model-written
programs in the sandbox and keeps what they gave in ``--store``, so it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from toolwright.checks import extract_answer, grade
from toolwright.episodes import Episode, Problem, Strategy
from toolwright.errors import UsageError
from toolwright.evaluation import Report, evaluate_pool, mean_interval, paired_bootstrap
from toolwright.recipes._codet import Checked, checked, expected_choices, read_asserts, run_programs
from toolwright.recipes._measuring import row_to_json
from toolwright.recipes._results import Measured, claim, publish, read_result, result, run_program
from toolwright.scaling import Candidate, ParallelStrategy, Pick
from toolwright.tasks import Pool, load_pool
from toolwright.verifiers import ClaimsVerifier

DATA_VARIABLE = "TOOLWRIGHT_DATA"
COMMAND = "python -m toolwright.recipes.pools_study"
PARTS = ("cards", "votes", "rewards", "programs", "codet")
TEXTS = (
    "gsm8k_zeroeval_greedy",
    "gsm8k_gsmplus_cot",
    "gsm8k_openai_6b_175b",
    "gsm8k_step_errors",
    "gsm8k_tora_programs",
    "math_l5_zeroeval_greedy",
    "math_qwen25math_8x",
)
VOTES = ("gsm8k_zeroeval_greedy", "math_l5_zeroeval_greedy", "gsm8k_gsmplus_cot", "gsm8k_tora_programs")
"""Pools where each model answered every problem once; their order is shuffled for each problem, so that n samples are a fair draw of n models."""
REWARDS, PROGRAMS, CODET = "math_qwen25math_8x", "gsm8k_llama2_13b_programs", "humaneval_codegen16b_50x"
PUBLISHED_CODET = (0.297, 0.367)
"""CodeGen-16B on HumanEval, pass@1 without and with CodeT (arXiv 2207.10397, table 1)."""
MARGIN = 0.02
"""How much adaptive may lose to the fixed number, lower bound."""
Tell = Callable[[str], None]
Table = list[dict[str, Any]]


def measure(
    data: Path, store: Path, *, parts: Sequence[str] = PARTS, limit: int | None = None, tell: Tell | None = None, command: str = COMMAND
) -> dict[str, Any]:
    """The study, or some parts of it, as a result of the form every `results/*.json` has.

    Raises: UsageError for an unknown part, and where the data folder lacks a pool.
    """
    if unknown := [part for part in parts if part not in PARTS]:
        raise UsageError(f"no part {unknown[0]!r} of this study; there are {', '.join(PARTS)}")
    started, say = time.monotonic(), tell or _to_stderr
    tables: dict[str, Table] = {}
    for part in parts:
        say(f"part {part}")
        for name, rows in _MEASURED[part](data, store, limit, say).items():
            tables.setdefault(name, []).extend(rows)
    return result(COMMAND, seconds=time.monotonic() - started, seeds=[0], tables=tables, claims=claims_of(tables))


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A result with the tables of a later run of some parts in place of its own rows of those parts."""
    made = {row["part"] for rows in new["tables"].values() for row in rows}
    names = list(dict.fromkeys((*old["tables"], *new["tables"])))
    tables = {name: [*(r for r in old["tables"].get(name, []) if r["part"] not in made), *new["tables"].get(name, [])] for name in names}
    return {**new, "seconds": round(old["seconds"] + new["seconds"], 1), "tables": tables, "claims": claims_of(tables)}


def _cards(data: Path, store: Path, limit: int | None, tell: Tell) -> dict[str, Table]:
    cards: Table = []
    for name in TEXTS:
        pool = _loaded(name, data, limit)
        report = asyncio.run(evaluate_pool(pool, [ClaimsVerifier()], ["majority"], [1], baselines=False))
        graded = [(_graded(p, answer), pool.is_correct[p.id, e.index]) for p, e, answer in _answered(pool)]
        agreed = sum(ours is theirs for ours, theirs in graded)
        for card in report.filters:
            shares = {share: getattr(card, share) for share in ("false_refutation", "caught", "precision", "kept_precision", "abstained", "timed_out_share")}
            cards.append({"part": "cards", "pool": name, "models": len(pool.models), **asdict(card), **shares, "recorded": len(graded), "agreed": agreed})
        tell(f"{name}: claims catch {report.filters[0].caught}, refute {report.filters[0].false_refutation} of right")
    return {"cards": cards}


def _votes(data: Path, store: Path, limit: int | None, tell: Tell) -> dict[str, Table]:
    tables: dict[str, Table] = defaultdict(list)
    strategies: list[str | Strategy] = [plain, plain_filtered, "majority", "filtered", "adaptive", "adaptive_beta"]
    for name in VOTES:
        pool = _loaded(name, data, limit, seed=0)
        report = asyncio.run(evaluate_pool(pool, [ClaimsVerifier()], strategies))
        _add(tables, "votes", report)
        right: dict[str, list[bool | None]] = defaultdict(list)
        for problem, episode, answer in _answered(pool):
            right[episode.engine].append(_graded(problem, answer))
        for model, grades in sorted(right.items()):
            mean, low, high = mean_interval([float(g) for g in grades if g is not None])
            tables["models"].append({"part": "votes", "pool": name, "model": model, "accuracy": mean, "low": low, "high": high, "problems": len(grades)})
        tell(_told(report))
    return dict(tables)


def _rewards(data: Path, store: Path, limit: int | None, tell: Tell) -> dict[str, Table]:
    tables: dict[str, Table] = defaultdict(list)
    pool = _loaded(REWARDS, data, limit)
    # The recorded score is a logit; the order within a problem is what best of n sees, the sigmoid what weighs votes.
    rewards = {key: 1 / (1 + math.exp(-float(facts["rm_score"]))) for key, facts in pool.facts.items()}
    report = asyncio.run(evaluate_pool(pool, [ClaimsVerifier()], ["majority", "best_of_n", "weighted", "filtered", "t1", "t1_argmax"], rewards=rewards))
    _add(tables, "rewards", report)
    tell(_told(report))
    return dict(tables)


def _programs(data: Path, store: Path, limit: int | None, tell: Tell) -> dict[str, Table]:
    tables: dict[str, Table] = defaultdict(list)
    pool = _loaded(PROGRAMS, data, limit, seed=0)
    report = asyncio.run(evaluate_pool(pool, [], [plain, "majority", "adaptive", "adaptive_beta"], recorded_answers=True))
    _add(tables, "programs", report)
    tell(_told(report))
    return dict(tables)


def _codet(data: Path, store: Path, limit: int | None, tell: Tell) -> dict[str, Table]:
    pool = _loaded(CODET, data, limit)
    asserts = read_asserts(data / "pools" / CODET / "generated_tests.jsonl")
    programs = {key: str(facts["program"]) for key, facts in pool.facts.items()}
    ran = asyncio.run(run_programs(programs, asserts, store / "codet.jsonl", tell=tell))
    per_problem: dict[str, list[Checked]] = defaultdict(list)
    for (problem_id, index), found in ran.items():
        per_problem[problem_id].append(checked(found, len(asserts.get(problem_id, [])), pool.is_correct[problem_id, index]))
    fewest = min(map(len, per_problem.values()))
    rows: Table = []
    differences: Table = []
    for n in sorted({n for n in (1, 2, 5, 10, 20, 50) if n <= fewest} | {fewest}):
        values = [expected_choices(samples, n, subsets=20, seed=0) for samples in per_problem.values()]
        for name in values[0]:
            mean, low, high = mean_interval([value[name] for value in values])
            rows.append({"part": "codet", "pool": CODET, "strategy": name, "n": n, "accuracy": mean, "low": low, "high": high, "problems": len(values)})
        for a, b in (("codet", "random"), ("codet", "behaviour"), ("codet", "asserts"), ("behaviour", "random")):
            gap = paired_bootstrap([value[a] for value in values], [value[b] for value in values])
            differences.append(
                {"part": "codet", "pool": CODET, "a": a, "a_n": n, "b": b, "b_n": n, **dict(zip(("difference", "low", "high"), gap, strict=True))}
            )
    tell(", ".join(f"{row['strategy']} {100 * row['accuracy']:.1f}" for row in rows if row["n"] == fewest))
    return {"code": rows, "differences": differences}


_MEASURED = {"cards": _cards, "votes": _votes, "rewards": _rewards, "programs": _programs, "codet": _codet}


def _exact_votes(candidates: Sequence[Candidate], *, filtered: bool) -> Pick:
    """The vote over answers as they are written: what counting strings gives."""
    weights = tuple(float(c.votes and not (filtered and c.verdict.refuted)) for c in candidates)
    if filtered and not any(weights):
        return replace(_exact_votes(candidates, filtered=False), fallback="All were refuted; the vote was taken without the filter.")
    votes: dict[str, float] = defaultdict(float)
    for candidate, weight in zip(candidates, weights, strict=True):
        if candidate.answer is not None and weight:
            votes[candidate.answer.strip()] += weight
    return Pick(max(votes, key=lambda answer: votes[answer]) if votes else None, weights)


plain = ParallelStrategy("plain", lambda candidates: _exact_votes(candidates, filtered=False), "The answer most samples gave, letter for letter.")
plain_filtered = ParallelStrategy(
    "plain_filtered", lambda candidates: _exact_votes(candidates, filtered=True), "The same among those not refuted.", judging="filters"
)


def claims_of(tables: Mapping[str, Table]) -> list[dict[str, Any]]:
    """What is claimed of the tables there are, each seen by the rule that stands here."""
    made = []
    for pool, told in (("gsm8k_zeroeval_greedy", "GSM8K"), ("math_l5_zeroeval_greedy", "MATH level 5")):
        made += _better(tables, f"filter-{pool}", f"votes over 12 models on {told}: claims-filtered beats the plain majority", pool, "filtered", "majority")
        made += _better(tables, f"equivalence-{pool}", f"votes over 12 models on {told}: equivalence beats counting strings", pool, "majority", "plain")
    made += _better(tables, "reward-best", "Qwen2.5-Math's own reward model: best of 8 beats the majority of 8", REWARDS, "best_of_n", "majority")
    made += _better(tables, "reward-weighted", "the same reward model: weighted votes beat the majority of 8", REWARDS, "weighted", "majority")
    made += _better(tables, "programs-majority", "Llama-2-13B's programs: the majority of 24 beats one", PROGRAMS, "majority", "random")
    for pool, told in (("gsm8k_zeroeval_greedy", "12 models on GSM8K"), (PROGRAMS, "24 programs on GSM8K")):
        made += _no_worse(tables, f"adaptive-{pool}", told, pool)
    text = "CodeGen-16B's programs, chosen by executing asserts that it wrote itself (CodeT), beat a random one"
    made += _better(tables, "codet", text, CODET, "codet", "random", source="arXiv 2207.10397: 29.7 → 36.7", against=PUBLISHED_CODET[1] - PUBLISHED_CODET[0])
    return made


def _better(
    tables: Mapping[str, Table], name: str, text: str, pool: str, a: str, b: str, *, source: str = "this project", against: float | None = None
) -> list[dict[str, Any]]:
    """Seen where the paired interval at the largest n is above zero."""
    gap = _gap(tables, pool, a, b)
    return [] if gap is None else [claim(f"pools-{name}", f"{text} (paired)", source, gap, Measured(against), seen=(gap.low or 0) > 0)]


def _no_worse(tables: Mapping[str, Table], name: str, told: str, pool: str) -> list[dict[str, Any]]:
    gap = _gap(tables, pool, "adaptive", "filtered" if pool in VOTES else "majority")
    rows = [row for row in tables.get("accuracy", []) if row["pool"] == pool]
    if gap is None:
        return []
    most = max(row["n"] for row in rows)
    spent = {row["strategy"]: row["model_tokens"] for row in rows if row["n"] == most}
    share = spent["adaptive"] / spent["majority"]
    text = f"adaptive over {told}: at most {100 * MARGIN:.0f} points below the fixed number (lower bound), with {100 * share:.0f} % of its tokens"
    return [claim(f"pools-{name}", text, "this project", gap, Measured(-MARGIN), seen=(gap.low or 0) > -MARGIN)]


def _gap(tables: Mapping[str, Table], pool: str, a: str, b: str) -> Measured | None:
    rows = [row for row in tables.get("differences", []) if row["pool"] == pool]
    most = max((max(row["a_n"], row["b_n"]) for row in rows), default=0)
    for row in rows:
        if most not in (row["a_n"], row["b_n"]) or (row["a_n"] != row["b_n"] and "random" not in (row["a"], row["b"])):
            continue
        if (row["a"], row["b"]) == (a, b):
            return Measured(row["difference"], row["low"], row["high"])
        if (row["a"], row["b"]) == (b, a):
            return Measured(-row["difference"], -row["high"], -row["low"])
    return None


def _add(tables: dict[str, Table], part: str, report: Report) -> None:
    where = {"part": part, "pool": report.task}
    for row in (*report.results, *report.baselines, *report.oracle):
        tables["accuracy"].append({**row_to_json(where, row), "gap": row.gap, "band_low": row.band_low, "band_high": row.band_high})
    tables["differences"] += [{**where, **asdict(difference)} for difference in report.differences]
    for card in report.scores:
        shares = {"precision": card.precision, "recall": card.recall, "bins": [asdict(each) for each in card.bins]}
        tables["scores"].append({**where, **asdict(card), **shares})


def _loaded(name: str, data: Path, limit: int | None, *, seed: int | None = None) -> Pool:
    pool = load_pool(name, data=data, seed=seed)
    if limit is None or limit >= len(pool.problems):
        return pool
    kept = pool.problems[:limit]
    names = {problem.id for problem in kept}
    return replace(
        pool, problems=kept, episodes=tuple(e for e in pool.episodes if e.problem_id in names), facts={k: v for k, v in pool.facts.items() if k[0] in names}
    )


def _graded(problem: Problem, answer: str | None) -> bool | None:
    return False if answer is None or problem.gold is None else grade(answer, problem.gold)


def _answered(pool: Pool) -> list[tuple[Problem, Episode, str | None]]:
    by_id = {problem.id: problem for problem in pool.problems}
    return [(by_id[e.problem_id], e, extract_answer(e.model_text)) for e in pool.episodes]


def _told(report: Report) -> str:
    most = max(row.n for row in report.results)
    shown = [row for row in (*report.results, *report.baselines, *report.oracle) if row.n == most or row.strategy == "random"]
    return f"{report.task}: " + ", ".join(f"{row.strategy}@{row.n} {100 * (row.accuracy or 0):.1f}" for row in shown)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """The command line of the study."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get(DATA_VARIABLE), help=f"the data folder (default: {DATA_VARIABLE})")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part alone; with --write it takes the place of its rows in the file")
    parser.add_argument("--limit", type=int, help="so many problems of each pool, to try it out")
    parser.add_argument("--store", type=Path, default=Path("runs/pools"), help="where what the programs gave is kept (default: runs/pools)")
    parser.add_argument("--write", type=Path, help="write the result file")
    options = parser.parse_args()
    if options.data is None:
        raise UsageError(f"no data folder; give --data, or set {DATA_VARIABLE}")
    made = measure(Path(options.data), options.store, parts=options.only or PARTS, limit=options.limit)
    if options.only and options.write is not None and options.write.is_file():
        made = merged(read_result(options.write), made)
    publish(made, options.write)


if __name__ == "__main__":
    sys.exit(run_program(main))
