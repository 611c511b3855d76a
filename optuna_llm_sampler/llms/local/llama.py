"""llama.cpp in this process: loading, generating, cancelling, and leaving in good order."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
from pathlib import Path
import secrets
import threading
import time
from typing import Any, NamedTuple

import optuna

from ...errors import (
    BadRequestError,
    CallTimeoutError,
    LLMError,
    need,
    ServerError,
    TokenUsage,
    TruncatedError,
    WeightsError,
)
from ..base import Completion
from .weights import MODELS, pull


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

# A generation can be cancelled between two batches only; a larger one is hardly faster on a CPU.
_PROMPT_BATCH = 64
_EXIT_WAIT = 30.0
_LOOK_SECONDS = 0.5


class Generation:
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
        """The finished answers; raises the reason when there is none."""
        ends = dict(self.ends)  # After a timeout the stream may still be running.
        if not ends:
            raise self._failure()
        texts = tuple(self.texts[i] for i in sorted(ends))
        whole = "stop" in ends.values()
        usage = TokenUsage(self.input_tokens, self.output_tokens, self.cached_tokens)
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


class Settings(NamedTuple):
    """What makes one loaded model differ from another."""

    model: str
    n_threads: int
    n_ctx: int
    n_parallel: int
    unload_after: int


class Engine:
    """Loaded weights. One generation at a time, each in a thread that can be left behind."""

    def __init__(self, settings: Settings) -> None:
        known = settings.model in MODELS
        path = pull(settings.model) if known else Path(settings.model)
        start = time.monotonic()
        self.server = _load(path, settings)
        _logger.info(f"Loaded {path.name} in {time.monotonic() - start:.1f} s.")
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None
        self._generation: Generation | None = None

    def generate(self, payload: dict[str, Any], *, timeout: float) -> Generation:
        """Send one request (a chat if it has messages) and wait, but no longer than the timeout.

        What is not finished then is cancelled: within a token or a batch of the prompt.
        """
        deadline = time.monotonic() + timeout
        if not self._busy.acquire(timeout=timeout):
            raise CallTimeoutError("The local model is busy with another call.")
        generation = Generation()
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
            # In short waits, because Windows sees Ctrl-C only between them.
            while (left := deadline - time.monotonic()) > 0:
                if generation.done.wait(min(left, _LOOK_SECONDS)):
                    break
        finally:
            # Also when the user presses Ctrl-C: nobody wants the rest of this answer.
            generation.cancelled = True
        return generation

    def _work(self, payload: dict[str, Any], generation: Generation) -> None:
        name = "handle_chat_completions" if "messages" in payload else "handle_completions"
        try:
            getattr(self.server, name)(payload, generation.take)
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


def _load(path: Path, settings: Settings) -> Any:
    if not path.is_file():
        raise WeightsError(f"There is no file {path}.")
    xllamacpp = need("xllamacpp", "The embedded model", "local")
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = settings.n_ctx
    params.n_parallel = settings.n_parallel
    params.kv_unified = True
    params.cpuparams.n_threads = settings.n_threads
    params.cpuparams_batch.n_threads = settings.n_threads
    params.n_batch = params.n_ubatch = max(_PROMPT_BATCH, settings.n_parallel)
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
    # The weights are freed then, and read again for the next request.
    params.sleep_idle_seconds = settings.unload_after or -1
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        hint = "Check that it is a whole .gguf file and that there is memory for it."
        raise WeightsError(f"llama.cpp cannot load {path}: {error}", hint=hint) from error
    # Answered by the server's loop. Destroying a server before its loop runs never ends.
    server.handle_metrics()
    return server


_engines: dict[Settings, Engine] = {}
_lock = threading.Lock()
_forked = False


def engine_of(settings: Settings) -> Engine:
    """The loaded model with these settings; loads it when this process does not have it yet."""
    with _lock:
        if settings not in _engines:
            _engines[settings] = Engine(settings)
        return _engines[settings]


@atexit.register
def unload() -> None:
    """Free the memory of every model of this process. They are loaded again when needed."""
    # Without the lock: at exit, another thread may be pulling gigabytes under it.
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
