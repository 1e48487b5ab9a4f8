"""What a model reads of a tool: short, readable, and unable to speak in the model's own special tokens.

Leaves out what the tool did; it only words and trims results.
"""

from __future__ import annotations

import re

from toolwright.sandbox import Outcome, SandboxLimits, SandboxResult

NOTHING_PRINTED = "(no output; use print(...) to see a result)"

_TAGS = "code|interpreter|tool_call|tool_calls|tool_response|tools|answer|think|output|s|unk|pad|bos|eos|start_of_turn|end_of_turn|end_of_text"
_SPECIAL = re.compile(
    rf"<(?=[|｜][^<>\s]{{1,60}}[|｜]>|/?(?:{_TAGS})>)|\[(?=/?(?:INST|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|AVAILABLE_TOOLS|SYSTEM_PROMPT)\])|<(?=</?SYS>>)",
    re.IGNORECASE,
)
_LINE = re.compile(r'File "<snippet[^>"]*>", line (\d+)')
_SHOWN_LINE_CHARS = 80
_SHOWN_ERROR_CHARS = 300


def neutralise(text: str) -> str:
    """The text with a blank inside each special token, so that no tokenizer and no parser of ours takes it for one: ``<|im_end|>`` reads ``< |im_end|>``."""
    return _SPECIAL.sub(lambda found: found[0] + " ", text)


def cap(text: str, most: int) -> str:
    """The text, or its head and tail with a note of what was left out between them; at most `most` characters and the note."""
    if len(text) <= most:
        return text
    head, tail = text[: most - most // 2], text[len(text) - most // 2 :]
    return f"{head}\n... ({len(text) - most} characters left out) ...\n{tail}"


def observation(result: SandboxResult, program: str, limits: SandboxLimits) -> str:
    """What the model reads of a run: its output, or else the value of its last line; then, if it failed, why, in one sentence or line."""
    printed = result.stdout.rstrip()
    if not printed.strip():
        printed = ""
    trouble = _trouble(result, program, limits)
    if trouble:
        return f"{printed}\n{trouble}" if printed else trouble
    return printed or (result.value if result.value is not None else NOTHING_PRINTED)


def _trouble(result: SandboxResult, program: str, limits: SandboxLimits) -> str:
    """Why it failed, in words a small model can act on; nothing where it did not fail."""
    match result.outcome:
        case Outcome.OK:
            return ""
        case Outcome.ERROR:
            return _error(result, program)
        case Outcome.TIMEOUT_CPU:
            return f"Timeout: the program was stopped after {limits.cpu_s:g} s of computing; make it faster."
        case Outcome.TIMEOUT_WALL:
            return f"Timeout: the program was stopped after {limits.wall_s:g} s; make it faster, and do not wait for anything."
        case Outcome.MEMORY:
            return f"MemoryError: the program needed more than {limits.memory_bytes >> 20} MiB; make it smaller."
        case Outcome.OUTPUT_LIMIT:
            return "The program was stopped because it printed too much; print only what is needed."
        case Outcome.POLICY:
            return "The program was stopped because it did something that is not allowed here."
        case _:
            return f"The program crashed{f' (signal {result.signal})' if result.signal else ''}."


def _error(result: SandboxResult, program: str) -> str:
    """The traceback's last line, with the program's own line that it came from."""
    error = cap((result.error or f"the program ended with exit code {result.exit_code}").strip(), _SHOWN_ERROR_CHARS)
    numbers = _LINE.findall(result.stderr)
    if not numbers:
        return error
    number, lines = int(numbers[-1]), program.splitlines()
    shown = lines[number - 1].strip()[:_SHOWN_LINE_CHARS] if 0 < number <= len(lines) else ""
    return f"{error} (line {number}: {shown})" if shown else f"{error} (line {number})"
