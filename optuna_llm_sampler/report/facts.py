"""Optuna's own numbers about a study: importances and the ranges of the good trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any
from typing import TYPE_CHECKING
import warnings

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from .._store.store import AdviceStore
from .._study.numbers import exact
from .._study.numbers import param_text
from .._study.numbers import result_text
from .._study.numbers import spreads_of
from .._study.objectives import best_trials
from .._study.objectives import good_trials
from .._study.objectives import losses_of
from .._study.space import to_label
from .._text import plain
from .report import trial_line
from .report import TrialLine


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class ParamFacts:
    """Numbers on one parameter, written as they are to be quoted.

    Attributes:
        param:
            Its name.
        importance:
            Share of the importance of all parameters, ``"0.62"``, or ``""`` if it is not known.
        searched:
            What was searched: ``"1e-06 to 0.1, log"`` or the choices.
        region:
            Where the better quarter of the trials is: ``"0.00013 to 0.0005"`` or ``"64 (5 of 8),
            32 (3 of 8)"``.
    """

    param: str
    importance: str
    searched: str
    region: str


@dataclass(frozen=True)
class Facts:
    """What is known for certain about a study.

    Attributes:
        goals:
            ``"maximize accuracy"`` per objective.
        n_complete, n_good:
            How many complete trials there are, and how many are the better quarter.
        best:
            The best trial, or the first of the Pareto front.
        values:
            Its values, written so that they differ from those of the others.
        params:
            Per parameter, most important first.
    """

    goals: tuple[str, ...]
    n_complete: int
    n_good: int
    best: TrialLine | None = None
    values: tuple[str, ...] = ()
    params: tuple[ParamFacts, ...] = ()


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
    """Compute the numbers. All are Optuna's or plain counts; no model is asked."""
    store = AdviceStore.of(study)
    trials = store.read().trials
    directions = store.directions()
    names = store.metric_names() or [""] * len(directions)
    good = good_trials(trials, directions)
    best = best_trials(trials, directions)
    results = (t.values for t in trials if losses_of(t, directions) is not None)
    spreads = spreads_of(results, [direction.name.lower() for direction in directions])
    weights = importances(study)
    space = _space(good)
    order = sorted(space, key=lambda name: (-weights.get(name, -1.0), name))
    return Facts(
        goals=tuple(
            f"{direction.name.lower()} {plain(name, 60) or 'the objective value'}"
            for direction, name in zip(directions, names, strict=True)
        ),
        n_complete=sum(losses_of(trial, directions) is not None for trial in trials),
        n_good=len(good),
        best=trial_line(best[0], directions) if best else None,
        values=tuple(map(result_text, best[0].values, spreads)) if best else (),
        params=tuple(_param(name, space[name], good, weights) for name in order),
    )


def _space(good: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    space: dict[str, BaseDistribution] = {}
    for trial in good:
        space.update(trial.distributions)
    return {
        name: distribution for name, distribution in space.items() if not distribution.single()
    }


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
        region, searched = f"{low} to {high}", _range(distribution)
    return ParamFacts(plain(name, 60), importance, searched, region)


def _range(distribution: FloatDistribution | IntDistribution) -> str:
    log = ", log" if distribution.log else ""
    return f"{exact(distribution.low)} to {exact(distribution.high)}{log}"


def _choices(values: Sequence[Any], distribution: CategoricalDistribution) -> str:
    counts = Counter(str(to_label(value, distribution)) for value in values).most_common(4)
    return ", ".join(f"{plain(label, 30)} ({n} of {len(values)})" for label, n in counts)
