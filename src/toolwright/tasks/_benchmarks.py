"""The public benchmarks: where their files lie, what the hub calls them, and how a row becomes a problem.

Nothing is downloaded unless the data folder lacks the task and the extra ``hub`` is installed. Golds are cleaned (`_golds`), never corrected: known errors of
the data stay in and are told in docs/data.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolwright.episodes import Problem
from toolwright.errors import MissingExtra, UsageError
from toolwright.tasks._golds import asdiv_gold, number_gold, rounded_gold, written_gold
from toolwright.tasks._rows import read_rows
from toolwright.tasks._types import Source, Task, chosen

DATA_VARIABLE = "TOOLWRIGHT_DATA"
_UNKNOWN_MAWPS = "none stated for the data set (MAWPS)"
ReadRow = Callable[[Mapping[str, Any], str, int], Problem]
"""``(row, id prefix, position)`` to the problem; KeyError where the row lacks a field."""


@dataclass(frozen=True, slots=True)
class Hub:
    """What the Hugging Face hub calls a task."""

    id: str
    splits: Mapping[str, tuple[str, ...]]
    """Our split to the hub's, joined in this order."""
    config: str | None = None
    sort: Callable[[Mapping[str, Any]], Any] | None = None
    """Puts the rows of joined splits into the order of the original file."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One public benchmark; calling it loads it."""

    name: str
    files: Mapping[str, tuple[str, ...]]
    """Split to the files that may hold it, in the order they are looked for; ``NAME/SPLIT.jsonl`` always counts, and each also with ``.gz``."""
    read: ReadRow
    licence: str
    hub: Hub | None
    notes: str = ""
    trainable: frozenset[str] = field(default_factory=frozenset)

    def __call__(self, *, data: str | os.PathLike[str] | None = None, split: str = "test", limit: int | None = None, seed: int | None = None) -> Task:
        """The task, from `data`, the folder in TOOLWRIGHT_DATA, or the hub, whichever has it first; a folder given by hand is the only place looked at."""
        if split not in self.files:
            raise UsageError(f"{self.name} has no split {split!r}; it has {', '.join(self.files)}")
        path, looked = self._find(data, split)
        rows: Iterator[tuple[int, Mapping[str, Any]]]
        source: Source
        if path is not None:
            rows, place, source = read_rows(path), str(path), "folder"
        elif data is not None:
            raise UsageError(f"no data for {self.name}: {looked} is not there; docs/data.md tells the layout of a data folder")
        else:
            rows, place, source = self._from_hub(split, looked), f"the hub's {self.hub.id if self.hub else ''}", "hub"
        problems = [self._problem(row, split, position, f"{place}, line {line}") for position, (line, row) in enumerate(rows)]
        if not problems:
            raise UsageError(f"{place} holds no problems")
        _refuse_doubles(problems, place)
        name = self.name if split == "test" else f"{self.name}:split={split}"
        return Task(name, chosen(problems, limit, seed), source, split, self.licence, self.notes, split in self.trainable)

    def _find(self, data: str | os.PathLike[str] | None, split: str) -> tuple[Path | None, str]:
        """(the file or None, where it was looked for, in words)."""
        folder = data if data is not None else os.environ.get(DATA_VARIABLE)
        names = (*self.files[split], f"{self.name}/{split}.jsonl")
        if not folder:
            return None, f"{DATA_VARIABLE} is not set (its folder would hold {names[0]})"
        for name in names:
            for ending in ("", ".gz"):
                path = Path(folder) / (name + ending)
                if path.is_file():
                    return path, str(path)
        return None, str(Path(folder) / names[0])

    def _from_hub(self, split: str, looked: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        missing = f"no data for {self.name}: {looked}" if DATA_VARIABLE in looked else f"no data for {self.name}: {looked} is not there"
        if self.hub is None:
            raise UsageError(
                f"{missing}, and no copy on the hub is known; docs/data.md says where its file can be had; put it into the folder named by {DATA_VARIABLE}"
            )
        try:
            import datasets
        except ImportError as error:
            raise MissingExtra("hub", f"{missing}; set {DATA_VARIABLE} to a data folder, or fetch {self.hub.id} from the Hugging Face hub, which") from error
        rows: list[Mapping[str, Any]] = []
        for part in self.hub.splits.get(split, (split,)):
            try:
                rows += datasets.load_dataset(self.hub.id, self.hub.config, split=part)
            except Exception as error:  # the library raises a different kind for each way a download fails
                cause = " ".join(str(error).split())[:200]
                raise UsageError(
                    f"{missing}, and {self.hub.id} could not be fetched from the Hugging Face hub ({cause}); set {DATA_VARIABLE} to a data folder"
                ) from error
        return enumerate(sorted(rows, key=self.hub.sort) if self.hub.sort else rows)

    def _problem(self, row: Mapping[str, Any], split: str, position: int, place: str) -> Problem:
        prefix = {"gsm8k": f"gsm8k-{split}", "math500": "math500"}.get(self.name, self.name)
        try:
            problem = self.read(row, prefix, position)
        except (KeyError, UsageError, AttributeError, TypeError) as error:
            reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
            raise UsageError(f"{place} is no row of {self.name}: {reason}; its fields are {', '.join(sorted(map(str, row)))}") from error
        if not problem.question.strip():
            raise UsageError(f"{place}: the question is empty")
        return problem


def _refuse_doubles(problems: list[Problem], place: str) -> None:
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise UsageError(f"{place} holds the id {problem.id} twice")
        seen.add(problem.id)


def _first(row: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise KeyError(" or ".join(names))


def _facts(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names if row.get(name) is not None}


def _read_gsm8k(row: Mapping[str, Any], prefix: str, position: int) -> Problem:
    gold = str(row["final_answer"]) if "final_answer" in row else written_gold(row["answer"])
    return Problem(str(row.get("id", f"{prefix}-{position:05d}")), row["question"], number_gold(gold), meta={"solution": row["answer"]})


def _read_svamp(row: Mapping[str, Any], prefix: str, position: int) -> Problem:
    body, asked = str(_first(row, "body", "Body")).strip(), str(_first(row, "question", "Question")).strip()
    question = row.get("problem") or f"{body if body.endswith(('.', '!', '?')) else body + '.'} {asked}"
    meta = {"equation": _first(row, "equation", "Equation"), "type": _first(row, "type", "Type")}
    return Problem(str(row.get("id") or f"{prefix}-{row['ID']}"), question, number_gold(_first(row, "answer", "Answer")), meta=meta)


def _read_asdiv(row: Mapping[str, Any], prefix: str, position: int) -> Problem:
    question = row.get("problem") or f"{row['body'].strip()} {row['question'].strip()}"
    gold, form = asdiv_gold(row["answer"], row.get("solution_type") or "")
    meta = _facts(row, "grade", "solution_type", "formula") | {"form": form, "answer": row["answer"]}
    return Problem(str(row.get("id") or f"{prefix}-nluds-{position + 1:04d}"), question, gold, meta=meta)


def _read_mawps(row: Mapping[str, Any], prefix: str, position: int) -> Problem:
    gold = rounded_gold(_first(row, "answer", "final_ans", "lSolutions", "target"))
    return Problem(str(row.get("id", f"{prefix}-{position:04d}")), str(_first(row, "problem", "question", "sQuestion", "input")).strip(), gold)


def _read_math(row: Mapping[str, Any], prefix: str, position: int) -> Problem:
    named = str(row.get("unique_id", position)).removeprefix("test/").removesuffix(".json").replace("/", "-")
    identity = row["id"] if str(row.get("id", "")).startswith(prefix) else f"{prefix}-{named}"
    return Problem(str(identity), row["problem"], str(row["answer"]).strip(), meta=_facts(row, "subject", "level", "solution"))


def _read_contest(row: Mapping[str, Any], prefix: str, position: int) -> Problem:
    identity = row["id"] if str(row.get("id", "")).startswith(prefix) else f"{prefix}-{position:02d}"
    return Problem(str(identity), str(_first(row, "problem", "question")).strip(), number_gold(row["answer"]), meta=_facts(row, "url", "solution"))


def _read_mmlu_pro(row: Mapping[str, Any], prefix: str, position: int) -> Problem:
    options = tuple(str(option).strip() for option in row["options"])
    letter = str(row["answer"]).strip().upper()
    if len(letter) != 1 or not 0 <= ord(letter) - ord("A") < len(options):
        raise UsageError(f"the answer {row['answer']!r} is none of its {len(options)} options")
    return Problem(f"mmlu-pro-{row['question_id']}", str(row["question"]).strip(), letter, options, meta=_facts(row, "category", "src"))


def _test(*files: str) -> dict[str, tuple[str, ...]]:
    return {"test": files}


def _hub(identity: str, *splits: str, config: str | None = None, sort: Callable[[Mapping[str, Any]], Any] | None = None) -> Hub:
    return Hub(identity, {"test": splits or ("test",)}, config, sort)


gsm8k = Benchmark(
    "gsm8k",
    {"test": ("gsm8k/test.jsonl",), "train": ("gsm8k/train.jsonl",)},
    _read_gsm8k,
    "MIT",
    Hub("openai/gsm8k", {"test": ("test",), "train": ("train",)}, "main"),
    trainable=frozenset({"train"}),
)
svamp = Benchmark(
    "svamp",
    _test("svamp/svamp_1000.jsonl"),
    _read_svamp,
    "MIT",
    _hub("ChilleD/SVAMP", "train", "test", sort=lambda row: int(str(row["ID"]).removeprefix("chal-"))),
    notes="All 1,000 challenge problems (the hub's train and test joined). The gold of chal-680 does not follow from its own equation.",
)
asdiv = Benchmark(
    "asdiv",
    _test("asdiv/asdiv.jsonl"),
    _read_asdiv,
    "CC-BY-NC-4.0 (non-commercial)",
    _hub("EleutherAI/asdiv", "validation"),
    notes="All 2,305 problems; published figures often leave out the answers that are no single number (meta['form']).",
)
multiarith = Benchmark(
    "multiarith",
    _test("mawps/multiarith.jsonl"),
    _read_mawps,
    _UNKNOWN_MAWPS,
    _hub("ChilleD/MultiArith", "train", "test"),
    notes="All 600 problems (the hub's train and test joined); 20 questions occur twice.",
)
addsub = Benchmark(
    "addsub", _test("mawps/addsub.jsonl"), _read_mawps, _UNKNOWN_MAWPS, None, notes="Some golds are rounded fractions; they are given as the fraction."
)
singleeq = Benchmark("singleeq", _test("mawps/singleeq.jsonl"), _read_mawps, _UNKNOWN_MAWPS, None, notes="Shares many problems with addsub.")
singleop = Benchmark("singleop", _test("mawps/singleop.jsonl"), _read_mawps, _UNKNOWN_MAWPS, None, notes="31 questions occur more than once.")
math500 = Benchmark("math500", _test("math/math500.jsonl"), _read_math, "MIT (data set); the problems are from contests", _hub("HuggingFaceH4/MATH-500"))
aime2024 = Benchmark("aime2024", _test("aime2024/test.jsonl"), _read_contest, "problem text © MAA", _hub("HuggingFaceH4/aime_2024", "train"))
amc2023 = Benchmark("amc2023", _test("amc2023/test.jsonl"), _read_contest, "problem text © MAA", _hub("math-ai/amc23"))
mmlu_pro = Benchmark(
    "mmlu_pro",
    _test("mmlu_pro/test.jsonl", "mmlu_pro/half_a.jsonl"),
    _read_mmlu_pro,
    "MIT",
    _hub("TIGER-Lab/MMLU-Pro"),
    notes="The file half_a.jsonl holds one half of the test set. Some questions occur twice, with the same options in another order or with others.",
)
