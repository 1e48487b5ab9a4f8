"""Every row at levels 3, 2 and 1, one-shot and in a session, as root and as user 65534: each combination in a process of its own (`attack_driver`)."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attack_list import PLAYED, ROWS, ways_of
from attack_rows import LEVELS, WAYS

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(1800)]
COMBINATIONS = [(user, level, way) for user in ("same", "nobody") for level in LEVELS for way in WAYS]


@cache
def records(user: str, level: int, way: str) -> list[dict[str, Any]] | str:
    """What the driver found, or why it could not play."""
    command = [sys.executable, str(Path(__file__).parent / "attack_driver.py"), str(level), way, "--user", user, "--slow"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 3:
        return done.stderr.strip()
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", ROWS)
@pytest.mark.parametrize(("user", "level", "way"), COMBINATIONS, ids=[f"{user}-{level}-{way}" for user, level, way in COMBINATIONS])
def test_row_holds(number: int, user: str, level: int, way: str) -> None:
    found = records(user, level, way)
    if isinstance(found, str):
        pytest.skip(found)
    played = [record for record in found if record["number"] == number]
    if not played:
        assert all(way not in ways_of(each) or level != 3 for each in PLAYED.values() if each.number == number)
        pytest.skip(f"not played at level {level} {way}")
    wrong = [f"{record['name']}: {record['why']}" for record in played if record["why"]]
    assert not wrong, "\n".join(wrong)
