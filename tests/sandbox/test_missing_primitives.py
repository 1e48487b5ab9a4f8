"""Each primitive really taken away: the sandbox reaches the documented level, or refuses; never does it go on in silence with less."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's layers are Linux's")
REFUSED = {"PermissionError", "FileNotFoundError", "OSError"}
ON_DEMAND = {"cgroup", "processes"}
"""Layers that are only there where they were asked for."""
SYSTEM_CALLS = ("socket", "fork", "exec", "kill", "namespace")


def facts(scenario: str, user: str = "same") -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).parent / "missing_primitive.py"), scenario, "--user", user]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def holds(found: dict[str, Any], level: int, missing: set[str]) -> None:
    """It works at that level, says what is missing and why, and every attack on what is left is refused."""
    assert found["level"] == level, found
    assert {name for name, (active, _) in found["layers"].items() if not active} - ON_DEMAND == missing
    assert all(why for _, why in found["layers"].values())
    assert found["sum"] == ["ok", "2", "", level]
    assert found["session"] == ["ok", "42", "", level]
    attacks = found["attacks"]
    kept = attacks if level >= 2 or "root" not in missing else {name: attacks[name] for name in (*SYSTEM_CALLS, "write")}
    assert all(ended[0] == "error" and ended[2] in REFUSED and ended[3] == level for ended in kept.values()), attacks


@pytest.mark.parametrize("user", ["same", "nobody"])
def test_without_namespaces_seccomp_and_landlock_stand_alone(user: str) -> None:
    found = facts("no_namespaces", user)
    holds(found, 2, {"namespaces", "root"})
    assert "not permitted" in found["layers"]["namespaces"][1]


@pytest.mark.parametrize(
    ("scenario", "missing"),
    [("no_landlock", {"landlock"}), ("no_landlock_nor_namespaces", {"landlock", "namespaces", "root"})],
    ids=["alone", "and namespaces"],
)
def test_without_landlock_it_is_level_1_and_refused_unless_accepted(scenario: str, missing: set[str]) -> None:
    found = facts(scenario)
    assert found["plain"]["refused"].startswith("UsageError: this machine gives sandbox level 1")
    assert "landlock" in found["plain"]["refused"] and "allow_degraded=True" in found["plain"]["refused"]
    assert not any(word in found["plain"]["refused"] for word in ("processes", "cgroup")), "nobody asked for those"
    holds(found["accepted"], 1, missing)


def test_without_seccomp_it_is_level_0_and_refused_even_where_level_1_is_accepted() -> None:
    found = facts("no_seccomp")
    for way in ("plain", "degraded"):
        assert found[way]["refused"].startswith("UsageError: this machine gives sandbox level 0")
        assert "allow_unsafe=True" in found[way]["refused"] and "seccomp" in found[way]["refused"]


def test_limits_that_do_not_hold_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has none of them; each in turn is set, until nothing can be exceeded any more."""
    monkeypatch.chdir(tmp_path)
    script = """
import json, os, resource
from toolwright.sandbox._child import Job
from toolwright.sandbox._probe import limits_hold
job = Job(id=0, memory_bytes=64 << 20, file_bytes=4096, cpu_s=1, threads=1, output_bytes=1, session=False)
said = [limits_hold(job, may_write=True)]
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
for name, value in (('AS', used + (64 << 20)), ('NOFILE', 64), ('FSIZE', 4096)):
    resource.setrlimit(getattr(resource, 'RLIMIT_' + name), (value, value))
    said.append(limits_hold(job, may_write=True))
print(json.dumps(said), os.listdir('.'))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    memory, descriptors, files, nothing = json.loads(done.stdout.partition("]")[0] + "]")
    assert ("memory" in memory, "descriptors" in descriptors, "files" in files, nothing) == (True, True, True, ""), done.stdout
    assert done.stdout.endswith("[]\n"), "it leaves nothing"


def test_lower_hard_limits_are_kept_and_do_not_fail_every_snippet() -> None:
    found = facts("low_limits")
    assert len(found["found"]) == len(found["hard"])
    assert all(inside <= outside for inside, outside in zip(found["found"], found["hard"], strict=True)), found
    assert found["bomb"][0] == "memory", found
    assert found["level"] >= 2


def test_read_only_tmp_changes_nothing_at_level_3_and_moves_scratch_at_level_2() -> None:
    found = facts("read_only_tmp")
    assert found["level 3"]["sum"][0] == "ok", found
    assert found["level 2"]["sum"] == ["ok", "2", "", 2], found


def test_where_scratch_can_be_made_nowhere_level_2_is_refused_with_the_reason() -> None:
    found = facts("read_only_everywhere")
    assert found["level 3"]["sum"][0] == "ok", found
    level_2 = found["level 2"]
    if "refused" in level_2:
        assert "scratch" in level_2["refused"], level_2
    else:
        assert level_2["sum"] == ["ok", "2", "", 2], level_2


def test_out_of_descriptors_is_the_sandboxes_fault_and_passes() -> None:
    found = facts("few_descriptors")
    assert found["outcomes"] == ["infra", "ok"], found
    assert found["values"] == ["7"], found
    assert all("Too many open files; raise the limit" in reason or "supervisor ended" in reason for reason in found["reasons"]), found
    assert found["after"] == [["ok", "42"], ["ok", "2"]] and not found["replaced"], found


def test_a_low_soft_limit_of_descriptors_does_not_bound_sessions() -> None:
    assert facts("low_soft_limit")["right"] == [True, True]


def test_no_memory_to_fork_is_the_sandboxes_fault_and_told() -> None:
    found = facts("no_fork")
    assert found["run"][0] == "infra", found
    assert found["why"] == "the zygote cannot start: OSError: [Errno 12] Cannot allocate memory"
    assert found["refused"] == "SandboxFault: the sandbox cannot start: OSError: [Errno 12] Cannot allocate memory"
    assert found["left"] == 0, "processes were left behind"
