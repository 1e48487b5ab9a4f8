"""No wording of a template coincides with a benchmark's item, and no test template with a train template, with numbers and names masked."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from toolwright.tasks import load, split_of
from toolwright.tasks._kits import KINDS, Kit, load_kits
from toolwright.tasks._templates import Redraw, Story, Template, fill, load_templates
from toolwright.tasks._words import LISTS, NAMES

LENGTH = 12
NUMBERS = frozenset(
    re.findall(
        r"\w+",
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
        twenty thirty forty fifty sixty seventy eighty ninety hundred thousand""",
    )
)
PRONOUNS = {"she": "he", "her": "his", "him": "his", "hers": "his", "herself": "himself"}
BENCHMARKS = ("svamp", "multiarith", "asdiv", "addsub", "singleeq", "singleop", "gsm8k")
STOCK_PHRASES = {
    # "… years younger than Deanna. Deanna is 26. How old is …": there is hardly another way to say it.
    "# years younger than @ @ is # how old is @",
    "@ is # years old @ is # years younger than @",
    "@ is # years older than @ and @ is # years",
    "is # years older than @ and @ is # years older",
    "@ is # cm tall @ is # cm taller than @",
    "@ has # books how many more books does @ have than",
    "has # books how many more books does @ have than @",
    "# people on the bus how many people were on the bus",
    "people on the bus how many people were on the bus before",
}
"""Shared runs of twelve words that say nothing about the item they come from."""

Mask = tuple[str, ...]


def words_of(text: str) -> list[str]:
    return re.findall(r"\d[\d,./]*|[A-Za-z']+", text.replace("’", "'").replace("'s", " 's"))


def names_in(texts: Iterable[str]) -> frozenset[str]:
    """Words that occur inside sentences with a capital and never without."""
    inside: set[str] = set()
    lower: set[str] = set()
    for text in texts:
        for sentence in re.split(r"(?<=[.?!])\s+", text):
            for position, word in enumerate(words_of(sentence)):
                if word[0].islower():
                    lower.add(word)
                elif position and word[0].isalpha():
                    inside.add(word.lower())
    return frozenset(inside - lower) | {name.lower() for name, _ in NAMES} | {place.lower() for place in LISTS["place"]}


def masked(text: str, names: frozenset[str]) -> Mask:
    return tuple("#" if w[0].isdigit() or w in NUMBERS else "@" if w in names else PRONOUNS.get(w, w) for w in (word.lower() for word in words_of(text)))


def runs(words: Mask) -> Iterator[Mask]:
    return (words[i : i + LENGTH] for i in range(len(words) - LENGTH + 1))


def drawings(source: Template | Story) -> Iterator[str]:
    """Each wording drawn often enough that its word lists and free choices are gone through."""
    rng = random.Random(source.id)
    tries = (
        [(replace(source, text=(text,)), "") for text in source.text for _ in range(6)]
        if isinstance(source, Template)
        else [(source, op) for op in source.events for _ in range(8)]
    )
    for one, op in tries:
        try:
            yield (one.render(rng, digits=2, distractors=0.5) if isinstance(one, Template) else one.render(rng, (op,), digits=2)).question
        except Redraw:
            continue


def compositions(kit: Kit) -> Iterator[str]:
    """Every clause of a kit by itself with each of its words, and a hundred problems composed from it."""
    rng = random.Random(kit.id)
    for kind, clauses in kit.clauses.items():
        for clause in clauses:
            for _ in range(6):
                yield fill(rng, clause, kit.draw_words(rng), dict.fromkeys(KINDS[kind], 14))
    for _ in range(100):
        try:
            yield kit.render(rng, digits=2, distractors=0.2).question
        except Redraw:
            continue


@pytest.fixture(scope="module")
def items(data: Path) -> dict[str, str]:
    return {p.id: p.question for name in BENCHMARKS for p in load(name, data=data).problems}


@cache
def drawn() -> dict[str, frozenset[str]]:
    """Every entry's drawings, by its id."""
    templates, stories = load_templates()
    return {source.id: frozenset(drawings(source)) for source in (*templates, *stories)} | {kit.id: frozenset(compositions(kit)) for kit in load_kits()}


def test_no_template_is_a_benchmark_item(items: dict[str, str]) -> None:
    names = names_in(items.values())
    whole = {masked(question, names): identity for identity, question in items.items()}
    index: dict[Mask, str] = {run: identity for words, identity in whole.items() for run in runs(words)}
    same, shared = [], defaultdict(set)
    for template_id, questions in drawn().items():
        for words in {masked(question, names) for question in questions}:
            if words in whole:
                same.append(f"{template_id} is {whole[words]}: {' '.join(words)}")
            for run in runs(words):
                if run in index and " ".join(run) not in STOCK_PHRASES:
                    shared[template_id].add(f"{index[run]}: {' '.join(run)}")
    assert same == []
    assert dict(shared) == {}


def test_the_guard_sees_a_copied_item(items: dict[str, str]) -> None:
    names = names_in(items.values())
    original = items["svamp-chal-1"]
    copied = re.sub(r"\d+", "{a}", original)
    source = Template("copy", (copied,), {}, {"a": "large"}, (), (("b", "a + 1"),), ())
    (first, *_) = drawings(source)
    assert first != original and masked(first, names) == masked(original, names)
    renamed = items["addsub-0000"].replace("Joan", "Priya").replace("Sam", "Hugo").replace("70", "ninety").replace(" she ", " he ")
    assert masked(renamed, names) == masked(items["addsub-0000"], names)


def test_test_templates_are_not_train_templates_in_other_words() -> None:
    names = names_in(question for questions in drawn().values() for question in questions)
    masks = {template_id: {masked(question, names) for question in questions} for template_id, questions in drawn().items()}
    train = {run: template_id for template_id, found in masks.items() if split_of(template_id) == "train" for words in found for run in runs(words)}
    for template_id, found in masks.items():
        if split_of(template_id) != "train":
            held_out = [run for words in found for run in runs(words)]
            near = Counter(train[run] for run in held_out if run in train)
            assert sum(near.values()) <= 0.05 * len(held_out), (template_id, near)
