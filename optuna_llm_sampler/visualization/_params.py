"""What the model believed about each parameter and where the trials went, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import statistics
from typing import Any
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from .._advice import values
from .._board import Post
from .._board import View
from .._compare import good_trials
from .._plain import plain
from .._prior import NumericPrior
from .._space import labels
from .._space import to_label
from ._info import read


if TYPE_CHECKING:
    from optuna.study import Study


@dataclass(frozen=True)
class Belief:
    """Where the model saw good values of a number, in one advice.

    Attributes:
        trial:
            Number of the trial on which the advice lies.
        low, center, high:
            In the parameter's own units, within its bounds.
        stated:
            Whether the model said so; else it is the range of its configurations.
    """

    trial: int
    low: float
    center: float
    high: float
    stated: bool


@dataclass(frozen=True)
class ParamPanel:
    """One parameter of one study.

    Attributes:
        study, param:
            Their names.
        log:
            Whether it is searched on a logarithmic scale.
        labels:
            Names of the choices, in order; empty for a number. A choice's value is its index.
        trials:
            Number, value and whether it is one of the better quarter, for every trial that has
            the parameter.
        beliefs:
            For a number, by advice.
        weights:
            For a choice, by advice: number of the trial, and weight by index, adding up to 1.
    """

    study: str
    param: str
    log: bool
    labels: tuple[str, ...]
    trials: tuple[tuple[int, float, bool], ...]
    beliefs: tuple[Belief, ...]
    weights: tuple[tuple[int, Mapping[int, float]], ...]

    @property
    def last(self) -> int:
        """Where the time axis ends."""
        marks = [t for t, _, _ in self.trials] + [b.trial for b in self.beliefs]
        return max(marks + [t for t, _ in self.weights], default=0)


def param_panels(studies: Sequence[Study], params: Sequence[str] | None) -> list[ParamPanel]:
    """Return a panel per parameter and study; the same parameter of several studies together.

    Raises:
        ValueError: A parameter is in none of the studies.
    """
    views = {study: read(study) for study in studies}
    spaces = {study: _space(view) for study, view in views.items()}
    known = sorted({name for space in spaces.values() for name in space})
    for name in params or ():
        if name not in known and any(spaces.values()):
            raise ValueError(f"Parameter {name} does not exist in your study.")
    return [
        _panel(study, views[study], name, spaces[study][name])
        for name in (known if params is None else dict.fromkeys(params))
        for study in studies
        if name in spaces[study]
    ]


def _space(view: View) -> dict[str, BaseDistribution]:
    space: dict[str, BaseDistribution] = {}
    for trial in view.trials:
        space.update(trial.distributions)
    return {name: space[name] for name in space if not space[name].single()}


def _panel(study: Study, view: View, name: str, distribution: BaseDistribution) -> ParamPanel:
    good = {trial.number for trial in good_trials(view.trials, study.directions)}
    posts = [post for post in view.posts if post.outcome == "ok"]
    choices = isinstance(distribution, CategoricalDistribution)
    names = labels(distribution) if isinstance(distribution, CategoricalDistribution) else ()
    trials = []
    for trial in view.trials:
        if name in trial.params:
            value = _coordinate(trial.params[name], distribution, names)
            if value is not None:
                trials.append((trial.number, value, trial.number in good))
    beliefs = [] if choices else [_belief(post, name, distribution) for post in posts]
    weights = [_weights(post, name, distribution, names) for post in posts] if choices else []
    return ParamPanel(
        study=plain(study.study_name, 60),
        param=plain(name, 60),
        log=bool(getattr(distribution, "log", False)),
        labels=tuple(plain(label, 30) for label in names),
        trials=tuple(trials),
        beliefs=tuple(belief for belief in beliefs if belief is not None),
        weights=tuple(weight for weight in weights if weight is not None),
    )


def _coordinate(value: Any, distribution: BaseDistribution, names: Sequence[str]) -> float | None:
    if not names:
        return float(value) if isinstance(value, (int, float)) else None
    label = to_label(value, distribution)
    return float(names.index(label)) if label in names else None


def _belief(post: Post, name: str, distribution: BaseDistribution) -> Belief | None:
    """Return what an advice says of a number, or what its configurations show."""
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    prior = post.advice.prior.get(name)
    if isinstance(prior, NumericPrior):
        marks, stated = [prior.low, prior.center, prior.high], True
    else:
        proposed = _proposed(post, name, distribution)
        if not proposed:
            return None
        marks = [min(proposed), statistics.median(proposed), max(proposed)]
        stated = False
    # What lies outside the bounds would make the axis useless.
    low, center, high = (min(max(m, distribution.low), distribution.high) for m in marks)
    return Belief(post.trial, low, center, high, stated)


def _weights(
    post: Post, name: str, distribution: BaseDistribution, names: Sequence[str]
) -> tuple[int, Mapping[int, float]] | None:
    prior = post.advice.prior.get(name)
    if isinstance(prior, Mapping):
        weights = {names.index(label): w for label, w in prior.items() if label in names}
    else:
        proposed = [to_label(v, distribution) for v in _proposed(post, name, distribution)]
        weights = {i: float(proposed.count(label)) for i, label in enumerate(names)}
    total = sum(weights.values())
    if total <= 0:
        return None
    return post.trial, {i: w / total for i, w in weights.items() if w > 0}


def _proposed(post: Post, name: str, distribution: BaseDistribution) -> list[Any]:
    space = {name: distribution}
    found = [values(config, space) for config in post.advice.configs]
    return [params[name] for params in found if name in params]
