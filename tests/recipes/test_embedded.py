"""The embedded models: what ships is what the recipe says, loads like any other model, and fits."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from toolwright.engines import EMBEDDED
from toolwright.recipes import embedded
from toolwright.recipes._mixture import Mixture, written
from toolwright.recipes._worked import gsm8k_steps
from toolwright.tasks import split_digest

FOLDER = Path(str(files("toolwright"))) / "embedded"
NAMES = [name for name in EMBEDDED if (FOLDER / name / "model.safetensors").is_file()]


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER / "tokenizer")


def test_both_models_ship_within_their_size():
    assert set(NAMES) == set(EMBEDDED) == set(embedded.config()["models"]) == {"pico", "nano"}
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    assert size <= 25 * 2**20
    facts = {name: json.loads((FOLDER / name / "training.json").read_text()) for name in NAMES}
    assert 0.8e6 <= facts["pico"]["parameters"] <= 1.25e6
    assert facts["nano"]["parameters"] >= 6 * facts["pico"]["parameters"]
    assert facts["nano"]["tokens"] >= facts["pico"]["tokens"]


@pytest.mark.parametrize("name", NAMES)
def test_the_card_matches_the_weights_and_the_splits(name):
    from toolwright.episodes import digest_files

    facts = json.loads((FOLDER / name / "training.json").read_text())
    assert facts["digest"] == digest_files(sorted((FOLDER / name).glob("*.safetensors")))
    assert facts["split"] == split_digest(), "templates changed since the model was trained: what was held out then may not be held out now"


def test_digits_are_single_tokens_and_ids_are_reserved(tokenizer):
    ids = tokenizer("12345 and 67").input_ids
    pieces = tokenizer.convert_ids_to_tokens(ids)
    assert [p for p in pieces if p.strip("Ġ").isdigit()] == list("1234567")
    reserved = [t for t in tokenizer.get_vocab() if t.startswith("<|reserved_")]
    assert len(reserved) >= 32


TEXTS = ("<code>\nn1=5*2\nprint(n1)\n</code>\n<interpreter>\n10\n</interpreter>\n\n#### 10", "Grüße 😀 … x² – 3/4", "def f(x):\n    return x\n")


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokenizer_keeps_every_text(tokenizer, text):
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_training_documents_are_what_the_chat_template_makes(tokenizer):
    question = "Ann has 48 clips and buys 10 more. How many?"
    steps = gsm8k_steps(question, "<<48+10=58>>58", "58")
    assert steps is not None
    for dialect, system in (("text", "Think step by step."), ("retool", "Write programs between <code> and </code>.")):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        assert written(question, steps, dialect).pieces[0][0] == prompt  # type: ignore[arg-type]


def test_pieces_are_encoded_apart_as_they_are_at_test_time(tokenizer):
    steps = gsm8k_steps("48 and 10", "<<48+10=58>>58", "58")
    assert steps is not None
    document = written("48 and 10", steps, "retool")

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False).input_ids)

    example = document.encode(encode)
    assert list(example.ids) == [i for text, _ in document.pieces for i in encode(text)]
    assert len(example.ids) == len(example.weights)


def test_the_recipe_is_read_and_its_names_checked(tmp_path):
    from toolwright.errors import UsageError

    mixture, _ = embedded._mixture()
    assert isinstance(mixture, Mixture)
    with pytest.raises(UsageError, match="giga"):
        embedded.train("giga", tmp_path, tmp_path)
    with pytest.raises(UsageError, match="no checkpoint"):
        embedded.export("pico", tmp_path, tmp_path / "out")
