"""Linear and kernel models by scikit-learn: SGD on words, support vectors, an elastic net."""

from __future__ import annotations

from functools import cache
from typing import Any
import warnings

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .._task import Params, Task


_SGD: dict[str, BaseDistribution] = {
    "loss": CategoricalDistribution(("hinge", "log_loss", "modified_huber")),
    "penalty": CategoricalDistribution(("l2", "l1", "elasticnet")),
    "alpha": FloatDistribution(1e-8, 1.0, log=True),
    "l1_ratio": FloatDistribution(0.0, 1.0),
    "learning_rate": CategoricalDistribution(("constant", "optimal", "invscaling", "adaptive")),
    "eta0": FloatDistribution(1e-4, 10.0),
    "power_t": FloatDistribution(0.1, 0.9),
    "max_iter": IntDistribution(1, 100),
}
_SVR: dict[str, BaseDistribution] = {
    "C": FloatDistribution(0.01, 1000.0),
    "gamma": FloatDistribution(1e-4, 10.0),
    "epsilon": FloatDistribution(0.001, 1.0),
    "tol": FloatDistribution(1e-5, 1e-1, log=True),
}
_NET: dict[str, BaseDistribution] = {
    "degree": IntDistribution(1, 3),
    "alpha": FloatDistribution(1e-8, 1.0, log=True),
    "l1_ratio": FloatDistribution(0.01, 0.99),
    "tol": FloatDistribution(1e-6, 1e-1),
    "max_iter": IntDistribution(10, 10000),
    "selection": CategoricalDistribution(("cyclic", "random")),
}
# A fit that explodes is as bad as this.
_WORST_ERROR = 3.0


@cache
def _notes() -> tuple[Any, Any, Any, Any]:
    """Counts of 300 words in notes of four departments, most of which say nothing."""
    rng = np.random.default_rng(27_730_514)
    n, n_words = 1500, 300
    common = rng.dirichlet(np.full(n_words, 0.3))
    own = rng.dirichlet(np.full(n_words, 0.05), size=4)
    department = rng.integers(4, size=n)
    share = rng.beta(1.0, 4.0, size=n)[:, None]
    chance = (1.0 - share) * common + share * own[department]
    counts = np.stack([rng.multinomial(30, row) for row in chance]).astype(float)
    wrong = (rng.random(n) < 0.1) & (np.arange(n) < 500)
    labels = np.where(wrong, rng.integers(4, size=n), department)
    return counts[:500], counts[500:], labels[:500], labels[500:]


@cache
def _tides() -> tuple[Any, Any, Any, Any]:
    """Water levels by wind, pressure and hour: smooth, with outliers."""
    rng = np.random.default_rng(94_021_377)
    n = 1300
    x = rng.normal(size=(n, 6))
    y = np.sin(1.5 * x[:, 0] + x[:, 1]) + 0.4 * x[:, 2] * np.cos(x[:, 3]) + 0.2 * x[:, 4]
    y += rng.normal(0.0, 0.2, size=n) + (rng.random(n) < 0.04) * rng.normal(0.0, 3.0, size=n)
    y = (y - y.mean()) / y.std()
    return x[:300], x[300:], y[:300], y[300:]


@cache
def _alloys() -> tuple[Any, Any, Any, Any]:
    """Hardness of alloys by 8 correlated components, with interactions."""
    rng = np.random.default_rng(10_586_643)
    n = 1200
    x = rng.normal(size=(n, 8)) @ rng.normal(0.0, 0.6, size=(8, 8))
    x += rng.normal(0.0, 0.4, size=x.shape)
    y = x[:, 0] - 0.5 * x[:, 1] + 0.4 * x[:, 2] * x[:, 3] - 0.3 * x[:, 4] ** 2
    y += rng.normal(0.0, 0.8, size=n)
    y = (y - y.mean()) / y.std()
    return x[:150], x[150:], y[:150], y[150:]


def _quiet(model: Any, train_x: Any, train_y: Any, test_x: Any) -> Any:
    """Fit and predict; what has not converged, or overflows, is scored as it stands."""
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(train_x, train_y).predict(test_x)


def _sort(params: Params) -> float:
    train_x, test_x, train_y, test_y = _notes()
    predicted = _quiet(
        SGDClassifier(**params, random_state=0), np.sqrt(train_x), train_y, np.sqrt(test_x)
    )
    return float(np.mean(predicted != test_y))


def _squared(predicted: Any, target: Any) -> float:
    error = float(np.mean((predicted - target) ** 2))
    return min(error, _WORST_ERROR) if np.isfinite(error) else _WORST_ERROR


def _support(params: Params) -> float:
    train_x, test_x, train_y, test_y = _tides()
    machine = SVR(**params, max_iter=20_000)
    return _squared(_quiet(machine, train_x, train_y, test_x), test_y)


def _net(params: Params) -> float:
    train_x, test_x, train_y, test_y = _alloys()
    rest = {name: value for name, value in params.items() if name != "degree"}
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(params["degree"], include_bias=False),
        StandardScaler(),
        ElasticNet(**rest, random_state=0),
    )
    return _squared(_quiet(model, train_x, train_y, test_x), test_y)


TASKS = (
    Task(
        name="everyday/linear",
        family="everyday/linear",
        description=(
            "A linear classifier (scikit-learn's SGDClassifier) sorts notes into 4 departments by "
            "the counts of 300 words; there are 500 training notes and some labels are wrong. The "
            "classification error on 1000 held-out notes is minimised."
        ),
        search_space=_SGD,
        objective=_sort,
        optimum=0.178,
        median_random=0.332,
        defaults={
            "loss": "hinge",
            "penalty": "l2",
            "alpha": 1e-4,
            "l1_ratio": 0.15,
            "learning_rate": "optimal",
            "eta0": 0.01,
            "power_t": 0.5,
            "max_iter": 100,
        },
    ),
    Task(
        name="everyday/svr",
        family="everyday/svr",
        description=(
            "Support vector regression with an RBF kernel (scikit-learn's SVR) predicts the water "
            "level from 6 standardised readings at 300 times; some are wrong. The mean squared "
            "error of the standardised level at 1000 held-out times is minimised."
        ),
        search_space=_SVR,
        objective=_support,
        optimum=0.473682,
        median_random=0.992807,
        defaults={"C": 1.0, "gamma": 1.0 / 6.0, "epsilon": 0.1, "tol": 1e-3},
    ),
    Task(
        name="everyday/net",
        family="everyday/net",
        description=(
            "An elastic net (scikit-learn's ElasticNet) on polynomial features predicts the "
            "hardness of alloys from 8 correlated components of 150 alloys. The mean squared "
            "error of the standardised hardness on 1050 held-out alloys is minimised."
        ),
        search_space=_NET,
        objective=_net,
        optimum=0.068933,
        median_random=0.27676,
        defaults={
            "degree": 2,
            "alpha": 1e-2,
            "l1_ratio": 0.5,
            "tol": 1e-4,
            "max_iter": 1000,
            "selection": "cyclic",
        },
    ),
)
