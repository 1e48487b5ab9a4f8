"""All rows together, in order."""

from __future__ import annotations

import rows_crashes
import rows_files
import rows_forging
import rows_lifecycle
import rows_memory
import rows_output
import rows_processes
import rows_secrets
import rows_time
from attack_rows import Case, Row, Story

_THEMES = (rows_time, rows_memory, rows_processes, rows_files, rows_secrets, rows_forging, rows_output, rows_crashes, rows_lifecycle)
ROWS: dict[int, Row] = {row.number: row for theme in _THEMES for row in theme.ROWS}
PLAYED: dict[str, Case | Story] = {
    f"{each.number}: {each.name}": each for theme in _THEMES for each in sorted([*theme.CASES, *theme.STORIES], key=lambda each: each.number)
}


def ways_of(each: Case | Story) -> tuple[str, ...]:
    """In which ways it can be played."""
    return each.ways if isinstance(each, Story) else ("one-shot", "session")


def levels_of(each: Case | Story) -> tuple[int, ...]:
    """At which levels it is played."""
    return each.levels if isinstance(each, Story) else (3, 2, 1)
