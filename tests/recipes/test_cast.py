"""Who plays which part: roles of several seeds share one model, the larger model has its own, and adapters that nobody would use are refused."""

from __future__ import annotations

import asyncio

import pytest

from toolwright.engines import ScriptedEngine
from toolwright.errors import UsageError
from toolwright.recipes import _cast
from toolwright.recipes._cast import open_cast
from toolwright.recipes.distill import packaged

OWN = packaged("pico") / "adapters"


def test_roles_of_other_seeds_are_further_players_and_what_is_stored_is_counted_once():
    cast = open_cast("pico", "pico", roles=[OWN, OWN], solver=OWN / "verify")
    try:
        (other,) = cast.seeds
        assert len({engine.name for engine in (cast.verify, cast.judge, other.verify, other.judge, cast.generator, cast.solver)}) == 6
        assert cast.beside_roles is not None and cast.beside_roles.verify.digest == cast.verify.digest == other.verify.digest != cast.generator.digest
        facts = cast.models["pico"]
        assert facts["with_roles"] == facts["parameters"] + sum(facts["roles"].values()) and facts["role_tokens"]["verify"] > 0
    finally:
        asyncio.run(cast.aclose())


def test_adapters_for_a_model_that_plays_by_prompt_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(_cast, "load_engine", lambda model: ScriptedEngine(["?"], name=model))
    assert open_cast("someone/model").tagged is False
    for more in ({"roles": [tmp_path]}, {"others": {"noisy": tmp_path}}, {"solver": tmp_path}):
        with pytest.raises(UsageError, match="plays every part by prompt"):
            open_cast("someone/model", **more)


def test_a_folder_without_a_role_is_told(tmp_path):
    with pytest.raises(UsageError, match="pico has no role verify in here"):
        open_cast("pico", roles=[tmp_path / "here"])
