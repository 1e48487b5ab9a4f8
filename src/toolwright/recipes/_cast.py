"""Who plays which part in an experiment: generator, program writer and judge on one model's weights, and the larger model beside it; with what each stores.

The embedded models' roles are adapters that lie in the package, or in a folder where `toolwright distill` put them: one folder a training seed. Any other model
plays every part by prompt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from toolwright.engines import EMBEDDED, HFEngine, load_engine
from toolwright.episodes import Engine
from toolwright.errors import UsageError
from toolwright.recipes._measuring import label
from toolwright.recipes._results import model_facts
from toolwright.recipes.distill import ROLES, packaged
from toolwright.verifiers import ChatJudge, ChatPrograms, ChatSteps, JudgeForm, ProgramForm, StepForm, TaggedJudge, TaggedPrograms, TaggedSteps


class Roles(NamedTuple):
    """The two roles that check, of one training seed."""

    verify: Engine
    judge: Engine


@dataclass(frozen=True, slots=True)
class Cast:
    """The engines of an experiment, and how they are asked."""

    name: str
    generator: Engine
    verify: Engine
    judge: Engine
    beside: Engine | None = None
    beside_name: str | None = None
    others: Mapping[str, Engine] = field(default_factory=dict)
    """More program writers, such as those of a noisy teacher, by name."""
    tagged: bool = True
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Parameters and digests, as result files hold them; adapters are counted in `with_roles`."""
    seeds: Sequence[Roles] = ()
    """The same roles trained with other seeds."""
    beside_roles: Roles | None = None
    """The larger model's own roles; None: it has none, so nothing but claims checks it."""
    solver: Engine | None = None
    """The generator after it was taught what the teacher of the roles knows: a control."""

    @property
    def programs(self) -> ProgramForm:
        """How a checking program is asked for."""
        return TaggedPrograms() if self.tagged else ChatPrograms()

    @property
    def judgements(self) -> JudgeForm:
        """How a judgement is asked for."""
        return TaggedJudge() if self.tagged else ChatJudge()

    @property
    def steps(self) -> StepForm:
        """How steps are scored."""
        return TaggedSteps() if self.tagged else ChatSteps()

    async def aclose(self) -> None:
        """Free every engine once."""
        roles = [engine for pair in (*self.seeds, *([self.beside_roles] if self.beside_roles else [])) for engine in pair]
        engines = [e for e in (self.generator, self.verify, self.judge, self.beside, self.solver, *self.others.values(), *roles) if e is not None]
        for engine in {id(e): e for e in engines}.values():
            await engine.aclose()


def open_cast(
    model: str,
    beside: str | None = None,
    *,
    roles: Sequence[Path] = (),
    others: Mapping[str, Path] | None = None,
    solver: Path | None = None,
) -> Cast:
    """The cast of a model.

    `roles`: folders with ``verify`` and ``judge`` in place of the packaged ones, one a training seed; `others`: more adapters that write programs; `solver`: an
    adapter of the generator. Raises: UsageError where an embedded model's role is missing, and for adapters of a model that takes none.
    """
    engine = load_engine(model)
    embedded = model in EMBEDDED and isinstance(engine, HFEngine)
    large = load_engine(beside) if beside else None
    models = {label(model): model_facts(engine)} | ({label(beside): model_facts(large)} if beside and large else {})
    beside_name = label(beside) if beside else None
    if not embedded or not isinstance(engine, HFEngine):
        if roles or others or solver:
            raise UsageError(f"{label(model)} plays every part by prompt here; adapters are for {', '.join(EMBEDDED)}")
        return Cast(label(model), engine, engine, engine, large, beside_name, tagged=False, models=models)
    folders = list(roles) or [packaged(model) / "adapters"]
    for folder in folders:
        missing = [role for role in ROLES if not (folder / role / "role.json").is_file()]
        if missing:
            make = f"toolwright distill --student {model} --role {','.join(ROLES)} --export"
            raise UsageError(f"{model} has no role {missing[0]} in {folder.name}; train it with: {make}")
    first, *more = [_roles(engine, model, folder, number) for number, folder in enumerate(folders)]
    writers = {name: engine.with_adapter(place, name=f"{model}+{name}") for name, place in (others or {}).items()}
    models[label(model)] |= _counted(folders[0], models[label(model)])
    own = packaged(beside) / "adapters" if beside in EMBEDDED and isinstance(large, HFEngine) else None
    large_roles = None
    if own is not None and beside and isinstance(large, HFEngine) and all((own / role / "role.json").is_file() for role in ROLES):
        large_roles = _roles(large, beside, own, 0)
        models[label(beside)] |= _counted(own, models[label(beside)])
    return Cast(
        label(model),
        engine,
        first.verify,
        first.judge,
        large,
        beside_name,
        writers,
        models=models,
        seeds=more,
        beside_roles=large_roles,
        solver=None if solver is None else engine.with_adapter(solver, name=f"{model}+solve"),
    )


def _roles(engine: HFEngine, model: str, folder: Path, number: int) -> Roles:
    told = f" {number}" if number else ""
    verify, judge = (engine.with_adapter(folder / role, name=f"{model}+{role}{told}") for role in ROLES)
    return Roles(verify, judge)


def _counted(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a model's roles store, and what they were trained on."""
    told = {role: json.loads((folder / role / "role.json").read_text(encoding="utf-8")) for role in ROLES}
    own = {role: int(each["parameters"]) for role, each in told.items()}
    return {"roles": own, "role_tokens": {role: each.get("tokens") for role, each in told.items()}, "with_roles": facts["parameters"] + sum(own.values())}
