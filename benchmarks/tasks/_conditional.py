"""Spaces with branches: a choice decides which other parameters there are.

Results on ``conditional/solver`` and ``conditional/screening`` (and on ``fresh-text``) were not
looked at while the default base sampler was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any
import warnings

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from sklearn.datasets import load_breast_cancer, load_diabetes, make_friedman1
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ._task import Branching, Params, Task
from ._training import held_out_loss


Space = Mapping[str, BaseDistribution]


@dataclass(frozen=True)
class _Conditional:
    """A task with branches.

    Attributes:
        description, defaults:
            As in :class:`Task`.
        choosers:
            By deciding parameter, by choice: the parameters that are used with it. A choice that
            is itself a deciding parameter of another branch stands in that branch.
        train:
            Parameters to a value that is minimised.
        scale:
            (lowest, median) value: 300 random configurations, then 200 of TPE
            (benchmarks/tasks/search.py).
        common:
            Parameters of all branches.
    """

    description: str
    choosers: Mapping[str, Mapping[str, Space]]
    train: Callable[[Params], float]
    scale: tuple[float, float]
    defaults: Params
    common: Space = field(default_factory=dict)


def _log(low: float, high: float) -> FloatDistribution:
    return FloatDistribution(low, high, log=True)


def _log_int(low: int, high: int) -> IntDistribution:
    return IntDistribution(low, high, log=True)


def _of_branch(params: Params, kind: str) -> Params:
    """Return the arguments of one branch, whose names begin with its own."""
    start = f"{kind}_"
    return {n.removeprefix(start): v for n, v in params.items() if n.startswith(start)}


# --- digits: which classifier ---------------------------------------------------------------


def _digits(params: Params) -> float:
    kind = params["model"]
    arguments = {n.partition("_")[2]: v for n, v in params.items() if n != "model"}
    if kind == "svm":
        return held_out_loss("digits", SVC(**arguments))
    if kind == "random_forest":
        return held_out_loss("digits", RandomForestClassifier(**arguments, random_state=0))
    boosting = HistGradientBoostingClassifier(**arguments, early_stopping=False, random_state=0)
    return held_out_loss("digits", boosting)


_DIGITS = _Conditional(
    description=(
        "One of three models (a support vector machine with an RBF kernel, a random forest, "
        "gradient boosting) is trained on scikit-learn's handwritten digits (1797 images of "
        "8x8 pixels, 10 classes). The classification error on held-out data is minimised."
    ),
    choosers={
        "model": {
            "svm": {"svm_C": _log(1e-3, 1e3), "svm_gamma": _log(1e-5, 1e1)},
            "random_forest": {
                "rf_n_estimators": _log_int(5, 100),
                "rf_max_depth": IntDistribution(2, 20),
                "rf_max_features": _log(0.02, 1.0),
            },
            "gradient_boosting": {
                "gb_learning_rate": _log(1e-3, 1.0),
                "gb_max_iter": _log_int(4, 40),
                "gb_max_leaf_nodes": _log_int(3, 31),
            },
        }
    },
    train=_digits,
    scale=(0.015025, 0.110184),
    # A user without time takes the forest as it comes.
    defaults={
        "model": "random_forest",
        "rf_n_estimators": 100,
        "rf_max_depth": 20,
        "rf_max_features": 0.125,
    },
)

# --- diabetes: which regressor, after PCA ---------------------------------------------------

_REGRESSORS = {"kernel": KernelRidge, "neighbours": KNeighborsRegressor, "linear": ElasticNet}


def _diabetes(params: Params) -> float:
    """Mean squared error of the standardised target, five-fold."""
    kind = params["model"]
    fixed = {"kernel": "rbf"} if kind == "kernel" else {}
    model = _REGRESSORS[kind](**_of_branch(params, kind), **fixed)
    pipeline = make_pipeline(StandardScaler(), PCA(params["pca_components"]), model)
    x, y = load_diabetes(return_X_y=True)
    target = (y - y.mean()) / y.std()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        predicted = cross_val_predict(pipeline, x, target, cv=5)
    return float(np.mean((predicted - target) ** 2))


_DIABETES = _Conditional(
    description=(
        "One of three regressors (kernel ridge regression with an RBF kernel, nearest neighbours, "
        "an elastic net) is fitted to scikit-learn's diabetes data (442 patients, 10 features, "
        "standardised target) after PCA. The mean squared error of five folds is minimised."
    ),
    common={"pca_components": IntDistribution(1, 10)},
    choosers={
        "model": {
            "kernel": {"kernel_alpha": _log(1e-4, 1e2), "kernel_gamma": _log(1e-5, 1e1)},
            "neighbours": {
                "neighbours_n_neighbors": _log_int(1, 200),
                "neighbours_p": FloatDistribution(1.0, 5.0),
                "neighbours_weights": CategoricalDistribution(("uniform", "distance")),
            },
            "linear": {
                "linear_alpha": _log(1e-5, 1e1),
                "linear_l1_ratio": FloatDistribution(0.0, 1.0),
            },
        }
    },
    train=_diabetes,
    scale=(0.489056, 0.644764),
    defaults={
        "pca_components": 10,
        "model": "kernel",
        "kernel_alpha": 1.0,
        "kernel_gamma": 0.1,
    },
)

# --- solver: how a small network is trained (held out) --------------------------------------


@cache
def _friedman() -> tuple[Any, Any, Any, Any]:
    x, y = make_friedman1(900, n_features=8, noise=1.0, random_state=20)
    y = (y - y.mean()) / y.std()
    return x[:300] - 0.5, x[300:] - 0.5, y[:300], y[300:]


def _solver(params: Params) -> float:
    kind = params["solver"]
    arguments = _of_branch(params, kind)
    network = MLPRegressor(
        hidden_layer_sizes=(params["hidden"],),
        activation=params["activation"],
        alpha=params["alpha"],
        solver=kind,
        random_state=0,
        **({"max_iter": 30} | arguments),
    )
    train_x, test_x, train_y, test_y = _friedman()
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of steps that do not converge, or leave all numbers
        try:
            predicted = network.fit(train_x, train_y).predict(test_x)
        except ValueError:  # the weights are no numbers any more
            return 10.0
    error = float(np.mean((predicted - test_y) ** 2))
    return min(error, 10.0) if np.isfinite(error) else 10.0


_SOLVER = _Conditional(
    description=(
        "A network with one hidden layer is trained on 300 noisy points of a function of five of "
        "eight inputs, by stochastic gradient descent or Adam (30 epochs each) or by L-BFGS. The "
        "mean squared error of the standardised target on 600 held-out points is minimised."
    ),
    common={
        "hidden": _log_int(2, 64),
        "activation": CategoricalDistribution(("relu", "tanh", "logistic")),
        "alpha": _log(1e-6, 1e1),
    },
    choosers={
        "solver": {
            "sgd": {
                "sgd_learning_rate_init": _log(1e-5, 1.0),
                "sgd_batch_size": _log_int(4, 128),
                "sgd_momentum": FloatDistribution(0.0, 0.99),
                "sgd_nesterovs_momentum": CategoricalDistribution((True, False)),
                "sgd_learning_rate": CategoricalDistribution(("constant", "invscaling")),
            },
            "adam": {
                "adam_learning_rate_init": _log(1e-5, 1.0),
                "adam_batch_size": _log_int(4, 128),
                "adam_beta_1": FloatDistribution(0.5, 0.999),
                "adam_beta_2": FloatDistribution(0.9, 0.9999),
            },
            "lbfgs": {"lbfgs_max_iter": _log_int(5, 200)},
        },
        "sgd_learning_rate": {"invscaling": {"sgd_power_t": FloatDistribution(0.1, 1.0)}},
    },
    train=_solver,
    scale=(0.0613649, 0.346411),
    defaults={
        "hidden": 50,
        "activation": "relu",
        "alpha": 1e-4,
        "solver": "adam",
        "adam_learning_rate_init": 1e-3,
        "adam_batch_size": 128,
        "adam_beta_1": 0.9,
        "adam_beta_2": 0.999,
    },
)

# --- screening: which classifier, on few patients (held out) --------------------------------

_CLASSIFIERS: Mapping[str, Callable[..., Any]] = {
    "logistic": partial(LogisticRegression, solver="saga", max_iter=60),
    "tree": partial(DecisionTreeClassifier, random_state=0),
    "neighbours": KNeighborsClassifier,
    "bayes": GaussianNB,
}


def _screening(params: Params) -> float:
    """Log loss, five-fold on 120 patients; probabilities are cut at 1 %."""
    kind = params["classifier"]
    x, y = load_breast_cancer(return_X_y=True)
    chosen = np.random.RandomState(7).permutation(len(x))[:120]
    model = _CLASSIFIERS[kind](**_of_branch(params, kind))
    pipeline = make_pipeline(StandardScaler(), model)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probabilities = cross_val_predict(
            pipeline, x[chosen, :10], y[chosen], cv=5, method="predict_proba"
        )
    return float(log_loss(y[chosen], np.clip(probabilities[:, 1], 0.01, 0.99)))


_SCREENING = _Conditional(
    description=(
        "One of four classifiers (logistic regression, a decision tree, nearest neighbours, naive "
        "Bayes) is trained on the ten mean measurements of 120 patients of scikit-learn's breast "
        "cancer data. The log loss of five folds is minimised."
    ),
    choosers={
        "classifier": {
            "logistic": {
                "logistic_C": _log(1e-5, 1e3),
                "logistic_l1_ratio": FloatDistribution(0.0, 1.0),
            },
            "tree": {
                "tree_max_depth": IntDistribution(1, 12),
                "tree_min_samples_leaf": _log_int(1, 40),
                "tree_ccp_alpha": _log(1e-5, 1e-1),
                "tree_criterion": CategoricalDistribution(("gini", "entropy")),
            },
            "neighbours": {
                "neighbours_n_neighbors": _log_int(1, 60),
                "neighbours_p": FloatDistribution(1.0, 5.0),
                "neighbours_weights": CategoricalDistribution(("uniform", "distance")),
            },
            "bayes": {"bayes_var_smoothing": _log(1e-9, 1e1)},
        }
    },
    train=_screening,
    scale=(0.137009, 0.310169),
    defaults={"classifier": "logistic", "logistic_C": 1.0, "logistic_l1_ratio": 0.0},
)

_TASKS = {
    "conditional/digits": _DIGITS,
    "conditional/diabetes": _DIABETES,
    "conditional/solver": _SOLVER,
    "conditional/screening": _SCREENING,
}


def conditional_names() -> tuple[str, ...]:
    """Names of the tasks with a conditional space."""
    return tuple(_TASKS)


def load_conditional(name: str) -> Task:
    """Build the task; nothing is trained yet."""
    task = _TASKS[name]
    optimum, median = task.scale
    branching = Branching(task.common, task.choosers)
    return Task(
        name=name,
        family="conditional",
        description=task.description,
        search_space=_space(task),
        objective=task.train,
        optimum=optimum,
        median_random=median,
        defaults=task.defaults,
        suggest=branching.suggest,
        conditions=branching.conditions,
    )


def _space(task: _Conditional) -> dict[str, BaseDistribution]:
    space = dict(task.common)
    for chooser, branches in task.choosers.items():
        if chooser not in space:
            space[chooser] = CategoricalDistribution(tuple(branches))
        for branch in branches.values():
            space |= branch
    return space
