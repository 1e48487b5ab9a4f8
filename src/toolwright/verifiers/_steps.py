"""A solution as its steps, for whatever judges one step at a time."""

from __future__ import annotations

import re
from itertools import pairwise

_STEP = re.compile(r"^(?:\*\*|#+ ?)?step \d+\b", re.IGNORECASE | re.MULTILINE)


def split_steps(solution: str) -> tuple[str, ...]:
    """The steps of a solution, none of them empty: what starts with "Step 1", else paragraphs, else lines.

    One paragraph of several lines is read as one step a line.
    """
    text = solution.strip()
    starts = [match.start() for match in _STEP.finditer(text)]
    if len(starts) > 1:
        bounds = [0, *starts[1:], len(text)]
        parts = [text[a:b] for a, b in pairwise(bounds)]
    else:
        parts = re.split(r"\n\s*\n", text)
        # Paragraphs that each hold a formula over several lines stay whole; one paragraph of lines is a list of steps.
        parts = parts if len(parts) > 1 else text.split("\n")
    return tuple(part.strip() for part in parts if part.strip())
