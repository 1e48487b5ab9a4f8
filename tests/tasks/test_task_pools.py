from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from toolwright.episodes import Episode, Provenance, from_json, to_json
from toolwright.errors import UsageError
from toolwright.tasks import Pool, load_pool

POOLS = {
    "gsm8k_gsmplus_cot": (698, 4188, 6),
    "gsm8k_llama2_13b_programs": (205, 4920, 2),
    "gsm8k_openai_6b_175b": (698, 2792, 4),
    "gsm8k_step_errors": (277, 302, 1),
    "gsm8k_tora_programs": (698, 2792, 4),
    "gsm8k_zeroeval_greedy": (698, 8376, 12),
    "humaneval_codegen16b_50x": (88, 4400, 1),
    "humaneval_reflexion_base": (88, 165, 3),
    "humaneval_small_models": (88, 1848, 21),
    "math_l5_zeroeval_greedy": (359, 4308, 12),
    "math_qwen25math_8x": (49, 392, 1),
    "mbpp_gpt4_reflexion_base": (184, 184, 1),
    "wordproblem_programs_codex": (1464, 2635, 2),
}


def row(problem: str = "p", model: str = "m", index: int | None = 0, text: str = "so 2", **more: Any) -> dict[str, Any]:
    base = {"problem_id": problem, "problem": f"What is {problem}?", "model": model, "sample_index": index, "text": text, "gold": "2", **more}
    return {key: value for key, value in base.items() if value is not None}


def pool_of(folder: Path, *rows: dict[str, Any], name: str = "mine.jsonl", **options: Any) -> Pool:
    text = "".join(json.dumps(r) + "\n" for r in rows).encode()
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return load_pool(path, **options)


def test_samples_of_several_models(tmp_path: Path) -> None:
    rows = [row(p, m, i, f"{p}{m}{i}", is_correct=m == "b", answer=i) for p in "pq" for m in "ba" for i in (1, 0)]
    pool = pool_of(tmp_path, *rows)
    assert pool.models == ("b", "a") and [p.id for p in pool.problems] == ["p", "q"]
    assert [e.text for e in pool.of("p")] == ["pb0", "pa0", "pb1", "pa1"]
    assert [e.index for e in pool.of("p")] == [0, 1, 2, 3]
    assert [pool.is_correct["q", i] for i in range(4)] == [True, False, True, False]
    assert [pool.answers["p", i] for i in range(4)] == ["0", "0", "1", "1"]
    one = pool.view("a")
    assert [(e.text, e.index, e.engine) for e in one.of("q")] == [("qa0", 0, "a"), ("qa1", 1, "a")]
    assert one.is_correct == {("p", 0): False, ("p", 1): False, ("q", 0): False, ("q", 1): False}
    with pytest.raises(UsageError, match="no model 'c'; it has b, a"):
        pool.view("c")
    with pytest.raises(UsageError, match="no problem 'z'"):
        pool.of("z")


def test_shuffling_keeps_what_is_known_of_a_sample(tmp_path: Path) -> None:
    rows = [row("p", "m", i, f"t{i}", is_correct=i % 3 == 0, answer=f"{i}", rm_score=i / 10) for i in range(30)]
    plain = pool_of(tmp_path, *rows)
    mixed = load_pool(tmp_path / "mine.jsonl", seed=1)
    texts = [e.text for e in mixed.of("p")]
    assert sorted(texts) == sorted(e.text for e in plain.of("p")) and texts != [e.text for e in plain.of("p")]
    assert texts == [e.text for e in plain.shuffled(1).of("p")] != [e.text for e in plain.shuffled(2).of("p")]
    for episode in mixed.of("p"):
        number = int(episode.text[1:])
        key = ("p", episode.index)
        assert (mixed.is_correct[key], mixed.answers[key], mixed.facts[key]["rm_score"]) == (number % 3 == 0, str(number), number / 10)
    assert plain.digest != mixed.digest == load_pool(tmp_path / "mine.jsonl", seed=1).digest


def test_strategies_get_the_recorded_episodes(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, row(index=0, text="a"), row(index=1, text="b"))
    attempt = pool.attempt("p")

    async def replay() -> list[str]:
        return [(await attempt(i)).text for i in (1, 0)]

    assert asyncio.run(replay()) == ["b", "a"]
    with pytest.raises(UsageError, match="holds 2 samples of p, but sample 3 was asked for"):
        asyncio.run(pool.attempt("p")(2))  # type: ignore[arg-type]


def test_what_verifiers_see_does_not_tell_right_from_wrong(tmp_path: Path) -> None:
    marks = {
        "is_correct": True,
        "is_correct_from": "SECRET",
        "first_error_step": "SECRET",
        "error": "SECRET",
        "answer": "SECRET",
        "reference_solution": "SECRET",
    }
    pool = pool_of(tmp_path, row(**marks), row(index=1, **{**marks, "is_correct": False}))
    first, second = pool.of("p")
    assert "SECRET" not in json.dumps([to_json(p) for p in pool.problems] + [to_json(e) for e in pool.episodes])
    assert {f.name for f in fields(Episode) if getattr(first, f.name) != getattr(second, f.name)} == {"index"}
    assert first.verdicts == () and first.reward is None and pool.facts["p", 0]["first_error_step"] == "SECRET"


