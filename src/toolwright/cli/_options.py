"""The options that several commands share."""

from __future__ import annotations

import io
import sys
import tokenize
from pathlib import Path
from typing import Annotated

import typer

from toolwright.episodes import SamplingParams, Verifier
from toolwright.errors import UsageError

Model = Annotated[str | None, typer.Option("--model", "-m", help="nano (default), pico, a model folder, a hub id; with --base-url the served model's name.")]
BaseUrl = Annotated[str | None, typer.Option(help="An OpenAI-compatible server (vLLM, llama.cpp, Ollama, …), e.g. http://localhost:11434/v1.")]
ApiKey = Annotated[str | None, typer.Option(envvar="OPENAI_API_KEY", help="The server's key.", show_envvar=True)]
DialectName = Annotated[str, typer.Option("--dialect", help="text (no tools while writing), retool, markdown or hermes (with the interpreter).")]
Verify = Annotated[
    str | None,
    typer.Option(
        help="Verifiers, comma-separated: claims, toolv-code, genrm, prm, toolv-facts; 'none' for none. "
        "Default: claims, toolv-code for models that are not embedded, and toolv-facts with --index."
    ),
]
Adapters = Annotated[Path | None, typer.Option(help="A folder with the model's roles, made by distill; pico and nano have their own.")]
CalibrationFile = Annotated[Path | None, typer.Option("--calibration", help="A file made by calibrate; verifiers that it switches off are left out.")]
IndexFile = Annotated[Path | None, typer.Option("--index", help="What toolv-facts judges by: a file made by index build.")]
RewardUrl = Annotated[str | None, typer.Option(help="A server that pools a reward model's scores (vLLM's /pooling), e.g. http://localhost:8001.")]
RewardModel = Annotated[str | None, typer.Option(help="The reward model's name on it.")]
Temperature = Annotated[float, typer.Option(help="0 is greedy.")]
MaxTokens = Annotated[int | None, typer.Option(help="Model tokens per candidate, over all its turns.")]
Seed = Annotated[int, typer.Option(help="Equal seeds give equal samples.")]
Candidates = Annotated[int, typer.Option("-n", help="How many candidates to draw.")]
Samples = Annotated[int, typer.Option("-n", help="Samples per problem.")]
DataFolder = Annotated[Path | None, typer.Option(help="The data folder; default: TOOLWRIGHT_DATA.")]
RunFolder = Annotated[Path, typer.Option(help="The run folder: samples found there are not drawn again.")]
Threads = Annotated[int, typer.Option(help="CPU threads; 0 leaves the choice to torch.")]
ShowAll = Annotated[bool, typer.Option("--all", help="Show every distinct candidate.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
AllowDegraded = Annotated[bool, typer.Option(help="Accept a sandbox of level 1 (system-call filters only).")]

STRATEGIES_HELP = "greedy, majority, best_of_n, weighted, filtered, t1, t1_argmax, two_stage, adaptive, adaptive_beta, revise or beam."


def listed(text: str) -> list[str]:
    """The parts of a comma-separated list, without blanks and empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()]


def verifier_names(verify: str | None) -> list[str] | None:
    """What ``--verify`` asks for; None leaves it to the model."""
    if verify is None:
        return None
    return [] if verify == "none" else listed(verify)


def served_reward(url: str | None, model: str | None, api_key: str | None) -> list[Verifier]:
    """The reward model behind a server, where one is asked for. Raises: UsageError for an address without a name, or a name without an address."""
    if url is None and model is None:
        return []
    if url is None or model is None:
        raise UsageError("a served reward model needs both: give --reward-url, the server's address, and --reward-model, the model's name on it")
    from toolwright.verifiers import ServedRM

    return [ServedRM(url, model=model, api_key=api_key)]


def sampling_params(temperature: float, max_tokens: int | None, *, embedded: bool) -> SamplingParams:
    """The parameters; Raises UsageError for impossible ones."""
    if not 0 <= temperature <= 5:
        raise UsageError(f"temperature = {temperature}, but it goes from 0 to 5")
    if max_tokens is not None and max_tokens < 1:
        raise UsageError(f"max-tokens = {max_tokens}, but at least 1 is needed")
    return SamplingParams(max_new_tokens=max_tokens or (320 if embedded else 1024), temperature=temperature)


def read_text(file: str, *, kind: str) -> str:
    """The text of a file, or of standard input for ``-``. Raises: UsageError where there is no such file or it is not UTF-8."""
    data = _read(file, kind)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{_name(file)} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error


def read_source(file: str) -> str:
    """The text of a Python file, or of standard input for ``-``, in the encoding that its first lines may name.

    Raises: UsageError where there is no such file, or it is not in that encoding.
    """
    data = _read(file, "a Python file")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (UnicodeDecodeError, SyntaxError) as error:
        raise UsageError(f"{_name(file)} is neither UTF-8 text nor in an encoding that its first lines name ({error}); save it as UTF-8") from error


def _read(file: str, kind: str) -> bytes:
    if file != "-" and not Path(file).is_file():
        raise UsageError(f"no file at {file}; give {kind}, or - to read standard input")
    if file == "-" and sys.stdin is None:
        raise UsageError(f"standard input is closed; give {kind}, or pipe it in")
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror})") from error


def _name(file: str) -> str:
    return "standard input" if file == "-" else file
