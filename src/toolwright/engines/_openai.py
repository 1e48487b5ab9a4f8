"""Any OpenAI-compatible server as an engine: vLLM, SGLang, llama.cpp, Ollama, LM Studio, the cloud.

Two ways, chosen by what the probe found. *Tokens*: the server applies its template for us and takes and gives ids, so that a record is exact and an episode
goes on where it stopped. *Messages*: text in, text out; stop strings are watched for here, over a stream that is closed at the match, because most servers
strip the stop and do not say whether it was one. Every sample is a request of its own with its own seed, sent side by side. Left out: the Responses
interface, images, tools on the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from toolwright.engines._answers import Answer, prompt_logps
from toolwright.engines._probe import Server, ask, probe, tokenize
from toolwright.engines._requests import check_request
from toolwright.engines._stops import find_stop
from toolwright.engines._wire import Refused, Wire
from toolwright.episodes import Capabilities, Completion, FinishReason, Message, Prompt, Provenance, SamplingParams, derive_seed, digest
from toolwright.errors import EngineFault, UsageError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

_SEEDS = 2**31
"""Servers differ in how wide a seed may be; all take 31 bits."""
_TOO_LONG = ("context", "too long", "max_model_len", "maximum", "exceed", "input_tokens", "max_tokens")
_TOOL_NAME = "tool"


class OpenAIEngine:
    """A model behind a server."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        concurrent: int = 64,
        retries: int = 4,
        backoff_s: float = 0.5,
        timeout_s: float = 600.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`model` None takes the first one served; `api_key` None takes OPENAI_API_KEY."""
        if not base_url.startswith(("http://", "https://")):
            raise UsageError(f'base_url is "{base_url}", but an address such as http://localhost:8000/v1 is needed')
        if concurrent < 1:
            raise UsageError(f"concurrent is {concurrent}, but at least 1 request must be allowed")
        key = api_key or os.environ.get("OPENAI_API_KEY")
        self._wire = Wire(base_url, api_key=key, concurrent=concurrent, retries=retries, backoff_s=backoff_s, timeout_s=timeout_s, transport=transport)
        self._model = model
        self._digest = digest("openai", self._wire.base_url, model)
        self._server: Server | None = None
        self._probing: tuple[asyncio.AbstractEventLoop, asyncio.Task[Server]] | None = None
        self._known_ids: dict[Any, list[int]] = {}

    @property
    def name(self) -> str:
        model = self._server.model if self._server else self._model
        return f"{model or 'the first model'} at {self._wire.base_url}"

    @property
    def digest(self) -> str:
        return self._digest

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, probes and retries included."""
        return self._wire.requests

    async def capabilities(self) -> Capabilities:
        return (await self._probed()).capabilities()

    async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
        check_request(prompt, n, params)
        server = await self._probed()
        draw: Callable[[SamplingParams, int], Coroutine[Any, Any, Completion]]
        if server.token_prompts:
            draw = partial(self._by_tokens, server, await self._ids(server, prompt))
        else:
            draw = partial(self._by_messages if prompt.messages else self._by_text, server, prompt)
        return await _together([self._drawn(partial(draw, params, derive_seed(seed, i) % _SEEDS)) for i in range(n)])

    async def score(self, prompt: Prompt, continuation: str) -> tuple[float, ...]:
        if not continuation:
            raise UsageError("the continuation to score is empty")
        server = await self._probed()
        if not server.token_prompts:
            raise UsageError(f"{self.name} gives no log-probabilities of given text, so it cannot score; use vLLM or a model in this process")
        before = await self._ids(server, prompt)
        ids = before + await self._text_ids(server, continuation)
        fields = {"prompt": list(ids), "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
        body = await self._drawn(partial(ask, self._wire, server, "completions", **fields))
        logps = prompt_logps(body, ids, len(before))
        if logps is None:
            raise UsageError(f"{self.name} gives no log-probabilities of given text, so it cannot score; use vLLM or a model in this process")
        return logps

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def _probed(self) -> Server:
        """What the server can do; the first caller asks, the others wait for it."""
        if self._server is not None:
            return self._server
        loop = asyncio.get_running_loop()
        if self._probing is None or self._probing[0] is not loop or self._probing[1].done():
            self._probing = (loop, loop.create_task(probe(self._wire, self._model)))
        self._server = await asyncio.shield(self._probing[1])
        return self._server

    async def _drawn(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result, with what the server refuses told to the user."""
        try:
            return await request()
        except Refused as refusal:
            raise UsageError(f"the server at {self._wire.base_url} refuses the request ({refusal})") from refusal

    # Tokens

    async def _by_tokens(self, server: Server, ids: tuple[int, ...], params: SamplingParams, seed: int) -> Completion:
        room = None if server.context_tokens is None else server.context_tokens - len(ids)
        if room is not None and room < 1:
            return Completion("", FinishReason.CONTEXT, (), (), prompt_tokens=len(ids), prompt_token_ids=ids)
        bound = params.max_new_tokens if room is None else min(params.max_new_tokens, room)
        fields = _drawing(params, seed) | {"stop": list(params.stop) or None, "return_token_ids": True, "skip_special_tokens": False}
        answer = Answer()
        answer.add(await ask(self._wire, server, "completions", prompt=list(ids), max_tokens=bound, logprobs=0, **fields))
        sampled, logps = answer.aligned()
        stop = answer.stop if answer.stop in params.stop else None
        text = answer.text + stop if stop and not answer.text.endswith(stop) else answer.text
        finish = FinishReason.STOP if stop else _finish(answer, bound, params)
        return Completion(
            text=text,
            finish=finish,
            token_ids=sampled,
            logps=logps,
            prompt_tokens=len(ids),
            model_tokens=len(sampled or ()),
            stop=stop,
            prompt_token_ids=ids,
        )

    async def _ids(self, server: Server, prompt: Prompt) -> tuple[int, ...]:
        """The ids of messages and spans, spans verbatim where they carry ids."""
        ids: list[int] = []
        if prompt.messages:
            if prompt.messages not in self._known_ids:
                fields = {"messages": _plain(prompt.messages, server.system_role), "add_generation_prompt": True}
                self._remember(prompt.messages, await self._drawn(partial(tokenize, self._wire, server, fields)))
            ids += self._known_ids[prompt.messages]
        for span in prompt.spans:
            ids += span.token_ids if span.token_ids is not None else await self._text_ids(server, span.text)
        return tuple(ids)

    async def _text_ids(self, server: Server, text: str) -> tuple[int, ...]:
        if not text:
            return ()
        if text not in self._known_ids:
            self._remember(text, await self._drawn(partial(tokenize, self._wire, server, {"prompt": text, "add_special_tokens": False})))
        return tuple(self._known_ids[text])

    def _remember(self, key: Any, ids: list[int]) -> None:
        if len(self._known_ids) >= 1024:
            self._known_ids.clear()
        self._known_ids[key] = ids

    # Messages and text

    async def _by_messages(self, server: Server, prompt: Prompt, params: SamplingParams, seed: int) -> Completion:
        fields: dict[str, Any] = {"logprobs": True} if server.logps else {}
        if server.prefill and prompt.spans:
            said = "".join(span.text for span in prompt.spans)
            fields |= {"add_generation_prompt": False, "continue_final_message": True}
            messages = [*_plain(prompt.messages, server.system_role), {"role": "assistant", "content": said}]
            return await self._by_stream(server, "chat/completions", {"messages": messages, **fields}, params, seed)
        try:
            return await self._by_stream(server, "chat/completions", {"messages": _turns(prompt, server), **fields}, params, seed)
        except Refused:
            if not server.tool_role or all(span.provenance is not Provenance.TOOL for span in prompt.spans):
                raise
            server.tool_role = False
            server.note("Tool messages are refused, so tool results travel as user messages.")
            return await self._by_stream(server, "chat/completions", {"messages": _turns(prompt, server), **fields}, params, seed)

    async def _by_text(self, server: Server, prompt: Prompt, params: SamplingParams, seed: int) -> Completion:
        text = "".join(span.text for span in prompt.spans)
        fields = {"prompt": text} | ({"logprobs": 1} if server.logps else {})
        return await self._by_stream(server, "completions", fields, params, seed)

    async def _by_stream(self, server: Server, path: str, fields: dict[str, Any], params: SamplingParams, seed: int) -> Completion:
        """The completion of a request in text; a prompt that leaves too little room is asked again for what there is room for."""
        bound = params.max_new_tokens
        if server.context_tokens is not None:
            bound = min(bound, server.context_tokens - 1)
        try:
            answer = await self._answer(server, path, fields, params, seed, bound)
        except Refused as refusal:
            if not _is_too_long(refusal):
                raise
            used = await self._prompt_tokens(server, path, fields)
            if used is None:
                return Completion("", FinishReason.CONTEXT)
            server.context_tokens = server.context_tokens or _stated_context(refusal.message)
            if server.context_tokens is None or used >= server.context_tokens:
                raise
            bound = min(bound, server.context_tokens - used)
            answer = await self._answer(server, path, fields, params, seed, bound)
        size = len(json.dumps(fields, ensure_ascii=False))
        if answer.prompt_tokens:
            server.size_fed += size
            server.tokens_fed += answer.prompt_tokens
        else:
            # A stream closed at a stop string never reports what the prompt took.
            answer.prompt_tokens = server.estimated_tokens(size)
        return _completion(answer, bound, params)

    async def _prompt_tokens(self, server: Server, path: str, fields: dict[str, Any]) -> int | None:
        """How many tokens the prompt has; None where it fills the context alone."""
        try:
            body = await ask(self._wire, server, path, max_tokens=1, **fields)
        except Refused as refusal:
            if _is_too_long(refusal):
                return None
            raise
        return int((body.get("usage") or {}).get("prompt_tokens") or 0)

    async def _answer(self, server: Server, path: str, fields: dict[str, Any], params: SamplingParams, seed: int, bound: int) -> Answer:
        drawing = _drawing(params, seed) | {"max_tokens": bound}
        answer = Answer()
        if not params.stop:
            answer.add(await ask(self._wire, server, path, **fields, **drawing))
            return answer
        while True:
            try:
                body = server.body(**fields, **drawing, stream=True, stream_options={"include_usage": True})
                async with aclosing(self._wire.stream(f"{self._wire.base_url}/{path}", body)) as events:
                    async for event in events:
                        answer.add(event)
                        if find_stop(answer.visible(), params.stop):
                            break
                return answer
            except Refused as refusal:
                if not server.learn(refusal):
                    raise


def _drawing(params: SamplingParams, seed: int) -> dict[str, Any]:
    return {
        "temperature": params.temperature,
        "top_p": params.top_p if params.top_p < 1 else None,
        "top_k": params.top_k or None,
        "seed": seed,
    }


def _finish(answer: Answer, bound: int, params: SamplingParams) -> FinishReason:
    if answer.finish == "length":
        return FinishReason.CONTEXT if bound < params.max_new_tokens else FinishReason.LENGTH
    if answer.finish in ("abort", "error"):
        raise EngineFault(f"the server gave up on a sample (finish_reason {answer.finish}); run again to go on")
    return FinishReason.EOS


def _completion(answer: Answer, bound: int, params: SamplingParams) -> Completion:
    text = answer.visible()
    found = find_stop(text, params.stop)
    ids, logps = answer.aligned()
    finish = FinishReason.STOP if found else _finish(answer, bound, params)
    tokens = answer.model_tokens if answer.model_tokens is not None else answer.pieces
    if finish is FinishReason.LENGTH and tokens < bound:
        # The server ran out of room before the bound did.
        finish = FinishReason.CONTEXT
    return Completion(
        text=text[: found[0]] if found else text,
        finish=finish,
        token_ids=ids,
        logps=logps,
        prompt_tokens=answer.prompt_tokens or 0,
        model_tokens=tokens,
        stop=found[1] if found else None,
        prompt_token_ids=tuple(answer.prompt_token_ids) if answer.prompt_token_ids else None,
    )


def _is_too_long(refusal: Refused) -> bool:
    text = refusal.message.lower()
    return refusal.status in (400, 413, 422) and any(word in text for word in _TOO_LONG)


def _stated_context(message: str) -> int | None:
    """The context that a refusal speaks of; None where it names none."""
    found = re.search(r"(?:context|n_ctx|max_model_len)\D{0,30}?(\d{3,})", message.replace(",", ""))
    return int(found[1]) if found else None


def _plain(messages: Sequence[Message], system_role: bool) -> list[dict[str, Any]]:
    plain = [{"role": message.role, "content": message.content} for message in messages]
    system = "\n\n".join(m["content"] for m in plain if m["role"] == "system")
    if system_role or not system:
        return plain
    rest = [m for m in plain if m["role"] != "system"]
    if rest and rest[0]["role"] == "user":
        return [{"role": "user", "content": f"{system}\n\n{rest[0]['content']}"}, *rest[1:]]
    return [{"role": "user", "content": system}, *rest]


def _turns(prompt: Prompt, server: Server) -> list[dict[str, Any]]:
    """Messages, then each span as a message of its own: the model's as the assistant's, a tool's as a tool's (or the user's, where there is no such role)."""
    turns = _plain(prompt.messages, server.system_role)
    for index, span in enumerate(prompt.spans):
        if span.provenance is Provenance.MODEL:
            turns.append({"role": "assistant", "content": span.text})
        elif span.provenance is Provenance.TOOL and server.tool_role and turns[-1]["role"] == "assistant":
            # A tool message answers a call, so the call that the text holds is named as one too.
            call = {"id": f"call_{index}", "type": "function", "function": {"name": _TOOL_NAME, "arguments": "{}"}}
            turns[-1]["tool_calls"] = [call]
            turns.append({"role": "tool", "tool_call_id": call["id"], "content": span.text})
        else:
            turns.append({"role": "user", "content": span.text})
    return turns


async def _together(requests: Sequence[Coroutine[Any, Any, Completion]]) -> list[Completion]:
    """All results in order; the first failure, or being cancelled, cancels the rest."""
    tasks = [asyncio.ensure_future(request) for request in requests]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
