"""The same model in this process and behind vLLM, a server nobody here wrote: the same words, or a difference only where the model itself all but ties.

Needs scripts/setup-vllm (or TOOLWRIGHT_VLLM_PYTHON, the python of an environment with vLLM). The model is the folder that
TOOLWRIGHT_SERVER_MODEL names, else nano, else the tiny random one.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
import torch

from toolwright.engines import HFEngine, OpenAIEngine
from toolwright.episodes import Completion, FinishReason, Message, Prompt, Provenance, SamplingParams, Span
from toolwright.errors import EngineFault

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

PYTHON = Path(os.environ.get("TOOLWRIGHT_VLLM_PYTHON", Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"))
TIE = 1e-3
Served = tuple[str, "subprocess.Popen[bytes]"]
NEW = 64


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, log: Path, port: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "",
    }
    flags = ["--dtype", "float32", "--host", "127.0.0.1", "--port", str(port), "--enforce-eager", "--served-model-name", "small"]
    # A session of its own, so that its workers can be ended with it.
    with log.open("wb") as stream:
        return subprocess.Popen(
            [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), *flags],
            env=environment,
            cwd=log.parent,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


@pytest.fixture(scope="module")
def folder(tiny_model: Path) -> Path:
    if named := os.environ.get("TOOLWRIGHT_SERVER_MODEL"):
        return Path(named)
    embedded = Path(str(files("toolwright") / "embedded" / "nano"))
    return embedded if (embedded / "config.json").is_file() else tiny_model


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if not PYTHON.is_file():
        pytest.skip(f"no {PYTHON}: run scripts/setup-vllm")
    log, port = tmp_path_factory.mktemp("vllm") / "log.txt", free_port()
    process = start(folder, log, port)
    try:
        deadline = time.monotonic() + 300
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"vLLM did not start:\n{log.read_text(errors='replace')[-3000:]}")
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1", process
    finally:
        stop(process)


def problems(count: int) -> list[Prompt]:
    source = random.Random(2)
    names, things = ["Ana", "Jürgen", "Mei", "Omar"], ["apples", "stamps", "marbles", "Bücher"]
    made = []
    for _ in range(count):
        name, thing, a, b, c = source.choice(names), source.choice(things), *source.choices(range(2, 900), k=3)
        made.append(Prompt((Message("user", f"{name} has {a} {thing}, buys {b} more and gives {c} away. How many {thing} are left?"),)))
    return made


async def drawn(engine: HFEngine | OpenAIEngine, prompts: list[Prompt], params: SamplingParams) -> list[Completion]:
    return [completion for (completion,) in await asyncio.gather(*(engine.sample(p, n=1, params=params, seed=3) for p in prompts))]


def margin(engine: HFEngine, ids: tuple[int, ...]) -> float:
    """By how much the best next token beats the second, in natural log."""
    with torch.inference_mode():
        best = engine.model(input_ids=torch.tensor([ids])).logits[0, -1].float().log_softmax(-1).topk(2).values
    return float(best[0] - best[1])


def test_fifty_problems_read_the_same_in_process_and_served(server: Served, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def both() -> tuple[HFEngine, list[Completion], list[Completion]]:
        ours, theirs = HFEngine.load(folder), OpenAIEngine(server[0])
        can = await theirs.capabilities()
        assert can.token_ids and can.logps and can.prefill
        params = SamplingParams(max_new_tokens=NEW, temperature=0)
        prompts = problems(50)
        pair = ours, await drawn(ours, prompts, params), await drawn(theirs, prompts, params)
        await ours.aclose()
        await theirs.aclose()
        return pair

    engine, here, there = asyncio.run(both())
    same, ties, worst, tokens = 0, 0, 0.0, 0
    for one, other in zip(here, there, strict=True):
        assert one.prompt_token_ids == other.prompt_token_ids
        assert one.token_ids and one.logps and other.token_ids and other.logps
        shared = next((k for k, (a, b) in enumerate(zip(one.token_ids, other.token_ids, strict=False)) if a != b), min(one.model_tokens, other.model_tokens))
        worst = max([worst, *(abs(a - b) for a, b in zip(one.logps[:shared], other.logps[:shared], strict=True))])
        tokens += shared
        if one.token_ids == other.token_ids:
            assert one.text == other.text
            assert one.finish is other.finish
            same += 1
        else:
            assert margin(engine, (one.prompt_token_ids or ()) + one.token_ids[:shared]) < TIE
            ties += 1
    with capsys.disabled():
        print(f"\n50 problems, {tokens} tokens: {same} equal, {ties} parted at a tie; largest difference of log-probabilities {worst:.1e}")
    assert worst < TIE


def test_samples_stops_spans_and_scores_mean_the_same(server: Served, folder: Path) -> None:
    async def use() -> None:
        ours, theirs = HFEngine.load(folder), OpenAIEngine(server[0])
        asked = problems(1)[0]
        drawing = SamplingParams(max_new_tokens=40, temperature=1.0)
        first = await theirs.sample(asked, n=4, params=drawing, seed=1)
        assert len({c.text for c in first}) > 1
        assert [c.text for c in await theirs.sample(asked, n=4, params=drawing, seed=1)] == [c.text for c in first]
        free = first[0].text
        wanted = next(free[k : k + 2] for k in range(3, len(free) - 2) if "�" not in free[k : k + 2])
        stopped = (await theirs.sample(asked, n=4, params=SamplingParams(max_new_tokens=40, temperature=1.0, stop=(wanted,)), seed=1))[0]
        assert stopped.finish is FinishReason.STOP
        assert stopped.text == free[: free.index(wanted) + len(wanted)]
        greedy = SamplingParams(max_new_tokens=12, temperature=0)
        longer = Prompt(asked.messages, (Span(Provenance.MODEL, stopped.text, stopped.token_ids), Span(Provenance.TOOL, "\n42 Äpfel\n")))
        (here,), (there,) = await ours.sample(longer, n=1, params=greedy, seed=0), await theirs.sample(longer, n=1, params=greedy, seed=0)
        assert here.prompt_token_ids == there.prompt_token_ids
        assert here.token_ids == there.token_ids
        mine, other = await ours.score(asked, "The answer is 42."), await theirs.score(asked, "The answer is 42.")
        assert max(abs(a - b) for a, b in zip(mine, other, strict=True)) < TIE
        (full,) = await theirs.sample(Prompt((Message("user", "many words " * 40_000),)), n=1, params=greedy, seed=0)
        assert full.finish is FinishReason.CONTEXT
        await ours.aclose()
        await theirs.aclose()

    asyncio.run(use())


def test_the_way_of_messages_works_on_the_same_server(server: Served) -> None:
    async def use() -> None:
        engine = OpenAIEngine(server[0])
        await engine.capabilities()
        assert engine._server is not None
        engine._server.token_prompts, engine._server.prefill = False, True
        asked = problems(1)[0]
        (free,) = await engine.sample(asked, n=1, params=SamplingParams(max_new_tokens=40, temperature=1.0), seed=5)
        wanted = next(free.text[k : k + 2] for k in range(3, len(free.text) - 2) if "�" not in free.text[k : k + 2])
        (stopped,) = await engine.sample(asked, n=1, params=SamplingParams(max_new_tokens=40, temperature=1.0, stop=(wanted,)), seed=5)
        assert stopped.finish is FinishReason.STOP
        assert stopped.text == free.text[: free.text.index(wanted) + len(wanted)]
        assert stopped.prompt_tokens
        spans = (Span(Provenance.MODEL, "I have "), Span(Provenance.TOOL, "42"))
        (second,) = await engine.sample(Prompt(asked.messages, spans), n=1, params=SamplingParams(max_new_tokens=8, temperature=1.0), seed=5)
        assert second.prompt_tokens > free.prompt_tokens
        await engine.aclose()

    asyncio.run(use())


def test_a_server_killed_in_the_middle_is_a_fault_that_names_it(folder: Path, tmp_path: Path) -> None:
    if not PYTHON.is_file():
        pytest.skip(f"no {PYTHON}: run scripts/setup-vllm")
    port = free_port()
    process = start(folder, tmp_path / "log.txt", port)
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.5)

        async def use() -> None:
            engine = OpenAIEngine(f"http://127.0.0.1:{port}/v1", retries=2, backoff_s=0.1)
            await engine.capabilities()
            calls = [asyncio.create_task(engine.sample(p, n=2, params=SamplingParams(max_new_tokens=100), seed=1)) for p in problems(30)]
            await asyncio.sleep(0.1)
            await asyncio.to_thread(stop, process)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            faults = [outcome for outcome in outcomes if not isinstance(outcome, list)]
            assert faults
            assert all(isinstance(fault, EngineFault) and str(port) in str(fault) for fault in faults)
            await engine.aclose()

        asyncio.run(use())
    finally:
        stop(process)
