"""Weights in this process by ``transformers``: for GPUs, and for models that have no GGUF file."""

from __future__ import annotations

from collections.abc import Iterator
import inspect
import json
import os
from pathlib import Path
import secrets
import threading
import time
from typing import Any
from typing import get_args
from typing import Literal
from typing import NamedTuple

import optuna

from .._extras import need
from ..errors import BadRequestError
from ..errors import CallTimeoutError
from ..errors import TokenUsage
from ..errors import WeightsError
from .base import Completion
from .base import Request
from .style import as_style
from .style import CODE
from .style import Style
from .style import style_for


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

    On an H200 whose 16 cores were busy, a question for 8 configurations took 8 to 9 s the first
    time and 1.4 to 2.8 s then, with the shapes of Qwen2.5 of 0.5, 1.5 and 7 billion parameters
    alike (random weights, its real vocabulary, bfloat16). All three together took 18 GiB.

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
        """Load the weights now, rather than at the first call.

        Raises:
            WeightsError: The weights cannot be had or cannot be loaded.
        """
        _engine_of(self._settings())

    def complete(self, request: Request) -> Completion:
        """Answer one request.

        Its timeout counts from the moment when the weights are loaded. Answers that are complete
        when the time is up are returned; only without any there is an error.

        Raises:
            LLMError: There is no usable answer.
            WeightsError: The weights cannot be had or cannot be loaded.
        """
        engine = _engine_of(self._settings())
        answers = engine.decode(request, raw=self.style.form == "script")
        whole = [answer for answer in answers.texts if answer is not None]
        if not whole:
            raise CallTimeoutError(f"{self.name} did not answer in time.")
        return Completion(
            tuple(whole),
            TokenUsage(answers.input_tokens, answers.output_tokens, None),
            self.name,
            "length" if answers.cut else "stop",
        )

    def _settings(self) -> _Settings:
        return _Settings(self.model, self.device, self.dtype)


class _Settings(NamedTuple):
    model: str
    device: str | None
    dtype: Dtype


class _Answers(NamedTuple):
    """Texts, None where the time was up; whether the token limit has cut all of them."""

    texts: list[str | None]
    cut: bool
    input_tokens: int
    output_tokens: int


