"""Verifiers by their names, put together for a model: stock forms by prompt, or the model's own roles where it has adapters for them.

A folder of adapters holds one folder per role (``verify``, ``judge``), as `toolwright distill` writes them; the embedded models have theirs in the package.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from toolwright.engines import HFEngine
from toolwright.episodes import Engine, Verifier
from toolwright.errors import UsageError
from toolwright.retrieval import Retriever
from toolwright.verifiers import (
    ChatJudge,
    ChatPrograms,
    ClaimsVerifier,
    GenRM,
    JudgeForm,
    ProgramForm,
    ProgramRunner,
    StepRM,
    TaggedJudge,
    TaggedPrograms,
    ToolVCode,
    ToolVFacts,
)

VERIFIERS = ("claims", "toolv-code", "genrm", "prm", "toolv-facts")
_ROLES = {"toolv-code": "verify", "genrm": "judge", "prm": "judge"}
ROLE_PROGRAMS = 4
"""Programs per solution of a model that was taught to write them: the paper's k."""


@dataclass(frozen=True, slots=True)
class Verifiers:
    """Verifiers, and the engines that were opened for them."""

    verifiers: tuple[Verifier, ...]
    engines: tuple[Engine, ...]
    """To be closed with the model's own."""


def packaged_adapters(name: str) -> Path:
    """Where the package keeps the adapters of an embedded model."""
    return Path(str(resources.files("toolwright"))) / "embedded" / name / "adapters"


def made_verifiers(names: Sequence[str], engine: Engine, sandbox: ProgramRunner, *, adapters: Path | None = None, index: Retriever | None = None) -> Verifiers:
    """The verifiers of these names. A name whose role has no adapter asks the model itself, by prompt. `index`: what toolv-facts searches.

    Raises: UsageError for an unknown name, adapters for a model that is not in this process, step scores without a model that was taught them, or toolv-facts
    without an index.
    """
    if unknown := [name for name in names if name not in VERIFIERS]:
        raise UsageError(f"no verifier {unknown[0]!r}; there are {', '.join(VERIFIERS)}")
    roles = {role: folder for role in ("verify", "judge") if adapters is not None and (folder := adapters / role).is_dir()}
    wanted = {role for name in names if (role := _ROLES.get(name)) in roles}
    if wanted and not isinstance(engine, HFEngine):
        raise UsageError("adapters need a model in this process; a server takes them as models of their own names")
    opened = {role: engine.with_adapter(roles[role]) for role in sorted(wanted)} if isinstance(engine, HFEngine) else {}
    made: list[Verifier] = []
    for name in names:
        if name == "toolv-facts":
            made.append(_facts(engine, index))
            continue
        role = _ROLES.get(name, "")
        made.append(_made(name, opened.get(role, engine), sandbox, roles.get(role) if role in opened else None))
    return Verifiers(tuple(made), tuple(opened.values()))


def _made(name: str, engine: Engine, sandbox: ProgramRunner, adapter: Path | None) -> Verifier:
    tagged = adapter is not None and _is_tagged(adapter)
    if name == "claims":
        return ClaimsVerifier()
    if name == "toolv-code":
        form: ProgramForm = TaggedPrograms() if tagged else ChatPrograms(examples=adapter is None)
        return ToolVCode(engine, sandbox, form=form, k=1 if adapter is None else ROLE_PROGRAMS, max_new_tokens=160 if tagged else 512)
    if name == "genrm":
        judge: JudgeForm = TaggedJudge() if tagged else ChatJudge()
        return GenRM(engine, form=judge)
    if not tagged:
        raise UsageError("prm needs a model that was taught to mark steps; distill the role judge of pico or nano, or take genrm")
    return StepRM(engine)


def _facts(engine: Engine, index: Retriever | None) -> ToolVFacts:
    if index is None:
        raise UsageError("toolv-facts judges by documents; build an index with: toolwright index build SOURCE --out FILE, and give it with --index")
    return ToolVFacts(engine, index)


def _is_tagged(adapter: Path) -> bool:
    """Whether the role was taught in the embedded models' tags."""
    path = adapter / "role.json"
    return path.is_file() and "student" in json.loads(path.read_text(encoding="utf-8"))
