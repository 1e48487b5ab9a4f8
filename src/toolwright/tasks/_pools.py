"""Recorded candidate pools: solutions other models wrote, as episodes, so that strategies can be replayed over them without an engine.

What a pool knows about right and wrong (`is_correct`, error labels, reference solutions) is kept in tables beside the episodes and never on them: a verifier is
handed problem and episode only. The file format is told in docs/data.md.
"""

from __future__ import annotations

import os
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toolwright.episodes import Attempt, Cost, Episode, Problem, Provenance, SamplingParams, Span, StopReason, ToolResult, derive_seed, digest
from toolwright.errors import UsageError
from toolwright.tasks._benchmarks import DATA_VARIABLE
from toolwright.tasks._golds import written_gold
from toolwright.tasks._rows import format_of, read_rows, stem_of

Key = tuple[str, int]
"""(problem id, sample index)."""
_Row = tuple[int, int, Mapping[str, Any]]
"""(sample number, the model's position, the row with its line)."""
_READ = {"id", "problem_id", "problem", "model", "sample_index", "text", "spans", "is_correct", "gold", "choices", "answer"}
_INTERPRETED = frozenset({"gsm8k_tora_programs"})
"""Pools known to be recorded with an interpreter in the loop. Elsewhere a model may write such a block out of its head, and that is its own text."""
_OUTPUT = re.compile(r"(?<=```\n)```output\n.*?(?:\n```(?:\n|$)|$)", re.DOTALL)
"""What an interpreter printed, right behind the program it ran."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Episodes of recorded solutions, and what was recorded about them."""

    name: str
    problems: tuple[Problem, ...]
    episodes: tuple[Episode, ...]
    """By problem, then index; the engine is the model's name. Sampling parameters were not recorded: they are the defaults, but for a given temperature."""
    is_correct: Mapping[Key, bool]
    """The recorded verdict; a key is missing where none was recorded. For measuring only."""
    answers: Mapping[Key, str]
    """The final answer as it was recorded (for a program, its result); a key is missing where there was none."""
    facts: Mapping[Key, Mapping[str, Any]]
    """All other recorded fields: licence, source, reward-model scores, error labels. They may tell right from wrong; no verifier may see them."""
    models: tuple[str, ...]
    _by_problem: Mapping[str, tuple[Episode, ...]] = field(repr=False, compare=False, default_factory=dict)

    @property
    def digest(self) -> str:
        """The identity of problems and texts."""
        return digest("pool", [[p.id, p.question, p.gold] for p in self.problems], [[e.problem_id, e.index, e.engine, e.text] for e in self.episodes])

    @property
    def licences(self) -> tuple[str, ...]:
        """The licences the rows state, each once."""
        return tuple(sorted({str(facts["license"]) for facts in self.facts.values() if facts.get("license")}))

    def of(self, problem_id: str) -> tuple[Episode, ...]:
        """The episodes of one problem, in the order of their index.

        Raises: UsageError for a problem the pool does not have.
        """
        if problem_id not in self._by_problem:
            raise UsageError(f"the pool {self.name} has no problem {problem_id!r}")
        return self._by_problem[problem_id]

    def attempt(self, problem_id: str) -> Attempt:
        """What a strategy calls for its episodes: the recorded one of each index."""
        episodes = self.of(problem_id)

        async def recorded(index: int) -> Episode:
            if not 0 <= index < len(episodes):
                raise UsageError(
                    f"the pool {self.name} holds {len(episodes)} samples of {problem_id}, but sample {index + 1} was asked for; use n ≤ {len(episodes)}"
                )
            return episodes[index]

        return recorded

    def view(self, model: str) -> Pool:
        """The part one model wrote, its samples counted from 0.

        Raises: UsageError for a model that is not in the pool.
        """
        if model not in self.models:
            raise UsageError(f"the pool {self.name} has no model {model!r}; it has {', '.join(self.models)}")
        return self._rebuilt({p.id: [e for e in self.of(p.id) if e.engine == model] for p in self.problems}, (model,))

    def shuffled(self, seed: int) -> Pool:
        """The same pool with each problem's samples in random order, so that the first n are a fair draw from all models."""
        mixed = {p.id: list(self.of(p.id)) for p in self.problems}
        for problem_id, episodes in mixed.items():
            random.Random(derive_seed("pool", seed, problem_id)).shuffle(episodes)
        return self._rebuilt(mixed, self.models)

    def _rebuilt(self, kept: Mapping[str, Sequence[Episode]], models: tuple[str, ...]) -> Pool:
        old = [(e.problem_id, e.index) for episodes in kept.values() for e in episodes]
        new = [(e.problem_id, i) for episodes in kept.values() for i, e in enumerate(episodes)]
        moved = list(zip(old, new, strict=True))
        return _pool(
            self.name,
            [p for p in self.problems if kept.get(p.id)],
            {problem_id: [replace(e, index=i) for i, e in enumerate(episodes)] for problem_id, episodes in kept.items() if episodes},
            {b: self.is_correct[a] for a, b in moved if a in self.is_correct},
            {b: self.answers[a] for a, b in moved if a in self.answers},
            {b: self.facts[a] for a, b in moved},
            models,
        )


