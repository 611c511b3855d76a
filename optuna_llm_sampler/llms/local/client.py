"""Local weights by llama.cpp through xllamacpp: nothing to install or to start."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
import time
from typing import Any, get_args, Literal

from ...errors import BadRequestError, LLMError, MissingExtraError, WeightsError
from ..base import Completion, joined, Request
from ..style import as_style, CODE, Style, style_for
from .llama import engine_of, Settings
from .weights import DEFAULT, MODELS


Template = Literal["chat", "raw"]

_DEFAULT_TEMPERATURE = 0.8
# Small models need the whole tail but its end: diversity among the answers comes from here.
_SAMPLING = {"min_p": 0.02, "top_k": 0, "top_p": 1.0}


class LocalLLM:
    """A model whose weights are in this process, by llama.cpp.

    The weights are pulled at the first use and loaded once per process, however many objects ask
    for them with the same settings. Nothing is loaded before :meth:`prepare` or :meth:`complete`.
    Copies, also those in other processes, carry only the settings.

    Args:
        model:
            A name of the table of weights or the path of a ``.gguf`` file. :obj:`None` is the
            default, ``"qwen2.5-coder-1.5b"`` (1.1 GB to download, 2.3 GB of memory);
            ``"qwen2.5-coder-0.5b"`` (0.5 GB, 0.9 GB) is three times faster and knows less.
        n_threads:
            Threads of one generation. One by default, because a training usually runs beside it,
            and llama.cpp's threads wait for each other: with more threads than free cores it
            gets several times slower, not faster.
        n_ctx:
            Tokens that the prompt and all answers to it may have together.
        n_parallel:
            How many answers are generated at once; more are generated one group after the other.
            On one thread eight at once take as long as twice four, and when the time is up after
            half of it, the first four are there.
        style:
            In what form the sampler asks: ``"code"``, ``"script"``, ``"json"`` or a
            :class:`~optuna_llm_sampler.llms.Style`. :obj:`None`: for JSON if the file's name says
            that the model has four billion parameters or more, else as code.
        template:
            ``"chat"`` wraps the messages as the model was trained to chat. ``"raw"`` joins their
            contents by newlines and lets the model go on from there. :obj:`None`: as the style
            wants it.
        unload_after:
            The weights are freed after so many seconds without a call, and read again for the
            next one: most studies ask a few times in hours. 0 keeps them.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        n_threads: int = 1,
        n_ctx: int = 4096,
        n_parallel: int = 4,
        style: Style | str | None = None,
        template: Template | None = None,
        unload_after: int = 300,
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtraError("The embedded model", "local")
        _check_least("n_threads", n_threads, 1)
        _check_least("n_ctx", n_ctx, 256)
        _check_least("n_parallel", n_parallel, 1)
        _check_least("unload_after", unload_after, 0)
        if template is not None and template not in get_args(Template):
            known = get_args(Template)
            raise ValueError(f"template must be one of {known}, but got {template!r}.")
        self.model = _checked_model(model)
        self.n_threads = n_threads
        self.n_ctx = n_ctx
        self.n_parallel = n_parallel
        self.unload_after = unload_after
        by_name = style_for(Path(self.model).name) or CODE
        self.style = by_name if style is None else as_style(style)
        self.template = template or ("raw" if self.style.form == "script" else "chat")

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
        engine_of(self._settings())

    def complete(self, request: Request) -> Completion:
        """Answer one request.

        Its timeout counts from the moment when the weights are loaded. Answers that are complete
        when the time is up are returned; only without any there is an error.

        Raises:
            LLMError: There is no usable answer.
            WeightsError: The weights cannot be had or cannot be loaded.
        """
        engine = engine_of(self._settings())
        deadline = time.monotonic() + request.timeout
        done: list[Completion] = []
        for start in range(0, request.n, self.n_parallel):
            payload = self._payload(request, start)
            try:
                left = max(deadline - time.monotonic(), 0.0)
                done.append(engine.generate(payload, timeout=left).completion(self.name))
            except LLMError:
                if not done:
                    raise
                break
        return joined(done)

    def _payload(self, request: Request, start: int) -> dict[str, Any]:
        """The request for the answers from number ``start`` on, as llama.cpp wants it."""
        n = min(request.n - start, self.n_parallel)
        temperature = request.temperature
        payload: dict[str, Any] = {
            "n": n,
            # All answers share the context, and llama.cpp fails them all when it runs out.
            "max_tokens": min(request.max_tokens, max(self.n_ctx // n, 1)),
            "temperature": _DEFAULT_TEMPERATURE if temperature is None else temperature,
            **_SAMPLING,
            "stop": list(request.stop),
            "stream": True,
            "stream_options": {"include_usage": True},
            # Without it there is no moment to cancel at before the first token.
            "return_progress": True,
        }
        if payload["temperature"] > 1:
            # By llama.cpp's own order, the tail would be cut before the temperature can raise it.
            payload["samplers"] = ["temperature", "min_p"]
        if request.seed is not None:
            # llama.cpp counts on from here for the other answers of the same group.
            payload["seed"] = (request.seed + start) % (2**32 - 1)
        if request.grammar is not None:
            head = "" if request.grammar.startswith("%llguidance") else "%llguidance {}\n"
            payload["grammar"] = head + request.grammar
        elif request.schema is not None:
            payload["grammar"] = _schema_grammar(request.schema)
        if self.template == "raw":
            payload["prompt"] = "\n".join(m["content"] for m in request.messages)
        else:
            payload["messages"] = [dict(m) for m in request.messages]
            # Models that can think first are asked not to: the sampler waits for the answer.
            payload["chat_template_kwargs"] = {"enable_thinking": False}
        return payload

    def _settings(self) -> Settings:
        return Settings(self.model, self.n_threads, self.n_ctx, self.n_parallel, self.unload_after)


def _check_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{key} must be at least {least}, but got {value}.")


def _checked_model(model: str | os.PathLike[str] | None) -> str:
    if model is None:
        return DEFAULT
    text = os.fspath(model)
    if text in MODELS:
        return text
    path = Path(text).expanduser().absolute()
    if path.is_file():
        return str(path)
    if text.endswith(".gguf") or os.sep in text:
        raise WeightsError(f"There is no file {path}.")
    raise ValueError(
        f"model must be one of {sorted(MODELS)} or the path of a .gguf file, but got {text!r}."
    )


def _schema_grammar(schema: Any) -> str:
    import xllamacpp

    # A grammar rather than response_format, which enforces no bounds of floats.
    try:
        return str(xllamacpp.json_schema_to_grammar(dict(schema)))
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadRequestError(f"llama.cpp does not take the schema: {error}") from error
