"""One question to a model → one advice. Knows neither study nor trial."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import LLMError, OptunaLLMError, TruncatedError, UnusableAnswerError
from ..llms.base import Completion, LLM, Request
from ..llms.style import style_of
from .advice import Advice, IsDuplicate, MAX_CONFIGS, never
from .call import Call, complete
from .first_proposals import consensus_first
from .parse import parse
from .prepare import prepare, Prepared
from .prompts import prefill
from .question import Question
from .renaming import Redact


# From so many finished trials on, their results say more than the middle of the ranges.
_MIN_HISTORY = 10
# Temperature of a second request, made when the samples of the first are too much alike.
_SECOND_TEMPERATURE = 1.5
# A second request is made only if this share of the time is left.
_MIN_TIME_LEFT = 0.25
_MAX_QUOTED_CHARS = 2_000


@dataclass(frozen=True)
class Answer:
    """What came of a question: an advice with configurations, or an error."""

    call: Call  # what it took
    advice: Advice = Advice()  # the configurations; none if there is an error
    error: OptunaLLMError | None = None  # why there is no configuration

    @property
    def outcome(self) -> str:
        """``"ok"``, or the error's reason."""
        return self.error.reason if self.error else "ok"


def ask(
    llm: LLM,
    question: Question,
    is_duplicate: IsDuplicate = never,
    *,
    timeout: float,
    purpose: str = "advice",
    max_requests: int = 2,
    redact: Redact | None = None,
) -> Answer:
    """Ask a model, and ask again if too little in the first answer is usable.

    The advice has the user's own names and choices, whatever ``redact`` makes of them, and no
    configuration that ``is_duplicate`` holds for.

    Args:
        timeout:
            Longest time for all requests together, in seconds.
        purpose:
            See :class:`~optuna_llm_sampler._advice.call.Call`.
        max_requests:
            Largest number of requests. 1: do not ask again.

    Returns:
        The advice or the error. Exceptions other than
        :class:`~optuna_llm_sampler.errors.OptunaLLMError` are raised.
    """
    call, style = Call(model=llm.name, asked=llm.name, purpose=purpose), style_of(llm)
    try:
        prepared = prepare(question, style, timeout=timeout, redact=redact)
    except OptunaLLMError as error:
        return Answer(call, error=error)
    renaming = prepared.renaming
    answer = _ask_prepared(
        llm,
        prepared,
        lambda params: is_duplicate(renaming.restore_values(params)),
        call,
        samples=style.samples,
        max_requests=max_requests,
    )
    return replace(answer, advice=renaming.restore(answer.advice))


def _ask_prepared(
    llm: LLM,
    prepared: Prepared,
    is_duplicate: IsDuplicate,
    call: Call,
    *,
    samples: bool,
    max_requests: int,
) -> Answer:
    """Make the requests. The advice has the names that were sent."""
    question, request = prepared.question, prepared.request
    timeout, start = request.timeout, prefill(request)
    advice = Advice()
    texts: list[str] = []
    while True:
        outcome, call = complete(llm, request, call)
        if isinstance(outcome, OptunaLLMError):
            break
        new_texts = [start + text for text in outcome.texts]
        texts = [*texts, *new_texts] if samples else new_texts
        advice = parse(
            texts,
            question.space,
            is_duplicate=is_duplicate,
            limit=MAX_CONFIGS if samples else question.n_configs,
            conditions=question.conditions,
            prefilled=bool(start),
        )
        left = timeout - call.seconds
        if call.requests >= max_requests or left < _MIN_TIME_LEFT * timeout:
            break
        if samples:
            if 2 * advice.n_ideas >= question.n_configs:
                break
            request = _sampled_wider(request)
        else:
            if advice.n_ideas or outcome.finish_reason == "length":  # it would be cut again
                break
            request = _corrected(request, texts[0], advice)
        request = replace(request, timeout=left)
    if not advice.configs:
        error = outcome if isinstance(outcome, OptunaLLMError) else _error(advice, outcome)
        return Answer(call, Advice(rejected=advice.rejected), error)
    # An error of the second request does not matter here.
    return Answer(call, _ordered(advice, question, is_duplicate) if samples else advice)


def _ordered(advice: Advice, question: Question, is_duplicate: IsDuplicate) -> Advice:
    """Put samples, which come in no order, in the order in which to try them."""
    n, configs = question.n_configs, advice.configs
    if question.summary.n_finished < _MIN_HISTORY:
        configs = consensus_first(configs, question.space, n, is_duplicate, question.conditions)
    return replace(advice, configs=configs[:n])


def _sampled_wider(request: Request) -> Request:
    """Return a request for other samples; llama.cpp adds a sample's index to the seed."""
    seed = None if request.seed is None else request.seed + request.n
    return replace(request, seed=seed, temperature=_SECOND_TEMPERATURE)


def _corrected(request: Request, text: str, advice: Advice) -> Request:
    """Return a request that shows the model its own unusable answer."""
    problem = ", ".join(advice.rejected) or "no JSON object"
    complaint = f"That could not be used ({problem}). Answer with the JSON object only."
    return replace(
        request,
        messages=(
            *request.messages,
            {"role": "assistant", "content": text[:_MAX_QUOTED_CHARS] or "(nothing)"},
            {"role": "user", "content": complaint},
        ),
    )


def _error(advice: Advice, completion: Completion) -> LLMError:
    """Say why an answer has no usable configuration."""
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
