"""Questions of knowledge under four conditions: no document, garbage, what a search finds, the gold documents; for the encyclopedia and for MMLU-Pro.

``python -m toolwright.recipes.knowledge_study encyclopedia:count=1000 --model nano --write results/knowledge.json``, or with no ``--model`` just the documents
of every problem. One pool of candidates is drawn, and ToolV-facts filters it under each condition, so that the conditions differ in the documents alone, and
their differences are paired over problems.

MMLU-Pro takes the same path with ``mmlu_pro --passages wiki.jsonl`` (no gold documents are known for it). The embedded models know nothing of its subjects:
chance is what to expect of them there. Source: T1 (arXiv 2504.04718), its MMLU-Pro figure.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from toolwright.engines import load_engine
from toolwright.episodes import Engine, RunStore, SamplingParams, write_jsonl
from toolwright.errors import UsageError
from toolwright.evaluation import Report, evaluate
from toolwright.recipes._judged import Arm, column, difference, judged_pools
from toolwright.recipes._measuring import label, row_to_json
from toolwright.recipes._results import Measured, claim, model_facts, publish, result, run_program
from toolwright.retrieval import FtsIndex, Passage, build_index, open_index
from toolwright.rollouts import Rollout
from toolwright.scaling import filtered
from toolwright.tasks import CONDITIONS, Library, Task, knowledge_of, load
from toolwright.verifiers import FactForm, ToolVFacts

COMMAND = "python -m toolwright.recipes.knowledge_study"
PARAMS = SamplingParams(max_new_tokens=320, temperature=0.8)
STRATEGIES = ("greedy", "majority", "filtered")
PASSAGES_K = 3
PAIRS = (("gold", "retrieved", False), ("retrieved", "none", True), ("none", "garbage", False), ("gold", "none", True))
"""(better, worse, whether it must beat it); *at least as good* is no more than `MARGIN` below, with the whole interval."""
MARGIN = 0.02


def open_passages(task: Task, passages: Path | None, folder: Path) -> tuple[FtsIndex, tuple[Passage, ...]]:
    """(index, all passages) that a task's problems are judged by: the encyclopedia's own, or those of a folder, JSONL or index file.

    An index that is built for it stays in `folder`. Raises: UsageError where neither is there.
    """
    if passages is None:
        if not task.name.startswith("encyclopedia"):
            raise UsageError(f"{task.name} has no passages of its own; give a folder, a JSONL or an index with --passages")
        known = knowledge_of(task)
        return FtsIndex.of(known.passages), known.passages
    if passages.is_dir() or passages.name.endswith((".jsonl", ".jsonl.gz")):
        built = folder / "passages.index"
        build_index(passages, built)
        passages = built
    index = open_index(passages)
    if not isinstance(index, FtsIndex):
        raise TypeError(type(index).__name__)
    return index, index.passages()


def libraries(task: Task, index: FtsIndex, passages: Sequence[Passage], *, k: int = PASSAGES_K, seed: int = 0) -> dict[str, Library]:
    """The task's documents under every condition that it has: gold only where the task knows its gold documents."""
    knows_gold = all(problem.meta.get("documents") for problem in task.problems)
    wanted = [condition for condition in CONDITIONS if condition != "gold" or knows_gold]
    return {condition: Library(condition, task, passages, retriever=index, k=k, seed=seed) for condition in wanted}


def document_rows(task: Task, shelves: Mapping[str, Library]) -> list[dict[str, Any]]:
    """The documents of each problem under each condition, searched for with the question alone."""
    rows = []
    for problem in task.problems:
        asked = problem.asked()
        for condition, library in shelves.items():
            documents = [{"id": p.id, "title": p.title, "text": p.text, "score": round(p.score, 4)} for p in library(asked)]
            row = {"problem": problem.id, "question": problem.question, "choices": list(problem.choices), "gold": problem.gold}
            rows.append({**row, "condition": condition, "documents": documents})
    return rows


async def conditions(
    task: Task,
    engine: Engine,
    shelves: Mapping[str, Library],
    store: RunStore,
    *,
    n: int = 16,
    k: int = 4,
    run_seed: int = 0,
    form: FactForm | None = None,
    params: SamplingParams = PARAMS,
    judge: Engine | None = None,
) -> tuple[dict[str, Report], list[dict[str, Any]]]:
    """A report for each condition, and the paired differences between them at n, all from the same stored candidates.

    `k`: rationales per candidate; `form`: how they are asked for, for a model that was taught the role; `judge`: the model that writes them, where it is
    another one than the generator.
    """
    rollout = Rollout(engine, params=params)
    readers = {condition: ToolVFacts(judge or engine, library, k=k, form=form) for condition, library in shelves.items() if condition != "none"}
    found = {}
    for condition in shelves:
        verifiers = [readers[condition]] if condition in readers else []
        found[condition] = await evaluate(task, rollout, verifiers, STRATEGIES, (n,), store=store, run_seed=run_seed)
    pools = await judged_pools(task.problems, rollout, readers, store, n=n, greedy=False, run_seed=run_seed)
    columns = {condition: column(pools, Arm(condition, filtered, (condition,) if condition in readers else ()), n, run_seed=run_seed) for condition in shelves}
    return found, [difference(columns[a], columns[b]) for a, b, _ in PAIRS if a in columns and b in columns]


