"""Programs of the kind models write, that must print in the sandbox just what plain Python prints: a false denial would be a wrong reward.

They stand in `legitimate_snippets.txt`, each after a line ``#### name``. None depends on the hash seed, the time, the place or the machine; those whose name
begins with a package in `NEEDS` need it installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_PARTS = re.split(r"^#### (.*)\n", Path(__file__).with_suffix(".txt").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
SNIPPETS = dict(zip(_PARTS[::2], _PARTS[1::2], strict=True))
NEEDS = {name: package for name in SNIPPETS for package in ("networkx", "scipy", "mpmath") if name.startswith(package)}
NEEDS_LEVEL = {"files": 3, "tempfile": 2, "sqlite": 2, "zip files": 2, "numpy: files": 2}
"""The level below which it is refused, as documented: at level 2 changes of mode, which copies of files make; at level 1 all writing."""
SAMPLE = ("decimal: root", "datetime: zones", "threads", "asyncio", "tempfile", "files", "sqlite", "numpy: files")
"""A few that touch what a sandbox could wrongly deny, and that start quickly."""


def run_plainly(code: str, *, check: bool = True) -> str:
    """What the program prints as ``python -I``, in an empty directory of its own."""
    environment = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": os.defpath}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, cwd=folder, env=environment, check=False)
    if check and done.returncode:
        raise AssertionError(f"plain Python fails: {done.stderr.decode()[-500:]}")
    return done.stdout.decode()
