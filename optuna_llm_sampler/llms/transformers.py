"""Weights in this process by ``transformers``: for GPUs, and for models that have no GGUF file."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
import secrets
import threading
import time
from typing import Any, get_args, Literal, NamedTuple

import optuna

from ..errors import BadRequestError, CallTimeoutError, need, TokenUsage, WeightsError
from .base import Completion, Request, until
from .style import as_style, CODE, Style, style_for


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

Dtype = Literal["auto", "float32", "bfloat16", "float16", "4bit"]
_DEFAULT_TEMPERATURE = 0.8
# Of the likeliest token; as with llama.cpp, only the end of the tail is cut.
_MIN_P = 0.02


class TransformersLLM:
    """A model whose weights are in this process, by ``transformers``.

    On a CPU, :class:`LocalLLM` decodes several times faster. Nothing is loaded before
    :meth:`prepare` or :meth:`complete`; the weights are loaded once per process and settings. All
    answers to one request are decoded together, after one reading of the prompt. Code that comes
    with a model is never run.

    Args:
        model:
            An id on the Hugging Face hub, a folder, or the path of a ``.gguf`` file.
        device:
            ``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"cpu"``. :obj:`None`: a GPU if there is one.
        dtype:
            ``"auto"``: ``bfloat16`` on GPUs that have it, else ``float16``; ``float32`` on the
            CPU. ``"4bit"`` needs bitsandbytes.
        style:
            See :class:`LocalLLM`; by the name of the model, else as code.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        device: str | None = None,
        dtype: Dtype = "auto",
        style: Style | str | None = None,
    ) -> None:
        if not os.fspath(model).strip():
            raise ValueError(f"model must be a hub id, a folder or a .gguf file; got {model!r}.")
        if dtype not in get_args(Dtype):
            raise ValueError(f"dtype must be one of {get_args(Dtype)}, but got {dtype!r}.")
        for module in ("torch", "transformers", "llguidance"):
            need(module, "A model by transformers", "hf")
        path = Path(model).expanduser()
        self.model = str(path.absolute()) if path.exists() else os.fspath(model)
        self.device = device
        self.dtype = dtype
        by_name = style_for(path.name) or CODE
        self.style = by_name if style is None else as_style(style)

    def __repr__(self) -> str:
        return f"TransformersLLM({self.model!r}, device={self.device!r}, dtype={self.dtype!r})"

    @property
    def name(self) -> str:
        path = Path(self.model)
        return f"hf/{path.stem if path.exists() else self.model}"

    def prepare(self) -> None:
        """Load the weights now, as :meth:`LocalLLM.prepare` does."""
        _engine_of(self._settings())

    def complete(self, request: Request) -> Completion:
        """Answer one request, with the timeout and errors of :meth:`LocalLLM.complete`."""
        engine = _engine_of(self._settings())
        return engine.complete(request, raw=self.style.form == "script", name=self.name)

    def _settings(self) -> _Settings:
        return _Settings(self.model, self.device, self.dtype)


class _Settings(NamedTuple):
    model: str
    device: str | None
    dtype: Dtype


class _Engine:
    """A model and its tokenizer. One call at a time."""

    def __init__(self, settings: _Settings) -> None:
        start = time.monotonic()
        self.device = settings.device or _best_device()
        self.model, self.tokenizer = _load(settings, self.device)
        self.ends = _end_tokens(self.model, self.tokenizer)
        # Not what the model's publisher proposes for sampling, such as a penalty on repetition.
        self.model.generation_config = type(self.model.generation_config)(
            eos_token_id=self.ends, pad_token_id=self.ends[0]
        )
        self._matching: Any = None
        self._busy = threading.Lock()
        _logger.info(f"Loaded {settings.model} in {time.monotonic() - start:.1f} s.")

    def complete(self, request: Request, *, raw: bool, name: str) -> Completion:
        deadline = time.monotonic() + request.timeout
        if not self._busy.acquire(timeout=max(request.timeout, 0.0)):
            raise CallTimeoutError("The model is busy with another call.")
        try:
            prompt = self._encoded(request, raw=raw)
            rows = _Rows(request, self, prompt.shape[1], deadline)
            return rows.completion(self._generate(prompt, rows, request), name)
        finally:
            self._busy.release()

    def _generate(self, prompt: Any, rows: _Rows, request: Request) -> Any:
        import torch
        import transformers

        cache = transformers.DynamicCache(config=self.model.config)
        # The argument was given another name within transformers 5.
        known = inspect.signature(self.model.forward).parameters
        memory = {"cache" if "cache" in known else "past_key_values": cache}
        with torch.inference_mode():
            # The prompt is read once. `generate` alone would read it once per answer.
            if prompt.shape[1] > 1:
                self.model(prompt[:, :-1], **memory, use_cache=True, logits_to_keep=1)
                cache.batch_repeat_interleave(request.n)
            prompts = prompt.repeat(request.n, 1)
            return self.model.generate(
                prompts,
                **memory,
                attention_mask=torch.ones_like(prompts),
                max_new_tokens=request.max_tokens,
                do_sample=False,  # `rows.draw` does
                logits_processor=[rows.draw],
                stopping_criteria=[rows.are_done],
            )

    def _encoded(self, request: Request, *, raw: bool) -> Any:
        messages = list(request.messages)
        if raw or self.tokenizer.chat_template is None:
            text = "\n".join(message["content"] for message in messages)
            return self.tokenizer(text, return_tensors="pt").input_ids.to(self.device)
        goes_on = messages[-1]["role"] == "assistant"
        text = self.tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            enable_thinking=False,
        )
        encoded = self.tokenizer(text, return_tensors="pt", add_special_tokens=False)
        return encoded.input_ids.to(self.device)

    def vocabulary(self) -> Any:
        if self._matching is None:
            import llguidance.hf

            size = self.model.get_output_embeddings().weight.shape[0]
            self._matching = llguidance.hf.from_tokenizer(self.tokenizer, n_vocab=size)
        return self._matching

    def text(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode([token for token in tokens if token not in self.ends]))


