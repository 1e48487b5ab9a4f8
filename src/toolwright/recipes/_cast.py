"""Who plays which part in an experiment: generator, program writer and judge on one model's weights, and the larger model beside it; with what each stores.

The embedded models' roles are adapters that lie in the package, or in a folder where `toolwright distill` put them. Any other model plays every part by prompt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolwright.engines import EMBEDDED, HFEngine, load_engine
from toolwright.episodes import Engine
from toolwright.errors import UsageError
from toolwright.recipes._measuring import label
from toolwright.recipes._results import model_facts
from toolwright.recipes.distill import ROLES, packaged
from toolwright.verifiers import ChatJudge, ChatPrograms, ChatSteps, JudgeForm, ProgramForm, StepForm, TaggedJudge, TaggedPrograms, TaggedSteps


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
        engines = [e for e in (self.generator, self.verify, self.judge, self.beside, *self.others.values()) if e is not None]
        for engine in {id(e): e for e in engines}.values():
            await engine.aclose()


def open_cast(model: str, beside: str | None = None, *, roles: Path | None = None, others: Mapping[str, Path] | None = None) -> Cast:
    """The cast of a model. `roles`: a folder with ``verify`` and ``judge`` in place of the packaged ones; `others`: more adapters that write programs.

    Raises: UsageError where an embedded model's role is missing.
    """
    engine = load_engine(model)
    embedded = model in EMBEDDED and isinstance(engine, HFEngine)
    large = load_engine(beside) if beside else None
    models = {label(model): model_facts(engine)} | ({label(beside): model_facts(large)} if beside and large else {})
    if not embedded or not isinstance(engine, HFEngine):
        return Cast(label(model), engine, engine, engine, large, label(beside) if beside else None, tagged=False, models=models)
    folder = roles or packaged(model) / "adapters"
    missing = [role for role in ROLES if not (folder / role / "role.json").is_file()]
    if missing:
        make = f"toolwright distill --student {model} --role {','.join(ROLES)} --export"
        raise UsageError(f"{model} has no role {missing[0]} in {folder.name}; train it with: {make}")
    playing = {role: engine.with_adapter(folder / role, name=f"{model}+{role}") for role in ROLES}
    more = {name: engine.with_adapter(place, name=f"{model}+{name}") for name, place in (others or {}).items()}
    own = {role: int(json.loads((folder / role / "role.json").read_text(encoding="utf-8"))["parameters"]) for role in ROLES}
    models[label(model)] |= {"roles": own, "with_roles": models[label(model)]["parameters"] + sum(own.values())}
    return Cast(label(model), engine, playing["verify"], playing["judge"], large, label(beside) if beside else None, more, models=models)
