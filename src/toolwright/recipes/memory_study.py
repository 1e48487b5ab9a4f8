"""Remembering against calculating: how well models of two sizes verify ``a + b = c`` for a, b < M after a short training, without and with a tool.

``toolwright reproduce memory``: for each size of model and each M a fresh model is trained on as many tokens of examples from its table, once to say Yes or No
(*text*), once to write the program that checks (*program*), which is then run. Without a tool the verdict must come out of the weights; the paper bounds what
they must hold from below by the cube of M, and for an exact tool by nothing. Addition has a pattern that can be learned in place of the table, so what is
seen here is how far a model of a size gets with a budget, not the bound.

A cell of the grid is kept as a file once it is done: a run that is stopped goes on with the next. Source: T1 (arXiv 2504.04718), section 3 and theorem 1.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from toolwright.engines import HFEngine
from toolwright.episodes import Prompt, Provenance, SamplingParams, Span, derive_seed, digest, write_text
from toolwright.errors import UsageError
from toolwright.recipes._measuring import share
from toolwright.recipes._mixture import Document
from toolwright.recipes._results import Measured, claim, result
from toolwright.recipes.distill import packaged
from toolwright.recipes.embedded import check_name, new_model
from toolwright.sandbox import Sandbox
from toolwright.training import Example, PretrainSettings, pretrain
from toolwright.verifiers import extract_program, printed_verdict

Way = Literal["text", "program"]
WAYS: tuple[Way, ...] = ("text", "program")
SIZES = (8, 32, 128, 512)
TOKENS = 400_000
TRIPLES = 400
"""Verified after training."""
RATES = {"pico": (0.008, 0.005), "nano": (0.004, 0.003)}
"""Learning rates of Muon and AdamW, as in `embedded.toml`, by model, the small one first."""
SOURCE = "T1 (arXiv 2504.04718), section 3"
FLAT_BAR = 0.99
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Triple:
    """``a + b = c``, right or wrong."""

    a: int
    b: int
    c: int

    @property
    def right(self) -> bool:
        """Whether it holds."""
        return self.a + self.b == self.c

    def document(self, way: Way) -> Document:
        """What a model learns of it: the verdict, or the program that finds it."""
        if way == "text":
            return Document(((self.prompt(way), 0.0), ("Yes" if self.right else "No", 1.0)))
        return Document(((self.prompt(way), 0.0), (f"<code>\nprint({self.a}+{self.b}=={self.c})\n</code>", 1.0)))

    def prompt(self, way: Way) -> str:
        """What the model is given."""
        return f"<|user|>{self.a}+{self.b}={self.c}<|{'judge' if way == 'text' else 'verify'}|>"


def triples(size: int, *, seed: object, start: int = 0) -> Iterator[Triple]:
    """Triples of the table of a size from a position on, right and wrong ones in turn; a wrong c is any other sum of the table, half of the time a near one."""
    position = start
    while True:
        rng = random.Random(derive_seed("memory", size, seed, position))
        a, b = rng.randrange(size), rng.randrange(size)
        c = a + b
        if position % 2:
            near = [n for n in range(max(0, c - 2), min(2 * size - 2, c + 2) + 1) if n != c]
            far = rng.randrange(2 * size - 2)
            c = rng.choice(near) if rng.random() < 0.5 else far + (far >= c)
        yield Triple(a, b, c)
        position += 1


def measure(
    *,
    folder: Path,
    models: Sequence[str] = tuple(RATES),
    sizes: Sequence[int] = SIZES,
    tokens: int = TOKENS,
    count: int = TRIPLES,
    seed: int = 0,
    threads: int = 0,
    max_minutes: float | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """The result; finished cells of the grid lie in `folder` and are not trained again.

    Raises: UsageError for an unknown model or sizes below 2, or where the time was not enough for a single cell.
    """
    for name in models:
        check_name(name)
    if not models or not sizes or min(sizes) < 2 or tokens < 1 or count < 2:
        raise UsageError(f"models = {list(models)}, sizes = {list(sizes)}, tokens = {tokens}, count = {count}; sizes go from 2, counts from 1")
    started, tell = time.monotonic(), tell or _to_stderr
    rows: list[dict[str, Any]] = []
    complete = True
    # Small tables and small models first: whatever is measured is measured for all of them.
    for size in sorted(sizes):
        for name in models:
            for way in WAYS:
                path = folder / f"{name}-{size}-{way}-{digest(tokens, count, seed)}.json"
                left = None if max_minutes is None else max_minutes - (time.monotonic() - started) / 60
                if not path.is_file():
                    if left is not None and left <= 0:
                        complete = False
                        continue
                    row = _cell(name, size, way, folder, tokens=tokens, count=count, seed=seed, threads=threads, max_minutes=left, tell=tell)
                    if row is None:
                        complete = False
                        continue
                    write_text(path, json.dumps(row) + "\n")
                rows.append(json.loads(path.read_text(encoding="utf-8")))
    if not rows:
        raise UsageError("the time was not enough for a single training; its checkpoint is kept, so give --max-minutes more and run the same command again")
    command = f"toolwright reproduce memory --sizes {','.join(map(str, sizes))} --tokens {tokens}"
    facts = {row["model"]: {"parameters": row["parameters"], "digest": "trained anew for each cell"} for row in rows}
    tables = {"accuracy": rows, "complete": complete}
    return result(command, seconds=time.monotonic() - started, seeds=[seed], models=facts, tables=tables, claims=claims(rows))


def _cell(
    name: str, size: int, way: Way, folder: Path, *, tokens: int, count: int, seed: int, threads: int, max_minutes: float | None, tell: Tell
) -> dict[str, Any] | None:
    """One training and its measurement; None where the time was not enough, with the checkpoint kept."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(packaged("tokenizer"))
    model = new_model(name, tokenizer)

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def stream(position: int) -> Iterator[Example]:
        return (t.document(way).encode(encode) for t in triples(size, seed=(seed, "train"), start=position))

    muon, adamw = RATES.get(name, RATES["nano"])
    settings = PretrainSettings(tokens, 4096, muon, adamw, seed=seed, threads=threads, compile=False, validate_every=max(1, tokens))
    place = folder / f"training-{name}-{size}-{way}-{digest(tokens, seed)}"
    curve = pretrain(model, stream, {}, settings, place, max_minutes=max_minutes, report=lambda line: tell(f"{name}, M = {size}, {way}: {line}"))
    if curve[-1].tokens < tokens:
        tell(f"{name}, M = {size}, {way}: time is up; the same command goes on from its checkpoint")
        return None
    source = triples(size, seed=(seed, "test"))
    asked = [next(source) for _ in range(count)]
    said = asyncio.run(_said(HFEngine(model, tokenizer, name=name), asked, way, seed))
    right = sum(verdict is triple.right for triple, verdict in zip(asked, said, strict=True))
    found = share(right, count)
    tell(f"{name}, M = {size}, {way}: {100 * right / count:.1f} % right")
    return {
        "model": name,
        "parameters": model.num_parameters(),
        "table": size,
        "way": way,
        "accuracy": found.value,
        "low": found.low,
        "high": found.high,
        "triples": count,
        "undecided": sum(verdict is None for verdict in said) / count,
        "tokens": curve[-1].tokens,
        "train_loss": curve[-1].train_loss,
    }


