"""ToolV-code: the model writes programs that check a solution, the sandbox runs them, and what they print is the verdict.

For stock models by prompt with worked examples; for the embedded ones, and whatever was distilled, by their own form. Source: T1 (arXiv 2504.04718) §4 and its
appendix D.1. Where we differ:

- a program that crashed, ran out of time or said nothing abstains (there: fails; the switch is `strict`), is shown its error and written once more;
- one that computes nothing, compares written-down numbers or knows a number from nowhere has no say (`_programs`, `_literals`);
- one that says the same whatever the answer is has no say either, which is found out by running it with other numbers (`_crosscheck`);
- ``==`` means mathematical equality (`_sameness`);
- programs are drawn as a cascade: one, and the rest only where it did not say True.

Leaves out checks against documents (`_toolv_facts`), and claims, which stand before it in a list of verifiers because they cost nothing.
"""

from __future__ import annotations

import ast
import asyncio
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Protocol

from toolwright.checks import extract_answer
from toolwright.episodes import Completion, Cost, Engine, Episode, Problem, Prompt, SamplingParams, ToolResult, Verdict, derive_seed, digest
from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox import Outcome, SandboxLimits, SandboxResult
from toolwright.verifiers._crosscheck import Variants, apart, compared_with, runnable, together, variants
from toolwright.verifiers._forms import ChatPrograms, ProgramForm, asked
from toolwright.verifiers._literals import as_number, why_not_worked_out
from toolwright.verifiers._programs import extract_program, printed_verdict, why_no_check
from toolwright.verifiers._toolv_prompt import RULES

_VERSION = 2
_LIMITS = SandboxLimits(wall_s=10.0, cpu_s=5.0)
_TAIL = 400
"""Characters of an error that the model is shown."""


class ProgramRunner(Protocol):
    """What runs the programs; `toolwright.sandbox.Sandbox` is one."""

    async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
        """What became of the program."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a program is to check."""

    problem: Problem
    solution: str
    answer: str | None
    """None where the answer is a letter, which stands in no program."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One program as far as it got."""

    said: bool | None
    result: ToolResult
    trouble: str = ""
    """What to tell the model, where it said nothing."""
    infra: bool = False
    runs: int = 0
    """How often something was run for it."""


