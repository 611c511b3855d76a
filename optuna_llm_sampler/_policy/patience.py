"""How long trials may wait for the model, given how long they last."""

from __future__ import annotations

from collections import deque
import math
from statistics import median
import threading
import time


# Share of the trials' own time that may be spent waiting for the model.
_SHARE = 0.04
# Durations of the latest trials count, and no advice is asked for longer ahead.
_N_DURATIONS = 32
_MAX_AHEAD = 16


class Patience:
    """Seconds that the trials of one process have earned and spent by waiting. Thread-safe.

    Args:
        timeout:
            Longest time that a trial waits, in seconds.
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
                # One very long trial does not pay for long waits of many short ones.
                self._earned += _SHARE * median(self._durations)

    def waited(self, seconds: float) -> None:
        """Note that a trial has waited."""
        with self._lock:
            self._earned -= seconds

    def allowed(self, expected: float) -> float:
        """Return for how many seconds a trial may wait for an answer, 0 if that is in vain.

        Args:
            expected:
                Seconds after which the answer is likely to come.
        """
        with self._lock:
            allowed = min(self._earned, self._timeout)
        return allowed if expected <= allowed and allowed > 0 else 0.0

    def starts_during(self, call_seconds: float, n_running: int) -> float:
        """Return how many trials are likely to start during a call."""
        duration = self._duration()
        if not call_seconds or duration is None:
            return 0.0
        return n_running * call_seconds / max(duration, 1e-3)

    def trials_ahead(self, call_seconds: float, n_running: int) -> int:
        """Return how many trials before it is needed an advice has to be asked for.

        Args:
            call_seconds:
                How long a call takes.
            n_running:
                How many trials of the study run at the same time.
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
