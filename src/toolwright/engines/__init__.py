"""Floor 1: models that continue prompts, in this process, behind a server, or written down beforehand."""

from __future__ import annotations

from toolwright.engines._adapters import AdapterShape, adapter_tensors, save_adapter, weights_digest, with_adapter
from toolwright.engines._hf import HFEngine
from toolwright.engines._load import EMBEDDED, is_embedded, load_engine, open_hf, open_nano, open_openai, open_pico
from toolwright.engines._openai import OpenAIEngine
from toolwright.engines._scripted import Faults, ScriptedEngine, ScriptedRequest

__all__ = [
    "EMBEDDED",
    "AdapterShape",
    "Faults",
    "HFEngine",
    "OpenAIEngine",
    "ScriptedEngine",
    "ScriptedRequest",
    "adapter_tensors",
    "is_embedded",
    "load_engine",
    "open_hf",
    "open_nano",
    "open_openai",
    "open_pico",
    "save_adapter",
    "weights_digest",
    "with_adapter",
]