class ToolVCode:
    """Passes a solution if any of k programs that the model writes prints True, refutes it if some print False and none True.

    Programs that crash, run out of time, print no verdict or check nothing abstain; if all do, so does the verdict (`strict`: it refutes instead, as in the
    paper). Evidence: one `ToolResult` per program, with `program`, `said`, `repaired` and `computed` (its own result, where that is known) in its `meta`; its
    outcome is the sandbox's, or ``no_program``, ``no_check`` (refused at a look) or ``echo`` (refused by the cross-check), and its text says why.
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
        agree: int = 1,
        cascade: bool = True,
        crosscheck: bool = True,
        max_new_tokens: int = 512,
        limits: SandboxLimits = _LIMITS,
    ) -> None:
        """`repair`: how often a program without a verdict is written again with its error shown, where the form knows how.

        `agree`: so many programs must come to the same other result before they refute; for models whose programs are often wrong. `cascade`: one program
        first, the others only where it does not print True. Raises: UsageError for k < 1, repair < 0, or agree outside 1 to k.
        """
        if not 1 <= agree <= max(k, 1):
            raise UsageError(f"agree = {agree} of k = {k} programs is out of range; give 1 to k")
        if agree > 1 and not crosscheck:
            raise UsageError("programs' own results are only known with the cross-check; leave it on, or agree at 1")
        if k < 1:
            raise UsageError(f"k = {k} programs cannot check anything; give 1 or more")
        if repair < 0:
            raise UsageError(f"repair = {repair} is out of range; give 0 or more")
        self._engine, self._sandbox, self._limits = engine, sandbox, limits
        self._k, self._repair, self._strict, self._cascade, self._crosscheck, self._agree = k, repair, strict, cascade, crosscheck, agree
        self._form = form or ChatPrograms()
        self._params = SamplingParams(max_new_tokens=max_new_tokens, temperature=temperature, stop=self._form.stop)

    @property
    def digest(self) -> str:
        how = (self._k, self._repair, self._strict, self._cascade, self._crosscheck, self._agree, getattr(self._sandbox, "digest", ""))
        return digest("toolv_code", _VERSION, RULES, self._form.name, self._engine.digest, self._params, self._limits, how)

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        """The verdict of up to k programs. Raises: EngineFault; SandboxFault where the sandbox failed and no other program gave a verdict."""
        began = time.monotonic()
        answer = extract_answer(episode.model_text, choices=problem.choices)
        if answer is None:
            return Verdict(None, "There is no answer that a program could check.", self.name)
        prompt = self._form.ask(problem, episode.text)
        about = _Asked(problem, episode.text, None if problem.choices else answer)
        runs: list[_Run] = []
        cost = Cost()
        for number, count in enumerate((1, self._k - 1) if self._cascade else (self._k,)):
            if count < 1 or any(run.said for run in runs):
                break
            replies = await self._engine.sample(prompt, n=count, params=self._params, seed=derive_seed(seed, "toolv", number))
            checks = [self._check(prompt, reply, about, derive_seed(seed, "toolv", len(runs) + i)) for i, reply in enumerate(replies)]
            for run, spent in await asyncio.gather(*checks):
                runs.append(run)
                cost += spent
        return self._conclude(runs, cost + Cost(wall_s=time.monotonic() - began))

    async def _check(self, prompt: Prompt, reply: Completion, about: _Asked, seed: int) -> tuple[_Run, Cost]:
        """The last program written and what it cost, wall time left out."""
        run = await self._run(reply.text, about, seed)
        cost = Cost(reply.prompt_tokens, reply.model_tokens, run.runs)
        for attempt in range(self._repair):
            another = None if run.said is not None or run.infra else self._form.again(prompt, reply.text, run.trouble)
            if another is None:
                break
            prompt = another
            (reply,) = await self._engine.sample(prompt, n=1, params=self._params, seed=derive_seed(seed, "repair", attempt))
            run = await self._run(reply.text, about, seed)
            run = replace(run, result=replace(run.result, meta={**run.result.meta, "repaired": True}))
            cost += Cost(reply.prompt_tokens, reply.model_tokens, run.runs)
        return run, cost

    async def _run(self, reply: str, about: _Asked, seed: int) -> _Run:
        program = extract_program(reply)
        if program is None:
            return _without_verdict("There is no fenced Python program in your reply.", "no_program", None)
        why = why_no_check(program, about.answer)
        why = why or why_not_worked_out(ast.parse(program), question=asked(about.problem), solution=about.solution)
        if why is not None:
            return _without_verdict(why, "no_check", program)
        if not self._crosscheck:
            done = await self._sandbox.run(runnable(program), limits=self._limits, seed=seed)
            return _as_run(program, done, printed_verdict(done.stdout) if done.ok else None, 1)
        return await self._crosschecked(program, variants(program, answer=about.answer, question=about.problem.question), about.answer, seed)

    async def _crosschecked(self, program: str, changed: Variants, about_answer: str | None, seed: int) -> _Run:
        """The program's run, and those of its variants that its verdict calls for; all in one where the program is plain enough."""
        script = together(changed)
        if script is not None:
            done = await self._sandbox.run(script, limits=self._limits, seed=seed)
            outputs = apart(done.stdout) if done.ok else None
            # Otherwise something in it went wrong: which of them, shows when each runs alone.
            if outputs is not None and len(outputs) == len(changed.programs()):
                text, error = outputs[0]
                done = replace(done, stdout=text or "", outcome=Outcome.OK if text is not None else Outcome.ERROR, error=error or None)
                said = [None if text is None else printed_verdict(text) for text, _ in outputs]
                run = _with_result(_as_run(program, done, said[0], 1), compared_with(done.stderr))
                return run if run.said is None else _unless_echo(run, program, changed, said[1:])
        changed = changed.ready()
        done = await self._sandbox.run(changed.program, limits=self._limits, seed=seed)
        run = _as_run(program, done, printed_verdict(done.stdout) if done.ok else None, 1)
        if run.said is None:
            return run
        # A program that said True answers for the other answer and numbers, one that said False for any answer.
        needed = replace(changed, any_answer=None) if run.said else replace(changed, other_answer=None, other_numbers=())
        results = await asyncio.gather(*(self._sandbox.run(each, limits=self._limits, seed=seed) for each in needed.programs()[1:]))
        if any(each.outcome is Outcome.INFRA for each in results):
            raise SandboxFault("the sandbox failed on the cross-check of a program")
        said = [printed_verdict(each.stdout) if each.ok else None for each in results]
        # A program that said True worked the answer out; the other one was just asked what it has instead.
        told = about_answer if run.said else compared_with(results[0].stderr) if needed.any_answer is not None else None
        return _unless_echo(replace(_with_result(run, told), runs=1 + len(said)), program, needed, said)

    def _conclude(self, runs: list[_Run], cost: Cost) -> Verdict:
        said = [run.said for run in runs if run.said is not None]
        evidence = tuple(run.result for run in runs)
        silent = [run for run in runs if run.said is None]
        if not said and any(run.infra for run in runs):
            raise SandboxFault(f"the sandbox failed on the checking program: {evidence[0].text}")
        if not said:
            if self._strict:
                return Verdict(0.0, f"None of {_programs(len(runs))} confirmed the answer.", self.name, evidence, cost)
            return Verdict(None, f"None of {_programs(len(runs))} gave a verdict: {runs[0].trouble}", self.name, evidence, cost)
        without = f" {_programs(len(silent))} had no say: {silent[0].trouble}" if silent else ""
        if any(said):
            return Verdict(1.0, f"{_programs(sum(said), of=len(runs))} found the answer right.{without}", self.name, evidence, cost)
        results = Counter(_canonical(run.result.meta.get("computed")) for run in runs if run.said is False)
        del results[None]
        if self._agree > 1 and max(results.values(), default=0) < self._agree:
            told = ", ".join(sorted(filter(None, results))) or "nothing that could be read"
            return Verdict(
                None, f"{_programs(len(said), of=len(runs))} found the answer wrong, but they do not agree: {told}.{without}", self.name, evidence, cost
            )
        return Verdict(0.0, f"{_programs(len(said), of=len(runs))} found the answer wrong.{without}", self.name, evidence, cost)


