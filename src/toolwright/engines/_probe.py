"""What a server can do, found out by asking it: a handful of requests of a few tokens, once.

Nothing is concluded from a vendor's name except how to ask for the continuation of an assistant turn. What a probe cannot show is taken to be missing: then
spans travel as messages, and stop strings are watched for here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from toolwright.engines._answers import Answer
from toolwright.engines._wire import Refused, Wire
from toolwright.episodes import Capabilities
from toolwright.errors import EngineFault, UsageError

_OPTIONAL = ("return_token_ids", "logprobs", "top_logprobs", "seed", "stream_options", "skip_special_tokens", "continue_final_message", "add_generation_prompt")
"""Fields that a server may refuse without harm to what is drawn, except that without a seed nothing can be drawn again."""


@dataclass(slots=True)
class Server:
    """What is known about a server; grows when an answer shows something new."""

    base_url: str
    model: str
    context_tokens: int | None = None
    token_prompts: bool = False
    """Takes prompts as ids, gives sampled ids, and applies the chat template for us: token in, token out."""
    sampled_ids: bool = False
    logps: bool = False
    prefill: bool = False
    system_role: bool = True
    tool_role: bool = True
    length_field: str = "max_tokens"
    size_fed: int = 0
    tokens_fed: int = 0
    """Characters and tokens of the prompts whose usage was reported: what estimates go by."""
    refused: set[str] = field(default_factory=set)
    """Optional fields that this server will not have."""
    notes: dict[str, None] = field(default_factory=dict)
    """In the order found."""

    def estimated_tokens(self, size: int) -> int:
        """About how many tokens a prompt of that many characters has, by those seen; by the usual four characters where none were."""
        self.note("Prompt tokens of samples that ended at a stop string are estimates.")
        per_token = self.size_fed / self.tokens_fed if self.tokens_fed else 4.0
        return max(1, round(size / per_token))

    def note(self, sentence: str) -> None:
        """Remember a quirk."""
        self.notes.setdefault(sentence)

    def body(self, **fields: Any) -> dict[str, Any]:
        """A request body without the fields this server refuses."""
        named = {self.length_field if name == "max_tokens" else name: value for name, value in fields.items()}
        return {"model": self.model, **{name: value for name, value in named.items() if name not in self.refused and value is not None}}

    def learn(self, refusal: Refused) -> bool:
        """True where the refusal names a field that can be left out or renamed: ask again."""
        if refusal.status not in (400, 422):
            return False
        text = refusal.message
        if "max_completion_tokens" in text and self.length_field == "max_tokens":
            self.length_field = "max_completion_tokens"
            return True
        for name in _OPTIONAL:
            if name in text and name not in self.refused:
                self.refused.add(name)
                self.note(f"The server refuses the field {name}" + ("; samples cannot be drawn again." if name == "seed" else "."))
                return True
        return False

    def capabilities(self) -> Capabilities:
        """The same for other rooms."""
        return Capabilities(
            logps=self.logps and self.sampled_ids,
            token_ids=self.token_prompts,
            prefill=self.prefill or self.token_prompts,
            multiple=False,
            system_role=self.system_role,
            context_tokens=self.context_tokens,
            notes=tuple(self.notes),
        )


async def probe(wire: Wire, model: str | None) -> Server:
    """What the server behind the wire can do.

    Raises: UsageError where nothing answers there, the key is refused, or the model is not served.
    """
    server = await _listed(wire, model)
    await _probe_chat(wire, server)
    await _probe_tokens(wire, server)
    if not server.token_prompts:
        await _probe_system(wire, server)
        await _probe_prefill(wire, server)
    server.note("Several samples are drawn by parallel requests, each with its own seed.")
    return server


async def ask(wire: Wire, server: Server, path: str, **fields: Any) -> Any:
    """The JSON answer, asked again without the fields that the server turns out to refuse."""
    while True:
        try:
            return await wire.post(f"{wire.base_url}/{path}", server.body(**fields))
        except Refused as refusal:
            if not server.learn(refusal):
                raise


async def _listed(wire: Wire, model: str | None) -> Server:
    try:
        listing = await _models(wire)
    except EngineFault as error:
        why = error if isinstance(error.__cause__, ValueError) else error.__cause__ or error
        raise UsageError(f"no OpenAI-compatible server answers at {wire.base_url} ({why}); start one there or correct base_url") from error
    except Refused as refusal:
        if refusal.status in (401, 403):
            raise UsageError(f"the server at {wire.base_url} refuses the API key ({refusal.message}); set OPENAI_API_KEY or give api_key") from refusal
        if model is None:
            raise UsageError(f"the server at {wire.base_url} lists no models ({refusal}); name one with model, or correct base_url") from refusal
        return Server(wire.base_url, model)
    entries = {entry["id"]: entry for entry in listing if isinstance(entry, dict) and "id" in entry}
    if model is None:
        if not entries:
            raise UsageError(f"the server at {wire.base_url} serves no model; load one there, or name one with model")
        model = next(iter(entries))
    # Ollama lists "name:latest" for what it also answers to as "name".
    entry = entries.get(model) or entries.get(f"{model}:latest")
    if entries and entry is None:
        raise UsageError(f'the server at {wire.base_url} does not serve "{model}"; it serves {", ".join(sorted(entries)[:20])}')
    server = Server(wire.base_url, model, context_tokens=_context(entry or {}))
    if len(entries) > 1:
        server.note(f"{len(entries)} models are served; {model} is used.")
    return server


async def _models(wire: Wire) -> list[Any]:
    try:
        listing = await wire.get(f"{wire.base_url}/models", retries=1)
    except (Refused, EngineFault) as first:
        gone = isinstance(first, EngineFault) and "not JSON" not in str(first)
        if gone or wire.base_url.endswith("/v1") or (isinstance(first, Refused) and first.status != 404):
            raise
        # The address of the server instead of that of its interface is the commonest slip.
        listing = await wire.get(f"{wire.base_url}/v1/models", retries=1)
        wire.base_url += "/v1"
    data = listing.get("data") if isinstance(listing, dict) else listing
    return data if isinstance(data, list) else []


def _context(entry: dict[str, Any]) -> int | None:
    meta = entry.get("meta") if isinstance(entry.get("meta"), dict) else {}
    for source, name in (
        (entry, "max_model_len"),
        (meta, "n_ctx"),
        (entry, "loaded_context_length"),
        (entry, "context_length"),
        (entry, "context_window"),
        (entry, "max_context_length"),
    ):
        value = (source or {}).get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None


async def _probe_chat(wire: Wire, server: Server) -> None:
    """Log-probabilities and ids, and whether the server answers at all."""
    try:
        body = await ask(
            wire,
            server,
            "chat/completions",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=4,
            temperature=0,
            logprobs=True,
            seed=1,
            return_token_ids=True,
        )
    except Refused as refusal:
        if refusal.status in (401, 403):
            raise UsageError(f"the server at {wire.base_url} refuses the API key ({refusal.message}); set OPENAI_API_KEY or give api_key") from refusal
        server.note(f"Chat requests are refused ({refusal.message[:200]}); prompts of spans alone may still work.")
        return
    answer = Answer()
    answer.add(body)
    answer.visible()
    server.logps = answer.logps is not None
    server.sampled_ids = answer.token_ids is not None
    if answer.thought:
        server.note("The model thinks before it answers; its thinking is not part of the text.")
    if not server.logps:
        server.note("No log-probabilities come back.")
    elif not server.sampled_ids:
        server.note("Log-probabilities come back without token ids, so they are not recorded.")
    if answer.prompt_tokens is None:
        server.note("No usage is reported, so token counts are estimates.")


async def _probe_tokens(wire: Wire, server: Server) -> None:
    """Token in, token out: the template applied for us, prompts as ids, ids back."""
    if not server.sampled_ids or "return_token_ids" in server.refused:
        return
    try:
        ids = await tokenize(wire, server, {"messages": [{"role": "user", "content": "Say hello."}], "add_generation_prompt": True})
        body = await ask(wire, server, "completions", prompt=ids, max_tokens=2, temperature=0, logprobs=0, return_token_ids=True, skip_special_tokens=False)
    except (Refused, EngineFault):
        return
    answer = Answer()
    answer.add(body)
    server.token_prompts = answer.token_ids is not None and answer.prompt_tokens == len(ids)
    try:
        await tokenize(wire, server, {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]})
    except Refused:
        server.system_role = False
        server.note("The chat template takes no system message, so its text is put before the first user message.")


async def tokenize(wire: Wire, server: Server, fields: dict[str, Any]) -> list[int]:
    """Ids of messages or of a text, as the server makes them."""
    body = await wire.post(f"{wire.root_url}/tokenize", {"model": server.model, **fields})
    tokens = body.get("tokens") if isinstance(body, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
        raise EngineFault(f"{wire.root_url}/tokenize answered without token ids")
    return tokens


async def _probe_system(wire: Wire, server: Server) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    try:
        await ask(wire, server, "chat/completions", messages=messages, max_tokens=1, temperature=0)
    except Refused:
        server.system_role = False
        server.note("A system message is refused, so its text is put before the first user message.")


async def _probe_prefill(wire: Wire, server: Server) -> None:
    """Whether a last assistant message is continued: the rest of a half-written word comes back, and nothing before it."""
    whole = "one two three four five six seven eight nine ten"
    said = "one two three four five six sev"
    messages = [{"role": "user", "content": f"Repeat exactly, and nothing else: {whole}"}, {"role": "assistant", "content": said}]
    fields = {"messages": messages, "max_tokens": 8, "temperature": 0, "add_generation_prompt": False, "continue_final_message": True}
    try:
        body = await ask(wire, server, "chat/completions", **fields)
    except Refused:
        server.note("An assistant turn cannot be continued, so tool results travel as messages.")
        return
    answer = Answer()
    answer.add(body)
    server.prefill = answer.visible().startswith("en")
    if not server.prefill:
        server.note("An assistant turn is not continued where it stopped, so tool results travel as messages.")
