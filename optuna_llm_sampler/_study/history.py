"""The finished trials of a study, added one at a time.

A summary holds the best trials, a sample of the others, failures and running trials. That of
10,000 trials is as long as that of 100, and as cheap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import threading
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.logging import get_logger
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .conditions import Conditions
from .distance import Points
from .failures import Failures
from .objectives import violation
from .optuna_internals import constraints_of
from .ranking import FrontRanking, has_result, Ranking, Result, Results
from .space import SearchSpace
from .structure import Structure
from .summary import StudySummary, summarize, TrialSummary


N_RUNNING = 16

_logger = get_logger(f"optuna.{__name__}")


def seen_space(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return the latest distribution of every parameter that a finished trial had, by name.

    Failed trials count. Parameters with a single value are left out: Optuna asks no sampler for
    them.
    """
    space: dict[str, BaseDistribution] = {}
    for trial in trials:
        if trial.state.is_finished():
            space.update(trial.distributions)
    return {name: space[name] for name in sorted(space) if not space[name].single()}


class History:
    """The finished trials of one study. Thread-safe."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self.directions = tuple(directions)
        self._lock = threading.Lock()
        self._latest: dict[str, tuple[int, BaseDistribution]] = {}
        self._structure = Structure()
        self._tried = Points()
        self._scored = (Ranking if len(self.directions) == 1 else FrontRanking)(self.directions)
        self._failures = Failures()
        self._results = Results(self.directions)
        self._kinds: dict[str, str] = {}
        self._constraints: dict[str, None] = {}
        self._n_feasible = 0

    def add(self, trial: FrozenTrial) -> None:
        """Add a finished trial."""
        with self._lock:
            self._results.add(trial)
            if trial.params:
                self._add_params(trial)
            if has_result(trial):
                self._scored.add(trial)
                self._failures.add_success(trial)
                self._constraints.update(dict.fromkeys(constraints_of(trial)))
                self._n_feasible += violation(trial) <= 0
            elif trial.state == TrialState.FAIL and trial.params:
                self._failures.add(trial)

    def _add_params(self, trial: FrozenTrial) -> None:
        self._tried.add(trial.params)
        self._structure.add(trial)
        for name, distribution in trial.distributions.items():
            number, known = self._latest.get(name, (-1, distribution))
            if trial.number < number:
                continue
            if _kind(known) != _kind(distribution):
                self._change(name, known, distribution, trial.number)
            self._latest[name] = (trial.number, distribution)

    def _change(
        self, name: str, old: BaseDistribution, new: BaseDistribution, number: int
    ) -> None:
        """Record that a parameter's kind has changed, and warn once."""
        if name not in self._kinds:
            _logger.warning(
                f"Parameter {name!r} is a {_kind(new)} since trial {number} and was a "
                f"{_kind(old)} before: the model is not shown its older values."
            )
        self._kinds[name] = f"a {_kind(old)} before trial {number}"

    def space(self) -> dict[str, BaseDistribution]:
        """Return what :func:`seen_space` does, without parameters that are no longer used."""
        with self._lock:
            space = {
                name: distribution
                for name, (_, distribution) in sorted(self._latest.items())
                if not distribution.single()
            }
            gone = self._structure.forgotten(self._structure.conditions(space))
        return {name: distribution for name, distribution in space.items() if name not in gone}

    def conditions(self, space: SearchSpace) -> dict[str, dict[str, tuple[Any, ...]]]:
        """Return the conditions that the trials show, see :class:`Structure`."""
        with self._lock:
            return self._structure.conditions(space)

    def optional(self, names: Sequence[str], conditions: Conditions) -> frozenset[str]:
        """Return the parameters that some trials lack and no condition explains."""
        with self._lock:
            return self._structure.unexplained(names, conditions)

    def untried(self, space: SearchSpace) -> dict[str, tuple[Any, ...]]:
        """Return the values that no trial has had, by parameter with few values."""
        with self._lock:
            return self._structure.untried(space)

    @property
    def n_finished(self) -> int:
        """Number of finished trials, failed ones included."""
        with self._lock:
            return len(self._results)

    def results(self, informed_from: float) -> list[Result]:
        """Return the latest results of both samplers, see :class:`Results`."""
        with self._lock:
            return self._results.latest(informed_from)

    def has_duplicate(self, params: Mapping[str, Any], space: SearchSpace) -> bool:
        """Tell whether a finished trial, failed ones included, had nearly these parameters."""
        with self._lock:
            return self._tried.has_duplicate(params, space)

    def summary(
        self,
        running: Sequence[TrialSummary],
        metric_names: Sequence[str] | None,
        space: SearchSpace | None = None,
    ) -> StudySummary:
        """Choose and order the trials to show; ``space`` is that of the regions of failure."""
        with self._lock:
            failed = summarize(self._failures.choose(), self.directions)
            return StudySummary(
                directions=tuple(d.name.lower() for d in self.directions),
                metric_names=tuple(metric_names or [""] * len(self.directions)),
                finished=tuple(self._scored.choose()),
                running=tuple(running[-N_RUNNING:]),
                failed=tuple(failed),
                n_finished=len(self._scored),
                n_failed=self._failures.n,
                constraints=tuple(self._constraints),
                n_feasible=self._n_feasible,
                failing=tuple(self._failures.regions(space or {})),
                since_best=self._scored.since_best(),
                kinds=dict(self._kinds),
            )


def _kind(distribution: BaseDistribution) -> str:
    return "choice" if isinstance(distribution, CategoricalDistribution) else "number"
