"""README and docs kept true: their generated parts are written from `results/*.json`, the models' own records and the command line's help.

``python -m toolwright.recipes.pages`` fills what stands between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in README.md and docs/*.md; with ``--check``
it changes nothing and fails where a page is stale. The rest of the pages is written by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from toolwright.episodes import write_text
from toolwright.errors import UsageError
from toolwright.recipes._fragments import FRAGMENTS, Sources, render
from toolwright.recipes._results import run_program

_MARKED = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_BEGIN = "<!-- generated:"
_HELP_WIDTH = "100"
# The program is asked as a program: recipes stand below the command line and may not import it.
_PROGRAM = """
import json, sys
from toolwright.cli import main
asked, sys.argv = json.loads(sys.argv[1]), ["toolwright"]
for words in asked:
    try:
        main([*words, "--help"])
    except SystemExit:
        print(end="\\0")
"""
Render = Callable[[str], str]


def filled(text: str, name: str, fragment: Render) -> str:
    """The page with all its fragments written anew. `name` is the page's, for messages.

    Raises: UsageError for a fragment that there is none of, and for a marker without an end.
    """
    if text.count(_BEGIN) != len(_MARKED.findall(text)):
        raise UsageError(f"{name} has a line <!-- generated: NAME --> without <!-- end --> after it; put it there")

    def written(match: re.Match[str]) -> str:
        if match["name"] not in (*FRAGMENTS, "cli"):
            raise UsageError(f"{name} asks for the fragment {match['name']!r}; there are {', '.join(sorted((*FRAGMENTS, 'cli')))}")
        return f"{match[1]}{fragment(match['name'])}\n{match[3]}"

    return _MARKED.sub(written, text)


def stale(root: Path, fragment: Render | None = None) -> dict[Path, str]:
    """The pages that are not what they should be, with what they should be."""
    if not (root / "docs").is_dir():
        raise UsageError(f"{root} has no docs folder; give the project's folder with --root")
    sources = Sources(root / "results", Path(str(files("toolwright"))) / "embedded")
    made = fragment or (lambda name: help_pages() if name == "cli" else render(name, sources))
    pages = [path for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))) if path.is_file()]
    before = {path: path.read_text(encoding="utf-8") for path in pages}
    after = {path: filled(text, path.name, made) for path, text in before.items()}
    return {path: text for path, text in after.items() if text != before[path]}


@cache
def help_pages() -> str:
    """The help of every command, as the program prints it."""
    found: list[tuple[tuple[str, ...], str]] = []
    level: list[tuple[str, ...]] = [()]
    while level:
        texts = dict(zip(level, _ask(level), strict=True))
        found += texts.items()
        level = [(*words, name) for words, text in texts.items() for name in _commands(text)]
    order = {words: place for place, (words, _) in enumerate(found)}
    # A command's own commands stand right after it.
    found.sort(key=lambda pair: [order[pair[0][: i + 1]] for i in range(len(pair[0]))])
    return "\n\n".join(f"## {' '.join(('toolwright', *words))}\n\n```text\n{text.strip()}\n```" for words, text in found)


def _ask(commands: Sequence[Sequence[str]]) -> list[str]:
    environment = {**os.environ, "COLUMNS": _HELP_WIDTH, "TERMINAL_WIDTH": _HELP_WIDTH, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    asked = [sys.executable, "-c", _PROGRAM, json.dumps(commands)]
    done = subprocess.run(asked, capture_output=True, text=True, encoding="utf-8", check=False, env=environment)
    texts = done.stdout.split("\0")[:-1]
    if len(texts) != len(commands):
        raise UsageError(f"the command line's help cannot be read: {done.stderr.strip() or done.stdout[-200:]}")
    return texts


def _commands(text: str) -> list[str]:
    _, found, listed = text.partition("\nCommands:\n")
    return [line.split()[0] for line in listed.splitlines() if re.match(r"  \S", line)] if found else []


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pages, or with ``--check`` leave with 1 where one is stale."""
    parser = argparse.ArgumentParser(prog="python -m toolwright.recipes.pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a page is stale")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder (default: here)")
    options = parser.parse_args(arguments)
    found = stale(options.root)
    for path, text in found.items():
        if not options.check:
            write_text(path, text)
        print(f"{path} {'is stale; run scripts/docs' if options.check else 'written'}", file=sys.stderr)
    if options.check and found:
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(run_program(main))
