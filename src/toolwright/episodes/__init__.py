"""Floor 0: the record and the protocols. Everything else stands on it; it stands on nothing."""

from __future__ import annotations

from toolwright.episodes._digest import derive_seed, digest, digest_files
from toolwright.episodes._jsonl import from_json, read_episodes, read_lines, to_json, write_jsonl, write_text
from toolwright.episodes._protocols import Attempt, Capabilities, Engine, Strategy, Tool, ToolSession, Verifier
from toolwright.episodes._store import STORE_SCHEMA, RunStore, SampleKey, VerdictKey
from toolwright.episodes._types import (
    SCHEMA_VERSION,
    Budget,
    Choice,
    Completion,
    Cost,
    Episode,
    FinishReason,
    Message,
    Problem,
    Prompt,
    Provenance,
    SamplingParams,
    Span,
    StopReason,
    ToolResult,
    Tried,
    Verdict,
)

__all__ = [
    "SCHEMA_VERSION",
    "STORE_SCHEMA",
    "Attempt",
    "Budget",
    "Capabilities",
    "Choice",
    "Completion",
    "Cost",
    "Engine",
    "Episode",
    "FinishReason",
    "Message",
    "Problem",
    "Prompt",
    "Provenance",
    "RunStore",
    "SampleKey",
    "SamplingParams",
    "Span",
    "StopReason",
    "Strategy",
    "Tool",
    "ToolResult",
    "ToolSession",
    "Tried",
    "Verdict",
    "VerdictKey",
    "Verifier",
    "derive_seed",
    "digest",
    "digest_files",
    "from_json",
    "read_episodes",
    "read_lines",
    "to_json",
    "write_jsonl",
    "write_text",
]
