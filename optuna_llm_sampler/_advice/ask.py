"""One question to a model → one advice. Knows neither study nor trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

from ..errors import LLMError
from ..errors import NamelessError
from ..errors import OptunaLLMError
from ..errors import TruncatedError
from ..errors import UnusableAnswerError
from ..llms.base import Completion
from ..llms.base import LLM
from ..llms.base import Request
from ..llms.style import Style
from ..llms.style import style_of
from .advice import Advice
from .advice import Known
from .advice import MAX_CONFIGS
from .advice import nothing
from .advice import parse
from .call import Call
from .call import complete
from .first_proposals import agreed_first
from .nameless import nameless
from .prompts.build import build
from .prompts.build import prefill
from .prompts.build import Question
from .renaming import Redact
from .renaming import Redaction
from .short_names import renamed
from .short_names import restored
from .short_names import short_names
from .short_names import shortened


# From so many finished trials on, their values say more than the middle of the ranges.
_HISTORY = 10
# Temperature of a second request, made when the samples of the first are too much alike.
_WILD = 1.5


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
    llm: LLM,
    question: Question,
    known: Known = nothing,
    *,
    timeout: float,
    purpose: str = "advice",
    max_requests: int = 2,
    redact: Redact | None = None,
) -> Answer:
    """Ask once, and once more if nothing in the first answer can be used, or too little differs.

    Args:
        llm:
            The model.
        question:
            What to ask.
        known:
            Tells which configurations need not be run again.
        timeout:
            Longest time for both requests together, in seconds.
        purpose:
            As in :class:`~optuna_llm_sampler._store.call.Call`.
        max_requests:
            1: do not ask again.
        redact:
            Rewrites every text that is sent; the advice has the names as they are.

    Returns:
        The answer; errors of the model are in it. What is not an
        :class:`~optuna_llm_sampler.errors.OptunaLLMError` is raised.
    """
    if redact is not None:
        sent = Redaction(question, redact)
        answer = ask(
            llm,
            sent.question,
            lambda params: known(sent.own(params)),
            timeout=timeout,
            purpose=purpose,
            max_requests=max_requests,
        )
        return replace(answer, advice=sent.restored(answer.advice))
    if short := short_names(question.space):
        long = {new: old for old, new in short.items()}
        answer = ask(
            llm,
            shortened(question, short),
            lambda params: known(renamed(params, long)),
            timeout=timeout,
            purpose=purpose,
            max_requests=max_requests,
        )
        return replace(answer, advice=restored(answer.advice, short))
    call = Call(model=llm.name, asked=llm.name, purpose=purpose)
    advice = Advice()
    texts: list[str] = []
    style = style_of(llm)
    if style.samples and (silent := nameless(question)):
        told = {name: d for name, d in question.space.items() if name not in silent}
        if not told:
            return Answer(call, error=NamelessError("No parameter's name says what it is."))
        question = replace(question, space=told)
    request = replace(build(question, style), timeout=timeout)
    begin = prefill(request)
    while True:
        outcome, call = complete(llm, request, call)
        if isinstance(outcome, OptunaLLMError):
            break
        earlier = texts if style.samples else []
        texts = earlier + [begin + text for text in outcome.texts]
        advice = parse(
            texts,
            question.space,
            known=known,
            limit=MAX_CONFIGS if style.samples else question.n_configs,
            conditions=question.conditions,
            begun=bool(begin),
        )
        left = timeout - call.seconds
        if call.requests >= max_requests or left < timeout / 4:
            break
        if _suffices(advice, question, style):
            break
        if outcome.finish_reason == "length" and not style.samples:
            break  # it would be cut again
        request = _wilder(request) if style.samples else _complained(request, texts, advice)
        request = replace(request, timeout=left)
    if advice.configs:  # after an error, too: more ideas would have been a luxury
        return Answer(call, _of_samples(advice, question, known) if style.samples else advice)
    error = outcome if isinstance(outcome, OptunaLLMError) else _nothing(advice, outcome)
    return Answer(call, Advice(rejected=advice.rejected), error)


def _suffices(advice: Advice, question: Question, style: Style) -> bool:
    """Tell whether there are ideas: of samples, at least half must differ from each other."""
    if style.samples:
        return 2 * advice.n_ideas >= question.n_configs
    return bool(advice.configs or advice.n_ideas)


def _of_samples(advice: Advice, question: Question, known: Known) -> Advice:
    """Put the samples of a small model in order, which it does not say itself."""
    space = question.space
    if question.summary.n_finished < _HISTORY:
        n = question.n_configs
        configs = agreed_first(advice.configs, space, n, known, question.conditions)
    else:
        configs = advice.configs[: question.n_configs]
    return replace(advice, configs=configs)


def _wilder(request: Request) -> Request:
    """Let a small model draw once more; llama.cpp counts on from the seed for each sample."""
    seed = None if request.seed is None else request.seed + request.n
    return replace(request, seed=seed, temperature=_WILD)


def _complained(request: Request, texts: Sequence[str], advice: Advice) -> Request:
    """Show a large model its own useless answer."""
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
