"""Every row of the attack list, one-shot, at the level this machine reaches; the rest of the matrix is `test_matrix.py`."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from attack_list import PLAYED, ROWS
from attack_rows import Case, Story
from attack_stage import Stage, Unavailable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's layers are Linux's")
_FEW = {*range(1, 26), *range(63, 89)}
"""Rows that take their time; of these the default run plays two cases each, the matrix all."""


def chosen() -> list[str]:
    seen: Counter[int] = Counter()
    found = []
    for key, each in PLAYED.items():
        seen[each.number] += isinstance(each, Case)
        if each.slow if isinstance(each, Story) else each.number in _FEW and seen[each.number] > 2:
            continue
        found.append(key)
    return found


def test_the_list_is_whole() -> None:
    assert sorted(ROWS) == list(range(1, 101))
    assert {each.number for each in PLAYED.values()} == set(ROWS)
    assert {PLAYED[key].number for key in chosen()} == set(ROWS)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """A sandbox of the best level of this machine, with a secret in the environment it was started from."""
    reasons = []
    for level in (3, 2):
        made = Stage(level)
        try:
            made.open()
        except Unavailable as error:
            reasons.append(str(error))
            made.close()
            continue
        yield made
        made.close()
        return
    pytest.skip("; ".join(reasons))


@pytest.mark.parametrize("key", chosen())
def test_attack_fails(stage: Stage, key: str) -> None:
    each = PLAYED[key]
    if isinstance(each, Story) and stage.level not in each.levels:
        pytest.skip(f"not played at level {stage.level}")
    record = asyncio.run(stage.play(each, "one-shot"))
    assert not record.why, record.why
