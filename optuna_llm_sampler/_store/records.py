"""Advice records and claims: what workers share, and its form as attributes of trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
import json
from typing import Any, TYPE_CHECKING, TypeVar

from optuna.logging import get_logger

from .._advice.advice import Advice, from_json, to_json
from .._advice.call import Call
from .._study import keys as _keys
from .prices import Budget


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


_logger = get_logger(f"optuna.{__name__}")

# Largest expected difference between the clocks of two machines, in seconds. A larger one costs
# an additional call now and then.
CLOCK_SKEW = 60.0
# With this phase, the first trial of an advice is the model's, whatever the share.
MAX_PHASE = 99

_T = TypeVar("_T")
CallId = tuple[int, int]


@dataclass(frozen=True)
class AdviceRecord:
    """The outcome of one call: an advice and the trials that it serves, or a failure."""

    trial: int  # number of the trial on which it is stored
    block: int  # index of the block of trials that it serves: the number of advices before it
    start: int = 0  # first trial that it serves
    share: float = 1.0  # the model's share of the trials that it serves, in hundredths, in (0, 1]
    # Hundredths of a trial that the model has been given before `start`, from 0 to 99.
    phase: int = MAX_PHASE
    # The share of later trials if it does not follow from evidence, in [0, 1].
    fixed_share: float | None = None
    n_known: int = 0  # number of finished trials when the model was asked
    asked_on: int | None = None  # number of the trial on which the call began; None: `trial`
    # `"ok"`, the reason of a failure, or `"redundant"`: another call was faster.
    outcome: str = "ok"
    retryable: bool = True  # whether a failure may heal by itself
    retry_after: float = 0.0  # seconds before the endpoint wants to be asked again
    call: Call = Call()  # what the call took
    advice: Advice = Advice()  # the model's answer; empty after a failure
    budget: Budget | None = None  # the study's budget when the call was made

    @property
    def call_id(self) -> CallId:
        """A trial may begin several calls, but not two for the same block."""
        return self.trial if self.asked_on is None else self.asked_on, self.block


@dataclass(frozen=True)
class Claim:
    """A worker's announcement, on a trial of its own, that it asks for a block."""

    trial: int  # number of the trial on which it is stored
    block: int  # index of the block of trials
    asked_on: int  # number of the trial on which the call began
    asking: bool  # whether the call is under way. Before that, another claim may take precedence.
    at: float  # when it was last renewed, in seconds since the epoch
    lease: float  # seconds after which it expires unless it is renewed

    @property
    def call_id(self) -> CallId:
        return self.asked_on, self.block


# --- to and from attributes -----------------------------------------------------------------


def to_attribute(record: AdviceRecord) -> dict[str, Any]:
    """Return a record as JSON that fits into one attribute.

    What is too long is trimmed: first reasons, then the note, then the last configurations.
    """
    data: dict[str, Any] = asdict(record)
    data["call"] |= {"model": record.call.model[:200], "asked": record.call.asked[:200]}
    advice = data["advice"] = to_json(record.advice)
    if not _fits(data):
        advice["configs"] = [[params, "", n] for params, _, n in advice["configs"]]
    if not _fits(data):
        advice["note"] = ""
    while not _fits(data) and advice["configs"]:
        advice["configs"].pop()
    return data


def _fits(data: Mapping[str, Any]) -> bool:
    return len(json.dumps(data)) <= _keys.MAX_BYTES - 20  # the version is added


def read_records(trial: FrozenTrial) -> list[AdviceRecord]:
    return _read(trial, _keys.RECORD, _read_record)


def read_claims(trial: FrozenTrial) -> list[Claim]:
    return _read(trial, _keys.CLAIM, _read_claim)


def _read(trial: FrozenTrial, prefix: str, read: Callable[[Mapping[str, Any]], _T]) -> list[_T]:
    """Read a trial's attributes of one kind, except copies and unreadable ones."""
    found = []
    for key, value in trial.system_attrs.items():
        if not key.startswith(prefix) or not isinstance(value, Mapping):
            continue
        if value.get("v") != _keys.VERSION:
            warn_version(str(value.get("v"))[:20])
        elif value.get("trial") == trial.number:
            try:
                found.append(read(value))
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
                _logger.debug(f"Ignored an unreadable {prefix} on trial {trial.number}.")
    return found


_warned_versions: set[str] = set()


def warn_version(version: str) -> None:
    """Warn once about records of an unknown version."""
    if version not in _warned_versions and len(_warned_versions) < 10:
        _warned_versions.add(version)
        _logger.warning(
            f"This study holds advice of format {version!r}, which this version of "
            "optuna-llm-sampler does not know. It is ignored."
        )


def _read_record(value: Mapping[str, Any]) -> AdviceRecord:
    # Before version 0.2, a record had neither share nor n_known, and asked_on was called ticket
    # (-1: unknown).
    asked_on = value.get("asked_on", value.get("ticket"))
    fixed_share = value.get("fixed_share")
    if (budget := value.get("budget")) is not None:
        budget = {field.name: budget.get(field.name) for field in fields(Budget)}
    return AdviceRecord(
        trial=read_count(value["trial"]),
        block=read_count(value["block"]),
        start=read_count(value["start"]),
        share=_read_share(value.get("share", 1.0)),
        phase=read_count(value.get("phase", MAX_PHASE)) % 100,
        fixed_share=None if fixed_share is None else read_number(fixed_share),
        n_known=read_count(value.get("n_known", 0)),
        asked_on=None if asked_on in (None, -1) else read_count(asked_on),
        outcome=read_text(value["outcome"])[:40],
        retryable=bool(value["retryable"]),
        retry_after=read_number(value.get("retry_after", 0.0)),
        call=read_call(value["call"]),
        advice=from_json(value["advice"]),
        budget=None if budget is None else Budget(**budget),
    )


def _read_share(value: Any) -> float:
    share = read_number(value)
    if not 0.01 <= share <= 1:
        raise ValueError("not a share")
    return share


def _read_claim(value: Mapping[str, Any]) -> Claim:
    return Claim(
        trial=read_count(value["trial"]),
        block=read_count(value["block"]),
        asked_on=read_count(value.get("asked_on", value.get("ticket"))),
        asking=bool(value["asking"]),
        at=read_number(value["at"]),
        lease=read_number(value["lease"]),
    )


def read_call(value: Any) -> Call:
    """Read a call as this or another version wrote it.

    Raises:
        ValueError: It is not a call.
    """
    if not isinstance(value, Mapping):
        raise ValueError("not a call")
    known = {name: read for name, read in _CALL.items() if value.get(name) is not None}
    return Call(**{name: read(value[name]) for name, read in known.items()})


def read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value[:200]


def read_count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**40:
        raise ValueError("not a count")
    return value


def read_number(value: Any) -> float:
    """Read a number of seconds or dollars."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 2**40:
        raise ValueError("not a number of seconds or dollars")
    return float(value)


_CALL: Mapping[str, Callable[[Any], Any]] = {
    "model": read_text,
    "asked": read_text,
    "purpose": read_text,
    "at": read_number,
    "seconds": read_number,
    "requests": read_count,
    "input_tokens": read_count,
    "output_tokens": read_count,
    "cached_tokens": read_count,
    "estimated": bool,
    "usd": read_number,
}
