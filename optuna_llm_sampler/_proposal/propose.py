"""Ask a model for a search space, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._advice.call import Call, complete
from .._text import one_line
from ..errors import OptunaLLMError, TooSmallError, TruncatedError, UnusableAnswerError
from ..llms.base import LLM, Request
from ..llms.registry import resolve
from ..llms.style import style_of
from .build import build
from .like import read_like
from .proposal import ProposedSpace
from .request import build_request
from .stated import read_stated


DEFAULT_TIMEOUT = 180.0


def propose_space(
    task: str, *, llm: str | LLM | None = None, like: Any = None, timeout: float = DEFAULT_TIMEOUT
) -> ProposedSpace:
    """Propose a search space for a task in words, with one call to a model.

    Bounds, choices and the number of parameters that the words state are read without the model,
    and hold exactly. Each is tied to the parameter that the words next to it name, otherwise to
    the one that the model names; what cannot be tied or read is listed in
    :attr:`ProposedSpace.note`.

    Args:
        task:
            What is to be tuned, on what data, and all limits. Sent to the model.
        llm:
            The model, as :class:`~optuna_llm_sampler.LLMSampler` takes it. Small models, which are
            asked for code instead of JSON, cannot design a space.
        like:
            What takes the parameters: an estimator, its class, a function, or a dictionary of
            current values or of distributions. Names, types and plain values are sent; names that
            look like secrets are not. Nothing is called. The space has only these names, unless
            ``like`` takes ``**kwargs`` or the words set limits for others.
        timeout:
            Longest duration of the call, in seconds.

    Returns:
        The space, checked: at most 30 parameters with finite ranges, and defaults inside.

    Raises:
        ContradictionError: The words allow no value of a parameter.
        TooSmallError: The model is too small.
        OptunaLLMError: There is no model or no usable answer.
        ValueError: ``llm`` or ``like`` is of no known form, or ``task`` is empty.
    """
    if not isinstance(task, str) or not task.strip():
        raise ValueError("task must say in words what is to be tuned.")
    model = large_model(llm, "design a search space")
    request = space_request(task, like, timeout=timeout)
    outcome, call = complete(model, request, Call(purpose="space"))
    if isinstance(outcome, OptunaLLMError):
        raise outcome
    call = replace(call, model=one_line(call.model, 200) or model.name)
    try:
        found = build(outcome.texts[0], task, read_stated(task), read_like(like))
    except UnusableAnswerError as error:
        if outcome.finish_reason == "length":
            raise TruncatedError("The answer was cut before it held a search space.") from error
        raise
    return replace(found, call=call)


def space_request(task: str, like: Any = None, *, timeout: float = DEFAULT_TIMEOUT) -> Request:
    """Return exactly the request that :func:`propose_space` sends."""
    return build_request(task, read_stated(task), read_like(like), timeout=timeout)


def large_model(llm: str | LLM | None, what: str) -> LLM:
    """Return the model.

    Raises:
        TooSmallError: It is one that is asked for code.
        OptunaLLMError: It cannot be built.
    """
    model = resolve(llm)[1]()
    if style_of(model).samples:
        raise TooSmallError(f"{model.name} is too small to {what}.")
    return model