async def _said(engine: HFEngine, asked: Sequence[Triple], way: Way, seed: int) -> list[bool | None]:
    """What the trained model says of each triple; None where it says nothing."""
    try:
        if way == "text":
            return list(await asyncio.gather(*(_in_words(engine, triple) for triple in asked)))
        async with Sandbox(allow_degraded=True) as sandbox:
            return list(await asyncio.gather(*(_by_program(engine, sandbox, triple, seed) for triple in asked)))
    finally:
        await engine.aclose()


def _prompt(triple: Triple, way: Way) -> Prompt:
    return Prompt(spans=(Span(Provenance.PROMPT, triple.prompt(way)),))


async def _in_words(engine: HFEngine, triple: Triple) -> bool | None:
    prompt = _prompt(triple, "text")
    yes, no = await asyncio.gather(engine.score(prompt, "Yes"), engine.score(prompt, "No"))
    return sum(yes) > sum(no)


async def _by_program(engine: HFEngine, sandbox: Sandbox, triple: Triple, seed: int) -> bool | None:
    params = SamplingParams(max_new_tokens=60, temperature=0.0, stop=("</code>",))
    (reply,) = await engine.sample(_prompt(triple, "program"), n=1, params=params, seed=seed)
    program = extract_program(reply.text)
    done = None if program is None else await sandbox.run(program)
    return printed_verdict(done.stdout) if done is not None and done.ok else None


def claims(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without a tool larger tables are harder and larger models better; with one neither matters."""
    made = []
    largest = max(row["table"] for row in rows)
    smallest = min(row["table"] for row in rows)
    found = {(row["model"], row["way"], row["table"]): row for row in rows}
    for name in dict.fromkeys(row["model"] for row in rows):
        few, many = found.get((name, "text", smallest)), found.get((name, "text", largest))
        text = f"{name} verifies without a tool worse at M = {largest} (value) than at M = {smallest} (against): intervals apart"
        seen = None if few is None or many is None or smallest == largest else many["high"] < few["low"]
        made.append(claim(f"memory-{name}-text-falls", text, SOURCE, _as_measured(many), _as_measured(few), seen=seen))
        tooled = [row for row in rows if row["model"] == name and row["way"] == "program"]
        if tooled:
            worst = min(tooled, key=lambda row: row["accuracy"])
            text = f"{name} with a tool verifies at least {FLAT_BAR:.0%} rightly at every M (value: the worst, M = {worst['table']})"
            made.append(claim(f"memory-{name}-tool-flat", text, SOURCE, _as_measured(worst), Measured(FLAT_BAR), seen=worst["accuracy"] >= FLAT_BAR))
    small, large = found.get(("pico", "program", largest)), found.get(("nano", "text", largest))
    if small is not None and large is not None:
        text = f"at M = {largest} pico with a tool (value) verifies better than nano without one (against): intervals apart"
        made.append(claim("memory-tool-over-size", text, SOURCE, _as_measured(small), _as_measured(large), seen=small["low"] > large["high"]))
    return made


def _as_measured(row: dict[str, Any] | None) -> Measured:
    return Measured() if row is None else Measured(row["accuracy"], row["low"], row["high"])


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
