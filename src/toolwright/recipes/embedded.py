"""The embedded models pico and nano: their tokenizer, their sizes, their training, and how a trained one becomes package data.

They are ordinary Llama models that `AutoModelForCausalLM` loads. Everything that decides them stands in `embedded.toml`; what they learn from is in
`_mixture.py`.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from toolwright.episodes import digest_files, write_text
from toolwright.errors import MissingExtra, UsageError
from toolwright.recipes._mixture import Mixture, describe, sample_texts, stream, validation_sets
from toolwright.tasks import split_digest
from toolwright.training import CurvePoint, Example, PretrainSettings, pretrain

TAGS = ("<|pad|>", "<|end|>", "<|user|>", "<|text|>", "<|tools|>", "<|verify|>", "<|judge|>", "<|edit|>")
"""Control tokens: never part of a text."""
DIALECT_TAGS = ("<code>", "</code>", "<interpreter>", "</interpreter>", "<tool_call>", "</tool_call>", "####", "```")
"""One token each, but ordinary text."""
CONTEXT_TOKENS = 1024
CHAT_TEMPLATE = (
    "{% set mode = namespace(tag='<|text|>') %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' and '<code>' in message['content'] %}{% set mode.tag = '<|tools|>' %}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>' + message['content'] }}"
    "{% elif message['role'] == 'assistant' %}{{ mode.tag + message['content'] + '<|end|>' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ mode.tag }}{% endif %}"
)
"""A system message that speaks of `<code>` asks for the interpreter dialect; any other is passed over."""


@cache
def config() -> dict[str, Any]:
    """The content of `embedded.toml`."""
    return tomllib.loads(resources.files("toolwright.recipes").joinpath("embedded.toml").read_text(encoding="utf-8"))


def train(
    name: str, folder: Path, data: Path, *, max_minutes: float | None = None, threads: int = 0, report: Callable[[str], None] = print
) -> list[CurvePoint]:
    """Train pico or nano in `folder` (tokenizer, checkpoint, curve), going on from what lies there.

    Raises: UsageError for an unknown name or a missing data folder; MissingExtra without torch.
    """
    check_name(name)
    encode, tokenizer = _tokenizer(data, report)
    model = new_model(name, tokenizer)
    report(f"{name}: {model.num_parameters():,} parameters")
    mixture, seed = _mixture()

    def examples(position: int) -> Iterator[Example]:
        return stream(mixture, data, encode, seed=seed, position=position)

    settings = PretrainSettings(**config()["train"][name], threads=threads, seed=seed)
    curve = pretrain(model, examples, validation_sets(data, encode), settings, folder, max_minutes=max_minutes, report=report)
    tokenizer.save_pretrained(folder / "checkpoint")
    return curve


def check_name(name: str) -> None:
    """Nothing. Raises: UsageError for a name that is no embedded model's."""
    if name not in config()["models"]:
        raise UsageError(f"no embedded model {name!r}; there are {', '.join(config()['models'])}")


def new_model(name: str, tokenizer: Any) -> Any:
    """An untrained model of a size."""
    try:
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError as error:
        raise MissingExtra("train", "training an embedded model") from error
    import torch

    size = config()["models"][name]
    torch.manual_seed(_mixture()[1])
    shape = LlamaConfig(
        vocab_size=config()["tokenizer"]["vocabulary"],
        hidden_size=size["hidden"],
        intermediate_size=size["feed_forward"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    # Eager attention: on a CPU its backward pass is quicker than sdpa's at these sizes (LOG.md).
    shape._attn_implementation = "eager"
    return LlamaForCausalLM(shape)


def build_tokenizer(data: Path, folder: Path) -> Any:
    """Train the tokenizer on the mixture and some Python (this package's own source), and save it in `folder`.

    Digits are single tokens; the last ids are reserved for roles to come.
    """
    try:
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise MissingExtra("train", "training a tokenizer") from error
    settings = config()["tokenizer"]
    tokenizer = Tokenizer(models.BPE())
    pattern = Regex(r"\d|'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[^\sA-Za-z\d]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    reserved = [f"<|reserved_{i}|>" for i in range(settings["reserved"])]
    trainer = trainers.BpeTrainer(
        vocab_size=settings["vocabulary"] - len(reserved) - len(DIALECT_TAGS),
        special_tokens=list(TAGS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    mixture, seed = _mixture()
    tokenizer.train_from_iterator([*sample_texts(mixture, data, count=settings["texts"], seed=seed + 1), *_python_texts()], trainer)
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in DIALECT_TAGS])
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in reserved])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=TAGS[0], eos_token=TAGS[1], clean_up_tokenization_spaces=False, model_max_length=CONTEXT_TOKENS
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    return fast


def export(name: str, folder: Path, target: Path | None = None) -> dict[str, Any]:
    """Put a trained checkpoint where the package finds it (bfloat16-rounded weights, tokenizer, template); returns its facts.

    Raises: UsageError where no checkpoint is.
    """
    from transformers import AutoTokenizer, LlamaForCausalLM

    target = target or Path(str(resources.files("toolwright"))) / "embedded" / name
    checkpoint = folder / "checkpoint"
    if not (checkpoint / "run.json").is_file():
        raise UsageError(f"no checkpoint at {checkpoint}; train with: toolwright train embedded {name} --folder {folder}")
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16)
    shutil.rmtree(target, ignore_errors=True)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(_tokenizer_folder()).save_pretrained(target)
    for path in target.iterdir():
        path.chmod(0o644)
    run = json.loads((checkpoint / "run.json").read_text())
    facts = {
        "name": name,
        "parameters": model.num_parameters(),
        "digest": digest_files(sorted(target.glob("*.safetensors"))),
        "tokens": run["tokens"],
        "seconds": round(run["seconds"]),
        "settings": run["settings"],
        "mixture": describe(_mixture()[0]),
        "split": split_digest(),
        "curve": run["curve"],
    }
    write_text(target / "training.json", json.dumps(facts, indent=1) + "\n")
    return facts


def _mixture() -> tuple[Mixture, int]:
    settings = dict(config()["mixture"])
    seed = settings.pop("seed")
    return Mixture(**settings | {"digits": tuple(settings["digits"])}), seed


def _tokenizer_folder() -> Path:
    return Path(str(resources.files("toolwright"))) / "embedded" / "tokenizer"


def _tokenizer(data: Path, report: Callable[[str], None]) -> tuple[Callable[[str], list[int]], Any]:
    """The shipped tokenizer (trained anew where the package has none), and its plain encoder."""
    from transformers import AutoTokenizer

    folder = _tokenizer_folder()
    if not (folder / "tokenizer.json").is_file():
        report("training the tokenizer")
        build_tokenizer(data, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encode(text: str) -> list[int]:
        return list(tokenizer._tokenizer.encode(text, add_special_tokens=False).ids)

    return encode, tokenizer


def _python_texts() -> list[str]:
    package = Path(str(resources.files("toolwright")))
    return [path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))]
