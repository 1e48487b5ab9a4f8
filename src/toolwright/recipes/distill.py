"""Distilling the roles of an embedded model: candidates from the student, labels from exact solutions, documents filtered by running them, one adapter a role.

Each role's adapter stands beside the same base weights (`HFEngine.with_adapter`). Everything that decides it is in `roles.toml`; what the documents say is in
`_roles.py`. Students from the hub, taught by another model, are in `_distill_hub.py`.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from toolwright.engines import AdapterShape, HFEngine, adapter_tensors, save_adapter, weights_digest, with_adapter
from toolwright.episodes import Engine, Episode, SamplingParams, StopReason, derive_seed, digest, read_lines, write_text
from toolwright.errors import SandboxFault, UsageError
from toolwright.recipes import _distill_hub
from toolwright.recipes._mixture import Document, written
from toolwright.recipes._roles import (
    Attempted,
    Taught,
    attempted,
    balanced,
    displaced,
    judge_document,
    misplanned_steps,
    plans,
    steps_document,
    taught_problems,
    verify_document,
    with_worked,
)
from toolwright.recipes.embedded import _mixture, check_name
from toolwright.rollouts import Rollout
from toolwright.sandbox import Sandbox, SandboxLimits
from toolwright.training import AdaptSettings, CurvePoint, Example, adapt
from toolwright.verifiers import extract_program, printed_verdict

ROLES = ("verify", "judge")
SOLVE = "solve"
"""The generator taught the teacher's own solutions of the same problems: no role of a verifier, but the control for what the teacher's data alone is worth."""
LONGEST_TOKENS = 500
_DRAWING_SHARE = 0.35
"""Of the minutes allowed, the part that drawing candidates may take."""
_BATCH = 200
"""Programs per sandbox run: they are the teacher's own, a few calculations each."""
_LIMITS = SandboxLimits(wall_s=60.0, cpu_s=30.0)
_ATTEMPTS = 4
_RUN_MANY = """
import contextlib, io
for program in {programs!r}:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(program, {{}})
        print(" ".join(said.getvalue().split()) or "nothing")
    except Exception as error:
        print("failed")
"""


@dataclass(frozen=True, slots=True)
class CandidateSettings:
    """Which candidates a role learns from."""

    problems: int
    validation_problems: int
    samples: int
    """Per problem."""
    temperature: float
    gsm8k: float
    """The share of GSM8K's training split among the problems."""
    planted: float
    """The share of solutions with a wrong plan and true arithmetic, made by the teacher, among all."""
    displaced: float
    """The share of solutions that belong to another problem, among all."""
    most: float
    """No more than this share of right ones, or of wrong ones."""
    seed: int
    noise: float = 0.0
    """How often the teacher errs."""


@cache
def config() -> dict[str, Any]:
    """The content of `roles.toml`."""
    return tomllib.loads(resources.files("toolwright.recipes").joinpath("roles.toml").read_text(encoding="utf-8"))