def load_pool(name: str | os.PathLike[str], *, data: str | os.PathLike[str] | None = None, seed: int | None = None, interpreted: bool | None = None) -> Pool:
    """The pool of a name (a folder in ``pools/`` of the data folder) or of a path to a pool file or its folder.

    Several models make several samples of one problem, by sample number and then in the order of the file; `Pool.view` gives one model's part. With a `seed`
    the samples of each problem are in random order. `interpreted` says that a fenced ``output`` block behind a program was printed by an interpreter and not
    written by the model; None stands for what is known of the pool. Rows that carry `spans` say it themselves.

    Raises: UsageError that names file and line of what is no pool row.
    """
    path = _find(name, data)
    stem = path.parent.name if path.name.startswith("pool.") else stem_of(path)
    pool = _read(path, stem, stem in _INTERPRETED if interpreted is None else interpreted)
    return pool if seed is None else pool.shuffled(seed)


def _find(name: str | os.PathLike[str], data: str | os.PathLike[str] | None) -> Path:
    given = Path(name)
    folder = data if data is not None else os.environ.get(DATA_VARIABLE)
    pools = Path(folder) / "pools" if folder else None
    places = [given] if format_of(given) else [given / "pool.jsonl", given / "pool.jsonl.gz"]
    if pools and not format_of(given):
        places += [pools / name / "pool.jsonl", pools / name / "pool.jsonl.gz"]
    for place in places:
        if place.is_file():
            return place
    there = sorted(p.name for p in pools.iterdir() if p.is_dir()) if pools and pools.is_dir() else []
    known = (
        f"pools there: {', '.join(there)}"
        if there
        else f"set {DATA_VARIABLE} to a folder with pools/{given.name}/pool.jsonl.gz, or give the path of a pool file"
    )
    raise UsageError(f"no pool at {places[-1]}; {known}")


def _read(path: Path, name: str, interpreted: bool) -> Pool:
    problems: dict[str, Problem] = {}
    rows: dict[str, list[_Row]] = defaultdict(list)
    models: dict[str, int] = {}
    seen: dict[tuple[str, str, int], int] = {}
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for line, row in read_rows(path):
        place = f"{path}, line {line}"
        problem = _problem(row, place)
        known = problems.setdefault(problem.id, problem)
        if known.gold != problem.gold or " ".join(known.question.split()) != " ".join(problem.question.split()):
            raise UsageError(f"{place}: the problem {problem.id} has another question or gold answer than on an earlier line")
        model = str(row.get("model") or name)
        number = row.get("sample_index", counted[problem.id, model])
        counted[problem.id, model] += 1
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise UsageError(f"{place}: sample_index is {number!r}, but it counts from 0")
        if (first := seen.setdefault((problem.id, model, number), line)) != line:
            raise UsageError(f"{place}: sample {number} of {model} for {problem.id} is already on line {first}")
        rows[problem.id].append((number, models.setdefault(model, len(models)), {**row, "model": model, "line": line}))
    if not rows:
        raise UsageError(f"{path} holds no solutions")
    return _assembled(name, path, problems, rows, tuple(models), interpreted)


