"""What the plots show, as plain data: shared by plotly and matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.logging import get_logger
from optuna.study import Study
from optuna.study import StudyDirection
from optuna.trial import TrialState

from ..._store.store import AdviceStore
from ..._store.store import Snapshot
from ..._study.keys import kind_of
from ..._study.keys import KINDS
from ..._study.numbers import param_text
from ..._text import number
from ..._text import plain
from ..report import trial_line


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


_logger = get_logger(f"optuna.{__name__}")

# Colours of plotly's own theme, so that the plots sit well beside Optuna's.
COLORS = {
    "defaults": "#00CC96",
    "history": "#FECB52",
    "llm": "#EF553B",
    "base": "#636EFA",
    "fallback": "#FFA15A",
    "enqueued": "#AB63FA",
    "other": "#A0A0A0",
}
NAMES = {
    "defaults": "Defaults",
    "history": "Earlier study",
    "llm": "Language model",
    "base": "Base sampler",
    "fallback": "Base sampler (fallback)",
    "enqueued": "Enqueued",
    "other": "Not recorded",
}
LINE_COLOR = "#7F7F7F"


def studies_of(study: Study | Sequence[Study]) -> list[Study]:
    studies = [study] if isinstance(study, Study) else list(study)
    if not studies:
        _logger.warning("There are no studies.")
    return studies


def read(study: Study) -> Snapshot:
    return AdviceStore(study._storage, study._study_id).read()


def metric_names(study: Study) -> list[str]:
    names = AdviceStore(study._storage, study._study_id).metric_names() or []
    n = len(study.directions)
    fallback = ["Objective Value"] if n == 1 else [f"Objective {i}" for i in range(n)]
    return [*names, *fallback[len(names) :]][:n]


@dataclass(frozen=True)
class Point:
    """One trial: where it lies, what it is, and what a person reads when pointing at it."""

    number: int
    value: float
    kind: str
    pruned: bool
    lines: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """One objective of one study.

    Attributes:
        study:
            Its name.
        points:
            Complete and pruned trials with a finite value.
        best:
            Trial number and value wherever the best value so far changed, and at the end; empty
            where nobody knows which is better.
        failed:
            Numbers and kinds of failed trials.
    """

    study: str
    points: tuple[Point, ...]
    best: tuple[tuple[int, float], ...]
    failed: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """What shares one pair of axes."""

    title: str
    histories: tuple[History, ...]

    @property
    def kinds(self) -> list[str]:
        """Kinds of source that occur, in their usual order."""
        found = {p.kind for h in self.histories for p in (*h.points, *h.failed)}
        return [kind for kind in KINDS if kind in found]


def panels(
    studies: Sequence[Study], target: Callable[[FrozenTrial], float] | None, target_name: str
) -> list[Panel]:
    """Return one panel per objective, or one for the target."""
    views = [(study, read(study)) for study in studies]
    if target is not None:
        histories = [_history(study, snapshot, target, None) for study, snapshot in views]
        return [Panel(target_name, tuple(histories))]
    most = max((len(study.directions) for study in studies), default=1)
    out = []
    for i in range(most):
        having = [(study, snapshot) for study, snapshot in views if i < len(study.directions)]
        titles = {metric_names(study)[i] for study, _ in having} or {target_name}
        title = titles.pop() if len(titles) == 1 else f"Objective {i}"
        if title == "Objective Value":
            title = target_name
        histories = [
            _history(study, snapshot, _value(i), study.directions[i]) for study, snapshot in having
        ]
        out.append(Panel(plain(title, 60), tuple(histories)))
    return out


def _value(i: int) -> Callable[[FrozenTrial], float]:
    return lambda trial: trial.values[i]


def _history(
    study: Study,
    snapshot: Snapshot,
    target: Callable[[FrozenTrial], float],
    direction: StudyDirection | None,
) -> History:
    points, best, failed = [], [], []
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    lowest = math.inf
    for trial in snapshot.trials:
        if trial.state == TrialState.FAIL:
            failed.append(point(trial, math.nan))
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED) or not trial.values:
            continue
        value = _finite(target, trial)
        if value is None:
            continue
        points.append(point(trial, value))
        feasible = all(c <= 0 for c in trial.constraints.values())
        if direction is not None and trial.state == TrialState.COMPLETE and feasible:
            lowest = min(lowest, sign * value)
        if direction is not None and lowest < math.inf:
            best.append((trial.number, sign * lowest))
    steps = [b for i, b in enumerate(best) if not i or b[1] != best[i - 1][1]] + best[-1:]
    return History(plain(study.study_name, 60), tuple(points), tuple(steps), tuple(failed))


def _finite(target: Callable[[FrozenTrial], float], trial: FrozenTrial) -> float | None:
    try:
        value = float(target(trial))
    except (TypeError, ValueError, IndexError):
        # As optuna.visualization: a target may not be made for every trial.
        _logger.warning(f"Trial {trial.number} is left out: its target is not a number.")
        return None
    return value if math.isfinite(value) else None


def point(trial: FrozenTrial, value: float) -> Point:
    """Return a trial with what is read when pointing at it."""
    line = trial_line(trial)
    lines = [f"Trial {trial.number}" + (f" ({line.state})" if line.state != "complete" else "")]
    if not math.isnan(value):
        lines.append(f"Value: {number(value, 6)}")
    lines.append(f"Source: {line.source or 'not recorded'}")
    if line.why:
        lines.append(f"Why: {line.why}")
    shown = list(line.params.items())[:20]
    lines += [f"{plain(n, 40)}: {_short(v, trial.distributions[n])}" for n, v in shown]
    return Point(trial.number, value, kind_of(trial), line.state == "pruned", tuple(lines))


def _short(value: Any, distribution: BaseDistribution) -> str:
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        return param_text(value, distribution)
    return plain(value, 40)
