"""A short soak by default: some hundred snippets with attacks among them while zygotes and supervisors are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks are not in this installation")
@pytest.mark.parametrize("snippets", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_nothing_is_lost_blamed_on_another_or_left_behind(snippets: int) -> None:
    command = [sys.executable, str(SCRIPT), "--snippets", str(snippets), "--at-once", "64", "--kill-every", str(max(snippets // 100, 25)), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout)
    table = found["table"]
    assert not [each for each in found["claims"] if each["seen"] is False and each["id"] != "soak-flat"], done.stderr[-2000:]
    assert done.returncode == int(any(each["seen"] is False for each in found["claims"]))
    assert table["snippets"] == snippets <= table["answered"]
    assert table["zygotes_killed"] > 0 and table["supervisors_killed"] > 0, "too quick for kills to fall into it"
    assert {"ok", "error"} < set(table["outcomes"])
    assert table["level"] >= 2
