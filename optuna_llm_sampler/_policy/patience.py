"""How long trials may wait for the model, given their duration."""

from __future__ import annotations

from collections import deque
import math
from statistics import median
import threading
import time


# Waiting time as a fraction of the trials' own duration.
_SHARE = 0.04
# The median duration is that of so many latest trials.
_N_DURATIONS = 32
# No advice is asked for more trials ahead.
_MAX_AHEAD = 16


class Patience:
    """The waiting time that the trials of one process have earned and spent. Thread-safe.

    A trial waits ``timeout`` seconds at most.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._started: dict[int, float] = {}
        self._durations: deque[float] = deque(maxlen=_N_DURATIONS)
        self._earned = 0.0

    def started(self, number: int) -> None:
        """Note that a trial has got its parameters."""
        with self._lock:
            self._started[number] = time.monotonic()

    def finished(self, number: int) -> None:
        """Note that a trial has ended."""
        with self._lock:
            if (start := self._started.pop(number, None)) is not None:
                self._durations.append(time.monotonic() - start)
                # The median: one very long trial must not pay for many short ones.
                self._earned += _SHARE * median(self._durations)

    def waited(self, seconds: float) -> None:
        """Note that a trial has waited."""
        with self._lock:
            self._earned -= seconds

    def allowed(self, expected: float) -> float:
        """Return how many seconds a trial may wait for an answer expected after some seconds.

        It is 0 if the answer would come too late.
        """
        with self._lock:
            allowed = min(self._earned, self._timeout)
        return allowed if expected <= allowed and allowed > 0 else 0.0

    def starts_during(self, call_seconds: float, n_running: int) -> float:
        """Estimate how many trials start during a call."""
        duration = self._duration()
        if not call_seconds or duration is None:
            return 0.0
        return n_running * call_seconds / max(duration, 1e-3)

    def trials_ahead(self, call_seconds: float, n_running: int) -> int:
        """Return how many trials before its first use an advice has to be asked for.

        A call lasts so many seconds, and so many trials of the study run at the same time.
        """
        duration = self._duration()
        with self._lock:
            missing = call_seconds - max(self._earned, 0.0)
        if missing <= 0:
            return 0
        if not duration:
            return _MAX_AHEAD
        return min(math.ceil(missing * max(n_running, 1) / duration), _MAX_AHEAD)

    def _duration(self) -> float | None:
        """Return the median duration of the latest trials, if any has ended."""
        with self._lock:
            return median(self._durations) if self._durations else None
