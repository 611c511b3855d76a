"""What the plots show, as plain data: the history of a study, and advice by parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any, TYPE_CHECKING

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.logging import get_logger
from optuna.study import Study

from ..._advice.advice import values
from ..._store.store import AdviceStore, Snapshot
from ..._study.keys import KINDS
from ..._study.numbers import result_text, spread_of
from ..._study.objectives import good_trials
from ..._study.space import labels, to_label
from ..._text import plain
from ..report import Report, report, TrialLine


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


_logger = get_logger(f"optuna.{__name__}")

LINE_COLOR = "#7F7F7F"


def studies_of(study: Study | Sequence[Study]) -> list[Study]:
    studies = [study] if isinstance(study, Study) else list(study)
    if not studies:
        _logger.warning("There are no studies.")
    return studies


# --- one objective over the trials ------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """One trial in a plot."""

    line: TrialLine  # the trial
    value: float  # its finite value; NaN for a failed trial
    texts: tuple[str, ...]  # what is shown on pointing at it, line by line


@dataclass(frozen=True)
class History:
    """One objective of one study over the trials."""

    study: str  # name of the study
    points: tuple[Point, ...]  # complete and pruned trials
    # Trial number and value wherever the best value so far changed, and at the end; empty where
    # the direction is unknown.
    best: tuple[tuple[int, float], ...]
    failed: tuple[Point, ...]  # failed trials

    @property
    def edge(self) -> float:
        """A value just below all others, where failed trials are drawn."""
        shown = [point.value for point in self.points] or [0.0]
        return min(shown) - 0.04 * ((max(shown) - min(shown)) or 1.0)


@dataclass(frozen=True)
class Panel:
    """The histories of several studies that share one pair of axes."""

    title: str
    histories: tuple[History, ...]

    @property
    def kinds(self) -> list[str]:
        """Kinds of source that occur, in their usual order."""
        found = {p.line.kind for h in self.histories for p in (*h.points, *h.failed)}
        return [kind for kind in KINDS if kind in found]


def panels(
    studies: Sequence[Study], target: Callable[[FrozenTrial], float] | None, target_name: str
) -> list[Panel]:
    """Return one panel per objective, or one for the target."""
    reports = [report(study) for study in studies]
    if target is not None:
        histories = [
            _history(data, _targets(study, target), None)
            for study, data in zip(studies, reports, strict=True)
        ]
        return [Panel(target_name, tuple(histories))]
    found = []
    for i in range(max((len(data.directions) for data in reports), default=1)):
        having = [data for data in reports if i < len(data.directions)]
        titles = {data.objective_names[i] for data in having}
        title = titles.pop() if len(titles) == 1 else f"Objective {i}"
        title = target_name if title == "Objective Value" or not having else plain(title, 60)
        found.append(Panel(title, tuple(history_of(data, i) for data in having)))
    return found


def history_of(data: Report, objective: int) -> History:
    """Return the history of one objective."""
    shown = {
        line.number: line.values[objective]
        for line in data.trials
        if objective < len(line.values) and math.isfinite(line.values[objective])
    }
    return _history(data, shown, data.directions[objective])


def _targets(study: Study, target: Callable[[FrozenTrial], float]) -> dict[int, float]:
    found = {}
    for trial in study.get_trials(deepcopy=False):
        if trial.values:
            try:
                value = float(target(trial))
            except (TypeError, ValueError, IndexError):
                # As optuna.visualization: a target need not fit every trial.
                _logger.warning(f"Trial {trial.number} is left out: its target is not a number.")
                continue
            if math.isfinite(value):
                found[trial.number] = value
    return found


def _history(data: Report, shown: Mapping[int, float], direction: str | None) -> History:
    spread = spread_of(shown.values())
    points: list[Point] = []
    best: list[tuple[int, float]] = []
    better = max if direction == "maximize" else min
    for line in data.trials:
        if line.number not in shown or line.state not in ("complete", "pruned"):
            continue
        value = shown[line.number]
        texts = texts_of(data, line, result_text(value, spread, digits=5))
        points.append(Point(line, value, texts))
        so_far = [best[-1][1]] if best else []
        if direction is not None and (so_far or line.is_valid):
            known = [*so_far, value] if line.is_valid else so_far
            best.append((line.number, better(known)))
    steps = [b for i, b in enumerate(best) if not i or b[1] != best[i - 1][1]] + best[-1:]
    failed = [
        Point(line, math.nan, texts_of(data, line)) for line in data.trials if line.state == "fail"
    ]
    return History(plain(data.study, 60), tuple(points), tuple(steps), tuple(failed))


def texts_of(data: Report, line: TrialLine, value: str = "") -> tuple[str, ...]:
    """Describe a trial, line by line, for a person who points at it."""
    state = f" ({line.state})" if line.state != "complete" else ""
    params = [f"{name}: {text}" for name, text in data.params_text(line).items()][:20]
    return (
        f"Trial {line.number}{state}",
        *([f"Value: {value}"] if value else []),
        f"Source: {line.source or 'not recorded'}",
        *([f"Why: {line.why}"] if line.why else []),
        *params,
    )


# --- advice by parameter ----------------------------------------------------------------------


@dataclass(frozen=True)
class ParamPanel:
    """One parameter of one study. The value of a choice is its index."""

    # Their names.
    study: str
    param: str
    log: bool  # whether it is searched on a logarithmic scale
    labels: tuple[str, ...]  # names of the choices, in order; empty for a number
    # Number, value and whether it is one of the better quarter, for every trial that has the
    # parameter.
    trials: tuple[tuple[int, float, bool], ...]
    # Number of the trial that stores an advice, and the values of its configurations.
    advice: tuple[tuple[int, tuple[float, ...]], ...]


def param_panels(studies: Sequence[Study], params: Sequence[str] | None) -> list[ParamPanel]:
    """Return a panel per parameter and study; the same parameter of several studies together.

    Raises:
        ValueError: A parameter is in none of the studies.
    """
    snapshots = {study: AdviceStore.of(study).read() for study in studies}
    spaces = {study: _space(snapshot) for study, snapshot in snapshots.items()}
    known = sorted({name for space in spaces.values() for name in space})
    for name in params or ():
        if name not in known and any(spaces.values()):
            raise ValueError(f"Parameter {name} does not exist in your study.")
    return [
        _param_panel(study, snapshots[study], name, spaces[study][name])
        for name in (known if params is None else dict.fromkeys(params))
        for study in studies
        if name in spaces[study]
    ]


def _space(snapshot: Snapshot) -> dict[str, BaseDistribution]:
    space: dict[str, BaseDistribution] = {}
    for trial in snapshot.trials:
        space.update(trial.distributions)
    return {name: space[name] for name in space if not space[name].single()}


def _param_panel(
    study: Study, snapshot: Snapshot, name: str, distribution: BaseDistribution
) -> ParamPanel:
    names = labels(distribution) if isinstance(distribution, CategoricalDistribution) else ()

    def values_in(rows: Iterable[Mapping[str, Any]]) -> list[float | None]:
        found = [row.get(name) for row in rows]
        if not names:
            return [float(v) if isinstance(v, (int, float)) else None for v in found]
        chosen = [to_label(value, distribution) for value in found]
        return [float(names.index(label)) if label in names else None for label in chosen]

    good = {trial.number for trial in good_trials(snapshot.trials, study.directions)}
    having = [trial for trial in snapshot.trials if name in trial.params]
    trials = zip(having, values_in(trial.params for trial in having), strict=True)
    advice = []
    for record in snapshot.records:
        if record.outcome == "ok":
            configs = [values(config, {name: distribution}) for config in record.advice.configs]
            known = values_in(config for config in configs if name in config)
            advice.append((record.trial, tuple(value for value in known if value is not None)))
    return ParamPanel(
        study=plain(study.study_name, 60),
        param=plain(name, 60),
        log=bool(getattr(distribution, "log", False)),
        labels=tuple(plain(label, 30) for label in names),
        trials=tuple((t.number, v, t.number in good) for t, v in trials if v is not None),
        advice=tuple((trial, known) for trial, known in advice if known),
    )
