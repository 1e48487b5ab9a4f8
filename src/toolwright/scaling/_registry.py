"""Strategies by name, for the command line and configuration; Python users pass the objects."""

from __future__ import annotations

from toolwright.errors import UsageError
from toolwright.scaling._best_of_n import best_of_n
from toolwright.scaling._greedy import greedy
from toolwright.scaling._majority import majority
from toolwright.scaling._parallel import ParallelStrategy
from toolwright.scaling._t1 import t1

_STRATEGIES = {strategy.name: strategy for strategy in (greedy, majority, best_of_n, t1)}


def find_strategy(name: str) -> ParallelStrategy:
    """The strategy of that name. Raises: UsageError with the names there are."""
    if name not in _STRATEGIES:
        raise UsageError(f"no strategy named {name!r}; there are {', '.join(_STRATEGIES)}")
    return _STRATEGIES[name]


def strategy_names() -> tuple[str, ...]:
    """The names `find_strategy` takes, simplest first."""
    return tuple(_STRATEGIES)
