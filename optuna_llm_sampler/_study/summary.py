"""What the model is told about a study, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .._text import MAX_WHY_CHARS, one_line, plain
from . import keys as _keys
from .numbers import result_text, rounded, Spread, spread_of, spreads_of
from .objectives import violations
from .optuna_internals import n_rungs_passed
from .space import is_legal, SearchSpace, to_label


MAX_ERROR_CHARS = 160
# User attributes that are shared with the model.
MAX_SHARED_ATTRS = 8
_MAX_ATTR_CHARS = 80
# A curve that gained this share of its whole gain in the last quarter of its steps still improves.
_STILL_IMPROVING = 0.1
# A curve is flat since the step at which it had this share of its whole gain.
_NEARLY_ALL = 0.95
_CURVE_DIGITS = 3
# What the model is told of a source.
_TOLD_SOURCES = {
    "llm": "llm",
    "base": "base",
    "fallback": "base",
    "defaults": "user",
    "history": "user",
    "enqueued": "user",
}


@dataclass(frozen=True)
class TrialSummary:
    """One trial as the model sees it."""

    number: int  # number of the trial
    params: Mapping[str, Any]  # parameters in Optuna's own values
    values: tuple[float, ...] = ()  # one value per objective
    pruned: bool = False  # whether the trial was stopped early
    # Violated constraints and their amounts.
    violated: Mapping[str, float] = field(default_factory=dict)
    curve: str = ""  # course of the intermediate values, in a few words
    error: str = ""  # why the trial failed, `""` if unknown
    # Share of the Pareto front's hypervolume that is lost without the trial, in [0, 1]; None for a
    # trial that is not on the front.
    share: float | None = None
    # User attributes that the user shares with the model.
    attrs: Mapping[str, Any] = field(default_factory=dict)
    # Origin of the parameters: `"llm"`, `"base"`, `"user"`, `"documentation"` or `""`.
    source: str = ""
    why: str = ""  # the model's reason for the configuration


@dataclass(frozen=True)
class StudySummary:
    """What the model is told about a study."""

    directions: tuple[str, ...]  # `"minimize"` or `"maximize"` per objective
    metric_names: tuple[str, ...]  # one name per objective, `""` when the user gave none
    # Trials with values, from worst to best; with several objectives, the Pareto front comes last,
    # ordered by the first objective.
    finished: tuple[TrialSummary, ...] = ()
    running: tuple[TrialSummary, ...] = ()  # trials that run now
    failed: tuple[TrialSummary, ...] = ()  # trials without a result
    # Numbers of such trials in the study, shown or not.
    n_finished: int = 0
    n_failed: int = 0
    constraints: tuple[str, ...] = ()  # names of the constraints
    n_feasible: int = 0  # number of trials with values that meet all constraints
    failing: tuple[str, ...] = ()  # regions in which trials failed and none succeeded, in words
    # Number of finished trials that began after the best one; None with several objectives.
    since_best: int | None = None
    # Former kind of each parameter whose kind has changed, in words.
    kinds: Mapping[str, str] = field(default_factory=dict)


# --- trials ---------------------------------------------------------------------------------


def summarize(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> list[TrialSummary]:
    """Summarize trials that are shown side by side."""
    minimize = directions[0] != StudyDirection.MAXIMIZE
    curves = [trial.intermediate_values for trial in trials if trial.intermediate_values]
    ends = spread_of((curve[max(curve)] for curve in curves), minimize=minimize)
    return [_summarize(trial, ends, minimize=minimize) for trial in trials]


def _summarize(trial: FrozenTrial, ends: Spread, *, minimize: bool) -> TrialSummary:
    source = _keys.source_kind(trial.user_attrs)
    why = _keys.read(trial.user_attrs, _keys.WHY)
    is_documented = _keys.read(trial.user_attrs, _keys.ADVICE) == _keys.DOCUMENTED
    return TrialSummary(
        trial.number,
        dict(trial.params),
        tuple(trial.values) if trial.values is not None else (),
        pruned=trial.state == TrialState.PRUNED,
        violated=violations(trial),
        curve=describe_curve(trial.intermediate_values, ends, minimize=minimize) + _rungs(trial),
        error=one_line(_keys.read(trial.user_attrs, _keys.ERROR), MAX_ERROR_CHARS),
        source="documentation" if is_documented else _TOLD_SOURCES.get(source, ""),
        why=one_line(why, MAX_WHY_CHARS) if source == "llm" else "",
    )


def _rungs(trial: FrozenTrial) -> str:
    n = n_rungs_passed(trial)
    if trial.state != TrialState.PRUNED or not n:
        return ""
    return f", passed {n} rungs" if n > 1 else ", passed 1 rung"


def describe_curve(
    values: Mapping[int, float], ends: Spread | None = None, *, minimize: bool
) -> str:
    """Describe a learning curve's shape in a few words, ``""`` when there is none.

    Args:
        values:
            Intermediate values by step.
        ends:
            Spread of the last values of the curves that are shown together.
        minimize:
            Whether less is better.
    """
    if not values:
        return ""
    steps = sorted(values)
    seen = [values[step] for step in steps]
    bad = next((i for i, value in enumerate(seen) if not math.isfinite(value)), None)
    if bad is not None:
        return f"diverged: {seen[bad]} at step {steps[bad]}"
    losses = seen if minimize else [-value for value in seen]
    best = min(range(len(losses)), key=losses.__getitem__)
    along = spread_of([seen[0], seen[best], seen[-1]])
    first, top, last = (
        result_text(seen[i], along, ends or Spread(), digits=_CURVE_DIGITS) for i in (0, best, -1)
    )
    course = f"{last if len(steps) == 1 else f'{first} → {last}'} until step {steps[-1]}"
    if len(steps) < 3:
        return course
    return f"{course}, {_shape(losses, steps, f'best {top} at step {steps[best]}')}"


def _shape(losses: Sequence[float], steps: Sequence[int], best_at: str) -> str:
    best = min(losses)
    gain = losses[0] - best
    lost = losses[-1] - best
    if losses[-1] > losses[0]:
        return "diverging" if lost > 2 * gain else best_at
    if gain == 0:
        return "flat"
    if lost > gain / 2:
        return f"{best_at}, worse since"
    quarter = losses[-1 - max(1, len(losses) // 4)]
    if quarter - losses[-1] > _STILL_IMPROVING * gain:
        return "still improving"
    flat = next(i for i, loss in enumerate(losses) if losses[0] - loss >= _NEARLY_ALL * gain)
    return f"flat since step {steps[flat]}"


# --- user attributes ------------------------------------------------------------------------


def with_attrs(
    summary: StudySummary, trials: Sequence[FrozenTrial], names: Sequence[str]
) -> StudySummary:
    """Add shortened user attributes of these names to the finished and failed trials."""
    if not names:
        return summary
    every = [trials[t.number].user_attrs for t in (*summary.finished, *summary.failed)]
    spreads = {
        name: spread_of(attrs[name] for attrs in every if isinstance(attrs.get(name), float))
        for name in names
    }

    def with_own(trial: TrialSummary) -> TrialSummary:
        attrs = trials[trial.number].user_attrs
        shared = {
            plain(name, _MAX_ATTR_CHARS): _shortened(attrs[name], spread)
            for name, spread in spreads.items()
            if name in attrs
        }
        return replace(trial, attrs=shared)

    return replace(
        summary,
        finished=tuple(map(with_own, summary.finished)),
        failed=tuple(map(with_own, summary.failed)),
    )


def _shortened(value: Any, spread: Spread) -> Any:
    if isinstance(value, float) and math.isfinite(value):
        return float(result_text(value, spread))
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1e15):
        return value
    return plain(value, _MAX_ATTR_CHARS)


# --- values as the model reads them ---------------------------------------------------------


def spreads(summary: StudySummary) -> tuple[Spread, ...]:
    """Return the spread of the values of the finished trials, per objective."""
    return spreads_of((trial.values for trial in summary.finished), summary.directions)


def violation_spreads(summary: StudySummary) -> dict[str, Spread]:
    """Return the spread of the violations of the finished trials, per constraint."""
    amounts: dict[str, list[float]] = {}
    for trial in summary.finished:
        for name, amount in trial.violated.items():
            amounts.setdefault(name, []).append(amount)
    return {name: spread_of(found, minimize=True) for name, found in amounts.items()}


def rounded_params(params: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Round numbers to the digits that matter in their ranges."""
    return {name: _rounded(value, space.get(name)) for name, value in params.items()}


def _rounded(value: Any, distribution: BaseDistribution | None) -> Any:
    if isinstance(distribution, (FloatDistribution, IntDistribution)) and _is_number(value):
        return rounded(value, distribution)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def row(trial: TrialSummary, space: SearchSpace) -> tuple[dict[str, Any], bool]:
    """Write a trial's parameters in terms of the space as it is now.

    Returns:
        Labels and numbers by name, and whether all of them are legal now. Numbers beyond bounds
        that have moved are kept, since they are still true. A choice that is gone, or the value of
        a parameter that has become of another kind, is left out.
    """
    found: dict[str, Any] = {}
    legal = True
    for name, value in trial.params.items():
        if name not in space:
            continue
        distribution = space[name]
        if isinstance(distribution, CategoricalDistribution):
            try:
                distribution.to_internal_repr(value)
                found[name] = to_label(value, distribution)
            except ValueError:
                legal = False
        elif _is_number(value):
            found[name] = _rounded(value, distribution)
            legal = legal and is_legal(value, distribution)
        else:
            legal = False
    return found, legal
