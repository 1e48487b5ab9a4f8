"""What every engine checks before it draws: the same sentence for the same mistake, whichever engine is behind it."""

from __future__ import annotations

from toolwright.episodes import Prompt, SamplingParams
from toolwright.errors import UsageError


def check_request(prompt: Prompt, n: int, params: SamplingParams) -> None:
    """Nothing, for a request that makes sense.

    Raises: UsageError that names the value and what is accepted.
    """
    if n < 1:
        raise UsageError(f"n is {n}, but at least 1 sample must be asked for")
    if not prompt.messages and not any(span.text or span.token_ids for span in prompt.spans):
        raise UsageError("the prompt is empty: give it at least one message or one span with text")
    check_params(params)


def check_params(params: SamplingParams) -> None:
    """Nothing, for sampling parameters that make sense.

    Raises: UsageError that names the value and what is accepted.
    """
    if params.max_new_tokens < 1:
        raise UsageError(f"max_new_tokens is {params.max_new_tokens}, but it must be 1 or more")
    if not 0.0 <= params.temperature <= 100.0:
        raise UsageError(f"temperature is {params.temperature}, but it must lie in [0, 100]; 0 is greedy")
    if not 0.0 < params.top_p <= 1.0:
        raise UsageError(f"top_p is {params.top_p}, but it must lie in (0, 1]; 1 keeps every token")
    if params.top_k < 0:
        raise UsageError(f"top_k is {params.top_k}, but it must be 0 (keep every token) or more")
    if any(not stop for stop in params.stop):
        raise UsageError("a stop string is empty, which would stop before the first token; remove it")