class _Engine:
    """A model and its tokenizer. One call at a time."""

    def __init__(self, settings: _Settings) -> None:
        start = time.monotonic()
        self.device = settings.device or _best_device()
        self.model, self.tokenizer = _load(settings, self.device)
        self._matching: Any = None
        self._busy = threading.Lock()
        _logger.info(f"Loaded {settings.model} in {time.monotonic() - start:.1f} s.")

    def decode(self, request: Request, *, raw: bool) -> _Answers:
        deadline = time.monotonic() + request.timeout
        if not self._busy.acquire(timeout=max(request.timeout, 0.0)):
            raise CallTimeoutError("The model is busy with another call.")
        try:
            return self._decode(request, self._encoded(request, raw=raw), deadline)
        finally:
            self._busy.release()

    def _decode(self, request: Request, prompt: Any, deadline: float) -> _Answers:
        import torch

        ends = self._ends()
        rows: list[list[int]] = [[] for _ in range(request.n)]
        done = [False] * request.n
        free = request.grammar is None and request.schema is None
        masks = None if free else _Masks(request, self._vocabulary(), request.n)
        temperature = _DEFAULT_TEMPERATURE if request.temperature is None else request.temperature
        # A generator of its own: the user's training must not draw other numbers because of this.
        generator = torch.Generator(self.device)
        seed = secrets.randbits(32) if request.seed is None else request.seed
        generator.manual_seed(seed)
        for logits in self._steps(prompt, rows):
            if masks is not None:
                masks.apply(logits)
            chosen = _sampled(logits, temperature, generator)
            for i, token in enumerate(chosen):
                if done[i]:
                    token = ends[0]
                elif token in ends:
                    done[i] = True
                rows[i].append(token)
                if not done[i]:
                    done[i] = masks is not None and masks.take(i, token)
                    done[i] |= any(stop in self._text(rows[i], ends) for stop in request.stop)
            late = time.monotonic() > deadline
            if all(done) or late or len(rows[0]) >= request.max_tokens:
                break
        texts = [_until(self._text(row, ends), request.stop) for row in rows]
        return _Answers(
            [text if whole or not late else None for text, whole in zip(texts, done, strict=True)],
            not any(done),
            int(prompt.shape[1]),
            sum(sum(token not in ends for token in row) for row in rows),
        )

    def _steps(self, prompt: Any, rows: list[list[int]]) -> Iterator[Any]:
        """Yield the logits of the next token of every row, whose tokens the caller appends."""
        import torch
        import transformers

        cache = transformers.DynamicCache(config=self.model.config)
        # The argument was given another name in transformers 5.
        known = inspect.signature(self.model.forward).parameters
        memory = {"cache" if "cache" in known else "past_key_values": cache}
        with torch.inference_mode():
            out = self.model(prompt, **memory, use_cache=True, logits_to_keep=1)
            cache.batch_repeat_interleave(len(rows))
            yield out.logits[:, -1].float().repeat(len(rows), 1)
            while True:
                last = torch.tensor([[row[-1]] for row in rows], device=self.device)
                out = self.model(last, **memory, use_cache=True)
                yield out.logits[:, -1].float()

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

    def _ends(self) -> list[int]:
        configured = self.model.generation_config.eos_token_id
        found = configured if isinstance(configured, list) else [configured]
        ends = [*found, self.tokenizer.eos_token_id]
        return list(dict.fromkeys(end for end in ends if end is not None)) or [0]

    def _vocabulary(self) -> Any:
        if self._matching is None:
            import llguidance.hf

            size = self.model.get_output_embeddings().weight.shape[0]
            self._matching = llguidance.hf.from_tokenizer(self.tokenizer, n_vocab=size)
        return self._matching

    def _text(self, row: list[int], ends: list[int]) -> str:
        return str(self.tokenizer.decode([token for token in row if token not in ends]))


class _Masks:
    """Keeps every row within the grammar of the request."""

    def __init__(self, request: Request, vocabulary: Any, n: int) -> None:
        import llguidance

        if request.grammar is not None:
            grammar = llguidance.grammar_from("lark", request.grammar)
        else:
            grammar = llguidance.grammar_from("json_schema", json.dumps(request.schema))
        self._matchers = [llguidance.LLMatcher(vocabulary, grammar) for _ in range(n)]
        if error := self._matchers[0].get_error():
            raise BadRequestError(f"llguidance does not take the grammar: {error[:300]}")

    def apply(self, logits: Any) -> None:
        import torch

        for row, matcher in zip(logits, self._matchers, strict=True):
            allowed = torch.frombuffer(bytearray(matcher.compute_logit_bias()), dtype=torch.uint8)
            row[: len(allowed)].masked_fill_(allowed.to(row.device) == 0, -torch.inf)
            row[len(allowed) :] = -torch.inf

    def take(self, row: int, token: int) -> bool:
        """Note the token of a row; :obj:`True` when the grammar has come to its end."""
        self._matchers[row].consume_token(token)
        return bool(self._matchers[row].is_stopped())


def _sampled(logits: Any, temperature: float, generator: Any) -> list[int]:
    import torch

    if temperature <= 0:
        return [int(token) for token in logits.argmax(dim=-1)]
    chances = torch.softmax(logits / temperature, dim=-1)
    least = _MIN_P * chances.max(dim=-1, keepdim=True).values
    kept = torch.where(chances < least, 0.0, chances)
    return [int(t) for t in torch.multinomial(kept, 1, generator=generator)[:, 0]]


def _until(text: str, stops: tuple[str, ...]) -> str:
    for stop in stops:
        text = text.split(stop, 1)[0] if stop else text
    return text


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
