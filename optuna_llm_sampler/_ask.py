"""One question to a model → one advice. Knows neither study nor trial."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
import time
from typing import Any

from ._advice import Advice
from ._advice import parse
from ._board import Call
from ._order import typical_first
from ._prompt import build
from ._prompt import prefill
from ._prompt import Question
from .errors import LLMError
from .errors import OptunaLLMError
from .errors import TruncatedError
from .errors import UnusableAnswerError
from .llms._types import Completion
from .llms._types import LLM
from .llms._types import Request


@dataclass(frozen=True)
class Answer:
    """What came of a question: an advice with configurations, or an error."""

    call: Call
    advice: Advice = Advice()
    error: OptunaLLMError | None = None

    @property
    def outcome(self) -> str:
        return self.error.reason if self.error else "ok"


def ask(
    llm: LLM, question: Question, known: Sequence[Mapping[str, Any]], *, timeout: float
) -> Answer:
    """Ask once, and once more if nothing in the first answer can be used.

    Args:
        llm:
            The model.
        question:
            What to ask.
        known:
            Parameters of trials that need not be run again.
        timeout:
            Longest time for both requests together, in seconds.

    Returns:
        The answer; errors of the model are in it. What is not an
        :class:`~optuna_llm_sampler.errors.OptunaLLMError` is raised.
    """
    start = time.monotonic()
    call, advice = Call(model=llm.name), Advice()
    try:
        request = replace(build(question, getattr(llm, "style", "json")), timeout=timeout)
        for attempt in range(2):
            call = replace(call, requests=call.requests + 1)
            completion = llm.complete(request)
            call = _add(call, completion, time.monotonic() - start)
            begin = prefill(request)
            texts = [begin + text for text in completion.texts]
            advice = parse(texts, question.space, known=known, limit=question.n_configs)
            if begin:  # samples of a small model, in no order
                ordered = typical_first(advice.configs, question.space)
                advice = replace(advice, configs=ordered)
            left = timeout - (time.monotonic() - start)
            if advice.configs or advice.n_ideas or attempt or left < timeout / 4:
                break
            request = replace(_again(request, texts, advice), timeout=left)
        if not advice.configs:
            raise _nothing(advice, completion)
    except OptunaLLMError as error:
        seconds = round(time.monotonic() - start, 3)
        return Answer(replace(call, seconds=seconds), Advice(rejected=advice.rejected), error)
    return Answer(call, advice)


def _add(call: Call, completion: Completion, seconds: float) -> Call:
    usage = completion.usage
    return Call(
        model=completion.model or call.model,
        seconds=round(seconds, 3),
        requests=call.requests,
        input_tokens=_sum(call.input_tokens, usage.input_tokens),
        output_tokens=_sum(call.output_tokens, usage.output_tokens),
        cached_tokens=_sum(call.cached_tokens, usage.cached_tokens),
    )


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None and b is None else (a or 0) + (b or 0)


def _again(request: Request, texts: Sequence[str], advice: Advice) -> Request:
    """Show a large model its own useless answer; a small one just samples anew."""
    if prefill(request):
        return replace(request, seed=None if request.seed is None else request.seed + 1)
    problem = ", ".join(advice.rejected) or "no JSON object"
    complaint = f"That could not be used ({problem}). Answer with the JSON object only."
    return replace(
        request,
        messages=(
            *request.messages,
            {"role": "assistant", "content": texts[0][:2000] or "(nothing)"},
            {"role": "user", "content": complaint},
        ),
    )


def _nothing(advice: Advice, completion: Completion) -> LLMError:
    if completion.finish_reason == "length":
        return TruncatedError("The answer was cut before it held a usable configuration.")
    reasons = ", ".join(f"{reason} ×{count}" for reason, count in advice.rejected.items())
    if advice.n_ideas:
        return UnusableAnswerError(
            f"The model proposed only what the study has already ({reasons}).",
            hint="The base sampler goes on; nothing needs to be done.",
        )
    return UnusableAnswerError(
        f"No usable configuration in the answer ({reasons or 'empty list of configurations'})."
    )
