"""Distilling roles: the embedded way end to end on a few problems, and the way with a teacher model up to TRL."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest

from toolwright.engines import HFEngine, ScriptedEngine, weights_digest
from toolwright.episodes import Problem
from toolwright.errors import MissingExtra, UsageError
from toolwright.recipes import distill, embedded
from toolwright.recipes._distill_hub import teach, train
from toolwright.recipes._mixture import Document
from toolwright.recipes._roles import Taught, attempted, taught_problems
from toolwright.recipes._worked import text_solution
from toolwright.training import AdaptSettings

QUESTION = "Ducks lay 16 eggs; 3 and 4 are used; the rest is sold for $2 each. How much is that?"
HUB = {
    "candidates": {"samples": 2, "temperature": 0.8, "max_new_tokens": 64, "seed": 1},
    "teacher": {"programs": 3, "rationales": 3, "temperature": 0.6, "max_new_tokens": 64, "check_gold": True},
}


SETTINGS = distill.CandidateSettings(problems=8, validation_problems=4, samples=3, temperature=0.9, gsm8k=0.0, planted=0.5, displaced=0.1, most=0.6, seed=7)


def some_problems(count: int, *, validation: bool = False) -> list[Taught]:
    return taught_problems(embedded._mixture()[0], None, count, validation=validation, seed=7, gsm8k=0.0)


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random model of the embedded models' kind, with their tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("base")
    tokenizer = AutoTokenizer.from_pretrained(distill.packaged("tokenizer"))
    shape = LlamaConfig(
        vocab_size=2048, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=1, bos_token_id=None, eos_token_id=1, pad_token_id=0
    )
    torch.manual_seed(0)
    LlamaForCausalLM(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_candidates_are_labelled_kept_and_not_drawn_again(tmp_path: Path) -> None:
    taught = some_problems(4)
    first = taught[0]
    engine = ScriptedEngine({first.problem.question: [text_solution(first.steps)], " ": ["1+1=3\n#### 3", "no idea"]})
    for _ in range(2):
        found = asyncio.run(distill._candidates(engine, taught, SETTINGS, tmp_path, None, lambda line: None))
    assert engine.samples == 12
    assert [c.right for c in found if c.taught is first] == [True]
    assert {c.text for c in found if c.taught is not first} == {"1+1=3\n#### 3"} and not any(c.right for c in found if c.taught is not first)


@pytest.mark.parametrize("role", [*distill.ROLES, distill.SOLVE])
def test_a_role_is_trained_kept_and_loaded(tiny_base: Path, tmp_path: Path, role: str) -> None:
    engine = HFEngine.load(tiny_base)
    sets = [[c for t in some_problems(n, validation=v) if (c := attempted(t, text_solution(t.steps))) is not None] for n, v in ((8, False), (4, True))]
    how = AdaptSettings(max_tokens=2_000, batch_tokens=512, bf16=False)
    told: list[str] = []

    def once() -> dict[str, object]:
        return distill._train_role(engine, "pico", role, tiny_base, tmp_path, SETTINGS, how, *sets, max_minutes=None, report=told.append)

    facts = once()
    stored = json.loads((tmp_path / role / "role.json").read_text())
    assert stored == facts and stored["base_weights"] == weights_digest(tiny_base)
    assert stored["tokens"] >= 2_000 and stored["documents"]["kept"] > 5 and stored["documents"]["planted"] > 0
    assert any("programs run and print what the teacher says" in line for line in told) == (role == "verify")
    assert engine.with_adapter(tmp_path / role).digest != engine.digest
    with pytest.raises(UsageError, match="other weights"):
        HFEngine.load(distill.packaged("pico")).with_adapter(tmp_path / role)
    # What was trained is only read, and what is exported is what is needed.
    assert once()["curve"] == facts["curve"]
    (place,) = distill.export("pico", [role], tmp_path, tmp_path / "package")
    assert sorted(p.name for p in place.iterdir()) == ["adapter_config.json", "adapter_model.safetensors", "role.json"]
    with pytest.raises(UsageError, match="no adapter at"):
        distill.export("pico", ["edit"], tmp_path)


def test_the_generator_is_taught_the_solutions_that_the_programs_are_made_of() -> None:
    taught = some_problems(6)
    candidates = [c for t in taught for text in (text_solution(t.steps), "1+1=3\n#### 3") if (c := attempted(t, text)) is not None]
    found = distill.solved(candidates, random.Random(0))
    assert [len(each) for each in found.values()] == [6, 6], "each problem once, however many candidates it has"
    first = taught[0]
    assert found["text"][0].target == text_solution(first.steps) + "<|end|>"
    assert found["retool"][0].target.startswith("<code>") and first.problem.question in found["retool"][0].pieces[0][0]
    noisy = distill.solved(candidates, random.Random(0), noise=1.0)
    wrong = [a.target != b.target for a, b in zip(found["text"], noisy["text"], strict=True)]
    assert sum(wrong) >= 5


def test_another_seed_draws_other_problems(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[distill.CandidateSettings] = []

    async def none(engine: object, settings: distill.CandidateSettings, *more: object) -> tuple[list[object], list[object]]:
        seen.append(settings)
        return [], []

    monkeypatch.setattr(distill, "_drawn", none)
    for seed in (None, 5):
        with pytest.raises(UsageError, match="no candidate"):
            distill.distill("pico", ["verify"], tmp_path, None, base=tiny_base, seed=seed)
    assert [settings.seed for settings in seen] == [distill.config()["candidates"]["seed"], 5]


def test_programs_that_do_not_say_what_the_teacher_says_are_left_out() -> None:
    taught = some_problems(1)[0]
    candidate = attempted(taught, text_solution(taught.steps))
    assert candidate is not None
    programs = ["print(2==2)", f"print({taught.answer}=={taught.answer + 1})", "print(1/0)", "n1=", "print('maybe')"]
    documents = [(candidate, Document((("", 0.0), (f"<code>\n{program}\n</code>", 1.0)))) for program in programs]
    kept = distill._that_run(documents, 0.0, lambda line: None)
    assert [document.pieces[1][0] for document in kept] == ["<code>\nprint(2==2)\n</code>"]
    assert len(distill._that_run(documents, 0.1, lambda line: None)) == 2


@pytest.mark.slow
def test_pico_learns_its_roles_end_to_end(tmp_path: Path) -> None:
    facts = distill.distill("pico", ["verify", "judge"], tmp_path, None, problems=30, max_tokens=60_000, threads=1, report=lambda line: None)
    first, last = (facts["verify"]["curve"][at]["validation"]["programs"]["loss"] for at in (0, -1))
    assert last <= first and last < 1.2
    assert len(list(tmp_path.glob("candidates-*.jsonl"))) == 2


def test_what_cannot_be_distilled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no role 'edit'"):
        distill.distill("pico", ["edit"], tmp_path, None)
    with pytest.raises(UsageError, match="noise"):
        distill.distill("pico", ["verify"], tmp_path, None, noise=1.0)
    with pytest.raises(UsageError, match="no embedded model"):
        distill.distill("micro", ["verify"], tmp_path, None)
    with pytest.raises(UsageError, match="needs a teacher"):
        distill.distill_from_teacher("someone/small", ["verify"], tmp_path, teacher=None, teacher_url=None)


def taught(role: str, replies: list[str], *, gold: str = "18") -> list[dict[str, object]]:
    student = ScriptedEngine(["16-3-4=9, 9*2=18. The answer is 18.", "16*2=32. The answer is 32."], in_order=True)
    teacher = ScriptedEngine(replies, in_order=True)
    return asyncio.run(teach(student, teacher, [Problem("p", QUESTION, gold)], role, HUB))


def test_programs_are_kept_that_run_and_agree_with_the_gold_answer() -> None:
    honest = "Here:\n```python\nleft = 16 - 3 - 4\nprint(same(left * 2, {}))\n```\nDone."
    # For the right candidate (18): honest, a crash, an echo. For the wrong one (32): one that wrongly says True, honest, chatter.
    replies = [honest.format(18), "```python\nprint(18 / 0 == 18)\n```", "```python\nprint(18 == 18)\n```"]
    replies += ["```python\nprint(16 * 2 == 32)\n```", honest.format(32), "It is wrong."]
    rows = taught("verify", replies)
    assert [row["completion"][0]["content"] for row in rows] == [f"```python\nleft = 16 - 3 - 4\nprint(same(left * 2, {n}))\n```" for n in (18, 32)]  # type: ignore[index]
    assert [m["role"] for m in rows[0]["prompt"]] == ["system", "user"]  # type: ignore[union-attr]
    assert "18" in rows[0]["prompt"][1]["content"] and QUESTION in rows[0]["prompt"][1]["content"]  # type: ignore[index]


def test_judgements_are_kept_that_end_in_a_verdict_and_agree_with_the_gold_answer() -> None:
    line = "Verification: Is the answer correct (Yes/No)? "
    replies = [f"All is well.\n{line}Yes", f"No way.\n{line}No", "Yes."]
    replies += [f"It ignores the breakfast.\n{line}No", f"Fine.\n{line}Yes", "No."]
    rows = taught("judge", replies)
    assert [row["completion"][0]["content"].split("\n")[0] for row in rows] == ["All is well.", "It ignores the breakfast."]  # type: ignore[index]


def test_a_student_is_trained_by_trl_or_told_what_to_install(tiny_model: Path, tmp_path: Path) -> None:
    row = {"prompt": [{"role": "user", "content": "12 + 30?"}], "completion": [{"role": "assistant", "content": "```python\nprint(12 + 30)\n```"}]}
    rows = tmp_path / "verify.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for _ in range(4)))
    how = {"learning_rate": 1e-3, "epochs": 1, "batch": 2, "max_length": 128, "rank": 4, "alpha": 8}
    try:
        import trl  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtra, match=r"toolwright\[distill\]"):
            train(str(tiny_model), rows, how, tmp_path / "verify", seed=1)
        pytest.skip("TRL is not installed; the row format and the message were tested, the training was not")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TRL's and its friends' own
        facts = train(str(tiny_model), rows, how, tmp_path / "verify", seed=1)
    assert facts["rows"] == 4
    engine = HFEngine.load(tiny_model)
    assert engine.with_adapter(tmp_path / "verify").digest != engine.digest
