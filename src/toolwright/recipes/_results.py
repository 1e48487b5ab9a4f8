"""Result files: what a study measured, as data that pages are made from.

One form for every `results/NAME.json`, checked on writing and on reading. What was measured stands in `tables`; what is claimed of it in `claims`, each with
a `seen` that the study computed from a threshold in its code. Leaves out how anything is measured.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolwright.episodes import Engine, write_text
from toolwright.errors import ToolwrightError, UsageError

FIELDS = ("command", "commit", "machine", "seconds", "seeds", "models", "tables", "claims")
CLAIM_FIELDS = ("id", "text", "source", "value", "low", "high", "against", "against_low", "against_high", "seen")
_PLACES = 5
"""Decimal places that are kept: more than any interval here is worth, few enough to read."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its 95 % interval, where it has one."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


NOTHING = Measured()


def claim(name: str, text: str, source: str, found: Measured, against: Measured = NOTHING, *, seen: bool | None) -> dict[str, Any]:
    """One claim as a result file holds it; `seen` None is *not testable here*, and the text then says why."""
    numbers = (found.value, found.low, found.high, against.value, against.low, against.high)
    return dict(zip(CLAIM_FIELDS, (name, text, source, *numbers, seen), strict=True))


def result(
    command: str,
    *,
    seconds: float,
    seeds: Sequence[int] = (),
    models: Mapping[str, Mapping[str, Any]] | None = None,
    tables: Mapping[str, Any],
    claims: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """A result with commit and machine filled in; numbers keep five places.

    `command`: what to type to measure it again, with no path of this machine in it.
    """
    made = {"command": command, "commit": _commit(), "machine": _machine(), "seconds": round(seconds, 1), "seeds": list(seeds), "models": models or {}}
    rounded: dict[str, Any] = _rounded({**made, "tables": tables, "claims": claims})
    return rounded


def model_facts(engine: Engine) -> dict[str, Any]:
    """Parameters (None where the engine does not tell) and digest."""
    model = getattr(engine, "model", None)
    return {"parameters": None if model is None else model.num_parameters(), "digest": engine.digest}


def write_result(path: Path, content: Mapping[str, Any]) -> None:
    """Write a result file, whole or not at all. Raises: UsageError where the content has not the form."""
    if wrong := result_complaints(content):
        raise UsageError(f"{path} would be no result file: {'; '.join(wrong)}")
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def publish(content: dict[str, Any], path: Path | None) -> None:
    """Print the claims, and write the result where asked; its command then says so."""
    for each in content["claims"]:
        told = "seen" if each["seen"] else "not testable" if each["seen"] is None else "NOT SEEN"
        print(f"{told:<12} {each['id']}: {each['value']} [{each['low']}, {each['high']}] against {each['against']}")
    if path is not None:
        if " --write" not in content["command"]:
            content = {**content, "command": f"{content['command']} --write results/{path.name}"}
        write_result(path, content)
        print(f"written to {path}", file=sys.stderr)


def run_program(main: Callable[[], None]) -> int:
    """The exit code of a study's program; what goes wrong on purpose is told in one sentence."""
    try:
        main()
    except ToolwrightError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was drawn is stored, and the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def read_result(path: Path) -> dict[str, Any]:
    """The content of a result file. Raises: UsageError where there is none, or it has not the form."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"no result file at {path}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a result file ({error})") from error
    if wrong := result_complaints(content):
        raise UsageError(f"{path} is no result file: {'; '.join(wrong)}")
    found: dict[str, Any] = content
    return found


def result_complaints(content: Any) -> list[str]:
    """What is wrong with a result, one sentence each; empty for a sound one."""
    if not isinstance(content, Mapping):
        return ["it is no JSON object"]
    wrong = [f"{name!r} is missing" for name in FIELDS if name not in content] + [f"{name!r} is no field of a result" for name in content if name not in FIELDS]
    if wrong:
        return wrong
    if not (isinstance(content["command"], str) and content["command"].strip()):
        wrong.append("'command' is empty")
    if not _is_number(content["seconds"]) or content["seconds"] < 0:
        wrong.append("'seconds' is no time")
    if not (isinstance(content["seeds"], list) and all(isinstance(seed, int) for seed in content["seeds"])):
        wrong.append("'seeds' is no list of whole numbers")
    for name, facts in content["models"].items():
        if not (isinstance(facts, Mapping) and {"parameters", "digest"} <= set(facts)):
            wrong.append(f"the model {name!r} lacks 'parameters' or 'digest'")
    if not isinstance(content["tables"], Mapping) or not content["tables"]:
        wrong.append("'tables' holds nothing")
    return wrong + _claim_complaints(content["claims"])


def _claim_complaints(claims: Any) -> list[str]:
    if not isinstance(claims, list):
        return ["'claims' is no list"]
    wrong, names = [], set()
    for each in claims:
        if not isinstance(each, Mapping) or set(each) != set(CLAIM_FIELDS):
            wrong.append(f"a claim has not the fields {', '.join(CLAIM_FIELDS)}")
            continue
        name = each["id"]
        if name in names:
            wrong.append(f"the claim {name!r} stands twice")
        names.add(name)
        if each["seen"] not in (True, False, None) or isinstance(each["seen"], int) is not isinstance(each["seen"], bool):
            wrong.append(f"the claim {name!r} is seen {each['seen']!r}, but only true, false and null can be")
        if any(each[part] is not None and not _is_number(each[part]) for part in CLAIM_FIELDS[3:9]):
            wrong.append(f"the claim {name!r} holds something other than numbers")
        elif each["value"] is None and each["seen"] is not None:
            wrong.append(f"the claim {name!r} is seen or not seen without a value")
        elif not _ordered(each["low"], each["value"], each["high"]) or not _ordered(each["against_low"], each["against"], each["against_high"]):
            wrong.append(f"the claim {name!r} has a value outside of its own interval")
    return wrong


def _ordered(*numbers: float | None) -> bool:
    there = [number for number in numbers if number is not None]
    return there == sorted(there)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _PLACES)
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list | tuple) else value


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _commit() -> str:
    """The commit that was measured, with `-dirty` where tracked files of the package differ from it."""
    here = Path(__file__).parents[1]
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain", "-uno", "--", "."], cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")
