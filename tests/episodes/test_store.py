"""The run store keeps what it said it kept, whoever is killed when."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from toolwright.episodes import (
    Cost,
    Episode,
    Provenance,
    RunStore,
    SampleKey,
    Span,
    StopReason,
    ToolResult,
    Verdict,
    VerdictKey,
    derive_seed,
)
from toolwright.episodes._store import _journal_mode
from toolwright.errors import UsageError


def episode(index: int = 0, text: str = "12 + 30 = 42", **changes: object) -> Episode:
    made = Episode(
        problem_id="p",
        index=index,
        spans=(Span(Provenance.MODEL, text, (3, 4), (-0.25, -1.5)), Span(Provenance.TOOL, "ünder €\n")),
        stop=StopReason.FINISHED,
        seed=derive_seed(0, "p", index),
        cost=Cost(3, 2, 1, 0.125),
        tool_results=(ToolResult("42", meta={"code": "print(42)"}),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def key(index: int = 0, **changes: object) -> SampleKey:
    return replace(SampleKey(7, "p", index, "setup"), **changes)  # type: ignore[arg-type]


VERDICT = Verdict(0.0, "12 + 30 is 42", "claims", (ToolResult("x", ok=False),), Cost(1, 2, 3, 4.0))


def test_what_is_put_comes_back_equal_after_reopening(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        assert store.put_episode(key(), episode())
        assert store.put_verdict(VerdictKey(key(), "v"), VERDICT)
    with RunStore(tmp_path) as store:
        assert store.episode(key()) == episode()
        assert store.verdict(VerdictKey(key(), "v")) == VERDICT
        assert store.verdict(VerdictKey(key(), "v", 1)) is None


@pytest.mark.parametrize("changed", [{"run_seed": 8}, {"problem_id": "q"}, {"index": 1}, {"setup": "other"}, {"role": "toolv"}])
def test_every_part_of_the_key_counts(tmp_path: Path, changed: dict[str, object]) -> None:
    with RunStore(tmp_path) as store:
        store.put_episode(key(), episode())
        assert store.episode(key(**changed)) is None
        assert store.put_episode(key(**changed), episode(text="other"))
        assert store.episode(key()) == episode()


def test_the_first_put_of_a_key_counts(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        assert store.put_episode(key(), episode())
        assert not store.put_episode(key(), episode(text="later"))
        assert store.episode(key()) == episode()
        assert store.put_verdict(VerdictKey(key(), "v"), VERDICT)
        assert not store.put_verdict(VerdictKey(key(), "v"), Verdict(1.0, "later"))
        assert store.verdict(VerdictKey(key(), "v")) == VERDICT


def test_stored_rows_cannot_be_changed_or_removed(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.put_episode(key(), episode())
        with sqlite3.connect(store.path) as other:
            for statement in ("UPDATE episodes SET sample = 5", "DELETE FROM episodes"):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    other.execute(statement)
        other.close()


def test_faults_are_logged_and_not_taken_for_samples(tmp_path: Path) -> None:
    lost = episode(stop=StopReason.FAULT, fault="engine: lost")
    with RunStore(tmp_path) as store:
        assert not store.put_episode(key(), lost)
        assert store.episode(key()) is None
        assert list(store.faults()) == [(key(), lost)]
        assert store.put_episode(key(), episode())
        assert not store.put_episode(key(1), episode(1, stop=StopReason.CANCELLED))
        assert store.episode(key(1)) is None


def test_samples_are_listed_by_problem_and_index(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.put_episodes((key(i), episode(i)) for i in (2, 0, 1))
        store.put_episode(key(run_seed=9, problem_id="a"), episode())
        assert [k.index for k, _ in store.episodes(run_seed=7)] == [0, 1, 2]
        assert [k.problem_id for k, _ in store.episodes()] == ["a", "p", "p", "p"]
        assert list(store.episodes(setup="none")) == []


def test_export_and_import_carry_everything_over(tmp_path: Path) -> None:
    with RunStore(tmp_path / "one") as one, RunStore(tmp_path / "two.sqlite") as two:
        one.put_episodes((key(i), episode(i)) for i in range(3))
        one.put_verdict(VerdictKey(key(1), "v", 2), VERDICT)
        assert one.export_jsonl(tmp_path / "out.jsonl") == 4
        assert two.import_jsonl(tmp_path / "out.jsonl") == 4
        assert two.import_jsonl(tmp_path / "out.jsonl") == 0
        assert list(two.episodes()) == list(one.episodes())
        assert list(two.verdicts()) == list(one.verdicts())


def test_half_a_character_survives(tmp_path: Path) -> None:
    """A server may cut an emoji in two; UTF-8 cannot hold the half."""
    cut = episode(text="so \ud83d it is")
    with RunStore(tmp_path / "one") as one, RunStore(tmp_path / "two") as two:
        one.put_episode(key(), cut)
        one.export_jsonl(tmp_path / "out.jsonl")
        two.import_jsonl(tmp_path / "out.jsonl")
        assert two.episode(key()) == one.episode(key()) == cut


def test_a_seed_too_large_is_refused(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store, pytest.raises(UsageError, match="seed"):
        store.put_episode(key(run_seed=2**63), episode())


def test_an_import_names_the_bad_line_and_keeps_nothing(tmp_path: Path) -> None:
    with RunStore(tmp_path / "one") as one, RunStore(tmp_path / "two") as two:
        one.put_episode(key(), episode())
        one.export_jsonl(tmp_path / "out.jsonl")
        with (tmp_path / "out.jsonl").open("a") as stream:
            stream.write(json.dumps({"key": {}, "episode": {}}) + "\n")
        with pytest.raises(UsageError, match="line 2"):
            two.import_jsonl(tmp_path / "out.jsonl")
        assert list(two.episodes()) == []


def test_readers_see_what_writers_finished(tmp_path: Path) -> None:
    with RunStore(tmp_path) as writer, RunStore(tmp_path, read_only=True) as reader:
        writer.put_episode(key(), episode())
        assert reader.episode(key()) == episode()
        with pytest.raises(UsageError, match="readonly"):
            reader.put_episode(key(1), episode(1))


def test_a_missing_store_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run store"):
        RunStore(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()


def test_unusable_paths_are_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "broken.sqlite").write_text("no database at all, but long enough to be taken for one " * 40)
    for bad in (tmp_path / "file" / "run", tmp_path / "broken.sqlite", Path("/proc/toolwright")):
        with pytest.raises(UsageError, match="cannot be used"):
            RunStore(bad)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_can_be_read_but_not_written(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run") as store:
        store.put_episode(key(), episode())
    (tmp_path / "run").chmod(0o555)
    try:
        with RunStore(tmp_path / "run", read_only=True) as store:
            assert store.episode(key()) == episode()
        with pytest.raises(UsageError, match="cannot be used"):
            RunStore(tmp_path / "run").put_episode(key(1), episode(1))
    finally:
        (tmp_path / "run").chmod(0o755)


def test_newer_and_foreign_files_are_refused(tmp_path: Path) -> None:
    RunStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.sqlite") as raw:
        raw.execute("UPDATE about SET value = '99' WHERE name = 'schema'")
    raw.close()
    with pytest.raises(UsageError, match=r"schema 99.*upgrade"):
        RunStore(tmp_path)
    with sqlite3.connect(tmp_path / "other.db") as raw:
        raw.execute("CREATE TABLE mine (x)")
    raw.close()
    with pytest.raises(UsageError, match="no run store"):
        RunStore(tmp_path / "other.db")


WRITER = """
import sys
from toolwright.episodes import Episode, Provenance, RunStore, SampleKey, Span, StopReason
first = int(sys.argv[2])
with RunStore(sys.argv[1]) as store:
    for index in range(first, first + 100_000):
        episode = Episode("p", index, (Span(Provenance.MODEL, str(index) * 50),), StopReason.FINISHED, index)
        store.put_episode(SampleKey(0, "p", index, "s"), episode)
        sys.stdout.write(f"{index}\\n")
        sys.stdout.flush()
