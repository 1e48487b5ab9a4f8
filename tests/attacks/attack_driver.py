"""Plays rows of the attack list at one level, in one way, as one user; prints one JSON object a case.

``python tests/attacks/attack_driver.py LEVEL WAY [--user nobody] [--only 1,2,3] [--slow]``. A process of its own, because a process that became user 65534
cannot go back. Exits with 3 and a reason on stderr where this machine cannot do what is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "sandbox")]

import numpy  # noqa: F401  (everything is loaded before the user is changed)
import sympy  # noqa: F401
from attack_list import PLAYED, levels_of, ways_of
from attack_rows import LEVELS, WAYS, Story
from attack_stage import Stage, Unavailable

import toolwright
from toolwright.sandbox import _linux

NOBODY = 65_534


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("level", type=int, choices=LEVELS)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--user", choices=("same", "nobody"), default="same")
    parser.add_argument("--only", default="", help="numbers of rows, with commas")
    parser.add_argument("--slow", action="store_true", help="the slow stories too")
    options = parser.parse_args()
    only = {int(number) for number in options.only.split(",") if number}
    try:
        if options.user == "nobody":
            become_nobody()
        play(options.level, options.way, only, slow=options.slow)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 3
    return 0


def play(level: int, way: str, only: set[int], *, slow: bool) -> None:
    stage = Stage(level, user="root" if os.geteuid() == 0 else "nobody" if os.geteuid() == NOBODY else "other")
    try:
        stage.open()
        for each in PLAYED.values():
            wanted = (not only or each.number in only) and way in ways_of(each) and level in levels_of(each)
            if wanted and (slow or not (isinstance(each, Story) and each.slow)):
                print(json.dumps(asyncio.run(stage.play(each, way)).to_json()), flush=True)
    finally:
        stage.close()


def become_nobody() -> None:
    """Drop root for user 65534, with the interpreter and the packages still in reach. Raises: Unavailable where that cannot be done."""
    if os.geteuid() != 0:
        raise Unavailable("only root can become user 65534")
    home = Path(tempfile.mkdtemp(prefix="toolwright-nobody-", dir="/tmp"))
    os.chown(home, NOBODY, NOBODY)
    tempfile.tempdir = str(home)
    os.environ["TMPDIR"] = os.environ["HOME"] = str(home)
    try:
        open_up([Path(sys.base_prefix), Path(sys.prefix), Path(toolwright.__file__).parents[1], Path(__file__).parents[1]])
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        raise Unavailable(f"cannot become user 65534: {error}") from error
    if not os.access(sys.executable, os.X_OK) or not os.access(os.__file__, os.R_OK):
        raise Unavailable(f"user 65534 cannot reach {sys.executable}")


def open_up(paths: list[Path]) -> None:
    """Let any user walk to the paths, in a mount namespace of this process only: a closed folder above them is covered by an open one that shows just them."""
    closed: dict[Path, list[Path]] = {}
    for path in paths:
        shut = next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001), None)
        if shut is not None:
            closed.setdefault(shut, []).append(path)
    if not closed:
        return
    _linux.unshare(_linux.CLONE_NEWNS)
    _linux.mount("none", "/", None, _linux.MS_REC | _linux.MS_PRIVATE)
    for folder, inside in closed.items():
        held = [(path, os.open(path, os.O_PATH)) for path in inside]
        _linux.mount("tmpfs", str(folder), "tmpfs", 0, "mode=755")
        for path, fd in held:
            path.mkdir(parents=True, exist_ok=True)
            _linux.mount(f"/proc/self/fd/{fd}", str(path), None, _linux.MS_BIND | _linux.MS_REC)
            os.close(fd)


if __name__ == "__main__":
    sys.exit(main())
