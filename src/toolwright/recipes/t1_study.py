"""T1 in full on held-out word problems: what tools and reward models add to a small model at test time, stage by stage, and what each gain is due to.

``toolwright reproduce t1`` draws N samples of each problem from pico in the text dialect (the arithmetic is done in the head, so it goes wrong; so does the
plan), lets every verifier judge every sample apart, and then lets every combination of verifiers and strategies choose from the same samples. Beside it stand
the greedy answers of nano, and controls for the easy explanations of a gain.

Everything is drawn through one run store, in chunks of whole problems: a run that is stopped has measured its first problems in full, and the same command
goes on. The tables are made from what is stored. Source: T1 (arXiv 2504.04718). Leaves out how tables and claims are made (`_t1_tables`, `_t1_claims`), and
adaptive sampling with thresholds of its own (`adaptive_study`).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toolwright.episodes import Problem, RunStore, SamplingParams, Verdict, Verifier
from toolwright.errors import UsageError
from toolwright.recipes._cast import Cast, Roles, open_cast
from toolwright.recipes._controls import HalfForm, RememberingEngine, Shown, displaced, own_answers
from toolwright.recipes._judged import JudgedPool, judged_pools
from toolwright.recipes._results import result
from toolwright.recipes._t1_arms import of_seed
from toolwright.recipes._t1_claims import claims
from toolwright.recipes._t1_costs import timed
from toolwright.recipes._t1_tables import reward_model, tables
from toolwright.rollouts import Rollout
from toolwright.sandbox import FaultySandbox, Sandbox, SandboxBackend
from toolwright.tasks import Dial, load
from toolwright.tools import PythonTool
from toolwright.verifiers import ClaimsVerifier, GenRM, StepRM, ToolVCode

PARAMS = SamplingParams(max_new_tokens=320, temperature=0.8)
PROGRAM_TOKENS = 200
CHUNK = 8
"""Problems drawn and judged at a time."""
HALVES: tuple[Shown, ...] = ("question", "solution", "answer")
LIES = (0.01, 0.05, 0.2)
CELLS: tuple[tuple[int, int, str], ...] = (
    *((digits, steps, "templates") for steps in (1, 2, 3) for digits in (2, 3)),
    (3, 3, "compositions"),
)
"""(digits, steps, what is new): where a small model's errors are about half of the plan and half of the arithmetic."""
GRID: tuple[tuple[int, int, str], ...] = (
    *((digits, steps, "templates") for steps in (1, 2, 3, 4) for digits in (2, 3, 4, 5)),
    *((digits, 3, "compositions") for digits in (2, 3, 4, 5)),
)
"""Digits × steps in full, with the cells where nothing helps."""
PAPER_PROGRAMS, PAPER_RATIONALES = 4, 8
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured."""

    problems: int = 100
    samples: int = 64
    """N, of the small model."""
    beside_samples: int = 8
    """Of the larger model, for its majority and for T1 on it; 0 leaves both out."""
    controls: int = 40
    """How many of the problems the controls are measured on."""
    validation: int = 40
    """Problems of the validation split, on which the reward model is chosen."""
    validation_samples: int = 16
    programs: int = 1
    """Checking programs per sample (the paper: 4, any True passes)."""
    lying: tuple[float, ...] = ()
    """Shares of calls in which the calculator lies."""
    tools: bool = True
    """Whether both models also answer with the interpreter while they write."""
    timed: int = 0
    """Problems on which strategies are run from nothing, one after the other, for their wall time."""
    cells: tuple[tuple[int, int, str], ...] = CELLS
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("problems", "samples", "validation_samples", "programs"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} = {getattr(self, name)}, but at least 1 is needed")
        if wrong := [share for share in self.lying if not 0 < share <= 1]:
            raise UsageError(f"a calculator cannot lie in a share of {wrong[0]} of its calls; give shares above 0 and up to 1")
        if not self.cells:
            raise UsageError("no cells to draw problems from")


@dataclass(slots=True)
class Drawn:
    """Everything that was drawn and judged."""

    pools: list[JudgedPool] = field(default_factory=list)
    beside: list[JudgedPool] = field(default_factory=list)
    tools: dict[str, list[JudgedPool]] = field(default_factory=dict)
    """With the interpreter, by the name of the model; with a lying one, by ``NAME lying SHARE``."""
    solver: dict[str, list[JudgedPool]] = field(default_factory=dict)
    """Of the generator that was taught the teacher's solutions, on the problems of the controls, by dialect."""
    displaced: list[list[Verdict]] = field(default_factory=list)
    own: list[str | None] = field(default_factory=list)
    """What the checking programs of each control problem worked out themselves."""
    controls: int = 0
    """How many of the pools have the controls' verdicts."""
    validation: list[JudgedPool] = field(default_factory=list)
    timing: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = True


