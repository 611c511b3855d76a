"""Objectives that are really trained, each with what a user would tell the sampler of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, Trial
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.tasks import load
from benchmarks.tasks._task import suggest_one
from benchmarks.tasks._training import held_out_loss
from optuna_llm_sampler import record_failures


Suggest = Callable[[Trial], float]


@dataclass(frozen=True)
class Problem:
    """What is tuned; the value is an error, which is minimised.

    Attributes:
        task:
            As a user would write it.
        space, conditions:
            As the sampler takes them.
        objective:
            As Optuna takes it.
        branch:
            Parameter by which the model's trials are counted, ``""`` for none.
    """

    task: str
    space: Mapping[str, BaseDistribution]
    objective: Suggest
    conditions: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)
    branch: str = ""


def conditional() -> Problem:
    """Which of three models, and that model's own parameters."""
    task = load("conditional/digits")
    assert task.conditions is not None
    return Problem(task.description, task.search_space, task.run, task.conditions, "model")


_MLP: dict[str, BaseDistribution] = {
    "hidden_units": IntDistribution(4, 1024, log=True),
    "batch_size": IntDistribution(8, 1024, log=True),
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "alpha": FloatDistribution(1e-7, 1e-1, log=True),
    "max_iter": IntDistribution(2, 20),
}
_ABOUT = (
    "A neural network with one hidden layer (scikit-learn's MLPClassifier, Adam) is trained on "
    "handwritten digits (1797 images of 8x8 pixels, 10 classes). The classification error on "
    "held-out data is minimised."
)
_MAX_WEIGHTS = 3_000
_MAX_CELLS = 8_000


def constrained() -> Problem:
    """The network must fit into a microcontroller."""

    def objective(trial: Trial) -> float:
        params = _params(trial)
        weights = params["hidden_units"] * (64 + 10 + 1) + 10
        trial.set_constraint("weights over 3000", weights - _MAX_WEIGHTS)
        return _error(tuple(params.items()))

    task = f"{_ABOUT} It may have no more than {_MAX_WEIGHTS} weights, 75 per hidden unit."
    return Problem(task, _MLP, objective)


def failing() -> Problem:
    """About half of the space fails, for a reason that nobody has told the sampler."""

    @record_failures
    def objective(trial: Trial) -> float:
        params = _params(trial)
        if params["hidden_units"] * params["batch_size"] > _MAX_CELLS:
            raise MemoryError(
                f"cannot allocate activations: {params['batch_size']} rows of "
                f"{params['hidden_units']} units"
            )
        return _error(tuple(params.items()))

    return Problem(_ABOUT, _MLP, objective)  # type: ignore[arg-type]


def _params(trial: Trial) -> dict[str, Any]:
    return {name: suggest_one(trial, name, distribution) for name, distribution in _MLP.items()}


@cache
def _error(items: tuple[tuple[str, Any], ...]) -> float:
    params = dict(items)
    network = MLPClassifier(
        (params["hidden_units"],),
        batch_size=params["batch_size"],
        learning_rate_init=params["learning_rate"],
        alpha=params["alpha"],
        max_iter=params["max_iter"],
        random_state=0,
    )
    return held_out_loss("digits", make_pipeline(StandardScaler(), network))


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "conditional": conditional,
    "constrained": constrained,
    "failing": failing,
}


def best_so_far(trials: Sequence[FrozenTrial], worst: float = 1.0) -> list[float]:
    """Return the lowest error of a feasible trial after each trial."""
    best, found = worst, []
    for trial in trials:
        good = trial.state == optuna.trial.TrialState.COMPLETE and trial.value is not None
        if good and all(amount <= 0 for amount in trial.constraints.values()):
            best = min(best, trial.value or 0.0)
        found.append(best)
    return found
