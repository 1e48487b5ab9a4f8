"""Low-rank adapters: what a role adds to a base model, in PEFT's file format, so that PEFT writes what is read here and reads what is written here.

A model with an adapter is a *view*: modules of its own over the base's very parameters, plus two thin matrices for each adapted layer. Any number of views of
one base can be decoded and trained at once, and hold its weights once. Left out: adapters of embeddings, DoRA, biases.

Source: Hu et al. 2021, *LoRA*, arXiv 2106.09685.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolwright.episodes import digest_files, write_text
from toolwright.errors import UsageError

WEIGHTS, CONFIG, ROLE = "adapter_model.safetensors", "adapter_config.json", "role.json"
_PREFIX = "base_model.model."
_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class AdapterShape:
    """How large an adapter is, and where it stands."""

    rank: int = 8
    alpha: float = 16.0
    """The adapter's product counts alpha / rank times."""
    layers: tuple[str, ...] = _LAYERS
    """Last names of the linear layers that get one."""

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.layers:
            raise UsageError(f"rank = {self.rank} with layers {self.layers} is no adapter; give a rank of 1 or more and at least one layer")


def with_adapter(model: Any, shape: AdapterShape, *, seed: int = 0) -> Any:
    """A view of the model with a fresh adapter, which changes nothing yet. Whether parameters take gradients is left as it is.

    Raises: UsageError where the model has none of the layers.
    """
    import torch

    from toolwright.engines._low_rank import LowRankLinear

    view = _view(model)
    places = [n for n, m in view.named_modules() if isinstance(m, torch.nn.Linear) and n.rpartition(".")[2] in shape.layers]
    if not places:
        raise UsageError(f"the model has no linear layer named {', '.join(shape.layers)}; name the layers of this architecture")
    generator = torch.Generator().manual_seed(seed)
    for place in places:
        parent, _, name = place.rpartition(".")
        setattr(view.get_submodule(parent), name, LowRankLinear(view.get_submodule(place), shape.rank, shape.alpha / shape.rank, generator))
    return view


def adapter_tensors(view: Any) -> dict[str, Any]:
    """The adapter's parameters by the names PEFT gives them."""
    return {_PREFIX + name + ".weight": parameter for name, parameter in _adapter_parameters(view)}


def save_adapter(view: Any, shape: AdapterShape, folder: Path, facts: dict[str, Any], *, base: str) -> None:
    """Write weights (bfloat16), PEFT's configuration, and `facts` as role.json."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: p.detach().to(torch.bfloat16).contiguous() for name, p in adapter_tensors(view).items()}, folder / WEIGHTS, metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": shape.rank,
        "lora_alpha": shape.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(shape.layers),
        "inference_mode": True,
    }
    write_text(folder / CONFIG, json.dumps(config, indent=1) + "\n")
    write_text(folder / ROLE, json.dumps(facts, indent=1) + "\n")


def load_adapter(model: Any, folder: Path) -> Any:
    """A view of the model with the adapter of a folder.

    Raises: UsageError where the folder holds none, or one that does not fit the model.
    """
    import torch
    from safetensors.torch import load_file

    shape = adapter_shape(folder)
    view = with_adapter(model, shape)
    wanted, found = adapter_tensors(view), load_file(folder / WEIGHTS)
    wrong = sorted(set(wanted) ^ set(found)) + [n for n in wanted.keys() & found.keys() if wanted[n].shape != found[n].shape]
    if wrong:
        raise UsageError(f"the adapter in {folder} does not fit this model (first difference: {wrong[0]}); give the model it was made for")
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(found[name])
    return view.eval()


def adapter_shape(folder: Path) -> AdapterShape:
    """The shape of a stored adapter. Raises: UsageError where the folder holds none, or one with more than plain low-rank matrices."""
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise UsageError(f"no adapter in {folder}; a folder with {CONFIG} and {WEIGHTS} is needed (made by: toolwright distill)")
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    layers = config.get("target_modules")
    beyond = [key for key in ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save") if config.get(key)]
    if config.get("peft_type") != "LORA" or not isinstance(layers, list) or config.get("bias", "none") != "none" or beyond:
        raise UsageError(f"the adapter in {folder} is more than low-rank matrices for named layers ({', '.join(beyond) or CONFIG}); merge it into its model")
    return AdapterShape(int(config["r"]), float(config["lora_alpha"]), tuple(layers))


def adapter_digest(folder: Path) -> str:
    """What the adapter is: its weights and configuration."""
    return digest_files([folder / CONFIG, folder / WEIGHTS])


def check_base(adapter: Path, base: Path | None) -> None:
    """Nothing. Raises: UsageError where the adapter names the weights it was trained on and these are others."""
    if base is None or not (adapter / ROLE).is_file():
        return
    facts = json.loads((adapter / ROLE).read_text(encoding="utf-8"))
    if facts.get("base_weights") not in (None, weights_digest(base)):
        raise UsageError(f"the adapter in {adapter} was trained on other weights than those in {base}; train it again with: toolwright distill")


def weights_digest(folder: Path) -> str:
    """The identity of a model folder's weights."""
    return digest_files(sorted(folder.glob("*.safetensors")))


def _view(model: Any) -> Any:
    """A copy of the modules over the same parameters and buffers."""
    kept: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, kept)


def _adapter_parameters(view: Any) -> Iterator[tuple[str, Any]]:
    return ((name, parameter) for name, parameter in view.named_parameters() if name.endswith((".lora_A", ".lora_B")))
