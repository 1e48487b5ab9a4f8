"""Toolwright: small language models that reason with tools.

``Solver`` is the door for people; the rooms behind it (`engines`, `rollouts`, `scaling`, …) are told in docs/architecture.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolwright.recipes import Solver

__all__ = ["Solver"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Lazy, so that `import toolwright` costs nothing and `toolwright --help` stays quick.
    if name == "Solver":
        from toolwright.recipes import Solver

        return Solver
    raise AttributeError(f"module 'toolwright' has no attribute {name!r}")
