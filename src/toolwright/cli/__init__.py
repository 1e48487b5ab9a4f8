"""The command line: a thin door. It reads arguments, calls the floors below, and shows what they gave back."""

from __future__ import annotations

from toolwright.cli._app import main, run

__all__ = ["main", "run"]
