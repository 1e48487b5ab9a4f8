"""An evaluation whose engine writes down every sample it draws; run as a script by the kill test.

python evaluation_run.py STORE LOG OUT SECONDS_PER_SAMPLE
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import Completion, Problem, Prompt, RunStore, SamplingParams
from toolwright.evaluation import evaluate
from toolwright.rollouts import Rollout
from toolwright.tasks import Task
from toolwright.verifiers import ClaimsVerifier

PROBLEMS = 12
NS = (1, 2, 4, 8)
IN_FLIGHT = 8
SAMPLES = PROBLEMS * (max(NS) + 1)


def task() -> Task:
    problems = tuple(Problem(f"p{i}", f"A box holds {10 + i} pens. How many pens are in 3 boxes?", str(3 * (10 + i))) for i in range(PROBLEMS))
    return Task("pens", problems, "generated")


def replies(prompt: Prompt, seed: int) -> str:
    number = int(prompt.messages[-1].content.split("holds ")[1].split()[0])
    kind = seed % 5
    if kind == 0:
        return f"3 + {number} = {number + 3}.\nThe answer is {number + 3}."
    if kind == 1:
        return f"3 * {number} = {3 * number + 2}.\nThe answer is {3 * number + 2}."
    if kind == 2:
        return "I do not know."
    return f"3 * {number} = {3 * number}.\nThe answer is {3 * number}."


class LoggedEngine(ScriptedEngine):
    """Writes the seed of each sample to a file before it is drawn, so that what a kill loses is counted too."""

    def __init__(self, log: Path, seconds: float) -> None:
        super().__init__(replies, name="logged", faults=Faults(delay_s=seconds))
        self._log = log

    async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
        line = f"{seed} {params.temperature}\n".encode()
        handle = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, line)
        os.close(handle)
        return await super().sample(prompt, n=n, params=params, seed=seed)


def run(store: Path, log: Path, seconds: float) -> dict[str, Any]:
    engine = LoggedEngine(log, seconds)
    with RunStore(store) as opened:
        report = asyncio.run(evaluate(task(), Rollout(engine), [ClaimsVerifier()], ns=NS, store=opened, in_flight=IN_FLIGHT, run_seed=3))
    return report.to_json()


if __name__ == "__main__":
    report = run(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[4]))
    Path(sys.argv[3]).write_text(json.dumps(report), encoding="utf-8")