def _canonical(result: str | None) -> str | None:
    """A result as it is counted: numbers by their value."""
    value = as_number(result) if result is not None else None
    return result if value is None else str(value)


def _as_run(program: str, done: SandboxResult, said: bool | None, runs: int) -> _Run:
    text = done.stdout.strip() if done.ok else done.error or done.stderr.strip() or done.outcome.value
    meta = {"program": program, "said": said, "repaired": False}
    result = ToolResult(text[-_TAIL:], done.ok, done.outcome.value, "python", done.wall_s, meta)
    return _Run(said, result, _trouble(done), done.outcome is Outcome.INFRA, runs)


def _with_result(run: _Run, computed: str | None) -> _Run:
    """The run with what the program itself worked out."""
    return replace(run, result=replace(run.result, meta={**run.result.meta, "computed": computed}))


def _unless_echo(run: _Run, program: str, changed: Variants, said: list[bool | None]) -> _Run:
    """The run, or one without a verdict where the variants show that it would say so anyway. `said`: of the variants, in their order; None for one that failed,
    which is something else too.
    """
    left = iter(said)
    other = next(left) if changed.other_answer is not None else None
    anything = next(left) if changed.any_answer is not None else None
    numbers = list(left)
    why = ""
    if run.said and other is True:
        why = "It says True of another answer too."
    elif run.said and numbers and all(each is True for each in numbers):
        why = "It says True whatever the question's numbers are."
    elif run.said is False and anything is False:
        why = "It says False of every answer."
    return replace(_without_verdict(why, "echo", program), runs=run.runs) if why else run


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
