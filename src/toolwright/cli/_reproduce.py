"""``toolwright reproduce t1 | adaptive | arithmetic | knowledge | memory | theory``: the papers' claims at small scale here, as data and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from toolwright.cli._options import Json, Samples, Threads, listed
from toolwright.cli._show import print_json, tell
from toolwright.errors import UsageError

reproduce = typer.Typer(help="Measure the papers' claims at small scale here; every run can be stopped and goes on later.", no_args_is_help=True)

Minutes = Annotated[float | None, typer.Option(help="Stop drawing after so long and tell what is there; the same command goes on later.")]
Html = Annotated[Path | None, typer.Option(help="Write the result as a page too: claims, pictures, tables.")]
Write = Annotated[Path | None, typer.Option(help="Write the result as JSON, e.g. results/t1.json.")]
ModelName = Annotated[str, typer.Option("--model", "-m", help="pico or nano with its roles; any other model plays every part by prompt.")]
Roles = Annotated[Path | None, typer.Option(help="A folder with the roles verify and judge, in place of the packaged ones.")]
StudyFolder = Annotated[Path, typer.Option(help="The run folder: what lies there is not drawn again.")]
Seed = Annotated[int, typer.Option(help="Of every draw.")]


@reproduce.command()
def t1(
    model: ModelName = "pico",
    beside: Annotated[str, typer.Option(help="The larger model whose answers stand beside, checked too where it has roles; none for none.")] = "nano",
    problems: Annotated[int, typer.Option(help="Held-out problems, over all cells in turn.")] = 100,
    n: Samples = 64,
    controls: Annotated[int, typer.Option(help="How many of the problems the controls are measured on.")] = 40,
    validation: Annotated[int, typer.Option(help="Validation problems, on which the reward model is chosen.")] = 40,
    programs: Annotated[int, typer.Option(help="Checking programs per sample; the paper draws 4.")] = 1,
    lying: Annotated[str, typer.Option(help="Comma-separated shares of calls in which the calculator lies, e.g. 0.01,0.05,0.2.")] = "",
    also: Annotated[list[str] | None, typer.Option(help="Another adapter that writes programs, as NAME=FOLDER, such as a noisy teacher's.")] = None,
    solver: Annotated[
        Path | None, typer.Option(help="An adapter of the generator that was taught the teacher's solutions (distill --role solve): a control.")
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help="All digits × steps, with the cells where nothing helps.")] = False,
    tools: Annotated[bool, typer.Option(help="Also let both models answer with the interpreter.")] = True,
    timed: Annotated[int, typer.Option(help="Problems on which strategies are run from nothing, for their wall time; on an idle machine.")] = 0,
    roles: Annotated[
        list[Path] | None, typer.Option(help="A folder with the roles verify and judge, in place of the packaged ones; given again: of another training seed.")
    ] = None,
    seed: Seed = 0,
    store: StudyFolder = Path("runs/t1"),
    max_minutes: Minutes = None,
    html: Html = None,
    write: Write = None,
    as_json: Json = False,
) -> None:
    """Tools and reward models at test time, stage by stage, with controls (T1)."""
    from toolwright.recipes import t1_study

    settings = t1_study.Settings(
        problems=problems,
        samples=n,
        controls=min(controls, problems),
        validation=validation,
        programs=programs,
        lying=_shares(lying),
        tools=tools,
        timed=timed,
        cells=t1_study.GRID if grid else t1_study.CELLS,
        seed=seed,
    )
    found = t1_study.measure(
        model,
        store=store,
        beside=None if beside == "none" else beside,
        settings=settings,
        roles=roles or (),
        also=_named(also or []),
        solver=solver,
        max_minutes=max_minutes,
        tell=tell,
    )
    _give("t1", found, html, write, as_json=as_json)


@reproduce.command()
def adaptive(
    model: ModelName = "pico",
    problems: Annotated[int, typer.Option(help="Held-out problems, over all cells in turn: those of the T1 study, and more.")] = 2000,
    validation: Annotated[int, typer.Option(help="Validation problems, on which thresholds are fixed.")] = 300,
    n: Samples = 64,
    verify: Annotated[str, typer.Option(help="Whose verdicts T1's votes stand on: claims, toolv, genrm, prm.")] = "claims,toolv,genrm",
    roles: Roles = None,
    seed: Seed = 0,
    store: Annotated[Path, typer.Option(help="The run folder; the T1 study's serves both.")] = Path("runs/t1"),
    max_minutes: Minutes = None,
    html: Html = None,
    write: Write = None,
    as_json: Json = False,
) -> None:
    """Stops that need fewer samples, against a fixed number and its_hub's Beta stop."""
    from toolwright.recipes import adaptive_study

    found = adaptive_study.measure(
        model,
        store=store,
        problems=problems,
        validation=validation,
        samples=n,
        verify=listed(verify),
        roles=[roles] if roles else (),
        seed=seed,
        max_minutes=max_minutes,
        tell=tell,
    )
    _give("adaptive", found, html, write, as_json=as_json)


@reproduce.command()
def theory(
    draws: Annotated[int, typer.Option(help="Simulated choices of each point.")] = 100_000,
    seed: Seed = 0,
    html: Html = None,
    write: Write = None,
    as_json: Json = False,
) -> None:
    """The closed form of best of n beside a simulation (T1, lemma C.1); no model."""
    from toolwright.recipes import theory_study

    _give("theory", theory_study.measure(draws=draws, seed=seed), html, write, as_json=as_json)


