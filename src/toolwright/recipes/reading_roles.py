"""Two small roles that let an embedded model play the knowledge experiment: *answer* makes things up as an encyclopedia would say them, *read* checks that.

Both are adapters on pico, taught on train-split entities of other generated worlds and of the one that is asked about; never on a test entity. *answer* has no
document and no way to know, so it guesses one of four options and says why: what is right among its guesses only a reader can tell. *read* quotes what the
documents say of the very thing that the statement is about, then says Yes or No; near duplicates (the same words in another order) are there to mislead it.
``toolwright reproduce knowledge`` trains them where they are not there, and measures the four conditions through `knowledge_study`.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from toolwright.engines import AdapterShape, HFEngine, adapter_tensors, save_adapter, weights_digest, with_adapter
from toolwright.episodes import Engine, Problem, Prompt, Provenance, RunStore, SamplingParams, Span, derive_seed
from toolwright.errors import UsageError
from toolwright.recipes._results import model_facts, result
from toolwright.recipes.distill import packaged
from toolwright.recipes.knowledge_study import claims_of, conditions, libraries, open_passages, tables_of
from toolwright.retrieval import FtsIndex, Passage
from toolwright.rollouts import Rollout
from toolwright.tasks import Knowledge, Library, Task, knowledge_of, load
from toolwright.training import AdaptSettings, Example, adapt

Role = Literal["answer", "read"]
ROLES: tuple[Role, ...] = ("answer", "read")
BASE = "pico"
WORLDS = (0, 11, 12, 13)
"""Of which train-split entities are taught; 0 is the one that is asked about."""
LESSONS = {"answer": 6000, "read": 16000}
VALIDATION = 200
SHAPE = AdapterShape(rank=16, alpha=32.0)
HOW = AdaptSettings(max_tokens=12_000_000, batch_tokens=4096, lr=0.004, validate_every=1_000_000, seed=2028)
PARAMS = SamplingParams(max_new_tokens=120, temperature=0.8)
RATIONALE_TOKENS = 120
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ReadingForm:
    """How the *read* role is asked: documents, then the statements, then the tag of the judge; the rationale ends in Yes or No on a line of its own."""

    name: str = "reading/1"
    stop: tuple[str, ...] = ()

    def ask(self, problem: Problem, passages: Sequence[Passage], solution: str) -> Prompt:
        """The prompt for a rationale."""
        told = "\n".join(f"{p.title.rpartition(' (')[0] or p.title}: {p.text}" for p in passages)
        return Prompt(spans=(Span(Provenance.PROMPT, f"<|user|>{_plain(told)}<|verify|>{_plain(statements(solution))}<|judge|>"),))


def statements(solution: str) -> str:
    """A solution without the line that gives its answer."""
    return "\n".join(line for line in solution.strip().splitlines() if not line.startswith("The answer is"))


def _plain(text: str) -> str:
    return re.sub(r"<\|[a-z_0-9]+\|>", "", text)


async def _answering(engine: HFEngine, problems: Sequence[Problem]) -> list[Example]:
    """Examples of the *answer* role: question with options, and a worked solution."""
    rollout, found = Rollout(engine, params=PARAMS), []
    for problem in problems:
        prompt = engine.encode(Prompt(await rollout.messages(problem.asked())))
        found.append(_example(engine, prompt, problem.meta["solution"]))
    return found


def _example(engine: HFEngine, prompt: Sequence[int], text: str) -> Example:
    written = list(engine.tokenizer(f"{text}<|end|>", add_special_tokens=False)["input_ids"])
    return Example((*prompt, *written), (*(0.0 for _ in prompt), *(1.0 for _ in written)))


def lessons(engine: HFEngine, role: Role, count: int, *, split: str = "train", seed: int = 0) -> list[Example]:
    """Examples of a role on one-fact questions about entities of a split, over all worlds in turn."""
    form = "choice" if role == "answer" else "open"
    each = -(-count // len(WORLDS))
    found: list[Example] = []
    for world in WORLDS:
        name = f"encyclopedia:world={world},two_facts=0,form={form}"
        task = load(f"{name},count={min(each, 3000)}", split=split, seed=seed)
        rng = random.Random(derive_seed("lessons", role, world, split, seed))
        if role == "answer":
            found += asyncio.run(_answering(engine, task.problems[:each]))
            continue
        known, problems = _Indexed(knowledge_of(task)), list(task.problems)
        for number in range(each):
            prompt, rationale = known.lesson(problems[number % len(problems)], rng)
            found.append(_example(engine, engine.encode(prompt), rationale))
    random.Random(derive_seed("order", role, seed)).shuffle(found)
    return found[:count]


class _Indexed:
    """A world with its passages at hand by id and family: lessons are drawn by the thousand."""

    def __init__(self, known: Knowledge) -> None:
        passages = {p.id: p for p in known.passages}
        self._passages = passages
        self._family = {e.id: [passages[m.id] for m in members] for members in known.families.values() for e in members}

    def lesson(self, problem: Problem, rng: random.Random) -> tuple[Prompt, str]:
        """(prompt, rationale) on one open question for one fact."""
        own = self._passages[problem.meta["documents"][0]]
        return reading_lesson(problem, own, [p for p in self._family[own.id] if p.id != own.id], rng)


def reading_lesson(problem: Problem, own: Passage, twins: Sequence[Passage], rng: random.Random) -> tuple[Prompt, str]:
    """(prompt, rationale): a right or a mistaken statement, and one to three passages with or without the telling one."""
    told = rng.random() < 0.75
    shown = [*([own] if told else []), *rng.sample(list(twins), min(rng.randint(1, 3) - told, len(twins)))]
    rng.shuffle(shown)
    mistaken = rng.random() < 0.5
    prompt = ReadingForm().ask(problem, shown, problem.meta["mistaken" if mistaken else "solution"])
    if not told:
        return prompt, "not told\nYes"
    return prompt, f"{own.title.rpartition(' (')[0]}: {problem.gold}\n{'No' if mistaken else 'Yes'}"


def train_role(role: Role, folder: Path, *, minutes: float, counts: dict[str, int] | None = None, threads: int = 0, tell: Tell) -> dict[str, Any]:
    """Train a role's adapter in ``folder/role`` for about so long; a run found there goes on, and a finished one is left alone. Returns its facts."""
    place, facts_path = folder / role, folder / role / "role.json"
    base = packaged(BASE)
    if facts_path.is_file():
        facts: dict[str, Any] = json.loads(facts_path.read_text(encoding="utf-8"))
        if facts["base_weights"] != weights_digest(base):
            raise UsageError(f"the role {role} in {folder.name} was trained on other weights of {BASE}; remove {place.name} there, and it is trained anew")
        return facts
    engine = HFEngine.load(base, name=BASE)
    count = (counts or LESSONS)[role]
    examples, held_out = lessons(engine, role, count), lessons(engine, role, min(VALIDATION, count), split="validation", seed=1)
    view = with_adapter(engine.model, SHAPE, seed=derive_seed("reading", role) % 2**31)
    tell(f"{role}: {len(examples)} lessons, {sum(p.numel() for p in adapter_tensors(view).values()):,} adapter parameters, {minutes:g} min")
    how = AdaptSettings(**{**asdict(HOW), "threads": threads})
    curve = adapt(view, adapter_tensors(view), examples, {role: held_out}, how, place / "checkpoint", max_minutes=minutes, report=tell)
    asyncio.run(engine.aclose())
    facts = {
        "student": BASE,
        "role": role,
        "base_weights": weights_digest(base),
        "parameters": sum(p.numel() for p in adapter_tensors(view).values()),
        "lessons": len(examples),
        "settings": asdict(how),
        "tokens": curve[-1].tokens,
        "curve": [asdict(point) for point in curve],
    }
    save_adapter(view, SHAPE, place, facts, base=BASE)
    return facts


