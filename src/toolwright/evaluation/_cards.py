"""Report cards: how filters and scores did against the gold answers. No model and no strategy in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from toolwright.episodes import Verdict
from toolwright.evaluation._cells import SamplePool
from toolwright.evaluation._report import Bin, FilterCard, ScoreCard

BINS = 10
_Scoring = Callable[[SamplePool], Sequence[float | None]]


def filter_cards(pools: Sequence[SamplePool]) -> tuple[FilterCard, ...]:
    """A card per filter that was asked, and one for all as one where there are several."""
    names = list(dict.fromkeys(v.verifier for pool in pools for found in pool.verdicts for v in found if not v.is_reward))
    if not names:
        return ()
    cards = [_card(name, [(pool, [next((v for v in found if v.verifier == name), None) for found in pool.verdicts]) for pool in pools]) for name in names]
    everything = [
        (pool, [c.verdict if any(not v.is_reward for v in found) else None for c, found in zip(pool.candidates, pool.verdicts, strict=True)]) for pool in pools
    ]
    together = _card("all", everything)
    return (*cards, together) if len(names) > 1 else (replace(together, verifier=names[0]),)


def score_cards(pools: Sequence[SamplePool]) -> tuple[ScoreCard, ...]:
    """A card per reward model, one for the samples' own probability, and one for the share of votes that their answer got."""
    names = list(dict.fromkeys(v.verifier for pool in pools for c in pool.candidates for v in c.rewards))
    cards = [_score_card(name, pools, partial(_rewards, name)) for name in names]
    cards.append(_score_card("probability", pools, _probabilities))
    cards.append(_score_card("vote share", pools, _vote_shares))
    return tuple(card for card in cards if card.right + card.wrong)


def auc(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The chance that a right sample scores above a wrong one, ties counted half; None where either is missing."""
    if not right or not wrong:
        return None
    ordered = sorted([(score, True) for score in right] + [(score, False) for score in wrong], key=lambda pair: pair[0])
    place, rank_sum = 0, 0.0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end][0] == ordered[place][0]:
            end += 1
        middle = (place + 1 + end) / 2
        rank_sum += middle * sum(is_right for _, is_right in ordered[place:end])
        place = end
    return (rank_sum - len(right) * (len(right) + 1) / 2) / (len(right) * len(wrong))


def calibration(scored: Sequence[tuple[float, bool]], bins: int = BINS) -> tuple[tuple[Bin, ...], float | None]:
    """(bins of equal width with anything in them, expected calibration error): how far a score is from the share that is right."""
    found: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for score, right in scored:
        found[min(bins - 1, max(0, int(score * bins)))].append((score, right))
    made = tuple(
        Bin(k / bins, (k + 1) / bins, len(held), math.fsum(s for s, _ in held) / len(held), sum(r for _, r in held) / len(held))
        for k, held in enumerate(found)
        if held
    )
    error = math.fsum(b.samples * abs(b.score - b.right) for b in made) / len(scored) if scored else None
    return made, error


def _card(name: str, judged: Sequence[tuple[SamplePool, Sequence[Verdict | None]]]) -> FilterCard:
    counts: Counter[str] = Counter()
    for pool, verdicts in judged:
        kept_right = lost_right = 0
        for candidate, verdict in zip(pool.candidates, verdicts, strict=True):
            if verdict is None or not candidate.usable:
                continue
            counts["timed_out"] += any(result.outcome.startswith("timeout") for result in verdict.evidence)
            right = pool.grade(candidate.answer)
            if right is None:
                counts["ungraded"] += 1
                continue
            said = "refuted" if verdict.refuted else "undecided" if verdict.score is None else "passed"
            counts[f"{said}_{'right' if right else 'wrong'}"] += 1
            kept_right += right and not verdict.refuted
            lost_right += right and verdict.refuted
        counts["problems_with_right"] += kept_right + lost_right > 0
        counts["problems_lost"] += lost_right > 0 and kept_right == 0
        counts["problems_with_one_right"] += kept_right + lost_right == 1
        counts["only_right_lost"] += lost_right == 1 and kept_right == 0
    return FilterCard(name, **counts)


def _score_card(name: str, pools: Sequence[SamplePool], scores_of: _Scoring) -> ScoreCard:
    scored: list[tuple[float, bool]] = []
    within: list[float] = []
    counts: Counter[str] = Counter()
    for pool in pools:
        mine: list[tuple[float, bool]] = []
        for candidate, score in zip(pool.candidates, scores_of(pool), strict=True):
            right = pool.grade(candidate.answer) if candidate.usable else None
            if right is None:
                continue
            if score is None:
                counts["undecided"] += 1
                continue
            mine.append((score, right))
            liked = score >= 0.5
            counts[f"{'liked' if liked else 'disliked'}_{'right' if right else 'wrong'}"] += 1
            if liked and candidate.verdict.refuted:
                counts[f"liked_refuted_{'right' if right else 'wrong'}"] += 1
        scored += mine
        if (own := _auc_of(mine)) is not None:
            within.append(own)
    bins, error = calibration(scored)
    return ScoreCard(name, auc=_auc_of(scored), auc_within=math.fsum(within) / len(within) if within else None, ece=error, bins=bins, **counts)


def _auc_of(scored: Iterable[tuple[float, bool]]) -> float | None:
    pairs = list(scored)
    return auc([s for s, right in pairs if right], [s for s, right in pairs if not right])


def _rewards(name: str, pool: SamplePool) -> list[float | None]:
    return [next((v.score for v in c.rewards if v.verifier == name), None) for c in pool.candidates]


def _probabilities(pool: SamplePool) -> list[float | None]:
    return [None if c.mean_logp is None else math.exp(c.mean_logp) for c in pool.candidates]


def _vote_shares(pool: SamplePool) -> list[float | None]:
    """The share of a problem's voting samples that give the same answer."""
    counts = Counter(c.cluster for c in pool.candidates if c.votes)
    return [counts[c.cluster] / counts.total() if c.votes else 0.0 if c.usable else None for c in pool.candidates]