@reproduce.command()
def arithmetic(
    model: ModelName = "pico",
    equations: Annotated[int, typer.Option(help="Equations for each number of operands; half of them are wrong.")] = 1000,
    roles: Roles = None,
    seed: Seed = 0,
    store: Annotated[Path, typer.Option(help="The run folder: what lies there is not judged again.")] = Path("runs/arithmetic"),
    max_minutes: Minutes = None,
    html: Html = None,
    write: Write = None,
    as_json: Json = False,
) -> None:
    """Verify sums of 3 to 10 numbers in words and by program (T1, appendix A)."""
    from toolwright.recipes import arithmetic_study

    found = arithmetic_study.measure(model, store=store, count=equations, roles=roles, seed=seed, max_minutes=max_minutes, tell=tell)
    _give("arithmetic", found, html, write, as_json=as_json)


@reproduce.command()
def knowledge(
    task: Annotated[str, typer.Argument(help="encyclopedia with settings, or mmlu_pro.")] = "encyclopedia:count=200,form=choice",
    model: Annotated[str | None, typer.Option("--model", "-m", help="A model that reads by prompt; default: pico, with the roles answer and read.")] = None,
    base_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible server.")] = None,
    n: Annotated[int, typer.Option("-n", help="Candidates per problem.")] = 16,
    k: Annotated[int, typer.Option("-k", help="Rationales per candidate.")] = 4,
    limit: Annotated[int | None, typer.Option(help="Only so many problems, drawn by the seed.")] = None,
    passages: Annotated[Path | None, typer.Option(help="A folder, a JSONL or an index to search; the encyclopedia has its own.")] = None,
    data: Annotated[Path | None, typer.Option(envvar="TOOLWRIGHT_DATA", help="The data folder; default: TOOLWRIGHT_DATA.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the roles answer and read are trained, or lie already.")] = Path("runs/reading"),
    train_minutes: Annotated[float, typer.Option(help="Training time of each of the two roles, where they are not there yet.")] = 8.0,
    seed: Seed = 0,
    store: StudyFolder = Path("runs/knowledge"),
    html: Html = None,
    write: Write = None,
    as_json: Json = False,
) -> None:
    """Documents for the verifier: none, garbage, retrieved, gold (T1, MMLU-Pro figure)."""
    from toolwright.recipes import knowledge_study, reading_roles
    from toolwright.tasks import load

    loaded = load(task, data=None if data is None else str(data), limit=limit, seed=seed if limit is not None else None)
    if model is None and base_url is None:
        found = reading_roles.measure(loaded, folder=folder, store=store, n=n, seed=seed, train_minutes=train_minutes, tell=tell)
    else:
        from toolwright.engines import load_engine

        engine = load_engine(model, base_url=base_url)
        name = Path(model or engine.name).name
        found = knowledge_study.measure(loaded, engine, store=store, passages=passages, n=n, k=k, run_seed=seed, name=name)
    _give("knowledge", found, html, write, as_json=as_json)


@reproduce.command()
def memory(
    models: Annotated[str, typer.Option(help="Comma-separated sizes: pico, nano.")] = "pico,nano",
    sizes: Annotated[str, typer.Option(help="Comma-separated sizes M of the table.")] = "8,32,128,512",
    tokens: Annotated[int, typer.Option(help="Training tokens of each cell.")] = 400_000,
    threads: Threads = 0,
    seed: Seed = 0,
    folder: Annotated[Path, typer.Option(help="Where finished cells lie; they are not trained again.")] = Path("runs/memory"),
    max_minutes: Minutes = None,
    html: Html = None,
    write: Write = None,
    as_json: Json = False,
) -> None:
    """Remembering a table against calculating it, by size of table and model (T1, section 3)."""
    from toolwright.recipes import memory_study

    asked = listed(sizes)
    if not asked or not all(part.isdigit() for part in asked):
        raise UsageError(f"sizes = {sizes!r}, but it takes whole numbers, e.g. 8,32,128")
    names = listed(models)
    found = memory_study.measure(
        folder=folder, models=names, sizes=[int(part) for part in asked], tokens=tokens, seed=seed, threads=threads, max_minutes=max_minutes, tell=tell
    )
    _give("memory", found, html, write, as_json=as_json)


def _give(study: str, content: dict[str, Any], html: Path | None, write: Path | None, *, as_json: bool) -> None:
    """The claims on screen, or everything as JSON; files where asked."""
    from toolwright.episodes import write_text
    from toolwright.recipes import publish, write_result
    from toolwright.recipes.study_report import report

    if html is not None:
        write_text(html, report(study, content))
        tell(f"the page is at {html}")
    if not as_json:
        publish(content, write)
        return
    if write is not None:
        write_result(write, content)
    print_json(content)


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in listed(text))
    except ValueError:
        raise UsageError(f"lying = {text!r}, but it takes shares, e.g. 0.01,0.05,0.2") from None


def _named(pairs: list[str]) -> dict[str, Path]:
    found = {}
    for pair in pairs:
        name, _, folder = pair.partition("=")
        if not name or not folder:
            raise UsageError(f"also = {pair!r}, but it takes NAME=FOLDER")
        found[name] = Path(folder)
    return found
