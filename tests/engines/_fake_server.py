"""A server that speaks the OpenAI wire format in this process, with the habits of several vendors.

Tokens are characters (id = code point + 10), which makes every count checkable by hand; 2 is the end of a sequence.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

EOS = 2
WORDS = ["apples", "Grüße", "café", "sum", "42", "数学", "therefore", "\n", "😀", "x = 3", "</code>", "so"]


@dataclass
class FakeServer:
    """`vendor` is vllm, llamacpp, ollama or cloud."""

    vendor: str = "vllm"
    context: int = 4000
    delay_s: float = 0.0
    key: str | None = None
    failures: list[httpx.Response | Exception] = field(default_factory=list)
    """Answered first, one per drawing request."""
    dead_after: int | None = None
    refuses_tool_role: bool = False
    refuses_system: bool = False
    thinks: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)
    open_now: int = 0
    most_open: int = 0
    closed_early: int = 0

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "Incorrect API key provided")
        if path == "/v1/models":
            entry = {"id": "fake", "object": "model", "owned_by": self.vendor}
            if self.vendor == "vllm":
                entry["max_model_len"] = self.context  # type: ignore[assignment]
            if self.vendor == "llamacpp":
                entry["meta"] = {"n_ctx": self.context}  # type: ignore[assignment]
            return httpx.Response(200, json={"object": "list", "data": [entry]})
        body = json.loads(request.content) if request.content else {}
        if path == "/tokenize" and self.vendor == "vllm":
            if self.refuses_system and any(m["role"] == "system" for m in body.get("messages", ())):
                return error(400, "System role not supported")
            return httpx.Response(
                200, json={"tokens": ids(render(body["messages"], body.get("add_generation_prompt", True)) if "messages" in body else body["prompt"])}
            )
        if path not in ("/v1/chat/completions", "/v1/completions"):
            return error(404, "Not Found")
        return await self.draw(path, body)

    async def draw(self, path: str, body: dict[str, Any]) -> httpx.Response:
        self.bodies.append(body)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        if self.dead_after is not None and len(self.bodies) > self.dead_after:
            raise httpx.ConnectError("connection refused")
        if refusal := self.refusal(body):
            return refusal
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            await asyncio.sleep(self.delay_s)
        finally:
            self.open_now -= 1
        return self.answer(path, body)

    def refusal(self, body: dict[str, Any]) -> httpx.Response | None:
        if self.vendor == "cloud":
            for name in ("return_token_ids", "continue_final_message", "add_generation_prompt", "skip_special_tokens", "top_k"):
                if name in body:
                    return error(400, f"Unrecognized request argument supplied: {name}")
            if "max_tokens" in body:
                return error(400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
        roles = [m["role"] for m in body.get("messages", ())]
        if self.refuses_tool_role and "tool" in roles:
            return error(400, "Unexpected role tool")
        if self.refuses_system and "system" in roles:
            return error(400, "System role not supported")
        return None

    def answer(self, path: str, body: dict[str, Any]) -> httpx.Response:
        chat = path.endswith("chat/completions")
        prompt = self.prompt(body, chat)
        fed = prompt if isinstance(prompt, list) else ids(prompt)
        asked = body.get("max_tokens") or body.get("max_completion_tokens") or 16
        room = self.context - len(fed)
        if room < 1 or asked > room:
            return error(400, f"This model's maximum context length is {self.context} tokens, but {len(fed)} + {asked} were asked for.")
        text, finish, stop, tokens = reply(fed, body, min(asked, room))
        thought = "Let me think. " if self.thinks else ""
        wants_logprobs = body.get("logprobs") is not None and body["logprobs"] is not False and self.vendor in ("vllm", "llamacpp")
        logps = [-(t % 7 + 1) / 7 for t in tokens]
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
        if self.vendor == "vllm":
            choice["stop_reason"] = stop
            if body.get("return_token_ids"):
                choice |= {"token_ids": tokens, "prompt_token_ids": fed}
            if body.get("prompt_logprobs") is not None:
                choice["prompt_logprobs"] = [None] + [{str(t): {"logprob": -0.25}} for t in fed[1:]]
        usage = {"prompt_tokens": len(fed), "completion_tokens": len(tokens), "total_tokens": len(fed) + len(tokens)}
        entries = [
            {"token": t, "logprob": x} | ({"id": i} if self.vendor == "llamacpp" else {}) for t, x, i in zip(map(word, tokens), logps, tokens, strict=True)
        ]
        if body.get("stream"):
            return httpx.Response(200, stream=Streamed(self, self.events(choice, text, entries if wants_logprobs else None, thought, usage)))
        if chat:
            choice["message"] = {"role": "assistant", "content": text} | ({"reasoning_content": thought} if thought else {})
            choice["logprobs"] = {"content": entries} if wants_logprobs else None
        else:
            choice["text"] = text
            choice["logprobs"] = {"token_logprobs": logps, "tokens": list(map(word, tokens))} if wants_logprobs else None
        return httpx.Response(200, json={"choices": [choice], "usage": usage})

    def prompt(self, body: dict[str, Any], chat: bool) -> str | list[int]:
        if not chat:
            return body["prompt"]  # type: ignore[no-any-return]
        messages = body["messages"]
        continues = messages[-1]["role"] == "assistant" and (self.vendor in ("llamacpp", "ollama") or bool(body.get("continue_final_message")))
        return render(messages[:-1], True) + messages[-1]["content"] if continues else render(messages, True)

    def events(self, choice: dict[str, Any], text: str, entries: list[Any] | None, thought: str, usage: dict[str, int]) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        if thought:
            made.append({"choices": [{"index": 0, "delta": {"reasoning_content": thought}, "finish_reason": None}]})
        for position, letter in enumerate(text):
            piece: dict[str, Any] = {"index": 0, "delta": {"content": letter}, "text": letter, "finish_reason": None}
            if entries is not None:
                piece["logprobs"] = {"content": entries[position : position + 1]}
            made.append({"choices": [piece | {"delta": {"content": letter}, "text": ""}]})
        made.append({"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
        made.append({"choices": [], "usage": usage})
        return made


class Streamed(httpx.AsyncByteStream):
    def __init__(self, server: FakeServer, events: list[dict[str, Any]]) -> None:
        self.server, self.events, self.sent = server, events, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self.events:
            await asyncio.sleep(0)
            self.sent += 1
            yield f"data: {json.dumps(event)}\n\n".encode()
        yield b"data: [DONE]\n\n"

    async def aclose(self) -> None:
        self.server.closed_early += self.sent < len(self.events)


def error(status: int, message: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message}}, headers=headers)


def render(messages: list[dict[str, Any]], open_turn: bool) -> str:
    return "".join(f"[{m['role']}]{m['content']}" for m in messages) + ("[assistant]" if open_turn else "")


def ids(text: str) -> list[int]:
    return [ord(letter) + 10 for letter in text]


def word(token: int) -> str:
    return "" if token == EOS else chr(token - 10)


def reply(fed: list[int], body: dict[str, Any], bound: int) -> tuple[str, str, str | None, list[int]]:
    """(text, finish reason, matched stop, tokens): a function of what was fed and of the seed, which drops the stop string as servers do."""
    prompt = "".join(map(word, fed))
    if prompt.endswith("six sev"):
        whole = "en eight nine ten"
    else:
        source = random.Random(f"{prompt}{body.get('seed') if body.get('temperature') else 0}")
        whole = " ".join(source.choices(WORDS, k=2000 if "forever" in prompt else 25))
    stops = body.get("stop") or []
    ends = [(whole.find(s) + len(s), s) for s in stops if s in whole]
    if ends and min(ends)[0] <= bound:
        end, stop = min(ends)
        return whole[: end - len(stop)], "stop", stop, ids(whole[:end])
    if len(whole) + 1 > bound:
        return whole[:bound], "length", None, ids(whole[:bound])
    return whole, "stop", None, [*ids(whole), EOS]
