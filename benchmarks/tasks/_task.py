"""One tuning task, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial


Params = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What is tuned, and how good a value is.

    Attributes:
        name:
            Unique among the tasks.
        family:
            Tasks whose results are not independent of each other: average over families, too.
        description:
            Two sentences, as a user would write them in ``LLMSampler(task=...)``.
        search_space:
            Distributions of all parameters; for a conditional space, of every branch together.
        objective:
            Parameters to a value that is minimised. The same parameters give the same value.
        optimum:
            Lowest value there is (tables), or that a long random search found (real training).
        median_random:
            Value of the median configuration.
        defaults:
            What an expert would start with, snapped to the grid of a table.
        suggest:
            Asks a trial for the parameters of a conditional space. :obj:`None`: a flat space.
        conditions:
            With which values of which parameters others are used, as the sampler takes it.
        param_notes:
            One plain phrase per parameter, for runs that measure what such notes bring.
    """

    name: str
    family: str
    description: str
    search_space: dict[str, BaseDistribution]
    objective: Callable[[Params], float]
    optimum: float
    median_random: float
    defaults: Mapping[str, Any]
    suggest: Callable[[BaseTrial], Params] | None = None
    conditions: Mapping[str, Mapping[str, Sequence[Any]]] | None = None
    param_notes: Mapping[str, str] = field(default_factory=dict)

    def run(self, trial: BaseTrial) -> float:
        """The objective, in the form that Optuna wants."""
        return self.objective(self.suggest_params(trial))

    def suggest_params(self, trial: BaseTrial) -> Params:
        """Ask a trial for one value per parameter."""
        if self.suggest is not None:
            return self.suggest(trial)
        return {name: suggest_one(trial, name, d) for name, d in self.search_space.items()}

    def normalised_regret(self, value: float) -> float:
        """0 for the optimum, 1 for the median random configuration or anything worse."""
        if not math.isfinite(value):
            return 1.0
        regret = (value - self.optimum) / (self.median_random - self.optimum)
        return min(1.0, max(0.0, regret))


def suggest_one(trial: BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    """Ask a trial for the value of one parameter."""
    if isinstance(distribution, FloatDistribution):
        low, high = distribution.low, distribution.high
        return trial.suggest_float(name, low, high, step=distribution.step, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(name, distribution.choices)


@dataclass(frozen=True)
class Branching:
    """A space in which some parameters decide about others.

    Attributes:
        common:
            Parameters that every trial has.
        choosers:
            Per deciding parameter, the parameters that each of its values brings with it. One that
            is decided about itself stands in that branch, and after what decides about it.
    """

    common: Mapping[str, BaseDistribution]
    choosers: Mapping[str, Mapping[str, Mapping[str, BaseDistribution]]]

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """Every parameter."""
        found = dict(self.common)
        for chooser, branches in self.choosers.items():
            found[chooser] = CategoricalDistribution(tuple(branches))
        for branches in self.choosers.values():
            for branch in branches.values():
                found |= branch
        return found

    @property
    def conditions(self) -> dict[str, dict[str, list[str]]]:
        """Which value of which parameter each parameter of a branch needs."""
        return {
            name: {chooser: [kind]}
            for chooser, branches in self.choosers.items()
            for kind, branch in branches.items()
            for name in branch
        }

    def suggest(self, trial: BaseTrial) -> Params:
        """Ask a trial for the parameters of its branches."""
        params: Params = {name: suggest_one(trial, name, d) for name, d in self.common.items()}
        inner = {n for bs in self.choosers.values() for b in bs.values() for n in b}
        for chooser, branches in self.choosers.items():
            if chooser not in inner:
                kinds = CategoricalDistribution(tuple(branches))
                params[chooser] = suggest_one(trial, chooser, kinds)
            branch = branches.get(params.get(chooser, ""), {})
            params |= {name: suggest_one(trial, name, d) for name, d in branch.items()}
        return params
