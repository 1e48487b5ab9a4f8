from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from toolwright.engines import EMBEDDED, HFEngine, OpenAIEngine, ScriptedEngine, _load, is_embedded, load_engine
from toolwright.errors import UsageError


def test_a_folder_is_loaded(tiny_model: Path) -> None:
    engine = load_engine(str(tiny_model))
    assert isinstance(engine, HFEngine)
    assert load_engine(f"hf:{tiny_model}").digest == engine.digest


def test_an_address_makes_a_server_engine() -> None:
    engine = load_engine("some/model", base_url="http://localhost:1/v1")
    assert isinstance(engine, OpenAIEngine)
    assert "some/model" in engine.name
    assert isinstance(load_engine("openai:http://localhost:1/v1"), OpenAIEngine)


def test_an_address_given_as_model_is_told_apart() -> None:
    with pytest.raises(UsageError, match="base_url"):
        load_engine("http://localhost:11434/v1")


def test_the_default_and_the_packaged_names_are_embedded_and_nothing_else_is() -> None:
    assert all(is_embedded(name) for name in (None, *EMBEDDED))
    assert not is_embedded("./nano")
    assert not is_embedded("nano", "http://localhost:1/v1")


@pytest.mark.parametrize("name", EMBEDDED)
def test_missing_embedded_weights_are_one_clear_sentence(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_load, "files", lambda package: tmp_path)
    with pytest.raises(UsageError, match=f'"{name}" is not in this installation'):
        load_engine(name)


def test_embedded_weights_are_found_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "nano").symlink_to(tiny_model)
    monkeypatch.setattr(_load, "files", lambda package: tmp_path)
    engine = load_engine()
    assert engine.name == "nano"
    (tmp_path / "nano").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_engine("nano").digest == engine.digest


def test_another_package_can_register_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*, group: str, name: str) -> list[EntryPoint]:
        points = [EntryPoint("parrot", "toolwright.engines:ScriptedEngine", group), EntryPoint("gone", "no_such_package:loader", group)]
        return [point for point in points if (group, name) == ("toolwright.engines", point.name)]

    def parrot(rest: str, **options: Any) -> ScriptedEngine:
        return ScriptedEngine([rest])

    monkeypatch.setattr(_load, "entry_points", found)
    monkeypatch.setattr(EntryPoint, "load", lambda self: parrot if self.name == "parrot" else __import__("no_such_package"))
    assert isinstance(load_engine("parrot:hello"), ScriptedEngine)
    with pytest.raises(UsageError, match="gone"):
        load_engine("gone")


def test_our_own_loaders_are_registered_in_the_project_file() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    for name, value in project["project"]["entry-points"]["toolwright.engines"].items():
        module, _, attribute = value.partition(":")
        assert module == "toolwright.engines"
        assert callable(getattr(sys.modules[module], attribute)), name


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = "import sys, toolwright.engines; print([m for m in ('torch', 'transformers', 'httpx') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_without_torch_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('not here')")
    code = (
        "from toolwright.engines import load_engine\nfrom toolwright.errors import MissingExtra\n"
        "try:\n    load_engine('/tmp')\nexcept MissingExtra as error:\n    print(error)"
    )
    source = str(Path(_load.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": f"{tmp_path}:{source}"})
    assert 'pip install "toolwright[local]"' in done.stdout, done.stderr


def test_a_server_engine_asks_nothing_before_it_is_used() -> None:
    engine = load_engine(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:9"):
        asyncio.run(engine.capabilities())
