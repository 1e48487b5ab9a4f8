"""``toolwright doctor``: what works here, and what to install for more."""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from toolwright import __version__
from toolwright.cli._options import ApiKey, BaseUrl, Json
from toolwright.cli._show import print_json

EXTRAS = {
    "local": (("torch", "transformers", "safetensors"), "models in this process"),
    "train": (("torch", "transformers", "tokenizers"), "training the embedded models"),
    "hub": (("datasets",), "benchmarks from the Hugging Face hub"),
    "bm25s": (("bm25s", "Stemmer"), "searching large indexes in memory"),
}


def doctor(base_url: BaseUrl = None, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Look at engines, devices, sandbox, extras and data, and say what to install for more."""
    found = examine(base_url, api_key)
    if as_json:
        print_json(found)
        return
    typer.echo(
        f"toolwright {found['version']}, Python {found['python']} on {found['system']}, device {found['device'] or 'none (extra local is not installed)'}"
    )
    sandbox = found["sandbox"]
    typer.echo(
        f"sandbox: level {sandbox['level']}"
        + "".join(f"\n  {'yes' if layer['active'] else 'no ':3} {layer['name']}: {layer['why']}" for layer in sandbox["layers"])
    )
    for name, extra in found["extras"].items():
        typer.echo(f"extra {name} ({extra['for']}): " + ("yes" if extra["installed"] else f"no — {extra['install']}"))
    for name, there in found["embedded"].items():
        typer.echo(f"model {name}: {'yes' if there else 'not in this installation'}")
    typer.echo(f"data: {found['data'] or 'TOOLWRIGHT_DATA is not set; see docs/data.md'}")
    if found["server"]:
        typer.echo("server: " + ", ".join(f"{k} {v}" for k, v in found["server"].items()))


def examine(base_url: str | None, api_key: str | None) -> dict[str, Any]:
    """Everything the command shows."""
    from importlib.resources import files

    from toolwright.engines import EMBEDDED
    from toolwright.sandbox import probe

    isolation = probe()
    data = os.environ.get("TOOLWRIGHT_DATA")
    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "device": _device(),
        "sandbox": {"level": isolation.level, "layers": [{"name": layer.name, "active": layer.active, "why": layer.why} for layer in isolation.layers]},
        "extras": {
            name: {"for": purpose, "installed": all(find_spec(m) for m in modules), "install": f'pip install "toolwright[{name}]"'}
            for name, (modules, purpose) in EXTRAS.items()
        },
        "embedded": {name: (Path(str(files("toolwright"))) / "embedded" / name / "model.safetensors").is_file() for name in EMBEDDED},
        "data": data if data and Path(data).is_dir() else None,
        "server": _server(base_url, api_key) if base_url else None,
    }


def _device() -> str | None:
    if not find_spec("torch"):
        return None
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"cpu ({torch.get_num_threads()} threads)"


def _server(base_url: str, api_key: str | None) -> dict[str, Any]:
    import asyncio
    from dataclasses import asdict

    from toolwright.engines import load_engine

    async def ask() -> dict[str, Any]:
        engine = load_engine(None, base_url=base_url, api_key=api_key)
        try:
            return {"url": base_url, **asdict(await engine.capabilities()), "model": engine.name}
        finally:
            await engine.aclose()

    return asyncio.run(ask())
