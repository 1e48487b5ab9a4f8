"""The generated tables of the sandbox: speed beside other ways to run snippets, and the soak. Leaves out measuring (``benchmarks/sandbox.py``, ``soak.py``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
SPEED_HEAD = (
    "where",
    "ms, trivial",
    "ms, numpy",
    "ms, sympy",
    "sympy per second",
    "sandbox is × as fast",
    "ms per session turn",
    "s, 99 %, 64 at once",
    "snippets are kept apart by",
)
SOAK_HEAD = ("what", "found")
_FRESH = "a fresh interpreter"


def speed_rows(tables: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row for each way to run snippets: medians alone, the better of the rates with 2 and 64 at once, the ratio for sympy with 2 at once."""
    rows = []
    for label, table in tables.items():
        if not isinstance(table, Mapping) or not any(name in table for name in ("trivial", "numpy", "sympy")):
            continue
        trivial, sympy = (table.get(name, {}) for name in ("trivial", "sympy"))
        told = table.get("name") or (_FRESH if label == "fresh" else f"sandbox, level {table.get('level')}")
        times = [_number(table.get(name, {}).get("p50_ms"), 1) for name in ("trivial", "numpy", "sympy")]
        ratio = sympy.get("ratio", {}).get("at_2")
        faster = "–" if ratio is None else f"{ratio['median']:.3g} ({ratio['low']:.3g}–{ratio['high']:.3g})"
        turn, tail = _number(trivial.get("paced_ms", trivial.get("turn_ms")), 2), _number(trivial.get("p99_s_at_64"), 2)
        rows.append((told, *times, _number(sympy.get("per_second"), 0), faster, turn, tail, table.get("apart", "–")))
    missing = tables.get("not_installed", {})
    return [*rows, *((f"{name}: not measured", *["–"] * 7, str(why)) for name, why in missing.items())]


def soak_rows(table: Row) -> list[tuple[str, str]]:
    """What the soak found, in words."""
    before, after = table["before"], table["after"]
    outcomes = ", ".join(f"{name} {count:,}" for name, count in table["outcomes"].items())
    spans: Sequence[tuple[str, str, int]] = (("processes", "processes", 0), ("descriptors of the helpers", "descriptors", 0), ("MiB of the helpers", "mib", 0))
    return [
        ("snippets answered, with the turns of sessions", f"{table['answered']:,} ({table['per_second']:.0f} drawn per second, {table['at_once']} at once)"),
        ("outcomes", outcomes),
        ("zygotes and supervisors killed", f"{table['zygotes_killed']} and {table['supervisors_killed']}"),
        ("results that were not right, or another's", str(table["wrong"])),
        ("snippets without a result", str(table["unanswered"])),
        ("told as the sandbox's own failure, and run again", str(table["run_again_by_the_caller"])),
        ("sessions lost with a killed process, and told so", str(table["sessions_lost_to_kills"])),
        *((name, f"{before[key]:.{places}f} before, {after[key]:.{places}f} after") for name, key, places in spans),
        ("left after closing: processes, files, descriptors", ", ".join(str(table["left"][name]) for name in ("processes", "files", "descriptors"))),
        ("median latency, first and last tenth", f"{_number(table['p50_ms_first_tenth'], 1)} and {_number(table['p50_ms_last_tenth'], 1)} ms"),
    ]


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"