def test_interpreter_output_is_told_apart_only_where_there_was_an_interpreter(tmp_path: Path) -> None:
    text = (
        "Let me see.\n```python\nprint(40 + 2)\n```\n```output\n42\n```\nSo 41.\n```python\n1/0\n```\n```output\nZeroDivisionError: division by zero\n```\nHm."
    )
    said = pool_of(tmp_path, row(text=text), interpreted=True).of("p")[0]
    assert said.text == text
    assert [s.provenance for s in said.spans] == [Provenance.MODEL, Provenance.TOOL, Provenance.MODEL, Provenance.TOOL, Provenance.MODEL]
    assert "42" not in said.model_text and "So 41." in said.model_text
    assert [(r.ok, r.tool) for r in said.tool_results] == [(True, "python"), (False, "python")]
    assert (said.dialect, said.cost.tool_calls) == ("markdown", 2)
    imagined = pool_of(tmp_path, row(text=text)).of("p")[0]
    assert [s.provenance for s in imagined.spans] == [Provenance.MODEL] and imagined.model_text == text
    known = pool_of(tmp_path, row(text=text), name="gsm8k_tora_programs/pool.jsonl.gz")
    assert known.name == "gsm8k_tora_programs" and len(known.of("p")[0].spans) == 5


def test_rows_can_carry_their_spans(tmp_path: Path) -> None:
    spans = [{"provenance": "model", "text": "<code>1+1</code>"}, {"provenance": "tool", "text": "2"}]
    (episode,) = pool_of(tmp_path, row(text=None, spans=spans, temperature=0.5)).episodes
    assert [(s.provenance.value, s.text) for s in episode.spans] == [("model", "<code>1+1</code>"), ("tool", "2")]
    assert episode.params.temperature == 0.5
    with pytest.raises(UsageError, match="line 1: spans must be a list"):
        pool_of(tmp_path, row(spans=[{"provenance": "teacher", "text": "x"}]))


def test_the_least_a_row_needs(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, {"problem": "1+1?", "text": "2"}, {"problem": "1+1?", "text": "3"}, {"problem": "1+2?", "text": ""})
    assert [len(pool.of(p.id)) for p in pool.problems] == [2, 1]
    assert pool.models == ("mine",) and not pool.is_correct and not pool.answers
    assert all(from_json(Episode, json.loads(json.dumps(to_json(e)))) == e for e in pool.episodes)


def test_answers_lose_what_a_program_left_on_them(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, row(gold="18.0", answer=18.0), row(index=1, gold=18, answer="$1,234.50"), row(index=2, gold="18", answer="3.999999999999999"))
    assert [p.gold for p in pool.problems] == ["18"]
    assert [pool.answers["p", i] for i in range(3)] == ["18", "1234.5", "3.999999999999999"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(), {"problem_id": "q", "text": "x"}], "line 2: no field 'problem'.*problem_id, text"),
        ([row(text=None)], "line 1: no field 'text'.*gold, model, problem"),
        ([row(), row(text="another")], "line 2: sample 0 of m for p is already on line 1"),
        ([row(index=-1)], "line 1: sample_index is -1"),
        ([row(), row(index=1, gold="3")], "line 2: the problem p has another question or gold"),
        ([row(), row(index=1) | {"problem": "Else?"}], "line 2: the problem p has another question or gold"),
        ([row(gold=["2"])], "line 1: gold is a list"),
        ([], "holds no solutions"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        pool_of(tmp_path, *rows)


def test_names_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOOLWRIGHT_DATA", raising=False)
    pool = pool_of(tmp_path, row(), name="pools/mine/pool.jsonl.gz")
    assert pool.name == "mine"
    assert load_pool("mine", data=tmp_path) == load_pool(tmp_path / "pools" / "mine") == pool
    with pytest.raises(UsageError, match=r"no pool at .*pools/other/pool\.jsonl\.gz; pools there: mine"):
        load_pool("other", data=tmp_path)
    with pytest.raises(UsageError, match=r"TOOLWRIGHT_DATA.*pools/other/pool\.jsonl\.gz"):
        load_pool("other")


@pytest.mark.parametrize("name", sorted(POOLS))
def test_the_recorded_pools(name: str, data: Path) -> None:
    pool = load_pool(name, data=data)
    assert (len(pool.problems), len(pool.episodes), len(pool.models)) == POOLS[name]
    assert set(pool.is_correct) == {(e.problem_id, e.index) for e in pool.episodes}
    assert all(facts["license"] for facts in pool.facts.values())
    if name != "gsm8k_tora_programs":
        assert all(s.provenance is Provenance.MODEL for e in pool.episodes for s in e.spans)
    for model in pool.models[:2]:
        view = pool.view(model)
        assert Counter(e.problem_id for e in view.episodes) == Counter(e.problem_id for e in pool.episodes if e.engine == model)


def test_tora_answers_are_the_model_s_own_words(data: Path) -> None:
    pool = load_pool("gsm8k_tora_programs", data=data)
    with_tool = [e for e in pool.episodes if e.tool_results]
    assert len(with_tool) == 2786
    assert all(e.model_text.count("```output") == 0 for e in with_tool)
