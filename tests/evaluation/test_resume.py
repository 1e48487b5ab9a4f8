"""Killed in the middle and run again: the same table, and no stored sample drawn twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from evaluation_run import IN_FLIGHT, SAMPLES, run

from toolwright.episodes import RunStore

SCRIPT = Path(__file__).with_name("evaluation_run.py")


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    for row in (*report["results"], *report["baselines"], *report["oracle"]):
        row["cost"].pop("wall_s")
    return report


def drawn(log: Path) -> Counter[str]:
    return Counter(log.read_text().splitlines())


def start(tmp_path: Path, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path / "run"), str(tmp_path / "log"), str(tmp_path / "report.json"), str(seconds)], stderr=subprocess.PIPE
    )


def wait_for_lines(log: Path, count: int) -> None:
    limit = time.monotonic() + 60
    while not log.exists() or log.read_bytes().count(b"\n") < count:
        assert time.monotonic() < limit, "the evaluation did not get going"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    report = run(folder / "run", folder / "log", 0.0)
    assert drawn(folder / "log").total() == SAMPLES
    return without_times(json.loads(json.dumps(report)))


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_run_again(tmp_path: Path, undisturbed: dict[str, Any], sign: signal.Signals) -> None:
    ends = []
    for lines in (20, 60):
        process = start(tmp_path, 0.05)
        wait_for_lines(tmp_path / "log", lines)
        process.send_signal(sign)
        process.communicate()
        ends.append(process.returncode)
        assert process.returncode != 0
    assert not (tmp_path / "report.json").exists()
    with RunStore(tmp_path / "run", read_only=True) as store:
        stored = len(list(store.episodes()))
    assert 0 < stored < SAMPLES
    lost = drawn(tmp_path / "log").total() - stored
    assert 0 <= lost <= 2 * IN_FLIGHT, "each kill loses at most what was in flight"

    again = without_times(run(tmp_path / "run", tmp_path / "log", 0.0))
    assert json.loads(json.dumps(again)) == undisturbed
    counts = drawn(tmp_path / "log")
    assert len(counts) == SAMPLES, "every sample was drawn"
    assert counts.total() == SAMPLES + lost, "no stored sample was drawn again"

    once_more = without_times(run(tmp_path / "run", tmp_path / "log", 0.0))
    assert json.loads(json.dumps(once_more)) == undisturbed
    assert drawn(tmp_path / "log").total() == SAMPLES + lost, "a finished run draws nothing"
