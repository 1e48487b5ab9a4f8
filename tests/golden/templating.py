"""An engine with a real chat template and a real vocabulary but no model: what it says is scripted, how it is rendered, tokenised and stopped is not."""

from __future__ import annotations

import base64
import gzip
import json
import os
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from toolwright.episodes import Capabilities, Completion, FinishReason, Message, Prompt, SamplingParams, digest

FOLDER = Path(__file__).parent / "templates"
TEMPLATES = sorted(path.stem for path in FOLDER.glob("*.jinja"))
WITHOUT_SYSTEM = frozenset({"gemma"})
QWEN_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"  # as published with the Qwen models
)


@cache
def _template(name: str) -> jinja2.Template:
    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: "26 Jul 2024"
    return environment.from_string((FOLDER / f"{name}.jinja").read_text(encoding="utf-8"))


def render(name: str, messages: tuple[Message, ...] | list[dict[str, Any]], *, generate: bool = True, **options: Any) -> str:
    """The text that a model with this template reads."""
    plain = [m if isinstance(m, dict) else {"role": m.role, "content": m.content} for m in messages]
    return _template(name).render(messages=plain, add_generation_prompt=generate, bos_token="<bos>", eos_token="<eos>", **options)


def qwen_tokenizer() -> Tokenizer:
    """Qwen's tokenizer for text in ASCII, made from its published ranks; skips the test where they are not at hand."""
    folder = os.environ.get("TOOLWRIGHT_DATA")
    path = Path(folder or "") / "tokenizers" / "qwen.tiktoken.gz"
    if not folder or not path.is_file():
        pytest.skip("TOOLWRIGHT_DATA is not set, or holds no tokenizers/qwen.tiktoken.gz")
    return _qwen_tokenizer(path)


@cache
def _qwen_tokenizer(path: Path) -> Tokenizer:
    ranks = {}
    for line in gzip.decompress(path.read_bytes()).splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    letters = _byte_letters()
    vocabulary = {"".join(letters[b] for b in token): rank for token, rank in ranks.items()}
    merges = [pair for token in ranks if len(token) > 1 and token.isascii() and (pair := _merge(token, ranks))]
    backend = Tokenizer(models.BPE(vocabulary, [("".join(letters[b] for b in a), "".join(letters[b] for b in c)) for a, c in merges]))
    backend.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(_QWEN_SPLIT), behavior="isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in QWEN_SPECIALS])
    return backend


def _merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes] | None:
    """The two parts that are left when the token's bytes are merged by lower ranks only."""
    options = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ranks and token[i:] in ranks]
    if len(options) < 2:
        return options[0] if options else None
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        found = [(ranks[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if ranks.get(a + b, ranks[token]) < ranks[token]]
        if not found:
            return None
        _, i = min(found)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return (parts[0], parts[1])


def _byte_letters() -> dict[int, str]:
    """Bytes as byte-level tokenizers write them in their vocabularies."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return {**{b: chr(b) for b in shown}, **{b: chr(256 + i) for i, b in enumerate(hidden)}}


class TemplateEngine:
    """Says the scripted replies one after the other, token by token until a stop string is complete, as the hf engine does."""

    def __init__(self, template: str, tokenizer: Tokenizer, replies: list[str]) -> None:
        self._template, self._tokenizer, self._replies = template, tokenizer, list(replies)
        self.fed: list[tuple[int, ...]] = []
        self.said: list[Completion] = []
        self.name, self.digest = template, digest(template, replies)

    async def capabilities(self) -> Capabilities:
        return Capabilities(token_ids=True, prefill=True, system_role=self._template not in WITHOUT_SYSTEM)

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        ids = self._ids(render(self._template, prompt.messages)) if prompt.messages else []
        for span in prompt.spans:
            ids += span.token_ids if span.token_ids is not None else self._ids(span.text)
        return tuple(ids)

    async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
        fed = self.encode(prompt)
        self.fed.append(fed)
        completion = self._speak(self._replies[len(self.said)], params.stop, fed)
        self.said.append(completion)
        return [completion]

    async def score(self, prompt: Prompt, continuation: str) -> tuple[float, ...]:
        raise NotImplementedError

    async def aclose(self) -> None:
        return None

    def decode(self, ids: tuple[int, ...]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _speak(self, reply: str, stops: tuple[str, ...], fed: tuple[int, ...]) -> Completion:
        ids: tuple[int, ...] = ()
        for token in self._ids(reply):
            ids += (token,)
            text = self.decode(ids)
            ends = [(text.find(stop) + len(stop), stop) for stop in stops if stop in text]
            if ends:
                end, stop = min(ends)
                return self._completion(text[:end], FinishReason.STOP, ids, fed, stop, text[end:])
        return self._completion(reply, FinishReason.EOS, (*ids, self._ids("<|im_end|>")[0]), fed)

    def _completion(
        self, text: str, finish: FinishReason, ids: tuple[int, ...], fed: tuple[int, ...], stop: str | None = None, surplus: str = ""
    ) -> Completion:
        logps = (-0.5,) * len(ids)
        return Completion(text, finish, ids, logps, len(fed), len(ids), stop, fed, surplus)
