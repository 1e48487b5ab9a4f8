from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch

from toolwright.engines._draw import DrawSettings, draw, stream
from toolwright.episodes import SamplingParams

PROBABILITIES = [0.5, 0.25, 0.125, 0.0625, 0.0625]
LOGITS = torch.tensor([[math.log(p) + 3.0 for p in PROBABILITIES]])


def drawn(params: SamplingParams, uniforms: list[float]) -> list[int]:
    settings = DrawSettings.of([params] * len(uniforms), 5, "cpu")
    return draw(LOGITS.expand(len(uniforms), -1), settings, uniforms)[0]


def shares(params: SamplingParams, points: int = 4000) -> list[float]:
    counts = Counter(drawn(params, [(k + 0.5) / points for k in range(points)]))
    return [counts[token] / points for token in range(5)]


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        (SamplingParams(temperature=1.0), PROBABILITIES),
        (SamplingParams(temperature=0.5), [p * p / sum(q * q for q in PROBABILITIES) for p in PROBABILITIES]),
        (SamplingParams(temperature=1.0, top_k=2), [2 / 3, 1 / 3, 0, 0, 0]),
        (SamplingParams(temperature=1.0, top_k=99), PROBABILITIES),
        (SamplingParams(temperature=1.0, top_p=0.7), [2 / 3, 1 / 3, 0, 0, 0]),
        (SamplingParams(temperature=1.0, top_p=0.01), [1, 0, 0, 0, 0]),
        (SamplingParams(temperature=1.0, top_k=3, top_p=0.8), [2 / 3, 1 / 3, 0, 0, 0]),
        (SamplingParams(temperature=0), [1, 0, 0, 0, 0]),
    ],
)
def test_tokens_come_with_their_probability(params: SamplingParams, wanted: list[float]) -> None:
    assert shares(params) == pytest.approx(wanted, abs=1e-3)


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    edge = [0.0, 1 - 2**-53, 0.5]
    assert set(drawn(SamplingParams(temperature=1.0, top_k=2), edge)) <= {0, 1}
    masked = torch.tensor([[-math.inf, 0.0, -math.inf]])
    settings = DrawSettings.of([SamplingParams(temperature=1.0)], 3, "cpu")
    assert [draw(masked, settings, [u])[0] for u in edge] == [[1]] * 3


def test_rows_keep_their_own_parameters_and_report_the_untempered_model() -> None:
    rows = [
        SamplingParams(temperature=0),
        SamplingParams(temperature=1.0),
        SamplingParams(temperature=2.0, top_k=1),
        SamplingParams(temperature=0.3, top_p=0.5),
    ]
    tokens, logps = draw(LOGITS.expand(4, -1), DrawSettings.of(rows, 5, "cpu"), [0.99, 0.99, 0.99, 0.99])
    assert tokens == [0, 4, 0, 0]
    assert logps == pytest.approx([math.log(PROBABILITIES[token]) for token in tokens], abs=1e-6)


def test_streams_are_told_apart_by_seed_and_repeat() -> None:
    assert np.array_equal(stream(5).random(4), stream(5).random(4))
    assert not np.array_equal(stream(5).random(4), stream(6).random(4))
    assert 0 <= stream(2**63 - 1).random() < 1
