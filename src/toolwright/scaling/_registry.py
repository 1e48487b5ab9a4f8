"""Strategies by name, for the command line and configuration; Python users pass the objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from toolwright.episodes import Attempt, Budget, Choice, Problem, Verifier
from toolwright.errors import UsageError
from toolwright.scaling._adaptive import adaptive, adaptive_beta
from toolwright.scaling._beam import beam
from toolwright.scaling._best_of_n import best_of_n
from toolwright.scaling._greedy import greedy
from toolwright.scaling._majority import majority
from toolwright.scaling._revise import revise
from toolwright.scaling._t1 import filtered, t1, t1_argmax
from toolwright.scaling._two_stage import two_stage
from toolwright.scaling._weighted import weighted


class NamedStrategy(Protocol):
    """A strategy that is listed by its name."""

    @property
    def name(self) -> str:
        """As results name it."""

    @property
    def about(self) -> str:
        """One sentence for a list of strategies."""

    async def __call__(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], budget: Budget, *, seed: int = 0) -> Choice:
        """The choice, with all that was tried."""


_STRATEGIES: dict[str, NamedStrategy] = {
    strategy.name: strategy for strategy in (greedy, majority, best_of_n, weighted, filtered, t1, t1_argmax, two_stage, adaptive, adaptive_beta, revise, beam)
}


def find_strategy(name: str) -> NamedStrategy:
    """The strategy of that name. Raises: UsageError with the names there are."""
    if name not in _STRATEGIES:
        raise UsageError(f"no strategy named {name!r}; there are {', '.join(_STRATEGIES)}")
    return _STRATEGIES[name]


def strategy_names() -> tuple[str, ...]:
    """The names `find_strategy` takes, simplest first."""
    return tuple(_STRATEGIES)
