"""A space with branches: which model, and then that model's own parameters."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import BaseTrial
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from ._task import Params
from ._task import suggest_one
from ._task import Task
from ._training import held_out_loss


_NAME = "conditional/digits"
_BRANCHES: dict[str, dict[str, BaseDistribution]] = {
    "svm": {
        "svm_C": FloatDistribution(1e-3, 1e3, log=True),
        "svm_gamma": FloatDistribution(1e-5, 1e1, log=True),
    },
    "random_forest": {
        "rf_n_estimators": IntDistribution(5, 100, log=True),
        "rf_max_depth": IntDistribution(2, 20),
        "rf_max_features": FloatDistribution(0.02, 1.0, log=True),
    },
    "gradient_boosting": {
        "gb_learning_rate": FloatDistribution(1e-3, 1.0, log=True),
        "gb_max_iter": IntDistribution(4, 40, log=True),
        "gb_max_leaf_nodes": IntDistribution(3, 31, log=True),
    },
}
_MODEL = CategoricalDistribution(tuple(_BRANCHES))
# (lowest, median) value: 300 random configurations, then 200 of TPE (benchmarks/tasks/search.py).
_SCALE = (0.015025, 0.110184)


def conditional_names() -> tuple[str, ...]:
    """Names of the tasks with a conditional space."""
    return (_NAME,)


def load_conditional(name: str) -> Task:
    """Build the task; nothing is trained yet."""
    assert name == _NAME
    optimum, median = _SCALE
    space: dict[str, BaseDistribution] = {"model": _MODEL}
    for branch in _BRANCHES.values():
        space |= branch
    return Task(
        name=name,
        family="conditional",
        description=(
            "One of three models (a support vector machine with an RBF kernel, a random forest, "
            "gradient boosting) is trained on scikit-learn's handwritten digits (1797 images of "
            "8x8 pixels, 10 classes). The classification error on held-out data is minimised."
        ),
        search_space=space,
        objective=_train,
        optimum=optimum,
        median_random=median,
        # A user without time takes the forest as it comes.
        defaults={
            "model": "random_forest",
            "rf_n_estimators": 100,
            "rf_max_depth": 20,
            "rf_max_features": 0.125,
        },
        suggest=_suggest,
        conditions={
            name: {"model": [model]} for model, branch in _BRANCHES.items() for name in branch
        },
    )


def _suggest(trial: BaseTrial) -> Params:
    model = suggest_one(trial, "model", _MODEL)
    branch = _BRANCHES[model]
    return {"model": model, **{name: suggest_one(trial, name, d) for name, d in branch.items()}}


def _train(params: Params) -> float:
    kind = params["model"]
    arguments: dict[str, Any] = {
        name.partition("_")[2]: value for name, value in params.items() if name != "model"
    }
    if kind == "svm":
        return held_out_loss("digits", SVC(**arguments))
    if kind == "random_forest":
        forest = RandomForestClassifier(**arguments, random_state=0)
        return held_out_loss("digits", forest)
    boosting = HistGradientBoostingClassifier(**arguments, early_stopping=False, random_state=0)
    return held_out_loss("digits", boosting)
