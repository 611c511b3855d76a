"""Optuna's own numbers about a study: importances and the ranges of the good trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any, TYPE_CHECKING
import warnings

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from .._study.numbers import exact, param_text, result_text, spreads_of
from .._study.objectives import good_trials
from .._study.optuna_internals import all_trials
from .._study.space import to_label
from .._text import plain
from .report import report, TrialLine


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class ParamFacts:
    """Facts about one parameter, written as they are to be quoted."""

    param: str  # its name
    importance: str  # its share of the importance of all parameters, such as `"0.62"`, or `""`
    searched: str  # its range or choices, such as `"1e-06 to 0.1, log"`
    # Its values in the better quarter of the trials, such as `"0.00013 to 0.0005"` or `"64 (5 of
    # 8), 32 (3 of 8)"`.
    region: str


@dataclass(frozen=True)
class Facts:
    """Facts about a study, computed without a model."""

    goals: tuple[str, ...]  # per objective, such as `"maximize accuracy"`
    # Number of valid trials, and how many of them are the better quarter.
    n_complete: int
    n_good: int
    best: TrialLine | None = None  # the best trial, or the first of the Pareto front
    values: tuple[str, ...] = ()  # its values, with the digits that tell them from other trials'
    params: tuple[ParamFacts, ...] = ()  # per parameter, most important first


def importances(study: Study) -> dict[str, float]:
    """Return Optuna's own importance of each parameter, most important first.

    Empty while too few trials are complete.
    """
    from optuna.importance import get_param_importances  # imports scikit-learn: a second or two

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of experimental evaluators
            found = get_param_importances(study)
    except (ValueError, RuntimeError, ZeroDivisionError):
        return {}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def facts(study: Study) -> Facts:
    """Compute the facts about a study; asks no model."""
    data = report(study)
    good = good_trials(all_trials(study), study.directions)
    valid = [line.values for line in data.trials if line.is_valid]
    best = data.best[0] if data.best else None
    spreads = spreads_of(valid, data.directions)
    weights = importances(study)
    space: dict[str, BaseDistribution] = {}
    for trial in good:
        space.update(trial.distributions)
    varied = [name for name, distribution in space.items() if not distribution.single()]
    order = sorted(varied, key=lambda name: (-weights.get(name, -1.0), name))
    return Facts(
        goals=tuple(
            f"{direction} {plain(name, 60) or 'the objective value'}"
            for direction, name in zip(data.directions, data.metric_names, strict=True)
        ),
        n_complete=len(valid),
        n_good=len(good),
        best=best,
        values=tuple(map(result_text, best.values, spreads)) if best else (),
        params=tuple(_param(name, space[name], good, weights) for name in order),
    )


def _param(
    name: str,
    distribution: BaseDistribution,
    good: Sequence[FrozenTrial],
    weights: Mapping[str, float],
) -> ParamFacts:
    values = [trial.params[name] for trial in good if name in trial.params]
    importance = f"{weights[name]:.2f}" if name in weights else ""
    if isinstance(distribution, CategoricalDistribution):
        region = _choices(values, distribution)
        searched = ", ".join(plain(c, 30) for c in distribution.choices[:12])
        more = len(distribution.choices) - 12
        searched += f" and {more} more" if more > 0 else ""
    else:
        assert isinstance(distribution, (FloatDistribution, IntDistribution))
        low, high = (param_text(end, distribution) for end in (min(values), max(values)))
        region = f"{low} to {high}"
        searched = f"{exact(distribution.low)} to {exact(distribution.high)}"
        searched += ", log" * distribution.log
    return ParamFacts(plain(name, 60), importance, searched, region)


def _choices(values: Sequence[Any], distribution: CategoricalDistribution) -> str:
    counts = Counter(str(to_label(value, distribution)) for value in values).most_common(4)
    return ", ".join(f"{plain(label, 30)} ({n} of {len(values)})" for label, n in counts)
