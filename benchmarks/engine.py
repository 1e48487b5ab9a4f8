"""Tokens per second of the hf engine at 1, 16 and 64 samples at once, beside transformers' own generate with the same batch.

Both draw the same number of tokens per row from the same random Llama, end-of-sequence switched off, so that nothing but the decode loop
differs. The rows called mixed are what a loop of our own is for: samples of very different length, where generate holds every row until the longest is done.

    python benchmarks/engine.py [--model FOLDER] [--new 128] [--json] [--write]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from toolwright.engines import HFEngine
from toolwright.episodes import Prompt, Provenance, SamplingParams, Span
from toolwright.recipes import publish, result

SIZES = {
    "1M": {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4},
    "6M": {"hidden_size": 288, "intermediate_size": 768, "num_hidden_layers": 6, "num_attention_heads": 9, "num_key_value_heads": 3},
}
BATCHES = (1, 16, 64)


def random_llama(size: str) -> Any:
    config = LlamaConfig(vocab_size=1024, max_position_embeddings=1024, bos_token_id=None, eos_token_id=None, pad_token_id=0, **SIZES[size])
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval()


class Plain:
    """A tokenizer that is never asked for text that matters."""

    chat_template = None
    eos_token_id = None
    model_max_length = 1024
    backend_tokenizer = None

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(chr(200 + i) for i in ids)

    def __len__(self) -> int:
        return 1024


def prompt(seed: int, length: int) -> tuple[int, ...]:
    source = random.Random(seed)
    return tuple(source.randrange(1, 1000) for _ in range(length))


async def ours(engine: HFEngine, prompts: list[tuple[int, ...]], new: list[int]) -> float:
    asked = [Prompt(spans=(Span(Provenance.PROMPT, "", ids),)) for ids in prompts]
    begun = time.perf_counter()
    await asyncio.gather(
        *(
            engine.sample(p, n=1, params=SamplingParams(max_new_tokens=k, temperature=1.0), seed=index)
            for index, (p, k) in enumerate(zip(asked, new, strict=True))
        )
    )
    return sum(new) / (time.perf_counter() - begun)


def theirs(model: Any, prompts: list[tuple[int, ...]], new: list[int], rows: int) -> float:
    begun = time.perf_counter()
    for first in range(0, len(prompts), rows):
        ids = torch.tensor(prompts[first : first + rows])
        with torch.inference_mode():
            model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max(new[first : first + rows]),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                pad_token_id=0,
            )
    return sum(new) / (time.perf_counter() - begun)


def measure(name: str, model: Any, tokenizer: Any, new: int) -> list[dict[str, Any]]:
    table = []
    for rows in BATCHES:
        for kind in ("equal", "mixed"):
            count = rows if kind == "equal" else 3 * rows
            source = random.Random(rows)
            lengths = [new] * count if kind == "equal" else [source.choice((new // 8, new // 4, new // 2, 2 * new)) for _ in range(count)]
            prompts = [prompt(k, 64) for k in range(count)]
            engine = HFEngine(model, tokenizer, name=name, digest="benchmark", slots=rows, cache_bytes=0)
            asyncio.run(ours(engine, prompts[:rows], [8] * rows))
            theirs(model, prompts[:rows], [8] * rows, rows)
            mine = asyncio.run(ours(engine, prompts, lengths))
            other = theirs(model, prompts, lengths, rows)
            asyncio.run(engine.aclose())
            table.append(
                {
                    "model": name,
                    "rows": rows,
                    "lengths": kind,
                    "engine_tokens_per_s": round(mine),
                    "generate_tokens_per_s": round(other),
                    "ratio": round(mine / other, 2),
                }
            )
            print(f"{name:>8}  {rows:>3} rows  {kind:>5}  engine {mine:>8.0f}/s  generate {other:>8.0f}/s  ratio {mine / other:.2f}", file=sys.stderr)
    return table


def measure_folder(folder: Path, new: int) -> list[dict[str, Any]]:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    model.generation_config.eos_token_id = model.config.eos_token_id = None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token = None
    return measure(folder.name, model, tokenizer, new)


def measure_random(new: int) -> list[dict[str, Any]]:
    return [row for size in SIZES for row in measure(size, random_llama(size), Plain(), new)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a model folder, measured instead of the random ones")
    parser.add_argument("--new", type=int, default=128, help="tokens per sample")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    parser.add_argument("--write", action="store_true", help="write results/engine.json")
    given = parser.parse_args()
    begun = time.monotonic()
    table = measure_folder(given.model, given.new) if given.model else measure_random(given.new)
    conditions = {"threads": torch.get_num_threads(), "load_average": os.getloadavg()[0], "new_tokens": given.new}
    if given.json:
        print(json.dumps({**conditions, "table": table}))
    command = f"python benchmarks/engine.py --new {given.new}" + (f" --model {given.model.name}" if given.model else "") + " --write"
    content = result(command, seconds=time.monotonic() - begun, seeds=[0], tables={"speed": table, "conditions": conditions})
    publish(content, Path("results/engine.json") if given.write else None)


if __name__ == "__main__":
    main()