"""


def test_a_collision_while_two_processes_make_a_store_is_waited_out() -> None:
    """SQLite answers "locked" at once to a change of the journal mode that meets another; seen with two writers that started together."""

    class Colliding:
        calls = 0

        def execute(self, statement: str) -> Colliding:
            self.calls += 1
            if self.calls < 3:
                raise sqlite3.OperationalError("database is locked")
            return self

        def fetchone(self) -> tuple[str]:
            return ("wal",)

    connection = Colliding()
    assert _journal_mode(connection) == "wal"  # type: ignore[arg-type]
    assert connection.calls == 3


def test_what_was_confirmed_survives_kill_9(tmp_path: Path) -> None:
    """Two writers at once, killed at a moment of chance, three times over one store."""
    confirmed: set[int] = set()
    for attempt in range(3):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(10**6 * (2 * attempt + i))], stdout=subprocess.PIPE, text=True) for i in range(2)
        ]
        firsts = [int(w.stdout.readline()) for w in writers if w.stdout]
        time.sleep(random.uniform(0.02, 0.3))
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for first, writer in zip(firsts, writers, strict=True):
            out, _ = writer.communicate()
            confirmed |= {first} | {int(line) for line in out.split("\n")[:-1]}
    with RunStore(tmp_path) as store:
        stored = {k.index: e for k, e in store.episodes()}
    assert confirmed <= set(stored)
    assert len(stored) - len(confirmed) <= 6, "at most the one in flight per killed writer"
    assert all(e.text == str(i) * 50 for i, e in stored.items())
