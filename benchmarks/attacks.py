"""How every attack on the sandbox ends: each row of `tests/attacks` at levels 3, 2 and 1, one-shot and in a session, as root and as user 65534.

Prints what does not hold, and how late time limits were kept; with --write also results/attacks.json, from which docs/security.md is made. Leaves with 1
where a row does not hold. Run it on a quiet machine; it takes about half an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from toolwright.recipes import Measured, claim, publish, result

ATTACKS = Path(__file__).parents[1] / "tests" / "attacks"
LATE_S = 0.1
Record = dict[str, Any]


def play(level: int, way: str, user: str, more: Sequence[str]) -> tuple[list[Record], str]:
    """What the driver found, or why it could not play."""
    command = [sys.executable, str(ATTACKS / "attack_driver.py"), str(level), way, "--user", user, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 3:
        return [], done.stderr.strip()
    if done.returncode:
        raise RuntimeError(f"the driver failed: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()], ""


def late(records: Iterable[Record]) -> list[float]:
    """Seconds beyond the limit of those that met one."""
    return sorted(record["late_s"] for record in records if record["late_s"] is not None)


def quantile(values: Sequence[float], share: float) -> float | None:
    return values[min(int(len(values) * share), len(values) - 1)] if values else None


def shown(records: Sequence[Record]) -> str:
    """All the ways in which a row's cases ended; of sessions only what runs of their own did not show."""
    alone = sorted({record["ends"] for record in records if record["way"] == "one-shot"})
    turns = sorted({record["ends"] for record in records if record["way"] == "session"} - set(alone))
    return ", ".join(alone) + (f"{'; ' if alone else ''}in a session also {', '.join(turns)}" if turns else "")


def tabulate(records: Sequence[Record], skipped: Sequence[Record], rows: dict[int, Any]) -> dict[str, Any]:
    table = []
    for number, row in rows.items():
        mine = [record for record in records if record["number"] == number]
        levels = {f"level_{level}": shown([record for record in mine if record["level"] == level]) for level in (3, 2, 1)}
        played = {"played": len(mine), "held": sum(not record["why"] for record in mine)}
        table.append({"number": number, "attack": row.attack, "must": row.must, **played, **levels})
    times = []
    for user, level, way in sorted({(record["user"], -record["level"], record["way"]) for record in records}):
        mine = [record for record in records if (record["user"], record["level"], record["way"]) == (user, -level, way)]
        found = late(mine)
        numbers = {"median_s": statistics.median(found) if found else None, "p99_s": quantile(found, 0.99), "most_s": found[-1] if found else None}
        times.append(
            {"user": user, "level": -level, "way": way, "played": len(mine), "held": sum(not r["why"] for r in mine), "met_limit": len(found), **numbers}
        )
    wrong = [{name: record[name] for name in ("number", "name", "level", "way", "user")} for record in records if record["why"]]
    return {"rows": table, "combinations": times, "skipped": list(skipped), "wrong": wrong}


def claims(records: Sequence[Record], tables: dict[str, Any]) -> list[dict[str, Any]]:
    held = sum(not record["why"] for record in records)
    whole = {row["number"] for row in tables["rows"] if row["played"]} == set(range(1, 101)) and not tables["skipped"]
    text = (
        "every attack ends as documented, at levels 3, 2 and 1, as root and as user 65534, one-shot and, where it can be a turn, in sessions; nothing is left"
    )
    made = [
        claim("attacks-held", text, "100 rows", Measured(held), Measured(len(records)), seen=held == len(records) if whole or held < len(records) else None)
    ]
    for way, words in (
        ("one-shot", "a run that meets its time limit ends"),
        ("session", "a turn that meets its time limit ends (after its grace, where it needs it)"),
    ):
        found = late(record for record in records if record["way"] == way)
        if found:
            p99 = quantile(found, 0.99)
            assert p99 is not None
            name = f"attacks-in-time-{way}"
            made.append(claim(name, f"{words} within 0.1 s of it (99 %)", f"{len(found)} runs", Measured(p99), Measured(LATE_S), seen=p99 <= LATE_S))
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="numbers of rows, with commas")
    parser.add_argument("--levels", default="3,2,1")
    parser.add_argument("--ways", default="one-shot,session")
    parser.add_argument("--users", default="same,nobody")
    parser.add_argument("--write", action="store_true", help="write results/attacks.json")
    options = parser.parse_args()
    sys.path[:0] = [str(ATTACKS), str(ATTACKS.parent / "sandbox")]
    from attack_list import ROWS

    began = time.time()
    records: list[Record] = []
    skipped: list[Record] = []
    for user in options.users.split(","):
        for level in map(int, options.levels.split(",")):
            for way in options.ways.split(","):
                found, why = play(level, way, user, ["--only", options.only])
                records += found
                skipped += [{"user": user, "level": level, "way": way, "why": why}] if why else []
                wrong = [record for record in found if record["why"]]
                print(f"level {level}, {way}, {user}: {why or f'{len(found)} played, {len(wrong)} wrong'}", file=sys.stderr)
                for record in wrong:
                    print(f"  {record['number']} {record['name']}: {record['why'][:500]}", file=sys.stderr)
    tables = tabulate(records, skipped, ROWS)
    conditions = {"kernel": platform.release().split("-")[0], "load_average": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    made = result("python benchmarks/attacks.py", seconds=time.time() - began, tables={**tables, "conditions": conditions}, claims=claims(records, tables))
    publish(made, Path("results/attacks.json") if options.write else None)
    return 1 if tables["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
