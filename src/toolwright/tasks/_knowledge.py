"""A made-up world for the generated encyclopedia: towns, people, ships and bridges, each with a passage that tells its attributes.

Nothing of it is true anywhere else, so no model knows it from training, and it can be made larger than a model can remember. Names come in families of near
duplicates: the same three words in another order, or with one word exchanged. A search that counts words cannot tell the first kind apart, a reader can.
Leaves out what is asked about it (`_encyclopedia`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import permutations
from typing import Literal

from toolwright.episodes import derive_seed, digest
from toolwright.errors import UsageError
from toolwright.retrieval import Passage

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_SHARES = {"test": 20, "validation": 10}
"""Percent of families held out."""
_LISTS = {
    "onsets": "b br d dr f fl g gr h j k kl l m n p pl r s sk st t tr v w z",
    "vowels": "a e i o u ai ea io ou",
    "codas": "d k l ld lm m n nd ng r rk rn rt s sk st t v x",
    "products": "salt cheese glass paper honey wool silk copper amber bells clocks boats barrels ropes hats carpets pottery soap lace tea",
    "cargoes": "coal timber grain cotton sugar rice iron marble coffee pepper tin oil wine fish cement rubber maize hemp slate clay",
    "trades": "baker weaver mason painter miller tailor sailor teacher farmer doctor potter smith gardener judge printer hunter cook brewer carver clerk",
    "materials": "granite oak brick steel iron limestone concrete bamboo basalt cedar",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing that is told of every entity of a kind."""

    asked: str
    """The question, with {it}."""
    told: str
    """The sentence of a solution, with {It} and {value}."""
    written: tuple[str, ...]
    """How passages say it, with {value} and perhaps {It}."""
    words: tuple[str, ...] = ()
    """What it can be; empty for a number."""
    numbers: tuple[int, int] = (0, 0)
    """The smallest and the largest that it can be."""
    apart: str = ""
    """The question for the difference of two, the larger first; numbers only."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What entities are."""

    the: str
    """How one is spoken of, with {name}."""
    pronouns: tuple[str, ...]
    """One of them stands for it in its passage."""
    attributes: dict[str, Attribute]
    link: str = ""
    """How a passage tells the town that belongs to it, with {It} and {town}; empty for towns."""
    linked: str = ""
    """How that town is asked for without its name, with {it}."""


KINDS: dict[str, Kind] = {
    "town": Kind(
        "the town of {name}",
        ("It",),
        {
            "founded": Attribute(
                "In which year was {it} founded?",
                "{It} was founded in {value}.",
                ("It was founded in {value}.", "The year of its founding is {value}.", "Settlers founded it in {value}."),
                numbers=(1100, 1890),
                apart="How many years later was {a} founded than {b}?",
            ),
            "population": Attribute(
                "How many people live in {it}?",
                "{It} has {value} inhabitants.",
                ("It has {value} inhabitants.", "{value} people live there.", "Its population is {value}."),
                numbers=(210, 98_000),
                apart="How many more people live in {a} than in {b}?",
            ),
            "product": Attribute(
                "What is {it} known for?",
                "{It} is known for {value}.",
                ("It is known for its {value}.", "Travellers know it for its {value}."),
                words=tuple(_LISTS["products"].split()),
            ),
            "height": Attribute(
                "How many metres above the sea does {it} lie?",
                "{It} lies {value} metres above the sea.",
                ("It lies {value} metres above the sea.", "Its height above the sea is {value} metres."),
                numbers=(3, 2400),
                apart="How many metres higher does {a} lie than {b}?",
            ),
        },
    ),
    "person": Kind(
        "{name}",
        ("She", "He"),
        {
            "born": Attribute(
                "In which year was {it} born?",
                "{It} was born in {value}.",
                ("{It} was born in {value}.", "The year of birth was {value}."),
                numbers=(1400, 1970),
                apart="How many years later was {a} born than {b}?",
            ),
            "trade": Attribute(
                "What is the trade of {it}?",
                "{It} is a {value} by trade.",
                ("{It} is a {value} by trade.", "{It} works as a {value}."),
                words=tuple(_LISTS["trades"].split()),
            ),
            "letters": Attribute(
                "How many letters of {it} are kept?",
                "{It} wrote {value} letters that are kept.",
                ("{It} wrote {value} letters that are kept.", "{value} letters are kept."),
                numbers=(4, 950),
                apart="How many more letters are kept of {a} than of {b}?",
            ),
        },
        "{It} was born in the town of {town}.",
        "the town where {it} was born",
    ),
    "ship": Kind(
        "the ship {name}",
        ("It",),
        {
            "built": Attribute(
                "In which year was {it} built?",
                "{It} was built in {value}.",
                ("It was built in {value}.", "The year of building is {value}."),
                numbers=(1500, 1980),
                apart="How many years later was {a} built than {b}?",
            ),
            "length": Attribute(
                "How many metres long is {it}?",
                "{It} is {value} metres long.",
                ("It is {value} metres long.", "Its length is {value} metres."),
                numbers=(9, 390),
                apart="By how many metres is {a} longer than {b}?",
            ),
            "cargo": Attribute(
                "What cargo does {it} carry?",
                "{It} carries {value}.",
                ("It carries {value}.", "Its cargo is {value}."),
                words=tuple(_LISTS["cargoes"].split()),
            ),
        },
        "{It} has its home harbour in the town of {town}.",
        "the home town of {it}",
    ),
    "bridge": Kind(
        "the bridge {name}",
        ("It",),
        {
            "opened": Attribute(
                "In which year was {it} opened?",
                "{It} was opened in {value}.",
                ("It was opened in {value}.", "The year of its opening is {value}."),
                numbers=(1300, 1985),
                apart="How many years later was {a} opened than {b}?",
            ),
            "span": Attribute(
                "How many metres does {it} span?",
                "{It} spans {value} metres.",
                ("It spans {value} metres.", "Its span is {value} metres."),
                numbers=(6, 980),
                apart="How many more metres does {a} span than {b}?",
            ),
            "material": Attribute(
                "What is {it} made of?",
                "{It} is made of {value}.",
                ("It is made of {value}.", "The builders made it of {value}."),
                words=tuple(_LISTS["materials"].split()),
            ),
        },
        "{It} stands in the town of {town}.",
        "the town where {it} stands",
    ),
}


