"""Matrix factorisation by alternating least squares, on ratings whose taste drifts."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .._task import Params, Task


_USERS, _ITEMS, _DAYS = 220, 160, 730
_RATINGS, _TEST = 7000, 2500

_SPACE: dict[str, BaseDistribution] = {
    "n_factors": IntDistribution(1, 40, log=True),
    "n_iterations": IntDistribution(1, 12),
    "user_regularization": FloatDistribution(1e-3, 1e3, log=True),
    "item_regularization": FloatDistribution(1e-3, 1e3, log=True),
    "regularization_by_count": FloatDistribution(0.0, 1.0),
    "init_std": FloatDistribution(1e-3, 10.0, log=True),
    "user_bias_shrinkage": FloatDistribution(0.0, 100.0),
    "item_bias_shrinkage": FloatDistribution(0.0, 100.0),
    "half_life_days": FloatDistribution(5.0, 5000.0, log=True),
    "extreme_rating_weight": FloatDistribution(0.1, 10.0, log=True),
    "prediction_shrinkage": FloatDistribution(0.0, 1.0),
}


@cache
def _data() -> tuple[Any, ...]:
    """User, item, day and rating, in the order of time."""
    rng = np.random.default_rng(377_815_660)
    taste = rng.normal(0.0, 0.55, size=(_USERS, 5))
    later = taste + rng.normal(0.0, 0.45, size=taste.shape)
    character = rng.normal(0.0, 0.9, size=(_ITEMS, 5))
    leniency = rng.normal(0.0, 0.45, size=_USERS)
    quality = rng.normal(0.0, 0.5, size=_ITEMS)
    activity = rng.pareto(1.3, size=_USERS) + 0.15
    popularity = rng.pareto(1.1, size=_ITEMS) + 0.2
    user = rng.choice(_USERS, size=_RATINGS, p=activity / activity.sum())
    item = rng.choice(_ITEMS, size=_RATINGS, p=popularity / popularity.sum())
    day = np.sort(rng.uniform(0.0, _DAYS, size=_RATINGS))
    done = (day / _DAYS)[:, None]
    liking = ((1.0 - done) * taste[user] + done * later[user]) * character[item]
    rating = 3.4 + liking.sum(axis=1) + leniency[user] + quality[item]
    rating = np.clip(np.rint(rating + rng.normal(0.0, 0.75, size=_RATINGS)), 1.0, 5.0)
    return user, item, day, rating


def _bias(index: Any, size: int, weight: Any, residual: Any, shrinkage: float) -> Any:
    total = np.bincount(index, weight * residual, size)
    return total / (np.bincount(index, weight, size) + shrinkage + 1e-9)


def _solve(index: Any, weight: Any, residual: Any, other: Any, penalty: Any) -> Any:
    """Weighted ridge regressions, one per user (or item), on the other side of each rating."""
    size, factors = penalty.size, other.shape[1]
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(size + 1))
    systems = np.empty((size, factors, factors))
    sides = np.empty((size, factors))
    for row in range(size):
        seen = order[bounds[row] : bounds[row + 1]]
        weighted = other[seen] * weight[seen, None]
        systems[row] = weighted.T @ other[seen]
        sides[row] = weighted.T @ residual[seen]
    systems += penalty[:, None, None] * np.eye(factors)
    return np.linalg.solve(systems, sides[..., None])[..., 0]


def _train(params: Params) -> float:
    """Root mean squared error on the ratings that came last."""
    user, item, day, rating = _data()
    split = _RATINGS - _TEST
    seen_user, seen_item, seen = user[:split], item[:split], rating[:split]
    weight = 0.5 ** ((day[split] - day[:split]) / params["half_life_days"])
    weight = weight * np.where((seen == 1.0) | (seen == 5.0), params["extreme_rating_weight"], 1.0)
    weight = weight / weight.mean()
    mean = np.average(seen, weights=weight)
    quality = _bias(seen_item, _ITEMS, weight, seen - mean, params["item_bias_shrinkage"])
    rest = seen - mean - quality[seen_item]
    leniency = _bias(seen_user, _USERS, weight, rest, params["user_bias_shrinkage"])
    rest = rest - leniency[seen_user]
    by_count = params["regularization_by_count"]
    user_penalty, item_penalty = (
        params[name] * np.maximum(np.bincount(index, minlength=size), 1.0) ** by_count
        for name, index, size in (
            ("user_regularization", seen_user, _USERS),
            ("item_regularization", seen_item, _ITEMS),
        )
    )
    rng = np.random.default_rng(3)
    item_factors = rng.normal(0.0, params["init_std"], size=(_ITEMS, params["n_factors"]))
    with threadpool_limits(1):
        for _ in range(params["n_iterations"]):
            other = item_factors[seen_item]
            user_factors = _solve(seen_user, weight, rest, other, user_penalty)
            other = user_factors[seen_user]
            item_factors = _solve(seen_item, weight, rest, other, item_penalty)
    later_user, later_item = user[split:], item[split:]
    interaction = (user_factors[later_user] * item_factors[later_item]).sum(axis=1)
    predicted = (
        mean
        + quality[later_item]
        + leniency[later_user]
        + (1.0 - params["prediction_shrinkage"]) * interaction
    )
    error = np.clip(predicted, 1.0, 5.0) - rating[split:]
    return float(np.sqrt(np.mean(error**2)))


TASK = Task(
    name="fresh-recommend",
    family="fresh-recommend",
    description=(
        "A recommender fits biases and then matrix factors (alternating least squares, weighted "
        "by the age of a rating and by whether it is a 1 or a 5) to 4500 ratings from 1 to 5 that "
        "220 users gave to 160 items; the regularisation is multiplied by a power of the number "
        "of ratings, and the factors' part of a prediction may be shrunk. "
        "The root mean squared error on the 2500 ratings that came afterwards is minimised."
    ),
    search_space=_SPACE,
    objective=_train,
    optimum=0.9696586,
    median_random=1.25733,
    defaults={
        "n_factors": 20,
        "n_iterations": 10,
        "user_regularization": 0.1,
        "item_regularization": 0.1,
        "regularization_by_count": 1.0,
        "init_std": 0.1,
        "user_bias_shrinkage": 10.0,
        "item_bias_shrinkage": 10.0,
        "half_life_days": 365.0,
        "extreme_rating_weight": 1.0,
        "prediction_shrinkage": 0.0,
    },
)