def _assembled(
    name: str,
    path: Path,
    problems: Mapping[str, Problem],
    rows: Mapping[str, list[tuple[int, int, Mapping[str, Any]]]],
    models: tuple[str, ...],
    interpreted: bool,
) -> Pool:
    episodes: dict[str, list[Episode]] = {}
    is_correct: dict[Key, bool] = {}
    answers: dict[Key, str] = {}
    facts: dict[Key, Mapping[str, Any]] = {}
    for problem_id, found in rows.items():
        ordered = [row for *_, row in sorted(found, key=lambda item: item[:2])]
        episodes[problem_id] = [_episode(problem_id, index, row, f"{path}, line {row['line']}", interpreted) for index, row in enumerate(ordered)]
        for index, row in enumerate(ordered):
            if isinstance(row.get("is_correct"), bool):
                is_correct[problem_id, index] = row["is_correct"]
            if row.get("answer") is not None:
                answers[problem_id, index] = _recorded(row["answer"])
            facts[problem_id, index] = {key: value for key, value in row.items() if key not in _READ}
    return _pool(name, list(problems.values()), episodes, is_correct, answers, facts, models)


def _pool(
    name: str,
    problems: Sequence[Problem],
    episodes: Mapping[str, Sequence[Episode]],
    is_correct: Mapping[Key, bool],
    answers: Mapping[Key, str],
    facts: Mapping[Key, Mapping[str, Any]],
    models: tuple[str, ...],
) -> Pool:
    by_problem = {problem_id: tuple(found) for problem_id, found in episodes.items()}
    return Pool(name, tuple(problems), tuple(e for p in problems for e in by_problem[p.id]), is_correct, answers, facts, models, by_problem)


def _problem(row: Mapping[str, Any], place: str) -> Problem:
    question = row.get("problem")
    if not isinstance(question, str) or not question.strip():
        raise UsageError(f"{place}: no field 'problem' with the question; its fields are {', '.join(sorted(row))}")
    gold = row.get("gold")
    if gold is not None and not isinstance(gold, str | int | float):
        raise UsageError(f"{place}: gold is a {type(gold).__name__}, but a text or a number is needed")
    choices = row.get("choices") or ()
    identity = str(row.get("problem_id") or f"problem-{digest(' '.join(question.split()))}")
    return Problem(identity, question, None if gold is None else _recorded(gold), tuple(map(str, choices)))


def _recorded(value: Any) -> str:
    """An answer as text, without the ``.0`` that a program's float left on it."""
    text = str(value).strip()
    return text if "\n" in text else written_gold(text)


def _episode(problem_id: str, index: int, row: Mapping[str, Any], place: str, interpreted: bool) -> Episode:
    spans = _spans(row, place, interpreted)
    results = tuple(_result(span.text) for span in spans if span.provenance is Provenance.TOOL)
    temperature = row.get("temperature")
    params = SamplingParams(temperature=float(temperature)) if isinstance(temperature, int | float) else SamplingParams()
    return Episode(
        problem_id,
        index,
        spans,
        StopReason.FINISHED,
        seed=0,
        dialect="markdown" if results else "text",
        engine=str(row["model"]),
        params=params,
        cost=Cost(tool_calls=len(results)),
        tool_results=results,
    )


def _spans(row: Mapping[str, Any], place: str, interpreted: bool) -> tuple[Span, ...]:
    """The row's own spans where it has them; else its text, what an interpreter printed told apart from the model's words."""
    given = row.get("spans")
    if given is not None:
        try:
            return tuple(Span(Provenance(span["provenance"]), str(span["text"])) for span in given)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{place}: spans must be a list of {{provenance: model or tool, text}} ({error})") from error
    text = row.get("text")
    if not isinstance(text, str):
        there = ", ".join(sorted(set(row) - {"line"}))
        raise UsageError(f"{place}: no field 'text' with the solution; its fields are {there}")
    spans: list[Span] = []
    end = 0
    for match in _OUTPUT.finditer(text) if interpreted else ():
        spans += [Span(Provenance.MODEL, text[end : match.start()]), Span(Provenance.TOOL, match[0])]
        end = match.end()
    if text[end:] or not spans:
        spans.append(Span(Provenance.MODEL, text[end:]))
    return tuple(spans)


def _result(text: str) -> ToolResult:
    lines = text.removeprefix("```output\n").rstrip("`\n").splitlines()
    failed = bool(lines) and re.match(r"(?:\w+\.)*\w*(?:Error|Exception)\b", lines[-1]) is not None
    return ToolResult(text, ok=not failed, outcome="error" if failed else "ok", tool="python")
