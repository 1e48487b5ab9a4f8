"""``python -m toolwright.tasks check [FILE] [SAMPLES]``: complaints about the word-problem templates, then samples with their steps."""

from __future__ import annotations

import random
import sys

from toolwright.errors import UsageError
from toolwright.tasks._kits import Kit, load_kits
from toolwright.tasks._template_check import check, ids_of
from toolwright.tasks._templates import Redraw, Story, Template, load_templates
from toolwright.tasks.wordproblems import split_of

USAGE = "python -m toolwright.tasks check [FILE] [SAMPLES]; FILE is a template file's name without .toml, SAMPLES how many drawn problems are shown (40)"


def main(arguments: list[str]) -> int:
    """The exit code: 0 for sound templates, 1 for complaints, 2 for a wrong call."""
    if not 1 <= len(arguments) <= 3 or arguments[0] != "check" or (len(arguments) == 3 and not arguments[2].isdigit()):
        print(USAGE, file=sys.stderr)
        return 2
    file = arguments[1] if len(arguments) > 1 else None
    try:
        ids = None if file is None else ids_of(file)
        complaints = check(file)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(complaints) or "no complaints")
    templates, stories = load_templates()
    entries: tuple[Template | Story | Kit, ...] = (*templates, *stories, *load_kits())
    mine = [t for t in entries if ids is None or t.id.partition("/")[0] in ids]
    print(f"{len(mine)} entries; splits: " + ", ".join(f"{s} {sum(split_of(t.id) == s for t in mine)}" for s in ("train", "validation", "test")))
    rng = random.Random()
    for source in rng.sample(mine, min(len(mine), int(arguments[2]) if len(arguments) > 2 else 40)):
        try:
            drawn = (
                source.render(rng, tuple(rng.choice(list(source.events)) for _ in range(3)), digits=3)
                if isinstance(source, Story)
                else source.render(rng, digits=rng.choice((2, 2, 3, 4)), distractors=0.5)
            )
        except (Redraw, UsageError):  # three events that do not go together, or a template complained of above
            continue
        print(f"\n[{source.id}] {drawn.question}\n   " + "; ".join(f"{s.name}: {s.expression} = {s.value}" for s in drawn.steps))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