@dataclass(frozen=True, slots=True)
class World:
    """The dial of the encyclopedia: equal dials give equal worlds."""

    entities: int = 2000
    """How many passages there are, 200 to 200,000."""
    twins: int = 6
    """Entities in a family of near duplicates, 1 (none) to 12; two of three share all their words, the others all but one."""
    world: int = 0
    """Which world: the seed of names and attributes."""

    def __post_init__(self) -> None:
        for name, least, most in (("entities", 200, 200_000), ("twins", 1, 12)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise UsageError(f"{name} = {value!r}, but the dial goes from {least} to {most:,}")
        if not isinstance(self.world, int) or isinstance(self.world, bool):
            raise UsageError(f"world = {self.world!r}, but it is a whole number")


@dataclass(frozen=True)
class Entity:
    """One thing of the world."""

    id: str
    """Of its passage too."""
    kind: str
    name: str
    family: int
    split: Split
    values: dict[str, str | int]
    town: str = ""
    """The id of the town that belongs to it."""

    @property
    def it(self) -> str:
        """As it is spoken of."""
        return KINDS[self.kind].the.format(name=self.name)

    @property
    def at_start(self) -> str:
        """The same at the start of a sentence."""
        return self.it[0].upper() + self.it[1:]


class Knowledge:
    """All entities of a world and their passages."""

    def __init__(self, dial: World) -> None:
        self.dial = dial
        made = list(_entities(dial))
        towns: dict[Split, list[Entity]] = {split: [e for e in made if e.kind == "town" and e.split == split] for split in SPLITS}
        self.entities = tuple(_linked(e, towns[e.split], dial) for e in made)

    @cached_property
    def by_id(self) -> dict[str, Entity]:
        """Entities by their ids."""
        return {e.id: e for e in self.entities}

    @cached_property
    def families(self) -> dict[int, tuple[Entity, ...]]:
        """The near duplicates, by family."""
        found: dict[int, list[Entity]] = {}
        for entity in self.entities:
            found.setdefault(entity.family, []).append(entity)
        return {number: tuple(members) for number, members in found.items()}

    @cached_property
    def digest(self) -> str:
        """The identity of everything that is told."""
        return digest("knowledge", [[p.id, p.title, p.text] for p in self.passages])

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """One for each entity, in the order of their ids."""
        return tuple(self._passage(e) for e in self.entities)

    def _passage(self, entity: Entity) -> Passage:
        kind = KINDS[entity.kind]
        rng = random.Random(derive_seed("encyclopedia", self.dial.world, "passage", entity.id))
        pronoun = rng.choice(kind.pronouns)
        told = [rng.choice(kind.attributes[name].written).format(It=pronoun, value=value) for name, value in entity.values.items()]
        if entity.town:
            opening = kind.link.format(It=entity.at_start, town=self.by_id[entity.town].name)
        else:
            name = next(iter(entity.values))
            opening, told = kind.attributes[name].told.format(It=entity.at_start, value=entity.values[name]), told[1:]
        rng.shuffle(told)
        # Some passages warn of a near duplicate, as encyclopedias do; the warning makes them look like its passage.
        others = [e for e in self.families[entity.family] if e.id != entity.id]
        if others and rng.random() < 0.3:
            told.append(f"Not to be confused with {rng.choice(others).name}.")
        return Passage(entity.id, f"{entity.name} ({entity.kind})", " ".join((opening, *told)))


@lru_cache(maxsize=4)
def knowledge(dial: World) -> Knowledge:
    """The world of a dial, made once."""
    return Knowledge(dial)


def _entities(dial: World) -> Iterator[Entity]:
    words = _words(dial)
    used: set[frozenset[str]] = set()
    count = 0
    for family in range(-(-dial.entities // dial.twins)):
        rng = random.Random(derive_seed("encyclopedia", dial.world, "family", family))
        # Towns come first and then every fourth time: the others need them.
        kind = list(KINDS)[family % len(KINDS)]
        names = _names(rng, words, used, dial.twins)
        # Each split has a town, however small the world is.
        split = SPLITS[family // len(KINDS)] if kind == "town" and family // len(KINDS) < len(SPLITS) else split_of_family(names[0])
        taken: dict[str, set[str | int]] = {}
        for name in names[: dial.entities - count]:
            values = {attribute: _value(rng, KINDS[kind].attributes[attribute], taken.setdefault(attribute, set())) for attribute in KINDS[kind].attributes}
            yield Entity(f"enc-{count:06d}", kind, name, family, split, values)
            count += 1


def split_of_family(name: str) -> Split:
    """Which split a family belongs to, by digest of its first name, so that near duplicates are never apart; the first three of towns apart from that."""
    bucket = int(digest("encyclopedia", name), 16) % 100
    return "test" if bucket < _SHARES["test"] else "validation" if bucket < sum(_SHARES.values()) else "train"


def _words(dial: World) -> list[str]:
    """Enough made-up words that families share some of them with others, as real names do."""
    rng = random.Random(derive_seed("encyclopedia", dial.world, "words"))
    wanted = max(90, dial.entities // 6)
    found: dict[str, None] = {}
    while len(found) < wanted:
        syllables = [rng.choice(_LISTS["onsets"].split()) + rng.choice(_LISTS["vowels"].split()) for _ in range(rng.choice((1, 1, 2)))]
        word = "".join(syllables) + rng.choice(_LISTS["codas"].split())
        if 3 <= len(word) <= 8:
            found[word.capitalize()] = None
    return list(found)


def _names(rng: random.Random, words: list[str], used: set[frozenset[str]], twins: int) -> list[str]:
    """The names of a family: first those of the same words in another order, then those with one word exchanged."""
    while True:
        base = rng.sample(words, 3)
        same = min(6, -(-2 * twins // 3))
        orders = rng.sample(list(permutations(base)), same)
        changed: list[tuple[str, ...]] = []
        others = rng.sample([word for word in words if word not in base], twins - same)
        for number, other in enumerate(others):
            parts = list(base)
            parts[number % 3] = other
            changed.append(tuple(parts))
        sets = [frozenset(base), *map(frozenset, changed)]
        if not used & set(sets):
            used.update(sets)
            return [" ".join(parts) for parts in (*orders, *changed)]


def _value(rng: random.Random, attribute: Attribute, taken: set[str | int]) -> str | int:
    """A value that no near duplicate has, as long as there is one."""
    while True:
        value: str | int = rng.choice(attribute.words) if attribute.words else rng.randint(*attribute.numbers)
        if value not in taken or (attribute.words and len(taken) >= len(attribute.words)):
            taken.add(value)
            return value


def _linked(entity: Entity, towns: list[Entity], dial: World) -> Entity:
    if not KINDS[entity.kind].link:
        return entity
    town = random.Random(derive_seed("encyclopedia", dial.world, "town", entity.id)).choice(towns)
    return Entity(entity.id, entity.kind, entity.name, entity.family, entity.split, entity.values, town.id)