def tables_of(found: Mapping[str, Report], task: Task) -> dict[str, list[dict[str, Any]]]:
    """Accuracies by condition, and how ToolV-facts filtered under each."""
    accuracy = [row_to_json({"task": task.name, "condition": c}, row) for c, report in found.items() for row in (*report.results, *report.oracle)]
    filters = [
        {
            "condition": condition,
            "right": card.refuted_right + card.passed_right + card.undecided_right,
            "wrong": card.refuted_wrong + card.passed_wrong + card.undecided_wrong,
            "undecided": card.undecided_right + card.undecided_wrong,
            "false_refutation": card.false_refutation,
            "caught": card.caught,
        }
        for condition, report in found.items()
        for card in report.filters
        if card.verifier == ToolVFacts.name
    ]
    return {"accuracy": accuracy, "filters": filters}


def claims_of(differences: Sequence[Mapping[str, Any]], n: int) -> list[dict[str, Any]]:
    """Gold ≥ retrieved > none ≥ garbage, each by a paired interval over problems."""
    claims = []
    for a, b, strictly in PAIRS:
        told = "answers more than with" if strictly else f"loses less than {100 * MARGIN:.0f} points against"
        text = f"ToolV-facts with {a} documents {told} {b} at n = {n} (paired 95 % interval of the difference above {0 if strictly else -MARGIN:g})"
        row = next((row for row in differences if (row["a"], row["b"]) == (a, b)), None)
        if row is None:
            text = f"{text}: this task knows no {a} documents"
        gap = Measured() if row is None else Measured(row["difference"], row["gap_low"], row["gap_high"])
        seen = None if gap.low is None else gap.low > (0 if strictly else -MARGIN)
        claims.append(claim(f"{a}-{b}", text, "T1 (arXiv 2504.04718), MMLU-Pro figure", gap, Measured(None if strictly else -MARGIN), seen=seen))
    return claims


def measure(
    task: Task,
    engine: Engine,
    *,
    store: Path,
    passages: Path | None = None,
    n: int = 16,
    k: int = 4,
    run_seed: int = 0,
    form: FactForm | None = None,
    name: str = "model",
) -> dict[str, Any]:
    """The result, in the format of `results/`; what was drawn is stored, and the same call goes on from there."""
    start = time.monotonic()
    index, all_passages = open_passages(task, passages, store)
    with index, RunStore(store) as kept:
        shelves = libraries(task, index, all_passages)
        found, differences = asyncio.run(conditions(task, engine, shelves, kept, n=n, k=k, run_seed=run_seed, form=form))
        searched = {"passages": len(index), "index": index.facts.digest}
    documents = [{"condition": c, "digest": library.digest, **searched} for c, library in shelves.items()]
    tables = tables_of(found, task) | {"differences": differences, "documents": documents}
    command = f"{COMMAND} {task.name} --model {name} -n {n} -k {k}" + ("" if passages is None else f" --passages {passages.name}")
    models = {name: model_facts(engine)}
    return result(command, seconds=time.monotonic() - start, seeds=[run_seed], models=models, tables=tables, claims=claims_of(differences, n))


def main(arguments: list[str] | None = None) -> None:
    """Write the documents, or with a model measure the four conditions."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("task", nargs="?", default="encyclopedia:count=200", help="encyclopedia with settings, or mmlu_pro")
    parser.add_argument("--limit", type=int, help="only so many problems, drawn by the seed")
    parser.add_argument("--passages", type=Path, help="a folder, a JSONL or an index; the encyclopedia has its own")
    parser.add_argument("--data", type=Path, default=os.environ.get("TOOLWRIGHT_DATA"), help="the data folder (default: TOOLWRIGHT_DATA)")
    parser.add_argument("--documents", type=Path, help="where to write the documents of every problem as JSONL")
    parser.add_argument("--model", help="nano, pico, a folder, a hub id, or the name of a served model")
    parser.add_argument("--base-url", help="an OpenAI-compatible server")
    parser.add_argument("-n", type=int, default=16, help="candidates per problem")
    parser.add_argument("-k", type=int, default=4, help="rationales per candidate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path, default=Path("runs/knowledge"), help="the run folder")
    parser.add_argument("--write", type=Path, help="where to write the result as JSON")
    options = parser.parse_args(arguments)
    task = load(options.task, data=options.data, limit=options.limit, seed=options.seed if options.limit is not None else None)
    if options.model is None and options.base_url is None:
        _documents_only(task, options)
        return
    engine = load_engine(options.model, base_url=options.base_url)
    name = label(options.model or engine.name)
    content = measure(task, engine, store=options.store, passages=options.passages, n=options.n, k=options.k, run_seed=options.seed, name=name)
    for row in content["tables"]["accuracy"]:
        print(f"{row['condition']:<10} {row['strategy']:<9} n {row['n']:<3} {row['accuracy']} [{row['low']}, {row['high']}]")
    publish(content, options.write)


def _documents_only(task: Task, options: argparse.Namespace) -> None:
    if options.documents is None:
        raise UsageError("nothing to do: give --documents FILE for the documents alone, or --model for the measurement")
    with ExitStack() as stack:
        options.store.mkdir(parents=True, exist_ok=True)
        index, passages = open_passages(task, options.passages, options.store)
        stack.enter_context(index)
        rows = document_rows(task, libraries(task, index, passages, seed=options.seed))
    count = write_jsonl(options.documents, rows)
    without = sum(not row["documents"] for row in rows if row["condition"] == "retrieved")
    print(f"{options.documents}: {count} rows, {len(task.problems)} problems of {task.name}; a search found nothing for {without}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run_program(main))
