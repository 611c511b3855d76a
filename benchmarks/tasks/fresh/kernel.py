"""Support vector regression with a choice of scalers and of kernels."""

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
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .._task import Branching, Params, Task


_TRAIN, _TEST = 360, 1200
_FEATURES = 11
# A fit that explodes is as bad as this (in minutes).
_WORST_ERROR = 60.0

_COMMON: dict[str, BaseDistribution] = {
    "log_target": CategoricalDistribution((False, True)),
    "pca_components": IntDistribution(1, _FEATURES),
    "C": FloatDistribution(1e-3, 1e4, log=True),
    "epsilon": FloatDistribution(1e-4, 2.0, log=True),
}
_SCALERS: dict[str, dict[str, BaseDistribution]] = {
    "none": {},
    "standard": {},
    "min_max": {},
    "robust": {"robust_quantile": FloatDistribution(1.0, 49.0)},
    "quantile": {
        "quantile_count": IntDistribution(2, 360, log=True),
        "quantile_output": CategoricalDistribution(("uniform", "normal")),
    },
}
_GAMMA = FloatDistribution(1e-5, 1e2, log=True)
_KERNELS: dict[str, dict[str, BaseDistribution]] = {
    "linear": {},
    "polynomial": {
        "polynomial_degree": IntDistribution(1, 7),
        "polynomial_gamma": _GAMMA,
        "polynomial_coef0": FloatDistribution(0.0, 10.0),
    },
    "rbf": {"rbf_gamma": _GAMMA},
    "laplacian": {"laplacian_gamma": _GAMMA},
    "sigmoid": {"sigmoid_gamma": _GAMMA, "sigmoid_coef0": FloatDistribution(-5.0, 5.0)},
}
_SPACE = Branching(_COMMON, {"scaler": _SCALERS, "kernel": _KERNELS})


def _batches(rng: np.random.Generator, n: int, effects: Any) -> tuple[Any, Any]:
    """Readings in the units of their instruments, and minutes until a batch has set."""
    hidden = rng.normal(size=(n, 6))
    viscosity = np.exp(4.0 + 1.1 * hidden[:, 0])
    acidity = 7.0 + 0.6 * hidden[:, 1]
    grain = np.exp(0.7 * hidden[:, 2] - 0.4 * hidden[:, 0])
    oven = 180.0 + 9.0 * hidden[:, 3]
    humidity = 1.0 / (1.0 + np.exp(-hidden[:, 4]))
    flow = 1500.0 + 420.0 * hidden[:, 5]
    mixed = hidden @ effects + rng.normal(0.0, 0.3, size=(n, 4))
    idle = rng.normal(0.0, 80.0, size=n)
    readings = np.column_stack([viscosity, acidity, grain, oven, humidity, flow, mixed, idle])
    minutes = np.exp(
        2.2
        + 0.35 * np.tanh(1.5 * hidden[:, 0])
        + 0.25 * np.cos(1.7 * hidden[:, 1])
        - 0.25 * hidden[:, 3] * (hidden[:, 2] > 0.0)
        + 0.2 * np.abs(hidden[:, 4] - 0.3)
        + 0.15 * hidden[:, 5] * hidden[:, 4]
        + 0.12 * rng.standard_t(3.0, size=n)
    )
    spikes = rng.random(readings.shape) < 0.006
    return np.where(spikes, readings * rng.uniform(4.0, 30.0, readings.shape), readings), minutes


@cache
def _data() -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(914_006_275)
    effects = rng.normal(0.0, 0.5, size=(6, 4))
    train_x, train_y = _batches(rng, _TRAIN, effects)
    test_x, test_y = _batches(rng, _TEST, effects)
    return train_x, test_x, train_y, test_y


def _scaler(params: Params) -> Any:
    kind = params["scaler"]
    if kind == "standard":
        return StandardScaler()
    if kind == "min_max":
        return MinMaxScaler()
    if kind == "robust":
        low = params["robust_quantile"]
        return RobustScaler(quantile_range=(low, 100.0 - low))
    if kind == "quantile":
        return QuantileTransformer(
            n_quantiles=params["quantile_count"],
            output_distribution=params["quantile_output"],
        )
    return FunctionTransformer()


def _kernel(params: Params, left: Any, right: Any) -> Any:
    kind = params["kernel"]
    arguments = {name.partition("_")[2]: params[name] for name in _KERNELS[kind]}
    with np.errstate(over="ignore"):
        gram = pairwise_kernels(left, right, "poly" if kind == "polynomial" else kind, **arguments)
    # libsvm takes numbers that are this large, and no infinite ones.
    return np.clip(gram, -1e30, 1e30)


def _train(params: Params) -> float:
    """Mean absolute error in minutes on the batches that are not trained on."""
    train_x, test_x, train_y, test_y = _data()
    target = np.log(train_y) if params["log_target"] else train_y
    mean, deviation = target.mean(), target.std()
    machine = SVR(kernel="precomputed", C=params["C"], epsilon=params["epsilon"], max_iter=30_000)
    reduced = PCA(params["pca_components"], svd_solver="full")
    with threadpool_limits(1), warnings.catch_warnings():
        # Some settings need more steps than these; they are scored as they stand.
        warnings.simplefilter("ignore", ConvergenceWarning)
        scaler = _scaler(params)
        left = reduced.fit_transform(scaler.fit_transform(train_x))
        right = reduced.transform(scaler.transform(test_x))
        machine.fit(_kernel(params, left, left), (target - mean) / deviation)
        predicted = mean + deviation * machine.predict(_kernel(params, right, left))
    if params["log_target"]:
        predicted = np.exp(np.clip(predicted, -20.0, 20.0))
    return float(min(np.mean(np.abs(predicted - test_y)), _WORST_ERROR))


TASK = Task(
    name="fresh-kernel",
    family="fresh-kernel",
    description=(
        "Support vector regression predicts after how many minutes a batch has set, from 11 "
        "readings of 360 batches: the readings are in different units, some are skewed and a few "
        "are wrong; they are scaled, turned by PCA and compared by a kernel (gamma is not divided "
        "by the number of features, and the target is standardised). "
        "The mean absolute error in minutes on 1200 held-out batches is minimised."
    ),
    search_space=_SPACE.space,
    objective=_train,
    optimum=2.5688124,
    median_random=4.49793,
    defaults={
        "log_target": False,
        "pca_components": _FEATURES,
        "C": 1.0,
        "epsilon": 0.1,
        "scaler": "standard",
        "kernel": "rbf",
        "rbf_gamma": 0.09,
    },
    suggest=_SPACE.suggest,
    conditions=_SPACE.conditions,
)