class _Rows:
    """The answers to one request while ``generate`` writes them, one row each."""

    def __init__(self, request: Request, engine: _Engine, begin: int, deadline: float) -> None:
        import torch

        self._request = request
        self._engine = engine
        self._begin = begin
        self._deadline = deadline
        self._late = False
        self._temperature = (
            _DEFAULT_TEMPERATURE if request.temperature is None else request.temperature
        )
        # A generator of its own: the user's training must not draw other numbers because of this.
        self._generator = torch.Generator(engine.device)
        seed = secrets.randbits(32) if request.seed is None else request.seed
        self._generator.manual_seed(seed)
        self._matchers = _matchers(request, engine)
        self._done = [False] * request.n

    def draw(self, ids: Any, logits: Any) -> Any:
        """Draw the next token of each row: the only one whose logit stays finite."""
        import torch

        for row, matcher in zip(logits, self._matchers, strict=False):
            allowed = torch.frombuffer(bytearray(matcher.compute_logit_bias()), dtype=torch.uint8)
            row[: len(allowed)].masked_fill_(allowed.to(row.device) == 0, -torch.inf)
            row[len(allowed) :] = -torch.inf
        if self._temperature <= 0:
            return logits
        chances = torch.softmax(logits / self._temperature, dim=-1)
        least = _MIN_P * chances.max(dim=-1, keepdim=True).values
        kept = torch.where(chances < least, 0.0, chances)
        tokens = torch.multinomial(kept, 1, generator=self._generator)
        return torch.full_like(logits, -torch.inf).scatter(1, tokens, 0.0)

    def are_done(self, ids: Any, scores: Any, **_: Any) -> Any:
        """Tell which rows end with their last token, or because the time is up."""
        import torch

        for i, row in enumerate(ids[:, self._begin :].tolist()):
            self._done[i] = self._done[i] or self._ends(i, row)
        self._late = time.monotonic() > self._deadline
        return torch.tensor([done or self._late for done in self._done], device=ids.device)

    def _ends(self, i: int, row: list[int]) -> bool:
        if row[-1] in self._engine.ends:
            return True
        if self._matchers:
            self._matchers[i].consume_token(row[-1])
            if self._matchers[i].is_stopped():
                return True
        stops = self._request.stop
        return bool(stops) and any(stop in self._engine.text(row) for stop in stops)

    def completion(self, ids: Any, name: str) -> Completion:
        rows = ids[:, self._begin :].tolist()
        texts = tuple(
            until(self._engine.text(row), self._request.stop)
            for row, done in zip(rows, self._done, strict=True)
            if done or not self._late
        )
        if not texts:
            raise CallTimeoutError(f"{name} did not answer in time.")
        written = sum(token not in self._engine.ends for row in rows for token in row)
        usage = TokenUsage(self._begin, written, None)
        return Completion(texts, usage, name, "stop" if any(self._done) else "length")


def _matchers(request: Request, engine: _Engine) -> list[Any]:
    """Return what keeps each row within the request's grammar or schema; nothing without one."""
    import llguidance

    if request.grammar is not None:
        grammar = llguidance.grammar_from("lark", request.grammar)
    elif request.schema is not None:
        grammar = llguidance.grammar_from("json_schema", json.dumps(request.schema))
    else:
        return []
    matchers = [llguidance.LLMatcher(engine.vocabulary(), grammar) for _ in range(request.n)]
    if error := matchers[0].get_error():
        raise BadRequestError(f"llguidance does not take the grammar: {error[:300]}")
    return matchers


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    configured = model.generation_config.eos_token_id
    found = configured if isinstance(configured, list) else [configured]
    ends = [*found, tokenizer.eos_token_id]
    return list(dict.fromkeys(end for end in ends if end is not None)) or [0]


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _load(settings: _Settings, device: str) -> tuple[Any, Any]:
    import transformers

    kwargs: dict[str, Any] = {"trust_remote_code": False}
    folder = settings.model
    if folder.endswith(".gguf"):
        need("gguf", "A .gguf file by transformers", "hf")
        kwargs["gguf_file"] = Path(folder).name
        folder = str(Path(folder).parent)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **kwargs)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, **kwargs, **_precision(settings.dtype, device)
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"transformers cannot load {settings.model}: {str(error)[:300]}",
            hint="Give an id on the hub that can be reached, a folder with a model and its "
            "tokenizer, or a .gguf file.",
        ) from error
    return (model if settings.dtype == "4bit" else model.to(device)).eval(), tokenizer


def _precision(dtype: Dtype, device: str) -> dict[str, Any]:
    import torch

    if dtype == "4bit":
        need("bitsandbytes", "Weights in 4 bits", "bitsandbytes")
        from transformers import BitsAndBytesConfig

        config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)
        return {"quantization_config": config, "device_map": device}
    if dtype != "auto":
        return {"dtype": getattr(torch, dtype)}
    if device == "cpu":
        return {"dtype": torch.float32}
    has_bfloat16 = device.startswith("cuda") and torch.cuda.is_bf16_supported()
    return {"dtype": torch.bfloat16 if has_bfloat16 else torch.float16}


_engines: dict[_Settings, _Engine] = {}
_lock = threading.Lock()


def _engine_of(settings: _Settings) -> _Engine:
    with _lock:
        if settings not in _engines:
            _engines[settings] = _Engine(settings)
        return _engines[settings]
