"""Circuit breaker: when to leave a failing model alone. A pure function of the advice records.

All workers read the same records, so they agree without messages.

1. The first failure changes nothing, since it may be chance. After 2, 3, 4 … failures in a row,
   the model is asked again 1, 2, 4 … 64 trials after the last one.
2. As many seconds have to pass, too, so that fast trials do not hammer a dead server. Only trials
   count after a useless answer (the server is alive), and in a study with a seed, which must not
   depend on time.
3. ``retry_after`` of the endpoint is honoured, up to an hour.
4. A failure that cannot heal (a dead key) is final for every sampler that was there. For a later
   sampler, which may have a better key, the first such failure counts as the second.
5. An answer ends all of this. So a healed server is used again after 64 trials and 64 seconds at
   most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from .._store.records import AdviceRecord, CLOCK_SKEW


_MAX_PAUSE = 64
_MAX_RETRY_AFTER = 3600.0


@dataclass(frozen=True)
class Breaker:
    """Whether the model may be asked."""

    reason: str = ""  # reason of the last failure; `""` after an answer
    failures: int = 0  # number of failures in a row
    # How much longer the model is left alone; both have to pass.
    trials: int = 0
    seconds: float = 0.0
    is_final: bool = False  # whether only a new sampler may ask again

    @property
    def is_open(self) -> bool:
        return self.is_final or self.seconds > 0 or self.trials > 0


def breaker(
    records: Sequence[AdviceRecord],
    *,
    asked: str,
    n_trials: int,
    now: float,
    born: float,
    is_timed: bool = True,
) -> Breaker:
    """Return whether a model may be asked, given the outcomes of all calls by trial number.

    Args:
        asked:
            Name of the model. Failures of other models do not count.
        now, born:
            Now, and when the sampler first saw the study, in seconds since the epoch.
        is_timed:
            Whether seconds count, and not only trials.
    """
    own = [r for r in records if r.call.asked in ("", asked) and r.outcome != "redundant"]
    failures = list(takewhile(lambda record: record.outcome != "ok", reversed(own)))
    if not failures:
        return Breaker()
    last, n = failures[0], len(failures)
    if not last.retryable and born <= last.call.at <= now + CLOCK_SKEW:
        return Breaker(last.outcome, n, is_final=True)
    step = n - 2 if last.retryable else n - 1
    pause = 0 if step < 0 else min(2 ** min(step, 30), _MAX_PAUSE)
    is_timed = is_timed and not last.call.output_tokens
    seconds = max(pause if is_timed else 0, min(last.retry_after, _MAX_RETRY_AFTER))
    return Breaker(
        last.outcome,
        n,
        trials=max(0, last.trial + 1 + pause - n_trials),
        # A time in the future comes from a wrong clock, and must not keep the breaker open.
        seconds=max(0.0, seconds - abs(now - last.call.at)),
    )
