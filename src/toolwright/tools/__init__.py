"""Floor 2: tools a model can call, and the dialects in which it calls them.

A tool is a recipe that opens a single-use session per episode. A dialect finds calls in text and renders results as text; it runs nothing and knows no model.
Both are plain values, so that `rollouts` can join any of them with any engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from toolwright.errors import UsageError
from toolwright.tools._dialects import Call, Dialect, MalformedCall, MarkdownDialect, RetoolDialect, TextDialect
from toolwright.tools._hermes import HermesDialect
from toolwright.tools._observations import neutralise
from toolwright.tools._python import PythonTool

__all__ = [
    "DIALECTS",
    "Call",
    "Dialect",
    "HermesDialect",
    "MalformedCall",
    "MarkdownDialect",
    "PythonTool",
    "RetoolDialect",
    "TextDialect",
    "find_dialect",
    "neutralise",
]

DIALECTS: Mapping[str, Dialect] = MappingProxyType({d.name: d for d in (TextDialect(), RetoolDialect(), MarkdownDialect(), HermesDialect())})
"""All dialects by their names."""


def find_dialect(dialect: str | Dialect) -> Dialect:
    """The dialect of that name; a dialect itself comes back as it is.

    Raises: UsageError for an unknown name.
    """
    if not isinstance(dialect, str):
        return dialect
    if dialect not in DIALECTS:
        raise UsageError(f'there is no dialect "{dialect}"; choose one of {", ".join(DIALECTS)}')
    return DIALECTS[dialect]
