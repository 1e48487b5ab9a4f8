"""Fixing adaptive's thresholds on problems that are not tested on: the fewest tokens that are safely no worse than drawing everything.

Each setting is replayed over the same stored samples, in several random orders, against the same rule over all of them. Leaves out where the samples come from.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from toolwright.episodes import Choice, RunStore, Verifier, derive_seed
from toolwright.errors import UsageError
from toolwright.evaluation._cells import Cell, SamplePool, count_choice
from toolwright.evaluation._evaluate import sample_pools
from toolwright.evaluation._pools import recorded_pools
from toolwright.evaluation._statistics import paired_bootstrap
from toolwright.rollouts import Rollout
from toolwright.scaling import Adaptive, Candidate, adaptive
from toolwright.tasks import Pool, Task

SETTLED = (0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.995)
VERIFIED = (0.5, 0.65, 0.8, 2.0)
"""The last one: confirmation changes nothing."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One pair of thresholds and what it came to."""

    settled: float
    verified_settled: float
    difference: float
    """Accuracy less that of the fixed number."""
    low: float
    high: float
    tokens: float
    """Share of the fixed number's model tokens, batches begun included."""
    safe: bool
    """Whether the lower bound is above the margin."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Thresholds, and everything they were chosen from."""

    strategy: Adaptive
    chosen: Setting | None
    """None where no setting was safe: then the strategy draws nearly everything."""
    settings: tuple[Setting, ...]
    problems: int
    samples: int


async def fit_adaptive(
    task: Task,
    rollout: Rollout,
    verifiers: Sequence[Verifier] = (),
    *,
    samples: int = 64,
    margin: float = 0.02,
    start: Adaptive = adaptive,
    settled: Sequence[float] = SETTLED,
    verified: Sequence[float] = VERIFIED,
    store: RunStore | None = None,
    run_seed: int = 0,
) -> Fitted:
    """Adaptive with thresholds fixed on a task: of those whose paired difference to the fixed number has a lower bound above −margin, the fewest tokens."""
    pools = await sample_pools(task, rollout, verifiers, samples, store=store, run_seed=run_seed)
    return fitted(pools, margin=margin, start=start, settled=settled, verified=verified, seed=run_seed)


async def fit_adaptive_pool(
    pool: Pool,
    verifiers: Sequence[Verifier] = (),
    *,
    margin: float = 0.02,
    start: Adaptive = adaptive,
    settled: Sequence[float] = SETTLED,
    verified: Sequence[float] = VERIFIED,
    recorded_answers: bool = False,
    run_seed: int = 0,
) -> Fitted:
    """The same on a recorded pool."""
    pools = await recorded_pools(pool, verifiers, run_seed=run_seed, recorded_answers=recorded_answers)
    return fitted(pools, margin=margin, start=start, settled=settled, verified=verified, seed=run_seed)


def fitted(
    pools: Sequence[SamplePool], *, margin: float, start: Adaptive, settled: Sequence[float], verified: Sequence[float], seed: int, orders: int = 4
) -> Fitted:
    """The thresholds, from pools of judged samples. Raises: UsageError for fewer samples than there are in the first batch."""
    samples = min((len(pool.candidates) for pool in pools), default=0)
    if samples <= start.first:
        raise UsageError(f"{samples} samples per problem, but adaptive's first batch has {start.first}; draw more, or make the first batch smaller")
    replays = [[_Replay(pool, _order(pool, seed, k), start) for k in range(orders)] for pool in pools]
    # Never settled: the same rule over everything, in the same orders.
    whole = [_cell(pool, mine, replace(start, settled=1.0, verified_settled=2.0), stops=False) for pool, mine in zip(pools, replays, strict=True)]
    settings = []
    for enough in sorted(settled):
        for confirmed in sorted({min(v, 2.0) for v in verified if v < enough or v > 1}):
            strategy = replace(start, settled=enough, verified_settled=confirmed)
            cells = [_cell(pool, mine, strategy) for pool, mine in zip(pools, replays, strict=True)]
            gap = paired_bootstrap([c.value for c in cells], [c.value for c in whole], seed=derive_seed(seed, "thresholds"))
            share = math.fsum(c.cost["model_tokens"] for c in cells) / max(1.0, math.fsum(c.cost["model_tokens"] for c in whole))
            settings.append(Setting(enough, confirmed, *gap, share, gap[1] > -margin))
    best = min((s for s in settings if s.safe), key=lambda s: s.tokens, default=None)
    found = replace(start, settled=best.settled if best else 1.0, verified_settled=best.verified_settled if best else 2.0)
    return Fitted(found, best, tuple(settings), len(pools), samples)


def _order(pool: SamplePool, seed: int, number: int) -> list[Candidate]:
    """The candidates in draw order, and then in random ones."""
    candidates = list(pool.candidates)
    if number:
        random.Random(derive_seed(seed, "order", pool.problem.id, number)).shuffle(candidates)
    return candidates


class _Replay:
    """One order of a problem's samples: what adaptive would see after each of them, which no threshold changes."""

    def __init__(self, pool: SamplePool, candidates: list[Candidate], start: Adaptive) -> None:
        self.problem, self.candidates = pool.problem, candidates
        total = len(candidates)
        self._signals = [(count, *start.signal(candidates[:count], total=total)) for count in range(start.first, total)]

    def choice(self, strategy: Adaptive, *, stops: bool) -> Choice:
        """What the strategy would choose, and pay."""
        count = next((count for count, chance, confirmed in self._signals if stops and strategy.is_enough(chance, confirmed)), len(self.candidates))
        return strategy.choose_at(count, self.problem, self.candidates, keep_tried=False)


def _cell(pool: SamplePool, replays: Sequence[_Replay], strategy: Adaptive, *, stops: bool = True) -> Cell:
    cell = Cell()
    for replay in replays:
        if any(c.usable for c in replay.candidates):
            count_choice(cell, pool, replay.choice(strategy, stops=stops))
        else:
            cell.unusable += 1
    return cell
