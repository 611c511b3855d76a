"""The call log: every call to the model that a study made, and their sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, TYPE_CHECKING
import uuid

from optuna.logging import get_logger

from .._advice.call import Call, total_of
from .._study import keys as _keys
from .._study.optuna_internals import storage_of, study_id_of
from ..errors import OptunaLLMError
from .prices import cost_of
from .records import AdviceRecord, read_call, read_text, warn_version
from .store import AdviceStore, Snapshot


if TYPE_CHECKING:
    from optuna.study import Study


_logger = get_logger(f"optuna.{__name__}")


@dataclass(frozen=True, kw_only=True)
class CallRecord(Call):
    """One call to a model. :obj:`None` where something is not known.

    Attributes:
        trial:
            Number of the trial on which it began; :obj:`None` for calls of the command line.
        purpose:
            ``"advice"`` (a call of the sampler), ``"suggest"`` or ``"explain"``.
        asked:
            Name of the back end.
        model:
            The model's name as the endpoint gives it; without an answer, the back end's name.
        outcome:
            ``"ok"``; the reason of a failure; ``"redundant"`` when another call was faster;
            ``"lost"`` when the worker that asked has died.
        at:
            When it ended, in seconds since the epoch; 0 where it is not known.
        seconds:
            Its duration.
        requests:
            Number of requests: a useless answer is asked for once more.
        input_tokens, output_tokens, cached_tokens:
            Tokens sent, received, and those sent that were in the endpoint's cache. Answers that
            could not be used are included.
        estimated:
            Whether some of the tokens are estimates, because the endpoint does not count.
        usd:
            Its cost; :obj:`None` for a model without a known price.
        configs:
            Number of usable configurations in the answer.
        repaired, rejected:
            How many values were changed, and how many values and configurations were dropped.
    """

    trial: int | None = None
    outcome: str = "ok"
    configs: int = 0
    repaired: int = 0
    rejected: int = 0


class CallHook(Protocol):
    """A function that receives every call of the sampler, in the process that made it.

    It is called in the background, from one thread at a time, when the call has ended. An
    exception that it raises is logged and does not affect the trial.

    Example:

        .. code-block:: python

            def trace(record: CallRecord) -> None:
                with tracer.start_as_current_span("chat") as span:
                    span.set_attribute("gen_ai.request.model", record.model)
                    span.set_attribute("gen_ai.usage.input_tokens", record.input_tokens or 0)


            sampler = LLMSampler(on_call=trace)
    """

    def __call__(self, record: CallRecord, /) -> None: ...


@dataclass(frozen=True)
class Usage:
    """A study's use of the model, by all workers together.

    Attributes:
        calls:
            Requests to the model, failed ones included.
        input_tokens, output_tokens:
            Tokens as far as they are known; :obj:`None` when none are.
        seconds:
            Time spent in calls, most of it in the background.
        outcomes:
            Number of calls by outcome: ``"ok"`` or the reason of a failure.
        sources:
            Number of trials by the source of their parameters.
        estimated:
            Whether some of the tokens are estimates, because an endpoint does not count.
        usd:
            Cost as far as prices are known; :obj:`None` when none is.
        unpriced:
            Number of calls without a known price, which ``usd`` lacks.
    """

    calls: int
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    outcomes: Mapping[str, int]
    sources: Mapping[str, int]
    estimated: bool = False
    usd: float | None = None
    unpriced: int = 0


def calls(study: Study) -> list[CallRecord]:
    """List every call that a study made to a model, oldest first, failed ones included.

    Args:
        study:
            Any study; one that never saw a :class:`~optuna_llm_sampler.LLMSampler` has no calls.
    """
    store = AdviceStore.of(study)
    return call_records(store.read(), store.attrs())


def usage(study: Study) -> Usage:
    """Sum up a study's calls to the model, and its trials by source.

    Args:
        study:
            Any study; one that never saw a :class:`~optuna_llm_sampler.LLMSampler` has no calls.
    """
    store = AdviceStore.of(study)
    snapshot = store.read()
    made = call_records(snapshot, store.attrs())
    total = total_of(made)
    sources = (_keys.read(trial.user_attrs, _keys.SOURCE) for trial in snapshot.trials)
    return Usage(
        calls=total.requests,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        seconds=total.seconds,
        outcomes=dict(Counter(call.outcome for call in made)),
        sources=dict(Counter(str(source) for source in sources if source)),
        estimated=total.estimated,
        usd=total.usd,
        unpriced=sum(call.usd is None for call in made),
    )


def call_records(
    snapshot: Snapshot, attrs: Mapping[str, Any] | None = None, *, under_way: bool = False
) -> list[CallRecord]:
    """List a study's calls, oldest first.

    Args:
        attrs:
            System attributes of the study, where calls of the command line are recorded.
        under_way:
            Whether to count calls whose outcome is still open as lost.
    """
    lost = snapshot.unanswered
    if not under_way:
        lost -= {claim.call_id for claim in snapshot.claims}
    found = [record_of(record) for record in snapshot.records]
    found += [CallRecord(trial=n, outcome="lost", requests=1) for n, _ in sorted(lost)]
    found += _of_commands(attrs or {})
    return sorted(found, key=lambda record: record.at)


def record_of(record: AdviceRecord) -> CallRecord:
    """Return the call behind an advice record."""
    return CallRecord(
        **vars(record.call),
        trial=record.call_id[0],
        outcome=record.outcome,
        configs=len(record.advice.configs),
        repaired=sum(record.advice.repaired.values()),
        rejected=sum(record.advice.rejected.values()),
    )


# --- calls of the command line, which belong to no trial --------------------------------------


def keep(study: Study, call: Call, outcome: object) -> None:
    """Write a call of the command line into the study; log a warning if that fails.

    The outcome is its error, or anything else for a success.
    """
    reason = outcome.reason if isinstance(outcome, OptunaLLMError) else "ok"
    priced = replace(call, model=call.model[:200], usd=cost_of(call))
    value: dict[str, Any] = {"v": _keys.VERSION, "outcome": reason[:40], "call": asdict(priced)}
    try:
        key = f"{_keys.CALL}{uuid.uuid4().hex}"
        storage_of(study).set_study_system_attr(study_id_of(study), key, value)
    except Exception as error:  # the user must still get the answer
        _logger.warning(f"The study keeps no record of this call: {error!r}")


def _of_commands(attrs: Mapping[str, Any]) -> list[CallRecord]:
    found = []
    for key, value in attrs.items():
        if key.startswith(_keys.CALL) and isinstance(value, Mapping):
            try:
                if value["v"] != _keys.VERSION:
                    warn_version(str(value["v"])[:20])
                else:
                    outcome = read_text(value["outcome"])[:40]
                    found.append(CallRecord(**vars(read_call(value["call"])), outcome=outcome))
            except (KeyError, OverflowError, TypeError, ValueError):
                _logger.debug("Ignored an unreadable record of a call.")
    return found
