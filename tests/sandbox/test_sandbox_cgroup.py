"""A cgroup for each child, on folders that only look like one: the kernel of a test machine rarely delegates a real one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from toolwright.sandbox import Sandbox
from toolwright.sandbox._cgroup import Cgroup
from toolwright.sandbox._running import Child, Limits, Turn

FILES = ("cgroup.procs", "cgroup.kill", "cgroup.subtree_control", "memory.max", "memory.swap.max", "pids.max")
LIMITS = Limits(wall_s=5, cpu_s=5, memory_bytes=64 << 20, output_bytes=1000, file_bytes=0, threads=7)


@pytest.fixture
def delegated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which every new folder has a cgroup's files, as the kernel makes them, and is removed with them."""
    plain_mkdir, plain_rmdir = os.mkdir, os.rmdir

    def mkdir(path: str) -> None:
        plain_mkdir(path)
        for name in FILES:
            Path(path, name).touch()

    def rmdir(path: str) -> None:
        for name in (*FILES, "memory.events"):
            Path(path, name).unlink(missing_ok=True)
        plain_rmdir(path)

    monkeypatch.setattr("toolwright.sandbox._cgroup.os.mkdir", mkdir)
    monkeypatch.setattr("toolwright.sandbox._cgroup.os.rmdir", rmdir)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").touch()
    return tmp_path


def test_bounds_are_written_and_everything_is_removed(delegated: Path) -> None:
    cgroup = Cgroup(str(delegated))
    assert (delegated / "cgroup.subtree_control").read_text() == "+memory +pids"
    place = cgroup.place(3, 1 << 26, 7)
    folder = Path(place.folder)
    assert [(folder / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max")] == [str(1 << 26), "0", "7"]
    place.take(4711)
    place.kill()
    assert (folder / "cgroup.procs").read_text() == "4711" and (folder / "cgroup.kill").read_text() == "1"
    assert not place.ran_out()
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n")
    assert place.ran_out()
    cgroup.place(4, 1 << 26, 7)
    place.leave()
    assert not folder.exists()
    cgroup.close()
    assert sorted(path.name for path in delegated.iterdir()) == ["cgroup.controllers", "cgroup.subtree_control"]


@pytest.mark.parametrize("controllers", ["", "cpu memory", "hugetlb pids"])
def test_missing_controllers_are_named(delegated: Path, controllers: str) -> None:
    (delegated / "cgroup.controllers").write_text(controllers)
    with pytest.raises(OSError, match=r"has no (memory|pids) controller"):
        Cgroup(str(delegated))


def test_a_parent_with_processes_in_it_leaves_nothing(delegated: Path) -> None:
    (delegated / "cgroup.subtree_control").unlink()  # the kernel refuses the write; so does a missing file
    with pytest.raises(OSError):
        Cgroup(str(delegated))
    assert [path.name for path in delegated.iterdir()] == ["cgroup.controllers"]


def test_child_is_placed_before_it_gets_its_source_and_killed_as_one(delegated: Path) -> None:
    cgroup = Cgroup(str(delegated))
    child = Child(1, LIMITS, session=False, held=True)
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    child.begin(Turn(b"1", 0))
    child.writable()
    assert not child.wants_write, "nothing is sent before it has its place"
    place = cgroup.place(1, LIMITS.memory_bytes, LIMITS.threads)
    child.started(os.pidfd_open(pid), "", place)
    assert child.wants_write
    assert Path(place.folder, "cgroup.procs").read_text() == str(pid)
    child.ready = True
    Path(place.folder, "memory.events").write_text("oom_kill 1\n")
    child.kill()
    assert Path(place.folder, "cgroup.kill").read_text() == "1"
    _, status = os.waitpid(pid, 0)
    verdict = child.end(status, 0.0)
    assert verdict is not None and (verdict["outcome"], verdict["signal"]) == ("memory", signal.SIGKILL)
    child.close()
    assert not Path(place.folder).exists()


def test_where_there_is_none_the_layer_says_why(tmp_path: Path) -> None:
    with Sandbox(preload=(), cgroup=tmp_path) as sandbox:
        layer = sandbox.capabilities().layer("cgroup")
        assert not layer.active and "cgroup.controllers" in layer.why
        assert sandbox.run_sync("1").level < 4
