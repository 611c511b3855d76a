"""Local weights in this process: llama.cpp through xllamacpp, nothing to install or to start."""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import logging
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

from ..errors import BadRequestError
from ..errors import CallTimeoutError
from ..errors import LLMError
from ..errors import MissingExtraError
from ..errors import ServerError
from ..errors import TruncatedError
from ..errors import WeightsError
from ._types import Completion
from ._types import Request
from ._types import Style
from ._types import Usage
from ._weights import DEFAULT
from ._weights import MODELS
from ._weights import pull


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

Template = Literal["chat", "raw"]

_DEFAULT_TEMPERATURE = 0.8
# Small models need the whole tail but its end: diversity among the answers comes from here.
_SAMPLING = {"min_p": 0.02, "top_k": 0, "top_p": 1.0}
# A generation can be cancelled between two batches only; a larger one is hardly faster on a CPU.
_PROMPT_BATCH = 64
_EXIT_WAIT = 30.0


class LocalLLM:
    """A model whose weights are in this process, by llama.cpp.

    The weights are pulled at the first use and loaded once per process, however many objects ask
    for them with the same settings. Nothing is loaded before :meth:`prepare` or
    :meth:`complete`. Copies, also those in other processes, carry only the settings.

    Args:
        model:
            A name of the table of weights (``"qwen2.5-coder-1.5b"``, ``"qwen2.5-coder-0.5b"``) or
            the path of a ``.gguf`` file. :obj:`None` is the default model.
        n_threads:
            Threads of one generation. One by default, because a training usually runs beside it,
            and llama.cpp's threads wait for each other: with more threads than free cores it
            gets several times slower, not faster.
        n_ctx:
            Tokens that the prompt and all answers to it may have together.
        n_parallel:
            How many answers are generated at once, at most.
        style:
            In what form the sampler asks. Small models complete code better than they fill forms.
        template:
            ``"chat"`` wraps the messages as the model was trained to chat. ``"raw"`` joins their
            contents by newlines and lets the model go on from there.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        n_threads: int = 1,
        n_ctx: int = 4096,
        n_parallel: int = 8,
        style: Style = "code",
        template: Template = "chat",
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtraError("The embedded model", "local")
        for key, value, least in (
            ("n_threads", n_threads, 1),
            ("n_ctx", n_ctx, 256),
            ("n_parallel", n_parallel, 1),
        ):
            if value < least:
                raise ValueError(f"{key} must be at least {least}, but got {value}.")
        if style not in get_args(Style):
            raise ValueError(f"style must be one of {get_args(Style)}, but got {style!r}.")
        if template not in get_args(Template):
            raise ValueError(f"template must be one of {get_args(Template)}, but got {template!r}.")
        self.model = _checked_model(model)
        self.n_threads = n_threads
        self.n_ctx = n_ctx
        self.n_parallel = n_parallel
        self.style: Style = style
        self.template: Template = template

    def __repr__(self) -> str:
        return f"LocalLLM({self.model!r}, n_threads={self.n_threads}, template={self.template!r})"

    @property
    def name(self) -> str:
        return f"local/{self.model if self.model in MODELS else Path(self.model).stem}"

    def prepare(self) -> None:
        """Pull the weights and load them now, rather than at the first call.

        Raises:
            WeightsError: The weights cannot be had or cannot be loaded.
        """
        _engine(_Settings(self.model, self.n_threads, self.n_ctx, self.n_parallel))

    def complete(self, request: Request) -> Completion:
        """Answer one request.

        Its timeout counts from the moment when the weights are loaded. Answers that are complete
        when the time is up are returned; only without any there is an error.

        Raises:
            LLMError: There is no usable answer.
            WeightsError: The weights cannot be had or cannot be loaded.
        """
        engine = _engine(_Settings(self.model, self.n_threads, self.n_ctx, self.n_parallel))
        payload = _payload(request, n_ctx=self.n_ctx, n_parallel=self.n_parallel)
        if self.template == "raw":
            payload["prompt"] = "\n".join(m["content"] for m in request.messages)
        else:
            payload["messages"] = [dict(m) for m in request.messages]
            # Models that can think first are asked not to: the sampler waits for the answer.
            payload["chat_template_kwargs"] = {"enable_thinking": False}
        return engine.generate(payload, timeout=request.timeout).completion(self.name)


def _checked_model(model: str | os.PathLike[str] | None) -> str:
    if model is None:
        return DEFAULT
    text = os.fspath(model)
    if text in MODELS or Path(text).expanduser().is_file():
        return text
    if text.endswith(".gguf") or os.sep in text:
        raise WeightsError(f"There is no file {text}.")
    raise ValueError(
        f"model must be one of {sorted(MODELS)} or the path of a .gguf file, but got {text!r}."
    )


def _payload(request: Request, *, n_ctx: int, n_parallel: int) -> dict[str, Any]:
    n = min(request.n, n_parallel)
    temperature = request.temperature
    payload: dict[str, Any] = {
        "n": n,
        # All answers share the context, and llama.cpp fails them all when it runs out.
        "max_tokens": min(request.max_tokens, max(n_ctx // n, 1)),
        "temperature": _DEFAULT_TEMPERATURE if temperature is None else temperature,
        **_SAMPLING,
        "stop": list(request.stop),
        "stream": True,
        "stream_options": {"include_usage": True},
        # Without it there is no moment to cancel at before the first token.
        "return_progress": True,
    }
    if request.seed is not None:
        # llama.cpp gives every answer of the request a seed of its own, derived from this one.
        payload["seed"] = request.seed % (2**32 - 1)
    if request.grammar is not None:
        head = "" if request.grammar.startswith("%llguidance") else "%llguidance {}\n"
        payload["grammar"] = head + request.grammar
    elif request.schema is not None:
        payload["grammar"] = _schema_grammar(request.schema)
    return payload


def _schema_grammar(schema: Any) -> str:
    import xllamacpp

    # A grammar rather than response_format, which enforces no bounds of floats.
    try:
        return str(xllamacpp.json_schema_to_grammar(dict(schema)))
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadRequestError(f"llama.cpp does not take the schema: {error}") from error


class _Generation:
    """What the server has said so far in one call."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.ends: dict[int, str] = {}
        self.error: dict[str, Any] | None = None
        self.input_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.output_tokens = 0
        self.cancelled = False
        self.done = threading.Event()

    def take(self, chunk: dict[str, Any]) -> bool:
        """Note one piece of the stream; :obj:`True` ends the generation."""
        if "error" in chunk:
            self.error = chunk["error"]
            return True
        for choice in chunk.get("choices", ()):
            index = choice["index"]
            piece = choice.get("text") or choice.get("delta", {}).get("content") or ""
            self.texts[index] = self.texts.get(index, "") + piece
            if choice.get("finish_reason") is not None:
                self.ends[index] = choice["finish_reason"]
        if usage := chunk.get("usage"):
            if self.input_tokens is None:
                self.input_tokens = usage["prompt_tokens"]
                self.cached_tokens = usage.get("prompt_tokens_details", {}).get("cached_tokens")
            self.output_tokens += usage["completion_tokens"]
        return self.cancelled

    def completion(self, model: str) -> Completion:
        texts = tuple(self.texts[i] for i in sorted(self.ends))
        if not texts:
            raise self._failure()
        whole = "stop" in self.ends.values()
        usage = Usage(self.input_tokens, self.output_tokens, self.cached_tokens)
        return Completion(texts, usage, model, "stop" if whole else "length")

    def _failure(self) -> LLMError:
        if self.error is None:
            return CallTimeoutError("The local model did not answer in time.")
        message = str(self.error.get("message", self.error))
        if self.error.get("type") == "exceed_context_size_error":
            return BadRequestError(message, hint="Raise n_ctx of LocalLLM.")
        if "Context size" in message:
            return TruncatedError(message, hint="Raise n_ctx of LocalLLM, or lower n_configs.")
        if self.error.get("code") == 400:
            return BadRequestError(message)
        return ServerError(message)


