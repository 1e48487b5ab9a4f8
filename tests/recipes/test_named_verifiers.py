"""Verifiers by name: stock ones by prompt, a model's own roles by adapter, and those that a calibration switches off."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from toolwright.engines import EMBEDDED, AdapterShape, HFEngine, ScriptedEngine, save_adapter, weights_digest, with_adapter
from toolwright.episodes import Episode, Problem, Provenance, Span, StopReason
from toolwright.errors import UsageError
from toolwright.recipes import Solver
from toolwright.recipes._named_verifiers import made_verifiers, packaged_adapters
from toolwright.sandbox import Sandbox

SHAPE = AdapterShape(rank=2)


def adapters(model: Path, folder: Path, *roles: str, **facts: object) -> Path:
    engine = HFEngine.load(model)
    for role in roles:
        save_adapter(with_adapter(engine.model, SHAPE, seed=len(role)), SHAPE, folder / role, {"role": role, **facts}, base="tiny")
        if not facts:
            (folder / role / "role.json").unlink()
    return folder


def test_stock_models_ask_by_prompt() -> None:
    engine = ScriptedEngine(["no program"])
    made = made_verifiers(["claims", "toolv-code", "genrm"], engine, Sandbox(allow_degraded=True))
    assert [v.name for v in made.verifiers] == ["claims", "toolv_code", "genrm"] and made.engines == ()
    episode = Episode("p", 0, (Span(Provenance.MODEL, "2 + 3 = 5\nThe answer is 5."),), StopReason.FINISHED, 0)
    asyncio.run(made.verifiers[1].verify(Problem("p", "What is 2 + 3?"), episode, seed=0))
    assert [m.role for m in engine.requests[0].prompt.messages][:3] == ["system", "user", "assistant"]


def test_roles_are_taken_from_adapters_and_share_what_they_can(tiny_model: Path, tmp_path: Path) -> None:
    folder = adapters(tiny_model, tmp_path, "verify", "judge", student="pico")
    engine, sandbox = HFEngine.load(tiny_model), Sandbox(allow_degraded=True)
    made = made_verifiers(("claims", "toolv-code", "genrm", "prm"), engine, sandbox, adapters=folder)
    assert [v.name for v in made.verifiers] == ["claims", "toolv_code", "genrm", "prm"]
    assert len(made.engines) == 2
    base = {p.data_ptr() for p in engine.model.parameters()}
    for opened in made.engines:
        assert base < {p.data_ptr() for p in opened.model.parameters()}  # type: ignore[attr-defined]
    stock = made_verifiers(["toolv-code", "genrm"], engine, sandbox)
    assert {v.digest for v in stock.verifiers} & {v.digest for v in made.verifiers} == set()

    # The tagged roles work as they are: an untrained one says something, or abstains, and never fails.
    problem, episode = Problem("p", "2 + 3?"), Episode("p", 0, (Span(Provenance.MODEL, "2+3=5\n#### 5"),), StopReason.FINISHED, 0)

    async def judged() -> list[float | None]:
        found = [(await v.verify(problem, episode, seed=1)).score for v in made.verifiers]
        await asyncio.gather(engine.aclose(), *(e.aclose() for e in made.engines))
        return found

    claims, _, genrm, prm = asyncio.run(judged())
    assert claims == 1.0 and genrm is not None and prm is not None and 0 < genrm < 1 and 0 < prm < 1


def test_a_student_of_a_teacher_is_asked_in_messages_without_examples(tiny_model: Path, tmp_path: Path) -> None:
    folder = adapters(tiny_model, tmp_path, "verify")
    sandbox = Sandbox(allow_degraded=True)
    made = made_verifiers(["toolv-code"], HFEngine.load(tiny_model), sandbox, adapters=folder)
    assert "chat-short" in made.verifiers[0]._form.name  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", EMBEDDED)
def test_roles_that_ship_stand_on_the_weights_that_ship(name: str) -> None:
    folder = packaged_adapters(name)
    if not folder.is_dir():
        pytest.skip(f"{name} ships without roles")
    for role in ("verify", "judge"):
        facts = json.loads((folder / role / "role.json").read_text())
        assert facts["base_weights"] == weights_digest(folder.parent) and facts["student"] == name
        assert sum(path.stat().st_size for path in (folder / role).iterdir()) <= 2 * 2**20
        assert facts["candidates"]["noise"] == 0


def test_what_cannot_be_made_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    sandbox = Sandbox(allow_degraded=True)
    with pytest.raises(UsageError, match="no verifier 'oracle'"):
        made_verifiers(["oracle"], ScriptedEngine([""]), sandbox)
    with pytest.raises(UsageError, match="mark steps"):
        made_verifiers(["prm"], ScriptedEngine([""]), sandbox)
    with pytest.raises(UsageError, match="in this process"):
        made_verifiers(["genrm"], ScriptedEngine([""]), sandbox, adapters=adapters(tiny_model, tmp_path, "judge", student="pico"))


def test_a_calibration_switches_verifiers_off(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"schema": 1, "switch_off": ["toolv_code"]}))
    with Solver(engine=ScriptedEngine([""]), verify=["claims", "toolv-code"], calibration=path) as solver:
        assert [v.name for v in solver.verifiers] == ["claims"]