def problems_of(cells: Sequence[tuple[int, int, str]], count: int, *, split: str = "test") -> tuple[Problem, ...]:
    """The first `count` problems over the cells in turn, so that every beginning holds all cells alike; `meta` says which cell."""
    each = -(-count // len(cells))
    drawn = []
    for digits, steps, novelty in cells:
        dial = Dial(digits=digits, steps=steps, novelty="compositions" if novelty == "compositions" else "templates")
        task = load("wordproblems", dial=dial, count=each, split=split)
        drawn.append([Problem(p.id, p.question, p.gold, p.choices, {**p.meta, "cell": f"{digits} digits, {steps} steps, {novelty}"}) for p in task.problems])
    return tuple(row[i] for i in range(each) for row in drawn)[:count]


def measure(
    model: str = "pico",
    *,
    store: Path,
    beside: str | None = "nano",
    settings: Settings | None = None,
    roles: Sequence[Path] = (),
    also: Mapping[str, Path] | None = None,
    solver: Path | None = None,
    max_minutes: float | None = None,
    cast: Cast | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """The result; the same call goes on from what the store holds.

    Args:
        model: whose samples are checked.
        store: the run folder.
        beside: the larger model.
        settings: what is measured.
        roles: folders of its roles, one a training seed; the packaged ones where none is given.
        also: adapters of other program writers (a noisy teacher's), by name.
        solver: an adapter of the generator that was taught what the roles' teacher knows (`toolwright distill --role solve`).
        max_minutes: when to stop drawing.
        cast: for tests.
        tell: called with a line of progress.

    Raises: UsageError where a role is missing, or the time was not enough for one chunk of problems.
    """
    settings, started = settings or Settings(), time.monotonic()
    until = None if max_minutes is None else started + 60 * max_minutes
    playing = cast or open_cast(model, beside, roles=roles, others=also, solver=solver)
    drawn = asyncio.run(_draw(playing, settings, store, until, tell or _to_stderr))
    if not drawn.pools:
        raise UsageError("the time was not enough for the first problems; what was drawn is stored, so give --max-minutes more and run the same command again")
    command = _command(model, beside, settings) + _told_adapters(roles, also or {}, solver)
    found = tables(playing, drawn, settings)
    return result(command, seconds=time.monotonic() - started, seeds=[settings.seed], models=playing.models, tables=found, claims=claims(found))


def _command(model: str, beside: str | None, settings: Settings) -> str:
    lying = f" --lying {','.join(f'{share:g}' for share in settings.lying)}" if settings.lying else ""
    counts = f"--problems {settings.problems} -n {settings.samples} --controls {settings.controls} --validation {settings.validation}"
    more = f"{' --grid' if settings.cells == GRID else ''}{lying}{f' --timed {settings.timed}' if settings.timed else ''}"
    names = f"--model {Path(model).name} --beside {Path(beside).name if beside else 'none'}"
    return f"toolwright reproduce t1 {names} {counts} --programs {settings.programs}{more}"


def _told_adapters(roles: Sequence[Path], also: Mapping[str, Path], solver: Path | None) -> str:
    """The adapters as a command names them: folders by their last part, for results hold no paths."""
    told = [f" --roles {folder.name}" for folder in roles] + [f" --also {name}={folder.name}" for name, folder in also.items()]
    return "".join(told) + (f" --solver {solver.name}" if solver is not None else "")


def verifiers_of(cast: Cast, sandbox: SandboxBackend, settings: Settings) -> dict[str, Verifier]:
    """The verifiers that judge every sample, those of other training seeds too."""
    found: dict[str, Verifier] = {"claims": ClaimsVerifier()}
    for number, roles in enumerate((Roles(cast.verify, cast.judge), *cast.seeds)):
        found |= {of_seed(name, number): verifier for name, verifier in _played(cast, roles, sandbox, settings).items()}
    return found


def beside_verifiers(cast: Cast, sandbox: SandboxBackend, settings: Settings) -> dict[str, Verifier]:
    """What judges the samples of the larger model: claims, and its own roles where it has any."""
    roles = {} if cast.beside_roles is None else _played(cast, cast.beside_roles, sandbox, settings)
    return {"claims": ClaimsVerifier(), **roles} if settings.beside_samples else {}


def paper_verifiers(cast: Cast, sandbox: SandboxBackend, settings: Settings) -> dict[str, Verifier]:
    """The paper's full setting: four programs for every sample, a program that gave no verdict fails, eight rationales where the judge writes any."""
    tokens = PROGRAM_TOKENS if cast.tagged else 512
    toolv = ToolVCode(cast.verify, sandbox, form=cast.programs, k=PAPER_PROGRAMS, repair=0, strict=True, cascade=False, crosscheck=False, max_new_tokens=tokens)
    return {"toolv": toolv, "genrm": GenRM(cast.judge, form=cast.judgements, rationales=PAPER_RATIONALES)}


def _played(cast: Cast, roles: Roles, sandbox: SandboxBackend, settings: Settings) -> dict[str, Verifier]:
    return {
        "toolv": _toolv(cast, sandbox, settings, engine=roles.verify),
        "genrm": GenRM(roles.judge, form=cast.judgements),
        "prm": StepRM(roles.judge, form=cast.steps, reduction="min"),
    }


def _toolv(cast: Cast, sandbox: SandboxBackend, settings: Settings, *, shown: Shown | None = None, engine: Any = None, crosscheck: bool = True) -> ToolVCode:
    form = cast.programs if shown is None else HalfForm(cast.programs, shown)
    tokens = PROGRAM_TOKENS if cast.tagged else 512
    return ToolVCode(engine or cast.verify, sandbox, form=form, k=settings.programs, max_new_tokens=tokens, crosscheck=crosscheck)


def _control_verifiers(cast: Cast, sandbox: SandboxBackend, settings: Settings) -> dict[str, Verifier]:
    """More verifiers, for the problems of the controls."""
    found: dict[str, Verifier] = {f"toolv, {shown} only": _toolv(cast, sandbox, settings, shown=shown) for shown in HALVES}
    found |= {f"toolv, {name}": _toolv(cast, sandbox, settings, engine=engine) for name, engine in cast.others.items()}
    # Without the cross-check, which asks the same calculator several things at once: a lie must fall on the verdict.
    for share in (0.0, *settings.lying) if settings.lying else ():
        found[f"toolv, lying {share:g}"] = _toolv(cast, FaultySandbox(sandbox, lying=share, seed=settings.seed), settings, crosscheck=False)
    return found


async def _draw(cast: Cast, settings: Settings, store: Path, until: float | None, tell: Tell) -> Drawn:
    cast = replace(cast, verify=RememberingEngine(cast.verify))
    drawn = Drawn()
    try:
        with RunStore(store) as kept:
            async with Sandbox(allow_degraded=True) as sandbox:
                try:
                    async with asyncio.timeout(None if until is None else max(0.0, until - time.monotonic())):
                        await _Drawing(cast, settings, kept, sandbox, tell, drawn).run()
                except TimeoutError:
                    drawn.complete = False
                    tell(f"time is up after {len(drawn.pools)} of {settings.problems} problems; the same command goes on from there")
    finally:
        await cast.aclose()
    return drawn


class _Drawing:
    """One run: chunk by chunk, into what is given."""

    def __init__(self, cast: Cast, settings: Settings, store: RunStore, sandbox: SandboxBackend, tell: Tell, drawn: Drawn) -> None:
        self._cast, self._settings, self._store, self._sandbox, self._tell, self._drawn = cast, settings, store, sandbox, tell, drawn
        self._rollout = Rollout(cast.generator, params=PARAMS)
        self._verifiers = verifiers_of(cast, sandbox, settings)
        self._beside_verifiers = beside_verifiers(cast, sandbox, settings)
        self._controls = _control_verifiers(cast, sandbox, settings)

    async def run(self) -> None:
        settings = self._settings
        problems, began = problems_of(settings.cells, settings.problems), time.monotonic()
        for start in range(0, len(problems), CHUNK):
            # The controls' problems come first, in chunks of their own, so that a chunk is wholly one or the other.
            await self._chunk(problems[start : start + CHUNK], controls=start < settings.controls)
            done = len(self._drawn.pools)
            left = (time.monotonic() - began) / done * (len(problems) - done)
            self._tell(f"{done} of {len(problems)} problems, about {left / 60:.0f} min left of these")
            if start == 0 or done == len(problems):
                await self._validate()
        await self._after()

    async def _validate(self) -> None:
        settings = self._settings
        if settings.validation and not self._drawn.validation:
            problems = problems_of([c for c in settings.cells if c[2] == "templates"] or settings.cells, settings.validation, split="validation")
            rewards = {name: each for name, each in self._verifiers.items() if name.startswith(("genrm", "prm"))}
            n = settings.validation_samples
            self._drawn.validation = await judged_pools(problems, self._rollout, rewards, self._store, n=n, run_seed=settings.seed)

    async def _chunk(self, problems: Sequence[Problem], *, controls: bool) -> None:
        """Draw and judge some problems; they count once all of it is there."""
        settings, seed = self._settings, self._settings.seed
        verifiers = self._verifiers | (self._controls if controls else {})
        pools = await judged_pools(problems, self._rollout, verifiers, self._store, n=settings.samples, run_seed=seed)
        beside: list[JudgedPool] = []
        if self._cast.beside is not None:
            large = Rollout(self._cast.beside, params=PARAMS)
            beside = await judged_pools(problems, large, self._beside_verifiers, self._store, n=settings.beside_samples, run_seed=seed)
        tools = await self._with_tools(problems, lying=controls) if settings.tools else {}
        solver = await self._with_solver(problems) if controls else {}
        self._drawn.pools += pools
        self._drawn.beside += beside
        for name, found in tools.items():
            self._drawn.tools.setdefault(name, []).extend(found)
        for dialect, found in solver.items():
            self._drawn.solver.setdefault(dialect, []).extend(found)
        self._drawn.controls += len(problems) if controls else 0

    async def _with_solver(self, problems: Sequence[Problem]) -> dict[str, list[JudgedPool]]:
        """The generator that was taught the teacher's solutions, with as many samples as it would have under T1; nobody checks it."""
        if self._cast.solver is None:
            return {}
        heads = Rollout(self._cast.solver, params=PARAMS)
        found = {"text": await judged_pools(problems, heads, {}, self._store, n=self._settings.samples, run_seed=self._settings.seed)}
        return found | {"retool": await self._interpreted(problems, self._cast.solver, self._sandbox, self._settings.beside_samples)}

    async def _with_tools(self, problems: Sequence[Problem], *, lying: bool) -> dict[str, list[JudgedPool]]:
        """Both models with the interpreter at hand; the small one also with one that lies."""
        found, settings = {}, self._settings
        players = [(self._cast.name, self._cast.generator)] + ([(self._cast.beside_name or "beside", self._cast.beside)] if self._cast.beside else [])
        for name, engine in players:
            found[name] = await self._interpreted(problems, engine, self._sandbox, settings.beside_samples)
        for share in settings.lying if lying else ():
            liar = FaultySandbox(self._sandbox, lying=share, seed=settings.seed)
            found[f"{self._cast.name} lying {share:g}"] = await self._interpreted(problems, self._cast.generator, liar, settings.beside_samples)
        return found

    async def _interpreted(self, problems: Sequence[Problem], engine: Any, sandbox: SandboxBackend, n: int) -> list[JudgedPool]:
        rollout = Rollout(engine, dialect="retool", tools=(PythonTool(sandbox),), params=PARAMS)
        return await judged_pools(problems, rollout, {}, self._store, n=n, run_seed=self._settings.seed)

    async def _after(self) -> None:
        """What needs all pools: solutions of other problems, the programs' own answers, wall times."""
        drawn, settings = self._drawn, self._settings
        controls = drawn.pools[: drawn.controls]
        if len(controls) > 1:
            drawn.displaced = await displaced(controls, self._verifiers["toolv"], self._rollout, self._store, run_seed=settings.seed)
        drawn.own = [await own_answers(pool, "toolv", self._sandbox) for pool in controls]
        if settings.timed:
            rm, _ = reward_model(drawn.validation, 1 + len(self._cast.seeds))
            paper = paper_verifiers(self._cast, self._sandbox, settings)
            drawn.timing = await timed(self._cast, self._verifiers, paper, drawn.pools[: settings.timed], settings, self._rollout, rm)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
