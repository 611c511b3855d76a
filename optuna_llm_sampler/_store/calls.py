"""Every call to the model that a study made, read from the storage alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import Protocol
from typing import TYPE_CHECKING
import uuid

from optuna.logging import get_logger

from .._advice.call import Call
from .._advice.call import read_call
from .._advice.call import read_text
from .._study import keys as _keys
from ..errors import OptunaLLMError
from .prices import cost_of
from .records import AdviceRecord
from .records import warn_version
from .store import AdviceStore
from .store import Snapshot


if TYPE_CHECKING:
    from optuna.study import Study


_logger = get_logger(f"optuna.{__name__}")


@dataclass(frozen=True)
class CallRecord:
    """One call to a model. :obj:`None` where something is not known.

    Attributes:
        trial:
            Number of the trial on which it began; -1 for calls of the command line.
        purpose:
            What for: ``"advice"`` (the sampler's), ``"suggest"`` or ``"explain"``.
        model:
            Who answered, in the endpoint's words; without an answer, who was asked.
        outcome:
            ``"ok"``; the reason of a failure; ``"redundant"`` when another call was faster;
            ``"lost"`` when the worker that asked is gone.
        at:
            When it ended, in seconds since the epoch; 0 where it is not known.
        seconds:
            How long it took.
        requests:
            How many requests it was: a useless answer is asked for once more.
        input_tokens, output_tokens, cached_tokens:
            Tokens sent, received, and of those sent the ones in the endpoint's cache.
        estimated:
            Whether some of them are estimates, because the endpoint does not count.
        usd:
            What it cost; :obj:`None` for a model without a known price.
        configs:
            Configurations in the answer that could be used.
        repaired, rejected:
            How many values had to be changed, and how many values and configurations were dropped.
    """

    trial: int
    purpose: str = "advice"
    model: str = ""
    outcome: str = "ok"
    at: float = 0.0
    seconds: float = 0.0
    requests: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    estimated: bool = False
    usd: float | None = None
    configs: int = 0
    repaired: int = 0
    rejected: int = 0


class CallHook(Protocol):
    """What is told of every call of the sampler, in the process that made it.

    It is called in the background, from one thread at a time, when the call has ended. What it
    raises is logged and hurts no trial.

    Example:

        .. code-block:: python

            def trace(record: CallRecord) -> None:
                with tracer.start_as_current_span("chat") as span:
                    span.set_attribute("gen_ai.request.model", record.model)
                    span.set_attribute("gen_ai.usage.input_tokens", record.input_tokens or 0)


            sampler = LLMSampler(on_call=trace)
    """

    def __call__(self, record: CallRecord, /) -> None: ...


def calls(study: Study) -> list[CallRecord]:
    """List every call that a study made to a model, oldest first, failed ones included.

    Args:
        study:
            Any study; one that never saw a :class:`~optuna_llm_sampler.LLMSampler` has no calls.
    """
    store = AdviceStore(study._storage, study._study_id)
    return records(store.read(), store.attrs())


def records(snapshot: Snapshot, attrs: Mapping[str, Any]) -> list[CallRecord]:
    """List the calls on a store and among the attributes of its study."""
    under_way = {claim.call_id for claim in snapshot.claims}
    lost = sorted(snapshot.unanswered - under_way)
    found = [record_of(record) for record in snapshot.records]
    found += [CallRecord(asked_on, outcome="lost", requests=1) for asked_on, _ in lost]
    found += _of_commands(attrs)
    return sorted(found, key=lambda record: record.at)


def record_of(record: AdviceRecord) -> CallRecord:
    trial = record.call_id[0]
    advice = record.advice
    return _record(
        record.call,
        trial=trial,
        outcome=record.outcome,
        configs=len(advice.configs),
        repaired=sum(advice.repaired.values()),
        rejected=sum(advice.rejected.values()),
    )


def _record(call: Call, **more: Any) -> CallRecord:
    return CallRecord(
        purpose=call.purpose,
        model=call.model,
        at=call.at,
        seconds=call.seconds,
        requests=call.requests,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cached_tokens=call.cached_tokens,
        estimated=call.estimated,
        usd=call.usd,
        **more,
    )


# --- calls that belong to no trial ------------------------------------------------------------


def keep(study: Study, call: Call, outcome: object) -> None:
    """Write a call of the command line into the study, if it can be written to."""
    key = f"{_keys.CALL}{uuid.uuid4().hex}"
    reason = outcome.reason if isinstance(outcome, OptunaLLMError) else "ok"
    priced = replace(call, model=call.model[:200], usd=cost_of(call))
    value: dict[str, Any] = {"v": _keys.VERSION, "outcome": reason[:40], "call": asdict(priced)}
    try:
        study._storage.set_study_system_attr(study._study_id, key, value)
    except Exception as error:  # what the user asked for is there, and matters more
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
                    found.append(_record(read_call(value["call"]), trial=-1, outcome=outcome))
            except (KeyError, OverflowError, TypeError, ValueError):
                _logger.debug("Ignored an unreadable record of a call.")
    return found