class _Settings(NamedTuple):
    model: str
    n_threads: int
    n_ctx: int
    n_parallel: int


class _Engine:
    """Loaded weights. One generation at a time, each in a thread that can be left behind."""

    def __init__(self, settings: _Settings) -> None:
        path = pull(settings.model) if settings.model in MODELS else Path(settings.model)
        start = time.monotonic()
        self.server = _load(path.expanduser(), settings)
        _logger.info(f"Loaded {path.name} in {time.monotonic() - start:.1f} s.")
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None
        self._generation: _Generation | None = None

    def generate(self, payload: dict[str, Any], *, timeout: float) -> _Generation:
        deadline = time.monotonic() + timeout
        if not self._busy.acquire(timeout=timeout):
            raise CallTimeoutError("The local model is busy with another call.")
        generation = _Generation()
        thread = threading.Thread(
            target=self._work, args=(payload, generation), daemon=True, name="optuna-llm-local"
        )
        self._thread, self._generation = thread, generation
        try:
            thread.start()
        except BaseException:
            if thread.ident is None:
                self._busy.release()
            raise
        try:
            generation.done.wait(max(deadline - time.monotonic(), 0.0))
        finally:
            # Also when the user presses Ctrl-C: nobody wants the rest of this answer.
            generation.cancelled = True
        return generation

    def _work(self, payload: dict[str, Any], generation: _Generation) -> None:
        chat = "messages" in payload
        call = self.server.handle_chat_completions if chat else self.server.handle_completions
        try:
            call(payload, generation.take)
        except Exception as error:
            code = 400 if isinstance(error, ValueError) else 500
            generation.error = {"message": f"{type(error).__name__}: {error}", "code": code}
        finally:
            self._busy.release()
            generation.done.set()

    def close(self) -> None:
        """End what runs. Without it the interpreter is torn down under a thread inside C++."""
        if self._thread is not None and self._generation is not None:
            self._generation.cancelled = True
            self._thread.join(_EXIT_WAIT)
        if _forked:
            self.leak()
        self.server = None

    def leak(self) -> None:
        """Never run the server's destructor."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.server))


def _load(path: Path, settings: _Settings) -> Any:
    if not path.is_file():
        raise WeightsError(f"There is no file {path}.")
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtraError("The embedded model", "local") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = settings.n_ctx
    params.n_parallel = settings.n_parallel
    params.kv_unified = True
    params.cpuparams.n_threads = settings.n_threads
    params.cpuparams_batch.n_threads = settings.n_threads
    params.n_batch = params.n_ubatch = _PROMPT_BATCH
    params.warmup = False
    # These keep copies of old contexts in memory, 8 GB of them by default.
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.n_ctx_checkpoints = 0
    # The library always listens on a port of the loopback device. Nobody else may ask there.
    params.api_keys = [secrets.token_hex(16)]
    params.n_threads_http = 1
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 3 if optuna.logging.get_verbosity() <= logging.DEBUG else -1
    params.endpoint_metrics = True
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        hint = "Check that it is a whole .gguf file and that there is memory for it."
        raise WeightsError(f"llama.cpp cannot load {path}: {error}", hint=hint) from error
    # Answered by the server's loop. A server destroyed before its loop runs is waited for for ever.
    server.handle_metrics()
    return server


_engines: dict[_Settings, _Engine] = {}
_lock = threading.Lock()
_forked = False


def _engine(settings: _Settings) -> _Engine:
    with _lock:
        if settings not in _engines:
            _engines[settings] = _Engine(settings)
        return _engines[settings]


@atexit.register
def _close_all() -> None:
    while _engines:
        _engines.popitem()[1].close()


def _forget_after_fork() -> None:
    """Let a forked child load its own: the threads of the parent's llama.cpp are not here.

    Whatever would wait for these threads must not run: neither the servers' destructors nor, at
    the end of the child, those of the library (multiprocessing skips these, ``os.fork`` does not).
    """
    global _lock, _forked
    _lock = threading.Lock()
    if not _engines:
        return
    if not _forked and hasattr(libc := ctypes.CDLL(None), "on_exit"):
        libc.on_exit(libc._exit, None)
    _forked = True
    for engine in _engines.values():
        engine.leak()
    _engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
