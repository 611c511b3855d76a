"""When to leave a failing model alone: a pure function of what all workers wrote.

Whatever came of a call lies on the store, so all workers see the same breaker and need no message
to each other: failures in a row open it, for longer each time; then one probe is made (one in the
study, because only one worker asks at a time), and an answer closes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._store.records import AdviceRecord
from .._store.records import CLOCK_SKEW


# A single failure may be chance, and the back ends have tried more than once.
_THRESHOLD = 2
_FIRST_SECONDS, _MAX_SECONDS = 15.0, 300.0
_MAX_TRIALS = 64
# What an endpoint asks for is honoured, within reason.
_MAX_RETRY_AFTER = 3600.0


@dataclass(frozen=True)
class Breaker:
    """Whether the model may be asked.

    Attributes:
        reason:
            Of the last failure; ``""`` after an answer.
        failures:
            How many there were in a row.
        seconds, trials:
            For how long the model is to be left alone still; both have to pass.
        final:
            Whether only a new sampler may ask again, because the failure does not heal.
    """

    reason: str = ""
    failures: int = 0
    seconds: float = 0.0
    trials: int = 0
    final: bool = False

    @property
    def is_open(self) -> bool:
        return self.final or self.seconds > 0 or self.trials > 0


def breaker(
    records: Sequence[AdviceRecord],
    *,
    asked: str,
    n_trials: int,
    now: float,
    born: float,
    timed: bool = True,
) -> Breaker:
    """Tell from the store whether a model may be asked.

    A failure that cannot heal by itself (a dead key, an unknown model) closes the way for every
    sampler that was there when it happened. A sampler made later may have a better key, so it may
    try; but many workers that start one after another with the same dead key must not all try.
    Hence it waits as after any failure, and longer after each one.

    Args:
        records:
            What came of all calls.
        asked:
            The name of the model. Failures of another one do not count.
        n_trials:
            How many trials the study has.
        now:
            Seconds since the epoch.
        born:
            When the sampler that asks first saw the study.
        timed:
            Whether seconds count after a passing failure, and not only trials: a study that is to
            be repeatable must not depend on time.
    """
    failures = _failures_in_a_row(records, asked, now)
    if not failures:
        return Breaker()
    last, n = failures[-1], len(failures)
    if not last.retryable and _at(last, now) >= born:
        return Breaker(last.outcome, n, final=True)
    step = n - _THRESHOLD + (not last.retryable)
    seconds, trials = min(last.retry_after, _MAX_RETRY_AFTER), 0
    if step >= 0:
        trials = min(2 ** min(step, 30), _MAX_TRIALS)
        answers = bool(last.call.output_tokens)  # then time heals nothing
        if not last.retryable or (timed and not answers):
            seconds = max(seconds, min(_FIRST_SECONDS * 2 ** min(step, 30), _MAX_SECONDS))
    return Breaker(
        last.outcome,
        n,
        seconds=max(0.0, _at(last, now) + seconds - now),
        trials=max(0, last.trial + 1 + trials - n_trials),
    )


def _failures_in_a_row(
    records: Sequence[AdviceRecord], asked: str, now: float
) -> list[AdviceRecord]:
    own = [p for p in records if p.call.asked in ("", asked) and p.outcome != "redundant"]
    own.sort(key=lambda record: (_at(record, now), record.trial))
    n = next((i for i, record in enumerate(reversed(own)) if record.outcome == "ok"), len(own))
    return own[len(own) - n :]


def _at(record: AdviceRecord, now: float) -> float:
    """When a call ended; clocks differ, but nothing has ended in an hour's time."""
    return record.call.at if record.call.at <= now + CLOCK_SKEW else 0.0