def measure(
    task: Task,
    *,
    folder: Path,
    store: Path,
    n: int = 16,
    seed: int = 0,
    train_minutes: float = 8.0,
    threads: int = 0,
    engines: tuple[Engine, Engine] | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """The four conditions with the two roles, trained where they are missing; what was trained and drawn is kept. `engines`: (answer, read), for tests.

    Raises: UsageError for another task than the encyclopedia: what the roles were taught is of no use there.
    """
    if not task.name.startswith("encyclopedia"):
        raise UsageError(f"the roles answer and read know only the encyclopedia; for {task.name} give --model or --base-url")
    started, tell = time.monotonic(), tell or _to_stderr
    trained: list[dict[str, Any]] = []
    if engines is None:
        trained = [train_role(role, folder, minutes=train_minutes, threads=threads, tell=tell) for role in ROLES]
        base = HFEngine.load(packaged(BASE), name=BASE)
        engines = base.with_adapter(folder / "answer"), base.with_adapter(folder / "read")
    answering, reading = engines
    facts = {BASE: model_facts(answering)}
    index, passages = open_passages(task, None, store)
    with index, RunStore(store) as kept:
        shelves = libraries(task, index, passages, seed=seed)
        work = conditions(task, answering, shelves, kept, n=n, k=1, run_seed=seed, form=ReadingForm(), params=PARAMS, judge=reading)
        found, differences = asyncio.run(_closing(work, answering, reading))
        told = {"retrieval": [recall(task, index, shelves)], "roles": [_role_row(each) for each in trained]}
        tables = tables_of(found, task) | {"differences": differences} | told
    command = f"toolwright reproduce knowledge {task.name} -n {n}"
    return result(command, seconds=time.monotonic() - started, seeds=[seed], models=facts, tables=tables, claims=claims_of(differences, n))


async def _closing(work: Any, *engines: Engine) -> Any:
    try:
        return await work
    finally:
        for engine in engines:
            await engine.aclose()


def recall(task: Task, index: FtsIndex, shelves: dict[str, Library]) -> dict[str, Any]:
    """How often the three passages found for a question alone hold all of its gold documents."""
    hits = 0
    for problem in task.problems:
        found = {passage.id for passage in shelves["retrieved"](problem.asked())}
        hits += set(problem.meta["documents"]) <= found
    return {"problems": len(task.problems), "passages": len(index), "recall_at_3": hits / len(task.problems)}


def _role_row(facts: dict[str, Any]) -> dict[str, Any]:
    last = facts["curve"][-1]
    scores = last["validation"][facts["role"]]
    told = {"role": facts["role"], "parameters": facts["parameters"], "lessons": facts["lessons"], "tokens": facts["tokens"]}
    return {**told, "validation_loss": scores["loss"], "validation_exact": scores["exact"]}


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
