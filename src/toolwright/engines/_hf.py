"""The default engine: a transformers causal language model in this process, on the CPU or one GPU.

This half lives in the event loop: prompts to ids, requests to jobs, jobs to futures. The other half (`_worker`) is a thread with the model. The i-th sample
of a call draws from ``derive_seed(seed, i)``, whatever is decoded beside it. Left out: several GPUs, quantised loading (pass a model object that
transformers has quantised).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from toolwright.engines._requests import check_request
from toolwright.episodes import Capabilities, Completion, FinishReason, Message, Prompt, SamplingParams, derive_seed, digest, digest_files
from toolwright.errors import EngineFault, MissingExtra, UsageError

if TYPE_CHECKING:
    from toolwright.engines._worker import DecodeLoop, EngineStats

T = TypeVar("T")

DTYPES = ("float32", "bfloat16", "float16", "auto")
_MODEL_FILES = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken")
_CONTEXT_WHERE_UNKNOWN = 2048


class HFEngine:
    """A transformers model with slots of its own.

    Units: `cache_bytes` bounds what is kept of finished prompts and episodes, so that an episode that comes back from a tool call is not computed again.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        digest: str | None = None,
        slots: int = 64,
        cache_bytes: int = 256 << 20,
        folder: Path | None = None,
    ) -> None:
        from toolwright.engines._forward import unsupported

        if slots < 1:
            raise UsageError(f"slots is {slots}, but at least 1 is needed")
        if reason := unsupported(model):
            raise UsageError(f"the model {name} {reason}")
        self._model, self._tokenizer, self._name, self._folder = model.eval(), tokenizer, name, folder
        self._digest = digest
        self._slots, self._cache_bytes = slots, cache_bytes
        self._context = _context_tokens(model, tokenizer)
        self._eos_ids = _eos_ids(model, tokenizer)
        self._decode = _decoder(tokenizer)
        self._tokenizer_lock = threading.Lock()
        self._template_ids = lru_cache(maxsize=512)(self._apply_template)
        self._system_role = self._probe_system_role()
        self._loop = self._new_loop()

    @classmethod
    def load(cls, path_or_id: str | Path, *, dtype: str = "float32", device: str | None = None, slots: int = 64, name: str | None = None) -> HFEngine:
        """The engine for a model folder, or for a model of the Hugging Face hub by its id.

        Raises: UsageError for a folder or id without a model, or a dtype or device that is not there; MissingExtra without torch or transformers.
        """
        if dtype not in DTYPES:
            raise UsageError(f'dtype is "{dtype}", but one of {", ".join(DTYPES)} is accepted')
        torch, transformers = _libraries()
        folder = _folder(path_or_id)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            with _quiet(transformers):
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
                model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype if dtype == "auto" else getattr(torch, dtype))
            model.to(device)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UsageError(f"{path_or_id} could not be loaded on {device} as {dtype}: {_first_line(error)}") from error
        return cls(model, tokenizer, name=name or str(path_or_id), slots=slots, folder=folder)

    @property
    def name(self) -> str:
        return self._name

    @property
    def digest(self) -> str:
        if self._digest is None:
            self._digest = self._identify()
        return self._digest

    @property
    def stats(self) -> EngineStats:
        """What was drawn, computed and reused so far."""
        return self._loop.stats

    @property
    def live(self) -> int:
        """Slots in use now."""
        return self._loop.live

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, for who must count or mark tokens as this engine does."""
        return self._tokenizer

    @property
    def model(self) -> Any:
        """The model itself, for training in place; call `weights_changed` afterwards."""
        return self._model

    async def capabilities(self) -> Capabilities:
        notes = []
        if not getattr(self._tokenizer, "chat_template", None):
            notes.append("The tokenizer has no chat template, so messages are joined by empty lines.")
        if not self._system_role:
            notes.append("The chat template takes no system message, so its text is put before the first user message.")
        return Capabilities(
            logps=True,
            token_ids=True,
            prefill=True,
            multiple=True,
            system_role=self._system_role,
            context_tokens=self._context,
            notes=tuple(notes),
        )

    async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
        check_request(prompt, n, params)
        ids = self.encode(prompt)
        if len(ids) >= self._context:
            full = Completion("", FinishReason.CONTEXT, (), (), prompt_tokens=len(ids), prompt_token_ids=ids)
            return [full] * n
        from toolwright.engines._worker import SampleJob

        return await self._drawn([partial(SampleJob, ids, params, derive_seed(seed, i)) for i in range(n)])

    async def score(self, prompt: Prompt, continuation: str) -> tuple[float, ...]:
        if not continuation:
            raise UsageError("the continuation to score is empty")
        from toolwright.engines._worker import ScoreJob

        ids = self.encode(prompt)
        if not ids:
            raise UsageError("the prompt to score after is empty: give it at least one message or one span with text")
        both = ids + self._encode_text(continuation)
        if len(both) > self._context:
            raise UsageError(f"prompt and continuation have {len(both)} tokens together, but the context of {self._name} holds {self._context}")
        scores: list[tuple[float, ...]] = await self._drawn([partial(ScoreJob, both, len(ids))])
        return scores[0]

    async def aclose(self) -> None:
        await asyncio.to_thread(self._loop.close)

    async def weights_changed(self, digest: str) -> None:
        """Forget what was computed with the old weights, and go by a new digest."""
        self._digest = digest
        self._loop.forget()

    def with_adapter(self, folder: Path, *, name: str | None = None) -> HFEngine:
        """An engine for this model with the adapter of a folder; both share the model's weights and each has slots of its own. Close both.

        Raises: UsageError where the folder holds no adapter, one of another shape, or one that was trained on other weights.
        """
        from toolwright.engines._adapters import adapter_digest, check_base, load_adapter

        check_base(folder, self._folder)
        adapted = HFEngine(
            load_adapter(self._model, folder),
            self._tokenizer,
            name=name or f"{self._name}+{folder.name}",
            digest=digest(self.digest, "adapter", adapter_digest(folder)),
            slots=self._slots,
            cache_bytes=self._cache_bytes,
        )
        # One tokenizer, one lock: it is not safe for two threads at once.
        adapted._tokenizer_lock = self._tokenizer_lock
        return adapted

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """The ids of messages and spans as they are fed: spans that carry ids go in verbatim, others as their text without special tokens."""
        ids = list(self._template_ids(prompt.messages)) if prompt.messages else []
        for span in prompt.spans:
            ids += span.token_ids if span.token_ids is not None else self._encode_text(span.text)
        return tuple(ids)

    async def _drawn(self, makers: Sequence[Callable[[Any], Any]]) -> list[Any]:
        """What the jobs deliver, in order; cancelling this frees their slots."""
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in makers]
        jobs = [make(_deliver_to(loop, future)) for make, future in zip(makers, futures, strict=True)]
        self._loop.submit(jobs)
        try:
            return list(await asyncio.gather(*futures))
        finally:
            for job, future in zip(jobs, futures, strict=True):
                job.cancelled = not future.done() or future.cancelled()

    def _new_loop(self) -> DecodeLoop:
        from toolwright.engines._worker import DecodeLoop

        def decode(ids: Sequence[int]) -> str:
            with self._tokenizer_lock:
                return self._decode(ids)

        return DecodeLoop(self._model, slots=self._slots, cache_bytes=self._cache_bytes, eos_ids=self._eos_ids, decode=decode, context=self._context)

    def _encode_text(self, text: str) -> tuple[int, ...]:
        with self._tokenizer_lock:
            return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _apply_template(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        if not getattr(self._tokenizer, "chat_template", None):
            return self._encode_text("".join(message.content + "\n\n" for message in messages))
        if not self._system_role:
            messages = _without_system(messages)
        plain = [{"role": message.role, "content": message.content} for message in messages]
        with self._tokenizer_lock:
            try:
                ids = self._tokenizer.apply_chat_template(plain, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
            except Exception as error:  # whatever the template's own code raises
                roles = ", ".join(message.role for message in messages)
                raise UsageError(f"the chat template of {self._name} refuses messages with the roles {roles}: {_first_line(error)}") from error
        return tuple(ids)

    def _probe_system_role(self) -> bool:
        """False where the template refuses a system message, or knows nothing of one and would drop it."""
        template = getattr(self._tokenizer, "chat_template", None)
        if not template:
            return True
        plain = [{"role": "system", "content": "probe-of-system"}, {"role": "user", "content": "hello"}]
        try:
            shown = self._tokenizer.apply_chat_template(plain, add_generation_prompt=True, tokenize=False)
        except Exception:  # templates refuse by whatever their own code raises
            return False
        # A template that reads the role without showing the text (to choose a mode, say) is taken at its word.
        return "probe-of-system" in shown or "system" in str(template)

    def _identify(self) -> str:
        config = self._model.config
        facts = (getattr(self._tokenizer, "chat_template", None), str(self._model.dtype), sorted(self._eos_ids))
        if self._folder is not None:
            files = sorted({path for pattern in _MODEL_FILES for path in self._folder.glob(pattern)})
            return digest(digest_files(files), *facts)
        # A model made in memory has no files: its configuration and a look at its weights name it.
        weights = [float(p.detach().double().abs().sum()) for p in self._model.parameters()]
        return digest(config.to_json_string(use_diff=False), len(self._tokenizer), weights, *facts)


def _deliver_to(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> Callable[[Any], None]:
    def settle(result: Any) -> None:
        if future.done():
            return
        if isinstance(result, EngineFault):
            future.set_exception(result)
        else:
            future.set_result(result)

    def deliver(result: Any) -> None:
        # A loop that was closed meanwhile has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result)

    return deliver


def _without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    rest = [message for message in messages if message.role != "system"]
    if not system:
        return messages
    if rest and rest[0].role == "user":
        return (Message("user", f"{system}\n\n{rest[0].content}"), *rest[1:])
    return (Message("user", system), *rest)


def _eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    ids: set[int] = set()
    for source in (getattr(model, "generation_config", None), model.config, tokenizer):
        found = getattr(source, "eos_token_id", None)
        ids.update(found if isinstance(found, list | tuple) else [found] if found is not None else [])
    return frozenset(ids)


def _context_tokens(model: Any, tokenizer: Any) -> int:
    known = getattr(model.config, "max_position_embeddings", None) or getattr(model.config, "n_positions", None)
    # Tokenizers that know no limit say so with an astronomical number.
    stated = getattr(tokenizer, "model_max_length", None)
    return int(known or (stated if stated and stated < 1 << 30 else _CONTEXT_WHERE_UNKNOWN))


def _decoder(tokenizer: Any) -> Callable[[Sequence[int]], str]:
    """Ids to text, special tokens kept: dialect tags may be among them."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        # The same decoder without the wrapper's overhead, which would be paid per row and step.
        return lambda ids: str(backend.decode(list(ids), skip_special_tokens=False))
    return lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra("local", "running a model in this process") from error
    return torch, transformers


def _folder(path_or_id: str | Path) -> Path:
    """The folder of a model: as given, or where the hub's copy lies."""
    folder = Path(path_or_id).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UsageError(f"{folder} is a folder without config.json, so it holds no transformers model")
        return folder
    text = str(path_or_id)
    if isinstance(path_or_id, Path) or text.startswith((".", "/", "~")) or text.count("/") != 1:
        raise UsageError(f'no model folder at "{text}"; give a folder with config.json, "nano", "pico", or a hub id such as Qwen/Qwen2.5-0.5B-Instruct')
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(text, allow_patterns=list(_MODEL_FILES)))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise UsageError(
            f'"{text}" is neither a folder here nor a model the Hugging Face hub would give ({_first_line(error)}); check the spelling and the connection'
        ) from error


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bar while a model of a few megabytes is loaded."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
