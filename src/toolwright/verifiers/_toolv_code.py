"""ToolV-code: the model writes programs that check a solution, the sandbox runs them, and what they print is the verdict.

For stock models, by prompt with worked examples; no training. Source: T1 (arXiv 2504.04718) §4 and its appendix D.1. We differ in three ways: a program
that crashed or said nothing abstains (there: fails; the switch is `strict`), a program that computes nothing has no say, and one that failed is shown its
error and written once more. Leaves out distilled ToolV adapters and checks against documents.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Protocol

from toolwright.checks import extract_answer
from toolwright.episodes import Completion, Cost, Engine, Episode, Problem, Prompt, SamplingParams, ToolResult, Verdict, derive_seed, digest
from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox import Outcome, SandboxLimits, SandboxResult
from toolwright.verifiers._forms import ChatPrograms, ProgramForm
from toolwright.verifiers._programs import extract_program, printed_verdict, why_no_check
from toolwright.verifiers._toolv_prompt import RULES

_VERSION = 1
_LIMITS = SandboxLimits(wall_s=10.0, cpu_s=5.0)
_TAIL = 400
"""Characters of an error that the model is shown."""


class ProgramRunner(Protocol):
    """What runs the programs; `toolwright.sandbox.Sandbox` is one."""

    async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
        """What became of the program."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One program as far as it got."""

    said: bool | None
    result: ToolResult
    trouble: str = ""
    """What to tell the model, where it said nothing."""
    infra: bool = False


class ToolVCode:
    """Passes a solution if any of k programs that the model writes prints True, refutes it if some print False and none True.

    Programs that crash, run out of time, print no verdict or compute nothing abstain; if all do, so does the verdict (`strict`: it refutes instead, as in the
    paper). Evidence: one `ToolResult` per program, with `program`, `said` and `repaired` in its `meta`.
    """

    name = "toolv_code"

    def __init__(
        self,
        engine: Engine,
        sandbox: ProgramRunner,
        *,
        form: ProgramForm | None = None,
        k: int = 1,
        temperature: float = 0.6,
        repair: int = 1,
        strict: bool = False,
        max_new_tokens: int = 512,
        limits: SandboxLimits = _LIMITS,
    ) -> None:
        """`repair`: how often a program without a verdict is written again with its error shown. Raises: UsageError for k < 1 or repair < 0."""
        if k < 1:
            raise UsageError(f"k = {k} programs cannot check anything; give 1 or more")
        if repair < 0:
            raise UsageError(f"repair = {repair} is out of range; give 0 or more")
        self._engine, self._sandbox, self._limits = engine, sandbox, limits
        self._k, self._repair, self._strict = k, repair, strict
        self._form = form or ChatPrograms()
        self._params = SamplingParams(max_new_tokens=max_new_tokens, temperature=temperature, stop=self._form.stop)

    @property
    def digest(self) -> str:
        return digest("toolv_code", _VERSION, RULES, self._form.name, self._engine.digest, self._params, self._limits, self._k, self._repair, self._strict)

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        """The verdict of k programs. Raises: EngineFault; SandboxFault where the sandbox failed and no other program gave a verdict."""
        began = time.monotonic()
        answer = extract_answer(episode.model_text, choices=problem.choices)
        if answer is None:
            return Verdict(None, "There is no answer that a program could check.", self.name)
        prompt = self._form.ask(problem, episode.text)
        # A solution is checked for its number; a letter of a multiple-choice answer stands in no program.
        sought = None if problem.choices else answer
        replies = await self._engine.sample(prompt, n=self._k, params=self._params, seed=derive_seed(seed, "toolv"))
        checks = [self._check(prompt, reply, sought, derive_seed(seed, "toolv", i)) for i, reply in enumerate(replies)]
        outcomes = await asyncio.gather(*checks)
        runs = [run for run, _ in outcomes]
        cost = sum((cost for _, cost in outcomes), Cost(wall_s=time.monotonic() - began))
        return self._conclude(runs, cost)

    async def _check(self, prompt: Prompt, reply: Completion, answer: str | None, seed: int) -> tuple[_Run, Cost]:
        """The last program written and what it cost, wall time left out."""
        run = await self._run(reply.text, answer, seed)
        cost = Cost(reply.prompt_tokens, reply.model_tokens, int(run.result.outcome != "no_program"))
        for attempt in range(self._repair):
            if run.said is not None or run.infra:
                break
            another = self._form.again(prompt, reply.text, run.trouble)
            if another is None:
                break
            prompt = another
            (reply,) = await self._engine.sample(prompt, n=1, params=self._params, seed=derive_seed(seed, "repair", attempt))
            run = await self._run(reply.text, answer, seed)
            run = replace(run, result=replace(run.result, meta={**run.result.meta, "repaired": True}))
            cost += Cost(reply.prompt_tokens, reply.model_tokens, int(run.result.outcome != "no_program"))
        return run, cost

    async def _run(self, reply: str, answer: str | None, seed: int) -> _Run:
        program = extract_program(reply)
        if program is None:
            return _without_verdict("There is no fenced Python program in your reply.", "no_program", None)
        if (why := why_no_check(program, answer)) is not None:
            return _without_verdict(why, "no_program", program)
        done = await self._sandbox.run(program, limits=self._limits, seed=seed)
        said = printed_verdict(done.stdout) if done.ok else None
        meta = {"program": program, "said": said, "repaired": False}
        text = done.stdout.strip() if done.ok else done.error or done.stderr.strip() or done.outcome.value
        result = ToolResult(text[-_TAIL:], done.ok, done.outcome.value, "python", done.wall_s, meta)
        return _Run(said, result, _trouble(done), done.outcome is Outcome.INFRA)

    def _conclude(self, runs: list[_Run], cost: Cost) -> Verdict:
        said = [run.said for run in runs if run.said is not None]
        evidence = tuple(run.result for run in runs)
        if not said and any(run.infra for run in runs):
            raise SandboxFault(f"the sandbox failed on the checking program: {evidence[0].text}")
        if not said:
            if self._strict:
                return Verdict(0.0, f"None of {_programs(len(runs))} confirmed the answer.", self.name, evidence, cost)
            return Verdict(None, f"None of {_programs(len(runs))} gave a verdict: {runs[0].trouble}", self.name, evidence, cost)
        if any(said):
            return Verdict(1.0, f"{_programs(sum(said), of=len(runs))} found the answer right.", self.name, evidence, cost)
        return Verdict(0.0, f"{_programs(len(said), of=len(runs))} found the answer wrong.", self.name, evidence, cost)


def _without_verdict(trouble: str, outcome: str, program: str | None) -> _Run:
    return _Run(None, ToolResult(trouble, False, outcome, "python", meta={"program": program, "said": None, "repaired": False}), trouble)


def _trouble(done: SandboxResult) -> str:
    """What went wrong with a run, as the model is told it."""
    if done.ok:
        return f"It printed {done.stdout.strip()[-_TAIL:]!r}, which is neither True nor False." if done.stdout.strip() else "It printed nothing."
    if done.outcome in (Outcome.TIMEOUT_CPU, Outcome.TIMEOUT_WALL):
        return "It ran out of time."
    return f"It failed: {(done.error or done.stderr.strip() or done.outcome.value)[-_TAIL:]}"


def _programs(count: int, *, of: int | None = None) -> str:
    total = count if of is None else of
    noun = "checking program" if total == 1 else "checking programs"
    return f"{count} {noun}" if of is None or of == count else f"{count} of {of} {noun}"
