"""Digests: the identity of prompts, parameters, models and problems, and the seeds made from them.

One function makes all of them, so that two runs agree on what "the same" means. Seeds are digests too: a sample's random stream depends on what it is
(run seed, problem, index), never on when or beside whom it was drawn.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any


def digest(*parts: Any) -> str:
    """16 hex digits that name the parts, equal for equal JSON forms.

    Dataclasses count as their fields, mappings regardless of order; anything JSON cannot hold is a TypeError.
    """
    return hashlib.sha256(_canonical(parts)).hexdigest()[:16]


def derive_seed(*parts: Any) -> int:
    """A seed in [0, 2**63) made from the parts, e.g. ``derive_seed(run_seed, problem.id, index)``."""
    return int.from_bytes(hashlib.sha256(_canonical(parts)).digest()[:8], "big") >> 1


def digest_files(paths: list[Path]) -> str:
    """16 hex digits of the files' names and bytes, in the order of their names."""
    state = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        state.update(path.name.encode())
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                state.update(block)
    return state.hexdigest()[:16]


def _canonical(value: Any) -> bytes:
    # Half characters (a server may cut an emoji in two) have digests too.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form, so it has no digest")
