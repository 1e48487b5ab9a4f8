"""The bars of the claims check on a small fixed sample of real models' text; the whole measurement is `toolwright.recipes.claims_study`."""

import gzip
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from toolwright.checks import find_claims, refuted_claims

DATA = os.environ.get("TOOLWRIGHT_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="TOOLWRIGHT_DATA is not set: no recorded pools to look at")


def _sample(path: Path, share: int) -> list[dict[str, Any]]:
    """One in `share` rows, by digest of the problem, so that all models of a problem come together."""
    raw = path.read_bytes()
    rows = [json.loads(line) for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines()]
    return [r for r in rows if int(hashlib.sha256(r.get("problem_id", r["id"]).encode()).hexdigest(), 16) % share == 0]


@pytest.mark.parametrize(("pool", "wrong_share"), [("gsm8k_zeroeval_greedy", 0.05), ("gsm8k_gsmplus_cot", 0.12)])
def test_right_solutions_stand_and_wrong_ones_fall(pool: str, wrong_share: float) -> None:
    rows = _sample(Path(str(DATA)) / "pools" / pool / "pool.jsonl.gz", 10)
    right = [bool(refuted_claims(r["text"])) for r in rows if r["is_correct"]]
    wrong = [bool(refuted_claims(r["text"])) for r in rows if not r["is_correct"]]
    assert len(right) > 100 and len(wrong) > 50
    assert sum(right) <= 0.01 * len(right) + 1
    assert sum(wrong) >= wrong_share * len(wrong)


def test_gold_solutions_are_decided_and_stand() -> None:
    rows = _sample(Path(str(DATA)) / "gsm8k" / "test.jsonl", 10)
    texts = [re.sub(r"<<[^<>]*>>", "", r["answer"]) for r in rows]
    marks = sum(len(re.findall(r"<<[^<>]*[+*/-][^<>]*>>", r["answer"])) for r in rows)
    decided = sum(claim.verdict is not None for text in texts for claim in find_claims(text))
    assert decided >= 0.9 * marks
    assert sum(bool(refuted_claims(text)) for text in texts) <= 0.01 * len(texts) + 1
