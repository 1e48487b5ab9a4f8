"""Controls of the T1 study: what decides whether a gain is due to a tool that reads question and solution, or to something cheaper.

A verifier that is shown half of what it needs, a solution of another problem, a filter that refutes as often and at random, the checking programs' own answers
taken directly, and a checker that lies. Leaves out how they are compared (`t1_study`).
"""

from __future__ import annotations

import ast
import asyncio
import random
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from toolwright.episodes import Capabilities, Completion, Engine, Episode, Problem, Prompt, RunStore, SamplingParams, Verdict, Verifier, derive_seed
from toolwright.errors import EpisodeFault
from toolwright.recipes._judged import JudgedPool
from toolwright.rollouts import Rollout
from toolwright.sandbox import SandboxBackend
from toolwright.scaling import Candidate, StoredVerifier, judge_each
from toolwright.verifiers import ProgramForm, runnable

Shown = Literal["question", "solution", "answer"]
DISPLACED = 8
"""Solutions of another problem that are put to the verifier."""
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class HalfForm:
    """A program form that shows the model only the question, only the solution, or the question with nothing but the solution's last line."""

    form: ProgramForm
    shown: Shown

    @property
    def name(self) -> str:
        return f"{self.form.name}, {self.shown} only"

    @property
    def stop(self) -> tuple[str, ...]:
        return self.form.stop

    def ask(self, problem: Problem, solution: str) -> Prompt:
        """The prompt, without what is withheld."""
        if self.shown == "solution":
            return self.form.ask(Problem(problem.id, ""), solution)
        return self.form.ask(problem, "" if self.shown == "question" else (solution.strip().splitlines() or [""])[-1])

    def again(self, prompt: Prompt, reply: str, trouble: str) -> Prompt | None:
        """The prompt for another program."""
        return self.form.again(prompt, reply, trouble)


class RememberingEngine:
    """An engine that draws equal requests once, so that verifiers that differ only in what runs the programs cost one of them."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self._drawn: OrderedDict[tuple[Prompt, int, SamplingParams, int], asyncio.Task[list[Completion]]] = OrderedDict()

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def digest(self) -> str:
        return self._inner.digest

    async def capabilities(self) -> Capabilities:
        """What the engine can do."""
        return await self._inner.capabilities()

    async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
        """The continuations; those of an equal request before, where there was one."""
        key = (prompt, n, params, seed)
        if key not in self._drawn:
            self._drawn[key] = asyncio.ensure_future(self._inner.sample(prompt, n=n, params=params, seed=seed))
            while len(self._drawn) > _REMEMBERED:
                self._drawn.popitem(last=False)
        try:
            return await asyncio.shield(self._drawn[key])
        except EpisodeFault:
            # A fault is no sample: the next request tries again.
            self._drawn.pop(key, None)
            raise

    async def score(self, prompt: Prompt, continuation: str) -> tuple[float, ...]:
        """The log-probabilities of a continuation."""
        return await self._inner.score(prompt, continuation)

    async def aclose(self) -> None:
        """Free the engine."""
        await self._inner.aclose()


async def displaced(
    pools: Sequence[JudgedPool], verifier: Verifier, rollout: Rollout, store: RunStore, *, run_seed: int = 0, most: int = DISPLACED
) -> list[list[Verdict]]:
    """What a verifier says of solutions of another problem, for each problem: all of them are wrong there, and it should say so.

    The other problem is the next one with another gold answer; its right solutions come first.
    """
    found = []
    for place, pool in enumerate(pools):
        others = [other for other in (*pools[place + 1 :], *pools[:place]) if other.problem.gold != pool.problem.gold]
        texts = {} if not others else {c.text_key: c for c in others[0].candidates if c.votes and pool.right(c.answer) is False}
        ordered = sorted(texts.values(), key=lambda c: others[0].right(c.answer) is not True)[:most]
        stored = StoredVerifier(verifier, store, rollout, run_seed=run_seed)
        asked = pool.problem.asked()
        judged = await asyncio.gather(*(judge_each(asked, _moved(c, asked), [stored], seed=run_seed) for c in ordered))
        found.append([verdict for (verdict,) in judged])
    return found


def _moved(candidate: Candidate, problem: Problem) -> Episode:
    return replace(candidate.episode, problem_id=problem.id)


def shuffled(pool: JudgedPool, name: str, *, seed: int) -> dict[str, Verdict]:
    """The verifier's verdicts on the pool's texts, dealt out at random: as many are refuted, and no tool decided which."""
    known = pool.verdicts[name]
    dealt = list(known.values())
    random.Random(derive_seed("shuffled", seed, pool.problem.id, name)).shuffle(dealt)
    return dict(zip(known, dealt, strict=True))


def own_answer(program: str) -> str | None:
    """A checking program changed to print what it worked out, in place of whether the candidate agrees; None where no such value can be told."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError):
        return None
    written = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_number(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    prints = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print" and len(n.args) == 1]
    for call in reversed(prints):
        sides = [side for side in _sides(call.args[0]) if not _is_number(side) and not (isinstance(side, ast.Name) and side.id in written)]
        if len(sides) == 1:
            call.args = sides
            return ast.unparse(tree)
    return None


def _sides(node: ast.expr) -> list[ast.expr]:
    """The two things that an expression compares; nothing where it is no plain comparison."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
        return [node.left, node.comparators[0]]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute) and len(node.args) >= 2:
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        return list(node.args[:2]) if name in ("same", "isclose") else []
    return []


def _is_number(node: ast.expr) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(inner, ast.Constant) and isinstance(inner.value, int | float)


async def own_answers(pool: JudgedPool, name: str, sandbox: SandboxBackend) -> str | None:
    """The answer that most of the pool's checking programs work out by themselves, each counted as often as its candidate was drawn."""
    weight = Counter(c.text_key for c in pool.candidates if c.usable)
    programs: Counter[str] = Counter()
    for key, verdict in pool.verdicts[name].items():
        for result in verdict.evidence:
            if (changed := own_answer(result.meta.get("program") or "")) is not None:
                programs[changed] += weight[key]
    done = await asyncio.gather(*(sandbox.run(runnable(program)) for program in programs))
    votes: Counter[str] = Counter()
    for ran, count in zip(done, programs.values(), strict=True):
        if ran.ok and (number := _number(ran.stdout)) is not None:
            votes[number] += count
    return votes.most_common(1)[0][0] if votes else None


def _number(text: str) -> str | None:
    lines = text.strip().splitlines()
    try:
        value = Fraction(lines[-1].strip()) if lines else None
    except (ValueError, ZeroDivisionError):
        return None
    return None if value is None else str(value)
