"""Failed trials: which to show, and the regions in which trials fail."""

from __future__ import annotations

from collections import deque
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from . import keys as _keys
from .numbers import exact, rounded
from .space import SearchSpace, to_label


N_FAILED = 6
_N_KEPT = 64
# A region needs this many of the kept failures, half of them at least, and no success.
_MIN_FAILED = 2
_MIN_SUCCEEDED = 2


class Failures:
    """Failed trials and the values that succeeded, added one at a time. Not thread-safe."""

    def __init__(self) -> None:
        self.n = 0
        self._failed: deque[FrozenTrial] = deque(maxlen=_N_KEPT)
        self._n_succeeded = 0
        self._ranges: dict[str, tuple[float, float]] = {}
        self._choices: dict[str, set[str]] = {}

    def add(self, trial: FrozenTrial) -> None:
        """Add a failed trial."""
        self.n += 1
        self._failed.append(trial)

    def add_success(self, trial: FrozenTrial) -> None:
        """Add a trial that has a result."""
        self._n_succeeded += 1
        for name, value in trial.params.items():
            if isinstance(trial.distributions[name], CategoricalDistribution):
                self._choices.setdefault(name, set()).add(str(value))
            else:
                low, high = self._ranges.get(name, (value, value))
                self._ranges[name] = (min(low, value), max(high, value))

    def choose(self) -> list[FrozenTrial]:
        """Return the latest trial of each error, then the latest of all; oldest first."""
        kinds = {str(_keys.read(trial.user_attrs, _keys.ERROR)): trial for trial in self._failed}
        first = sorted(kinds.values(), key=lambda trial: -trial.number)
        chosen = {trial.number: trial for trial in [*first, *reversed(self._failed)]}
        return sorted(list(chosen.values())[:N_FAILED], key=lambda trial: trial.number)

    def regions(self, space: SearchSpace) -> list[str]:
        """Describe in words where trials fail and none succeeds."""
        if not self._n_succeeded:
            return [f"Every trial so far failed ({self.n})."] if self.n else []
        if self._n_succeeded < _MIN_SUCCEEDED:
            return []
        enough = max(_MIN_FAILED, len(self._failed) / 2)
        found = []
        for name, distribution in space.items():
            values = [t.params[name] for t in self._failed if name in t.params]
            if isinstance(distribution, CategoricalDistribution):
                found += self._bad_choices(name, values, distribution, enough)
            else:
                found += self._bad_ends(name, values, distribution, enough)
        return found

    def _bad_choices(
        self, name: str, values: list[Any], distribution: CategoricalDistribution, enough: float
    ) -> list[str]:
        good = self._choices.get(name, set())
        bad = [value for value in values if str(value) not in good]
        if len(bad) < enough:
            return []
        names = list(dict.fromkeys(str(to_label(value, distribution)) for value in bad))
        more = f" or {len(names) - 6} others" if len(names) > 6 else ""
        return [f'"{name}" = {" or ".join(names[:6])}{more}: all {len(bad)} failed.']

    def _bad_ends(
        self, name: str, values: list[Any], distribution: BaseDistribution, enough: float
    ) -> list[str]:
        if name not in self._ranges:
            return []
        low, high = self._ranges[name]
        numbers = [v for v in values if isinstance(v, (int, float))]
        above, below = [v for v in numbers if v > high], [v for v in numbers if v < low]
        found = []
        if len(above) >= enough:
            end = _end(min(above), high, distribution)
            found.append(f'"{name}" from {end} up: all {len(above)} failed.')
        if len(below) >= enough:
            end = _end(max(below), low, distribution)
            found.append(f'"{name}" from {end} down: all {len(below)} failed.')
        return found


def _end(failed: float, succeeded: float, distribution: BaseDistribution) -> str:
    """Round the value where failures begin, keeping it beyond the last success."""
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    end = rounded(failed, distribution)
    return exact(end if (end - succeeded) * (failed - succeeded) > 0 else failed)
