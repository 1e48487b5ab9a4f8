"""Evaluating a model on a task: one sampling run, then every strategy and n from it."""

from __future__ import annotations

from collections.abc import Sequence

from toolwright.episodes import Engine, RunStore, Strategy, Verifier
from toolwright.errors import NoUsableEpisode, UsageError
from toolwright.evaluation._cells import Replayable, SamplePool
from toolwright.evaluation._live import run_live
from toolwright.evaluation._progress import OnProgress
from toolwright.evaluation._report import Report
from toolwright.evaluation._sampling import Sampling, SamplingPlan
from toolwright.evaluation._tabulate import tabulate
from toolwright.rollouts import Rollout
from toolwright.scaling import at_temperature, find_strategy, with_second_passes
from toolwright.tasks import Task

STRATEGIES = ("greedy", "majority", "best_of_n", "t1")
NS = (1, 2, 4, 8, 16)


async def evaluate(
    task: Task,
    rollout: Rollout,
    verifiers: Sequence[Verifier] = (),
    strategies: Sequence[str | Strategy] = STRATEGIES,
    ns: Sequence[int] = NS,
    *,
    store: RunStore | None = None,
    run_seed: int = 0,
    progress: OnProgress | None = None,
    in_flight: int = 64,
    subsets: int = 20,
    give_up_after: int = 32,
    baselines: bool = True,
) -> Report:
    """The report of a model on a task.

    Draws max(ns) samples per problem (and one at temperature 0 for strategies that want it), each stored as soon as it is there; samples and verdicts that the
    store has are taken from it. Then every strategy chooses for every n from these same samples: for n below max(ns) over up to `subsets` random subsets per
    problem. Answers are taken from the model's own words. Strategies that need a model (revise, beam) run once per problem and n, from the same store.

    `baselines`: a greedy sample per problem is drawn too, and random, greedy and majority stand beside the strategies.

    `in_flight`: samples in the works at a time; a kill loses these at most. `give_up_after`: that many faults in a row end the run.

    Raises: UsageError for an empty task, problems without gold answers, an unknown strategy, an n below 1; EngineFault where nothing but faults comes back;
    NoUsableEpisode where no problem has a usable sample.
    """
    chosen = named(strategies)
    check_ns(ns)
    if in_flight < 1:
        raise UsageError(f"in_flight = {in_flight} draws nothing; give 1 or more")
    _check_task(task)
    only_greedy = all(getattr(s, "temperature", None) == 0.0 for s in chosen)
    only_live = all(getattr(s, "live", False) for s in chosen)
    samples = 0 if only_greedy or (only_live and not baselines) else max(ns)
    wants_greedy = any(getattr(s, "temperature", None) == 0.0 for s in chosen) or (baselines and samples > 0)
    asked = with_second_passes(verifiers) if any(getattr(s, "second_passes", False) for s in chosen) else verifiers
    plan = SamplingPlan(
        task.problems,
        samples,
        rollout,
        at_temperature(rollout, 0.0) if wants_greedy else None,
        asked,
        run_seed,
        in_flight,
        give_up_after,
        keep_texts=not all(isinstance(s, Replayable) or getattr(s, "live", False) for s in chosen),
    )
    pools = await Sampling(plan, store, progress).run()
    live = await run_live(pools, [s for s in chosen if getattr(s, "live", False)], ns, plan, store)
    report = Report(
        task.name,
        rollout.engine.name,
        samples,
        len(pools),
        run_seed,
        (),
        task_digest=task.digest,
        setup=rollout.setup_digest,
        parameters=parameters_of(rollout.engine),
    )
    report = await tabulate(report, pools, chosen, ns, subsets=subsets, live=live, baselines=baselines)
    if all(row.unusable >= len(pools) for row in report.results):
        raise NoUsableEpisode(f"every sample of {task.name} ended in a fault: {'; '.join(report.fault_reasons)}")
    return report


async def sample_pools(
    task: Task, rollout: Rollout, verifiers: Sequence[Verifier], samples: int, *, store: RunStore | None = None, run_seed: int = 0, in_flight: int = 64
) -> list[SamplePool]:
    """Every problem's samples, judged and clustered: what a report is made from. Raises as `evaluate` does."""
    check_ns([samples])
    _check_task(task)
    plan = SamplingPlan(task.problems, samples, rollout, None, verifiers, run_seed, in_flight, give_up_after=32, keep_texts=False)
    return await Sampling(plan, store, None).run()


def parameters_of(engine: Engine) -> int | None:
    """How many parameters the engine's model has; None where it does not tell."""
    count = getattr(getattr(engine, "model", None), "num_parameters", None)
    return int(count()) if callable(count) else None


def named(strategies: Sequence[str | Strategy]) -> list[Strategy]:
    """The strategies, names looked up. Raises: UsageError for none, an unknown one, or one given twice."""
    if not strategies:
        raise UsageError("no strategy to evaluate; give at least one")
    chosen: list[Strategy] = [find_strategy(s) if isinstance(s, str) else s for s in strategies]
    names = [s.name for s in chosen]
    if len(set(names)) < len(names):
        raise UsageError(f"a strategy stands twice among {', '.join(names)}")
    return chosen


def check_ns(ns: Sequence[int]) -> None:
    """Nothing. Raises: UsageError for no n or an n below 1."""
    if not ns:
        raise UsageError("no n to evaluate at; give at least one, e.g. 1,4,16")
    if wrong := [n for n in ns if n < 1]:
        raise UsageError(f"n = {wrong[0]} samples give no answer; ask for 1 or more")


def _check_task(task: Task) -> None:
    if not task.problems:
        raise UsageError(f"the task {task.name} has no problems")
    ids = [problem.id for problem in task.problems]
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise UsageError(f"the task {task.name} has two problems with the id {twice!r}; ids name samples, so they must differ")
    if without := [problem.id for problem in task.problems if problem.gold is None]:
        raise UsageError(f"{len(without)} problems of {task.name} have no gold answer, the first is {without[0]!r}; give answers, or leave these out")
