"""From what a person types to an engine: an embedded model's name, a folder, a hub id, an address, or what another package registered.

Loaders are entry points of the group ``toolwright.engines``: ``name = "package:loader"``, called as ``loader(rest, **options)`` for ``--model name`` or
``--model name:rest``. Our own register the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

from toolwright.engines._hf import HFEngine
from toolwright.engines._openai import OpenAIEngine
from toolwright.episodes import Engine
from toolwright.errors import UsageError

GROUP = "toolwright.engines"
EMBEDDED = ("nano", "pico")
"""The models that ship in this package; the first is the default."""


def load_engine(
    model: str | None = None,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    dtype: str = "float32",
    device: str | None = None,
    slots: int = 64,
) -> Engine:
    """The engine for a model: "nano" (the default), "pico", a folder, a hub id, or ``name:rest`` of a registered loader.

    With base_url it is a model behind a server, the first one served where none is named.

    Raises: UsageError for what is none of these; MissingExtra where an optional dependency is needed. A server is first asked when something is drawn.
    """
    if base_url is not None:
        return OpenAIEngine(base_url, model=model, api_key=api_key)
    model = model or EMBEDDED[0]
    if model.startswith(("http://", "https://")):
        raise UsageError(f'model is "{model}", which is an address; give it as base_url')
    # A registered name means the same in every folder; a folder of that name is ./name.
    name, _, rest = model.partition(":")
    if loader := _registered(name):
        return loader(rest, dtype=dtype, device=device, slots=slots, api_key=api_key)
    return HFEngine.load(model, dtype=dtype, device=device, slots=slots)


def is_embedded(model: str | None, base_url: str | None = None) -> bool:
    """Whether `load_engine` takes this for one of the models that ship in this package."""
    return base_url is None and (model or EMBEDDED[0]) in EMBEDDED


def load_embedded(name: str, *, dtype: str = "float32", device: str | None = None, slots: int = 64) -> HFEngine:
    """The engine for a model that ships in this package.

    Raises: UsageError where its weights are not there.
    """
    folder = Path(str(files("toolwright") / "embedded" / name))
    if not (folder / "config.json").is_file():
        raise UsageError(f'the embedded model "{name}" is not in this installation (looked in {folder}); install the full package, or give another model')
    return HFEngine.load(folder, dtype=dtype, device=device, slots=slots, name=name)


def open_pico(rest: str, *, dtype: str = "float32", device: str | None = None, slots: int = 64, api_key: str | None = None) -> Engine:
    """The loader behind ``--model pico``."""
    return load_embedded("pico", dtype=dtype, device=device, slots=slots)


def open_nano(rest: str, *, dtype: str = "float32", device: str | None = None, slots: int = 64, api_key: str | None = None) -> Engine:
    """The loader behind ``--model nano``."""
    return load_embedded("nano", dtype=dtype, device=device, slots=slots)


def open_hf(rest: str, *, dtype: str = "float32", device: str | None = None, slots: int = 64, api_key: str | None = None) -> Engine:
    """The loader behind ``--model hf:FOLDER_OR_ID``."""
    return HFEngine.load(rest, dtype=dtype, device=device, slots=slots)


def open_openai(rest: str, *, dtype: str = "float32", device: str | None = None, slots: int = 64, api_key: str | None = None) -> Engine:
    """The loader behind ``--model openai:ADDRESS``."""
    return OpenAIEngine(rest, api_key=api_key)


def _registered(name: str) -> Callable[..., Engine] | None:
    """The loader of that name; our own are found even where the package runs from a checkout without metadata."""
    own: dict[str, Callable[..., Engine]] = {"pico": open_pico, "nano": open_nano, "hf": open_hf, "openai": open_openai}
    if name in own:
        return own[name]
    for point in entry_points(group=GROUP, name=name):
        try:
            loaded: Callable[..., Engine] = point.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(f'the engine "{name}" is registered by {point.value}, but that cannot be imported ({error}); reinstall its package') from error
        return loaded
    return None
