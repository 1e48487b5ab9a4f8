"""Which sort of zygote a snippet is forked from, decided by a look at its text.

A fork of a process with numpy and sympy loaded costs more than one without, so snippets that plainly need neither get a light one. The look errs towards the
full one: whatever is imported beyond what the light one has loaded, and every word by which something could be imported unseen, asks for it. A snippet that
fools the look still runs right: it then imports from disk, which is slow and counts as its own time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LIGHT, FULL = "light", "full"
LIGHT_MODULES = (
    "__future__",
    "abc",
    "array",
    "base64",
    "bisect",
    "builtins",
    "calendar",
    "cmath",
    "collections",
    "collections.abc",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "errno",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "io",
    "itertools",
    "json",
    "keyword",
    "math",
    "numbers",
    "operator",
    "os",
    "os.path",
    "queue",
    "random",
    "re",
    "resource",
    "secrets",
    "signal",
    "socket",
    "statistics",
    "string",
    "struct",
    "sys",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "warnings",
)
"""What the light zygote has loaded: the modules of the standard library that small programs ask for, and that are cheap to keep."""
_IMPORT = re.compile(rb"(?:\bfrom\s+([\w.]+)\s+)?\bimport\b([^\n;#]*)")
_UNSEEN = rb"__import__|import_module|importlib|imp|modules|exec|eval|compile|runpy|pickle|marshal|ctypes|pkgutil|zipimport"


class Needs:
    """Looks at snippets for a sandbox that preloads these packages."""

    def __init__(self, preload: Sequence[str]) -> None:
        words = b"|".join([*(re.escape(name.encode()) for name in preload), _UNSEEN])
        self._telling = re.compile(rb"\b(?:" + words + rb")\b")
        self._light = {name.encode() for name in LIGHT_MODULES}
        self.kinds = (LIGHT, FULL) if preload else (LIGHT,)

    def kind(self, source: bytes) -> str:
        """The sort of zygote for the snippet."""
        if len(self.kinds) == 1:
            return LIGHT
        if self._telling.search(source):
            return FULL
        for found in _IMPORT.finditer(source):
            names = [found[1]] if found[1] else [part.split()[0] for part in found[2].split(b",") if part.strip()]
            if not self._light.issuperset(names):
                return FULL
        return LIGHT
