"""The generated encyclopedia as a task: questions for one or two facts, open or with options, about a world too large to remember (`_knowledge`).

Families of near duplicates are split by digest, and a problem asks only about entities of its own split, so that a model trained on the train split was never
asked about what is tested. The passages of all splits lie in one index. Leaves out where a problem's documents come from (`_documents`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from string import ascii_uppercase
from typing import Any, Literal

from toolwright.episodes import Problem, derive_seed, digest
from toolwright.errors import UsageError
from toolwright.tasks._knowledge import KINDS, SPLITS, Attribute, Entity, Knowledge, Split, World, knowledge
from toolwright.tasks._types import Task

COUNT = 200
MOST = 100_000
FORMS = ("mixed", "open", "choice")
Form = Literal["mixed", "open", "choice"]
_OPTIONS = 4


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked about a world."""

    two_facts: float = 0.3
    """The share of problems that need two facts: half of them a fact about the town of something, half the difference of two numbers."""
    form: Form = "mixed"
    """Open questions, four options, or half of each."""

    def __post_init__(self) -> None:
        if not isinstance(self.two_facts, int | float) or isinstance(self.two_facts, bool) or not 0 <= self.two_facts <= 1:
            raise UsageError(f"two_facts = {self.two_facts!r}, but it is a share from 0 to 1")
        object.__setattr__(self, "two_facts", float(self.two_facts))
        if self.form not in FORMS:
            raise UsageError(f"form = {self.form!r}, but it is one of {', '.join(FORMS)}")


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A question before it is open or has options."""

    kind: str
    question: str
    entities: tuple[Entity, ...]
    """Those whose passages hold the facts."""
    facts: tuple[str, ...]
    """The sentences of a right solution."""
    gold: str
    mistaken: tuple[str, ...]
    """The same sentences, the last fact taken from a near duplicate (or made up, where there is none)."""
    wrong: tuple[str, ...]
    """Wrong answers, those of near duplicates first; the first is that of `mistaken`."""


def encyclopedia(
    *,
    data: object = None,
    split: str = "test",
    limit: int | None = None,
    seed: int | None = None,
    count: int = COUNT,
    **settings: Any,
) -> Task:
    """The first `count` problems of a seed that differ in their text; `settings` are the fields of `World` and `Asking`.

    `meta` holds kind, documents (the ids of the passages with the facts), facts, and two worked solutions: `solution`, and `mistaken` with its
    `mistaken_answer`, which mixes up near duplicates. `data` plays no part.

    Raises: UsageError for an unknown split or setting, or where the world has not that many problems.
    """
    del data
    named = next((s for s in SPLITS if s == split), None)
    if named is None:
        raise UsageError(f"encyclopedia has no split {split!r}; it has {', '.join(SPLITS)}")
    if count < 1 or (limit is not None and limit < 1):
        raise UsageError(f"count = {count if count < 1 else limit}, but at least one problem is needed")
    wanted = count if limit is None else min(count, limit)
    if wanted > MOST:
        raise UsageError(f"count = {count}, but at most {MOST:,} problems are drawn at once; use several seeds for more")
    world, asking = _dials(settings)
    problems = _distinct(named, wanted, world, asking, seed or 0)
    notes = f"about a made-up world (passages {knowledge(world).digest}); nothing of it stands anywhere else"
    return Task(_name(world, asking, wanted, split, seed), problems, "generated", split, "Apache-2.0", notes, split == "train")


def knowledge_of(task: Task | str = "encyclopedia") -> Knowledge:
    """The world that a task (or its name) asks about: its `passages`, `entities` and `digest`.

    Raises: UsageError for another task, or a name that is none.
    """
    name = task if isinstance(task, str) else task.name
    plain, _, rest = name.partition(":")
    if plain != "encyclopedia":
        raise UsageError(f"{name} has no world of its own; only encyclopedia has")
    own = {f.name for f in fields(World)}
    settings = {key.strip(): value.strip() for key, _, value in (part.partition("=") for part in rest.split(",") if part.strip())}
    if wrong := [f"{key}={value}" for key, value in settings.items() if key in own and not value.lstrip("-").isdigit()]:
        raise UsageError(f"{name!r}: {wrong[0]} is no whole number")
    return knowledge(World(**{key: int(value) for key, value in settings.items() if key in own}))


def ask(split: Split, index: int, world: World | None = None, asking: Asking | None = None, *, seed: int = 0) -> Problem:
    """The index-th problem of a split: the same arguments give the same problem, everywhere and always."""
    world, asking = world or World(), asking or Asking()
    known = knowledge(world)
    rng = random.Random(derive_seed("encyclopedia", seed, split, index, world, asking))
    pool = _pool(world, split)
    if rng.random() >= asking.two_facts:
        drawn = _one(rng, known, pool["all"])
    else:
        drawn = _chain(rng, known, pool["linked"]) if rng.random() < 0.5 else _difference(rng, known, pool["all"])
    choice = asking.form == "choice" or (asking.form == "mixed" and rng.random() < 0.5)
    return _problem(rng, drawn, f"encyclopedia-{split}-{digest(seed, index, world, asking)}", choice)


def _dials(settings: dict[str, Any]) -> tuple[World, Asking]:
    known = {kind: [f.name for f in fields(kind)] for kind in (World, Asking)}
    names = [name for listed in known.values() for name in listed]
    if unknown := sorted(set(settings) - set(names)):
        raise UsageError(f"encyclopedia has no setting {unknown[0]!r}; it has {', '.join((*names, 'count', 'split', 'seed'))}")
    taken = {kind: {name: settings[name] for name in listed if name in settings} for kind, listed in known.items()}
    return World(**taken[World]), Asking(**taken[Asking])


@lru_cache(maxsize=16)
def _pool(world: World, split: Split) -> dict[str, list[Entity]]:
    mine = [e for e in knowledge(world).entities if e.split == split]
    return {"all": mine, "linked": [e for e in mine if e.town]}


def _one(rng: random.Random, known: Knowledge, pool: Sequence[Entity]) -> _Drawn:
    """One fact about one entity."""
    entity = rng.choice(pool)
    name, attribute = rng.choice(list(KINDS[entity.kind].attributes.items()))
    value = entity.values[name]
    wrong = _mistakes(rng, known, entity, name, attribute)
    told = attribute.told.format(It=entity.at_start, value=value)
    mistaken = attribute.told.format(It=entity.at_start, value=wrong[0])
    return _Drawn("one", attribute.asked.format(it=entity.it), (entity,), (told,), str(value), (mistaken,), wrong)


def _chain(rng: random.Random, known: Knowledge, pool: Sequence[Entity]) -> _Drawn:
    """A fact about the town that belongs to an entity: the question does not name the town."""
    entity = rng.choice(pool)
    town = known.by_id[entity.town]
    name, attribute = rng.choice(list(KINDS["town"].attributes.items()))
    linked = KINDS[entity.kind].linked.format(it=entity.it)
    first = KINDS[entity.kind].link.format(It=entity.at_start, town=town.name)
    wrong = _mistakes(rng, known, town, name, attribute)
    facts = (first, attribute.told.format(It=town.at_start, value=town.values[name]))
    mistaken = (first, attribute.told.format(It=town.at_start, value=wrong[0]))
    return _Drawn("chain", attribute.asked.format(it=linked), (entity, town), facts, str(town.values[name]), mistaken, wrong)


def _difference(rng: random.Random, known: Knowledge, pool: Sequence[Entity]) -> _Drawn:
    """How far two numbers are apart."""
    while True:
        one = rng.choice(pool)
        name, attribute = rng.choice([(name, a) for name, a in KINDS[one.kind].attributes.items() if a.apart])
        other = rng.choice(pool)
        if other.kind == one.kind and other.family != one.family and other.values[name] != one.values[name]:
            break
    larger, smaller = sorted((one, other), key=lambda e: -int(e.values[name]))
    a, b = int(larger.values[name]), int(smaller.values[name])
    # A mistake must lead to another answer, which a number as far on the other side would not.
    twin = next(int(value) for value in _mistakes(rng, known, smaller, name, attribute) if abs(a - int(value)) not in (0, a - b))
    first = attribute.told.format(It=larger.at_start, value=a)

    def solution(value: int) -> tuple[str, ...]:
        apart = f"{max(a, value)} - {min(a, value)} = {abs(a - value)}."
        return first, attribute.told.format(It=smaller.at_start, value=value), apart

    wrong = [abs(a - twin), *(abs(a - b) + step for step in rng.sample([-31, -20, -11, -10, -3, -2, -1, 1, 2, 3, 10, 11, 20, 31], 8))]
    spread = tuple(dict.fromkeys(str(number) for number in wrong if number not in (a - b, 0) and number > 0))
    return _Drawn("difference", attribute.apart.format(a=larger.it, b=smaller.it), (larger, smaller), solution(b), str(a - b), solution(twin), spread)


def _mistakes(rng: random.Random, known: Knowledge, entity: Entity, name: str, attribute: Attribute) -> tuple[str, ...]:
    """Wrong values, in the order in which they are worth confusing with the right one: those of near duplicates first."""
    right = entity.values[name]
    others = [e.values[name] for e in known.families[entity.family] if e.values[name] != right]
    rng.shuffle(others)
    drawn: list[str | int] = list(attribute.words) or [rng.randint(*attribute.numbers) for _ in range(8)]
    rng.shuffle(drawn)
    return tuple(str(value) for value in dict.fromkeys((*others, *drawn)) if value != right)


def _problem(rng: random.Random, drawn: _Drawn, identity: str, choice: bool) -> Problem:
    choices: tuple[str, ...] = ()
    gold, mistaken = drawn.gold, drawn.wrong[0]
    if choice:
        listed = [drawn.gold, *drawn.wrong[: _OPTIONS - 1]]
        rng.shuffle(listed)
        choices = tuple(listed)
        gold, mistaken = (ascii_uppercase[listed.index(value)] for value in (drawn.gold, mistaken))
    shown = "({})" if choice else "{}"
    meta = {
        "kind": drawn.kind,
        "documents": [entity.id for entity in drawn.entities],
        "facts": list(drawn.facts),
        "solution": " ".join(drawn.facts) + f"\nThe answer is {shown.format(gold)}.",
        "mistaken": " ".join(drawn.mistaken) + f"\nThe answer is {shown.format(mistaken)}.",
        "mistaken_answer": mistaken,
    }
    return Problem(identity, drawn.question, gold, choices, meta)


def _distinct(split: Split, count: int, world: World, asking: Asking, seed: int) -> tuple[Problem, ...]:
    """Problems in the order of their index, those whose text came before left out."""
    problems: dict[str, Problem] = {}
    for index in range(20 * count + 100):
        problem = ask(split, index, world, asking, seed=seed)
        problems.setdefault(problem.question, problem)
        if len(problems) == count:
            return tuple(problems.values())
    raise UsageError(f"only {len(problems)} different {split} problems were found in {world}, but count = {count}; lower the count or take more entities")


def _name(world: World, asking: Asking, count: int, split: str, seed: int | None) -> str:
    """The string form that loads the same task again."""
    settings: dict[str, object] = {}
    for dial, default in ((world, World()), (asking, Asking())):
        plain = asdict(default)
        settings |= {name: value for name, value in asdict(dial).items() if value != plain[name]}
    settings["count"] = count
    if split != "test":
        settings["split"] = split
    if seed:
        settings["seed"] = seed
    return "encyclopedia:" + ",".join(f"{name}={value}" for name, value in settings.items())