def distill(
    name: str,
    roles: Sequence[str],
    folder: Path,
    data: Path | None,
    *,
    base: Path | None = None,
    noise: float = 0.0,
    seed: int | None = None,
    problems: int | None = None,
    max_tokens: int | None = None,
    max_minutes: float | None = None,
    threads: int = 0,
    report: Callable[[str], None] = print,
) -> dict[str, dict[str, Any]]:
    """Train the roles of pico or nano in `folder` (candidates, one adapter folder per role), going on from what lies there; returns each role's facts.

    `base`: a model folder in place of the packaged one; `seed` (of problems, candidates and training), `problems` and `max_tokens` (of a role's training)
    replace those of `roles.toml`. The role ``solve`` is a control: the generator, taught what the teacher knows.

    Raises: UsageError for an unknown name or role, or a noise outside [0, 1).
    """
    check_name(name)
    if unknown := [role for role in roles if role not in (*ROLES, SOLVE)]:
        raise UsageError(f"no role {unknown[0]!r}; there are {', '.join((*ROLES, SOLVE))}")
    if not roles or not 0 <= noise < 1:
        raise UsageError(f"roles = {', '.join(roles) or 'none'} and noise = {noise}; give at least one role and a noise from 0 to below 1")
    settings = CandidateSettings(**config()["candidates"], noise=noise)
    settings = settings if seed is None else replace(settings, seed=seed)
    if problems is not None:
        settings = replace(settings, problems=problems, validation_problems=max(4, min(settings.validation_problems, problems // 5)))
    began = time.monotonic()
    source = base or packaged(name)
    engine = HFEngine.load(source, name=name)
    if threads:
        import torch

        torch.set_num_threads(threads)
    drawing_minutes = None if max_minutes is None else max_minutes * _DRAWING_SHARE
    drawn = asyncio.run(_drawn(engine, settings, data, folder, drawing_minutes, report))
    if not drawn[0]:
        raise UsageError(f"no candidate of {name} came to an answer in time; allow more minutes or more problems")
    how = AdaptSettings(**config()["train"][name], seed=settings.seed, threads=threads)
    if max_tokens is not None:
        how = replace(how, max_tokens=max_tokens)
    facts = {}
    for position, role in enumerate(roles):
        left = None if max_minutes is None else (max_minutes - (time.monotonic() - began) / 60) / (len(roles) - position)
        facts[role] = _train_role(engine, name, role, source, folder, settings, how, *drawn, max_minutes=left, report=report)
    return facts


def distill_from_teacher(
    student: str,
    roles: Sequence[str],
    folder: Path,
    *,
    teacher: str | None,
    teacher_url: str | None,
    task: str = "gsm8k",
    problems: int | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, dict[str, Any]]:
    """The same for any other student, taught by a model behind a server; see `_distill_hub`."""
    return _distill_hub.distill_from_teacher(
        student, roles, folder, config()["hub"], teacher=teacher, teacher_url=teacher_url, task=task, problems=problems, report=report
    )


def export(name: str, roles: Sequence[str], folder: Path, target: Path | None = None) -> list[Path]:
    """Put trained adapters where the package finds them; returns their folders. Raises: UsageError where one is missing."""
    found = []
    for role in roles:
        source = folder / role
        if not (source / "role.json").is_file():
            raise UsageError(f"no adapter at {source}; train it with: toolwright distill --student {name} --role {role} --folder {folder}")
        place = (target or packaged(name)) / "adapters" / role
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for path in sorted(source.iterdir()):
            if path.name in ("adapter_config.json", "adapter_model.safetensors", "role.json"):
                shutil.copyfile(path, place / path.name)
                (place / path.name).chmod(0o644)
        found.append(place)
    return found


def packaged(name: str) -> Path:
    """Where the package keeps an embedded model."""
    return Path(str(resources.files("toolwright"))) / "embedded" / name


async def _drawn(
    engine: HFEngine, settings: CandidateSettings, data: Path | None, folder: Path, max_minutes: float | None, report: Callable[[str], None]
) -> tuple[list[Attempted], list[Attempted]]:
    """The student's labelled candidates: for training, for validation."""
    try:
        sets = []
        for validation, count in ((True, settings.validation_problems), (False, settings.problems)):
            taught = taught_problems(_mixture()[0], data, count, validation=validation, seed=settings.seed, gsm8k=settings.gsm8k)
            minutes = None if max_minutes is None else max_minutes * (0.15 if validation else 0.85)
            sets.append(await _candidates(engine, taught, settings, folder, minutes, report))
        return sets[1], sets[0]
    finally:
        await engine.aclose()


async def _candidates(
    engine: Engine, taught: Sequence[Taught], settings: CandidateSettings, folder: Path, max_minutes: float | None, report: Callable[[str], None]
) -> list[Attempted]:
    """Distinct labelled solutions of the student's; drawn ones are kept in a file that the same settings find again."""
    params = SamplingParams(max_new_tokens=200, temperature=settings.temperature)
    rollout = Rollout(engine, params=params)
    problems = {each.problem.id: each for each in taught}
    name = digest("candidates", rollout.setup_digest, settings.samples, settings.seed, sorted(problems))
    path = folder / f"candidates-{name}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    kept = [row for _, row in read_lines(path)] if path.is_file() else []
    done = {(row["problem"], row["index"]) for row in kept}
    total, told = len(problems) * settings.samples, [time.monotonic()]
    halt = asyncio.Event()
    timer = None if max_minutes is None else asyncio.get_running_loop().call_later(60 * max_minutes, halt.set)
    with path.open("a", encoding="utf-8") as lines:

        def keep(episode: Episode) -> None:
            if episode.stop is not StopReason.FINISHED:
                return
            kept.append({"problem": episode.problem_id, "index": episode.index, "text": episode.model_text})
            lines.write(json.dumps(kept[-1], ensure_ascii=False) + "\n")
            if time.monotonic() - told[0] > 10:
                told[0] = time.monotonic()
                report(f"{len(kept)} of at most {total} candidates")

        asked = [each.problem.asked() for each in taught]
        await rollout.run(asked, settings.samples, run_seed=settings.seed, done=done, on_episode=keep, halt=halt)
    if timer is not None:
        timer.cancel()
    distinct = {(row["problem"], row["text"]) for row in kept if row["problem"] in problems}
    labelled = [attempted(problems[problem], text) for problem, text in sorted(distinct)]
    found = [each for each in labelled if each is not None]
    report(f"{len(kept)} candidates, {len(found)} distinct with an answer, {100 * sum(c.right for c in found) / max(1, len(found)):.0f} % of them right")
    return found


def _train_role(
    engine: HFEngine,
    name: str,
    role: str,
    source: Path,
    folder: Path,
    settings: CandidateSettings,
    how: AdaptSettings,
    train: Sequence[Attempted],
    held_out: Sequence[Attempted],
    *,
    max_minutes: float | None,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Documents, adapter, facts of one role."""
    began = time.monotonic()
    examples, counts = _examples(engine, role, train, settings, report)
    validation, _ = _examples(engine, role, held_out, replace(settings, noise=0.0), lambda line: None)
    shape = AdapterShape(rank=config()["adapter"]["rank"], alpha=config()["adapter"]["alpha"])
    view = with_adapter(engine.model, shape, seed=derive_seed(settings.seed, role) % 2**31)
    report(f"{name}, {role}: {sum(len(e) for e in examples.values())} documents, {sum(p.numel() for p in adapter_tensors(view).values()):,} adapter parameters")
    everything = [example for each in examples.values() for example in each]
    # Drawn again under other settings, the documents are others: a checkpoint must not go on with them.
    checkpoint = folder / role / f"checkpoint-{digest(role, asdict(settings), weights_digest(source), counts)}"
    left = None if max_minutes is None else max(0.2, max_minutes - (time.monotonic() - began) / 60)
    curve = adapt(view, adapter_tensors(view), everything, validation, how, checkpoint, max_minutes=left, report=report)
    facts = {
        "student": name,
        "role": role,
        "base_weights": weights_digest(source),
        "parameters": sum(p.numel() for p in adapter_tensors(view).values()),
        "candidates": asdict(settings),
        "documents": counts,
        "settings": asdict(how),
        "tokens": curve[-1].tokens,
        "seconds": round(time.monotonic() - began),
        "curve": [asdict(point) for point in curve],
    }
    save_adapter(view, shape, folder / role, facts, base=name)
    write_text(folder / role / "curve.json", json.dumps([asdict(point) for point in curve]) + "\n")
    _tell(report, name, role, curve)
    return facts


def _examples(
    engine: HFEngine, role: str, candidates: Sequence[Attempted], settings: CandidateSettings, report: Callable[[str], None]
) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """The role's examples by kind, and how many documents were made, dropped and kept."""
    rng = random.Random(derive_seed("documents", settings.seed, role))
    pool = displaced(with_worked(list(plans(candidates, settings.planted, rng)), rng), settings.displaced, rng)
    chosen = balanced(pool, most=settings.most, seed=settings.seed)
    if role == "verify":
        made = [(c, verify_document(c, rng, noise=settings.noise)) for c in chosen]
        documents = {"programs": _that_run([(c, d) for c, d in made if d is not None], settings.noise, report)}
        count = len(made)
    elif role == SOLVE:
        documents = solved(chosen, rng, noise=settings.noise)
        count = sum(map(len, documents.values()))
    else:
        documents = {
            "answers": [judge_document(c, rng, noise=settings.noise) for c in chosen],
            "steps": [steps_document(c, rng, noise=settings.noise) for c in chosen],
        }
        count = 2 * len(chosen)
    examples = {kind: _encoded(engine, each) for kind, each in documents.items()}
    kept = sum(len(each) for each in examples.values())
    return examples, {"made": count, "kept": kept, "right": sum(c.right for c in chosen), "planted": sum(c.planted for c in chosen)}


def solved(candidates: Sequence[Attempted], rng: random.Random, *, noise: float = 0.0) -> dict[str, list[Document]]:
    """The teacher's own solutions of the candidates' problems, each once in its head and once with the interpreter; a noisy teacher's plan is wrong."""
    found: dict[str, list[Document]] = {"text": [], "retool": []}
    for taught in {c.taught.problem.id: c.taught for c in candidates}.values():
        steps = misplanned_steps(taught, rng) if noise and rng.random() < noise else None
        for dialect in ("text", "retool"):
            found[dialect].append(written(taught.problem.question, steps or taught.steps, dialect))
    return found


def _that_run(documents: Sequence[tuple[Attempted, Document]], noise: float, report: Callable[[str], None]) -> list[Document]:
    """The documents whose program runs and prints what the teacher says of the candidate; a noisy teacher's must only print a verdict."""
    programs = [extract_program(document.target) or "" for _, document in documents]

    async def run() -> list[str]:
        batches = [programs[at : at + _BATCH] for at in range(0, len(programs), _BATCH)]
        with Sandbox(allow_degraded=True) as sandbox:
            done = await asyncio.gather(*(sandbox.run(_RUN_MANY.format(programs=batch), limits=_LIMITS) for batch in batches))
        for batch, result in zip(batches, done, strict=True):
            if not result.ok or len(result.stdout.splitlines()) != len(batch):
                raise SandboxFault(f"the programs could not be run ({result.outcome.value}: {result.error or result.stderr[-200:]})")
        return [line for result in done for line in result.stdout.splitlines()]

    # Minutes of drawing hang on this, and a machine busy with training may be too busy to start a sandbox in time.
    for attempt in range(_ATTEMPTS):
        try:
            lines = asyncio.run(run())
            break
        except SandboxFault as fault:
            if attempt == _ATTEMPTS - 1:
                raise
            report(f"{fault}; trying again")
            time.sleep(5)
    said = [printed_verdict(line) for line in lines]
    passed = [each is not None and (noise > 0 or each is c.right) for each, (c, _) in zip(said, documents, strict=True)]
    report(f"{sum(passed)} of {len(documents)} programs run and print what the teacher says")
    return [document for (_, document), ok in zip(documents, passed, strict=True) if ok]


def _encoded(engine: HFEngine, documents: Iterable[Document]) -> list[Example]:
    def encode(text: str) -> list[int]:
        return list(engine.tokenizer(text, add_special_tokens=False)["input_ids"])

    return [example for example in (document.encode(encode) for document in documents) if len(example.ids) <= LONGEST_TOKENS]


def _tell(report: Callable[[str], None], name: str, role: str, curve: Sequence[CurvePoint]) -> None:
    last = curve[-1]
    told = "; ".join(f"{kind}: loss {r['loss']:.3f}, exact {100 * r['exact']:.1f} %" for kind, r in last.validation.items())
    report(f"{name}, {role}: {last.tokens:,} tokens in {last.seconds / 60:.1f} min; on held-out problems {told}")
