"""Ensembles of trees by scikit-learn: boosting on bins, boosting on samples, and a forest."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .._task import Params, Task


_HISTOGRAMS: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(0.001, 1.0),
    "max_iter": IntDistribution(10, 300),
    "max_leaf_nodes": IntDistribution(2, 256),
    "max_depth": IntDistribution(1, 30),
    "min_samples_leaf": IntDistribution(1, 200),
    "l2_regularization": FloatDistribution(1e-8, 100.0, log=True),
    "max_features": FloatDistribution(0.1, 1.0),
}
_BOOSTING: dict[str, BaseDistribution] = {
    "n_estimators": IntDistribution(10, 150),
    "learning_rate": FloatDistribution(1e-8, 1.0, log=True),
    "max_depth": IntDistribution(1, 12),
    "subsample": FloatDistribution(0.1, 1.0),
    "min_samples_split": IntDistribution(2, 200),
    "min_samples_leaf": IntDistribution(1, 100),
    "max_features": FloatDistribution(0.1, 1.0),
    "ccp_alpha": FloatDistribution(0.0, 0.1),
}
_FOREST: dict[str, BaseDistribution] = {
    "n_estimators": IntDistribution(1, 100),
    "max_depth": IntDistribution(1, 100),
    "min_samples_split": FloatDistribution(0.001, 1.0),
    "min_samples_leaf": IntDistribution(1, 100),
    "max_features": CategoricalDistribution(("sqrt", "log2", None)),
    "bootstrap": CategoricalDistribution((True, False)),
    "ccp_alpha": FloatDistribution(0.0, 0.2),
}


@cache
def _rents() -> tuple[Any, Any, Any, Any]:
    """Rents of flats by size, age, district and ten answers that say little."""
    rng = np.random.default_rng(61_273_390)
    n = 2200
    x = np.column_stack(
        [
            rng.lognormal(4.0, 0.4, size=n),
            rng.integers(1890, 2020, size=n),
            rng.integers(12, size=n),
            rng.normal(size=(n, 10)),
        ]
    )
    level = rng.normal(0.0, 0.25, size=12)
    log_rent = (
        0.8 * np.log(x[:, 0])
        + level[x[:, 2].astype(int)]
        + 0.2 * (x[:, 1] > 1990)
        - 0.15 * ((x[:, 1] > 1945) & (x[:, 1] < 1970))
        + 0.1 * np.tanh(x[:, 3] * x[:, 4])
        + rng.normal(0.0, 0.25, size=n)
    )
    y = (log_rent - log_rent.mean()) / log_rent.std()
    return x[:700], x[700:], y[:700], y[700:]


@cache
def _orders() -> tuple[Any, Any, Any, Any]:
    """Whether an order is sent back; one in four is, and a few are told wrongly."""
    rng = np.random.default_rng(19_845_702)
    n = 2000
    x = rng.normal(size=(n, 9))
    score = x[:, 0] * x[:, 1] + 0.7 * x[:, 2] - 0.8 * (x[:, 3] > 0.8) + 0.5 * np.abs(x[:, 4])
    back = rng.random(n) < 1.0 / (1.0 + np.exp(1.6 - 1.8 * score))
    return x[:500], x[500:], back[:500], back[500:]


@cache
def _yields() -> tuple[Any, Any, Any, Any]:
    """Yields of fields by soil and weather: smooth, with a threshold and heavy tails."""
    rng = np.random.default_rng(52_660_948)
    n = 1800
    x = rng.uniform(-1.0, 1.0, size=(n, 14))
    y = (
        np.sin(3.0 * x[:, 0])
        + (x[:, 1] > 0.3) * x[:, 2]
        + x[:, 3] ** 2
        + 0.5 * x[:, 4] * x[:, 5]
        + 0.25 * rng.standard_t(3.0, size=n)
    )
    y = (y - y.mean()) / y.std()
    return x[:500], x[500:], y[:500], y[500:]


def _histograms(params: Params) -> float:
    train_x, test_x, train_y, test_y = _rents()
    with threadpool_limits(1):
        model = HistGradientBoostingRegressor(**params, early_stopping=False, random_state=0)
        predicted = model.fit(train_x, train_y).predict(test_x)
    return float(np.mean((predicted - test_y) ** 2))


def _boosting(params: Params) -> float:
    train_x, test_x, train_y, test_y = _orders()
    model = GradientBoostingClassifier(**params, random_state=0).fit(train_x, train_y)
    probability = model.predict_proba(test_x)[:, 1]
    return float(log_loss(test_y, np.clip(probability, 0.001, 0.999)))


def _forest(params: Params) -> float:
    train_x, test_x, train_y, test_y = _yields()
    model = ExtraTreesRegressor(**params, random_state=0, n_jobs=1).fit(train_x, train_y)
    return float(np.mean((model.predict(test_x) - test_y) ** 2))


TASKS = (
    Task(
        name="everyday/histograms",
        family="everyday/histograms",
        description=(
            "Gradient boosting (scikit-learn's HistGradientBoostingRegressor) predicts the rents "
            "of flats from 13 features of 700 flats. The mean squared error of the standardised "
            "log rent on 1500 held-out flats is minimised."
        ),
        search_space=_HISTOGRAMS,
        objective=_histograms,
        optimum=0.33876,
        median_random=0.471927,
        defaults={
            "learning_rate": 0.1,
            "max_iter": 100,
            "max_leaf_nodes": 31,
            "max_depth": 30,
            "min_samples_leaf": 20,
            "l2_regularization": 1e-8,
            "max_features": 1.0,
        },
    ),
    Task(
        name="everyday/boosting",
        family="everyday/boosting",
        description=(
            "Gradient boosting (scikit-learn's GradientBoostingClassifier) predicts which orders "
            "are sent back from 9 features of 500 orders. The log loss on 1500 held-out orders is "
            "minimised."
        ),
        search_space=_BOOSTING,
        objective=_boosting,
        optimum=0.506324,
        median_random=0.638935,
        defaults={
            "n_estimators": 100,
            "learning_rate": 0.1,
            "max_depth": 3,
            "subsample": 1.0,
            "min_samples_split": 2,
            "min_samples_leaf": 1,
            "max_features": 1.0,
            "ccp_alpha": 0.0,
        },
    ),
    Task(
        name="everyday/forest",
        family="everyday/forest",
        description=(
            "Extremely randomised trees (scikit-learn's ExtraTreesRegressor) predict the yield of "
            "fields from 14 features of 500 fields. The mean squared error of the standardised "
            "yield on 1300 held-out fields is minimised."
        ),
        search_space=_FOREST,
        objective=_forest,
        optimum=0.3544939,
        median_random=0.968303,
        defaults={
            "n_estimators": 100,
            "max_depth": 100,
            "min_samples_split": 0.004,
            "min_samples_leaf": 1,
            "max_features": None,
            "bootstrap": False,
            "ccp_alpha": 0.0,
        },
    ),
)
