"""Forecasts of simulated loads by one of three methods, each with its own parameters."""

from __future__ import annotations

from functools import cache
import math
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .._task import Params, suggest_one, Task


_SERIES, _HOURS, _HORIZON = 4, 2400, 60
_ORIGINS = (1630, 1825, 2060, 2275)
_WORST_ERROR = 6.0

_COMMON: dict[str, BaseDistribution] = {
    "transform": CategoricalDistribution(("none", "sqrt", "log")),
    "outlier_limit": FloatDistribution(1.0, 20.0, log=True),
    "history_hours": IntDistribution(220, 1600, log=True),
    "forecast_shrinkage": FloatDistribution(0.0, 1.0),
}
_RATE = FloatDistribution(0.0, 1.0)
_METHODS: dict[str, dict[str, BaseDistribution]] = {
    "smoothing": {
        "smoothing_level": _RATE,
        "smoothing_trend": _RATE,
        "smoothing_season": _RATE,
        "smoothing_damping": FloatDistribution(0.5, 1.0),
        "smoothing_period": IntDistribution(2, 200),
        "smoothing_season_kind": CategoricalDistribution(("additive", "multiplicative")),
    },
    "regression": {
        "regression_lags": IntDistribution(0, 200),
        "regression_daily_harmonics": IntDistribution(0, 12),
        "regression_weekly_harmonics": IntDistribution(0, 30),
        "regression_trend_degree": IntDistribution(0, 3),
        "regression_penalty": FloatDistribution(1e-5, 1e5, log=True),
        "regression_half_life_hours": FloatDistribution(10.0, 10_000.0, log=True),
    },
    "analogues": {
        "analogues_window": IntDistribution(2, 200),
        "analogues_neighbours": IntDistribution(1, 60),
        "analogues_weight_power": FloatDistribution(0.0, 4.0),
        "analogues_level_correction": FloatDistribution(0.0, 1.0),
        "analogues_same_hour_only": CategoricalDistribution((False, True)),
    },
}
_METHOD = CategoricalDistribution(tuple(_METHODS))


@cache
def _data() -> Any:
    """Hourly loads of four islands: days, weeks, weather, steps, holidays and wrong readings."""
    rng = np.random.default_rng(481_903_556)
    hour = np.arange(_HOURS)
    loads = []
    for _ in range(_SERIES):
        daily = sum(
            rng.normal(0.0, 0.3 / k)
            * np.sin(2.0 * np.pi * k * hour / 24.0 + rng.uniform(0.0, 6.3))
            for k in range(1, 5)
        )
        weekend = (hour // 24) % 7 >= 5
        daily = daily * np.where(weekend, rng.uniform(0.3, 0.8), 1.0) - 0.2 * weekend
        weather = np.zeros(_HOURS)
        shocks = rng.normal(0.0, 0.02, size=_HOURS)
        for i in range(1, _HOURS):
            weather[i] = 0.985 * weather[i - 1] + shocks[i]
        steps = np.cumsum(rng.normal(0.0, 0.12, size=_HOURS) * (rng.random(_HOURS) < 0.004))
        swell = 1.0 + 0.35 * np.sin(2.0 * np.pi * hour / rng.uniform(900.0, 2000.0))
        holiday = np.repeat(rng.random(_HOURS // 24) < 0.03, 24)
        load = np.exp(
            3.0 + swell * daily + weather + steps + rng.normal(0.0, 0.05, size=_HOURS)
        ) * np.where(holiday, 0.7, 1.0)
        wrong = rng.random(_HOURS) < 0.01
        loads.append(np.where(wrong, load * rng.choice((0.05, 3.0), size=_HOURS), load))
    return np.array(loads)


def _cleaned(history: Any, limit: float) -> Any:
    """Pull readings towards the median of a day where they are many deviations away from it."""
    padded = np.pad(history, 12, mode="edge")
    local = np.median(np.lib.stride_tricks.sliding_window_view(padded, 25), axis=1)[: history.size]
    distance = history - local
    reach = limit * np.median(np.abs(distance)) + 1e-9
    return local + np.clip(distance, -reach, reach)


def _smoothing(y: Any, params: Params) -> Any:
    """Holt and Winters with a damped trend."""
    a, b, c, damping = (
        params[f"smoothing_{name}"] for name in ("level", "trend", "season", "damping")
    )
    period = params["smoothing_period"]
    multiplicative = params["smoothing_season_kind"] == "multiplicative"
    level, trend = float(np.mean(y[:period])), 0.0
    first = y[:period] / level if multiplicative else y[:period] - level
    season = [float(s) for s in first]
    for i, value in enumerate(y.tolist()):
        s = season[i % period]
        before = level + damping * trend
        if multiplicative:
            s = max(s, 0.02)
            level = a * value / s + (1.0 - a) * before
            season[i % period] = c * value / max(level, 1e-6) + (1.0 - c) * s
        else:
            level = a * (value - s) + (1.0 - a) * before
            season[i % period] = c * (value - level) + (1.0 - c) * s
        trend = b * (level - before) + damping * trend
    forecast = []
    reach = 0.0
    for h in range(_HORIZON):
        reach += damping ** (h + 1)
        base, s = level + reach * trend, season[(y.size + h) % period]
        forecast.append(base * s if multiplicative else base + s)
    return np.array(forecast)


def _regression(y: Any, start: int, params: Params) -> Any:
    """Ridge regression on harmonics, a trend and lags, fed with its own forecasts."""
    lags = min(params["regression_lags"], y.size - 20)
    hour = start + np.arange(y.size + _HORIZON)
    columns = [np.ones(hour.size)]
    for period, n in ((24.0, "daily"), (168.0, "weekly")):
        for k in range(1, params[f"regression_{n}_harmonics"] + 1):
            angle = 2.0 * np.pi * k * hour / period
            columns += [np.sin(angle), np.cos(angle)]
    time = (hour - hour[0]) / y.size
    columns += [time**k for k in range(1, params["regression_trend_degree"] + 1)]
    known = np.column_stack(columns)
    mean, deviation = y.mean(), y.std() + 1e-9
    z = (y - mean) / deviation
    windows = np.lib.stride_tricks.sliding_window_view(z, lags)[: y.size - lags] if lags else None
    rows = known[lags : y.size]
    design = rows if windows is None else np.column_stack([rows, windows])
    age = np.arange(design.shape[0])[::-1]
    weight = 0.5 ** (age / params["regression_half_life_hours"])
    weighted = design * weight[:, None]
    system = weighted.T @ design
    penalty = np.full(system.shape[0], params["regression_penalty"])
    penalty[0] = 1e-6
    system[np.diag_indices_from(system)] += penalty
    solution = np.linalg.solve(system, weighted.T @ z[lags:])
    fixed = known[y.size :] @ solution[: known.shape[1]]
    recent = z[y.size - lags :].tolist()
    weights = solution[known.shape[1] :]
    forecast = []
    for h in range(_HORIZON):
        value = float(fixed[h])
        if lags:
            value += float(weights @ recent[-lags:])
        # A regression that explodes stays finite.
        value = max(-50.0, min(50.0, value))
        forecast.append(value)
        recent.append(value)
    return mean + deviation * np.array(forecast)


def _analogues(y: Any, params: Params) -> Any:
    """What came after the most similar windows of the past."""
    # A short history leaves room for one window and what came after it.
    window = min(params["analogues_window"], y.size - _HORIZON)
    last = y[-window:]
    views = np.lib.stride_tricks.sliding_window_view(y[:-_HORIZON], window)
    starts = np.arange(views.shape[0])
    if params["analogues_same_hour_only"]:
        same = (y.size - window - starts) % 24 == 0
        if same.any():
            starts = starts[same]
    shift = params["analogues_level_correction"] * (last.mean() - views[starts].mean(axis=1))
    distance = np.sqrt(np.mean((views[starts] + shift[:, None] - last) ** 2, axis=1))
    nearest = np.argsort(distance, kind="stable")[: params["analogues_neighbours"]]
    weight = (distance[nearest] + 1e-6) ** -params["analogues_weight_power"]
    weight = weight / weight.sum()
    ends = starts[nearest] + window
    following = np.array([y[e : e + _HORIZON] for e in ends]) + shift[nearest][:, None]
    return weight @ following


def _forecast(history: Any, start: int, params: Params) -> Any:
    clean = _cleaned(history, params["outlier_limit"])
    kind = params["transform"]
    y = np.maximum(clean, 0.05)
    if kind != "none":
        y = np.log(y) if kind == "log" else np.sqrt(y)
    if params["method"] == "smoothing":
        predicted = _smoothing(y, params)
    elif params["method"] == "regression":
        predicted = _regression(y, start, params)
    else:
        predicted = _analogues(y, params)
    # Towards the mean of the last week.
    shrinkage = params["forecast_shrinkage"]
    predicted = (1.0 - shrinkage) * predicted + shrinkage * y[-168:].mean()
    predicted = np.nan_to_num(predicted, nan=0.0, posinf=1e6, neginf=-1e6)
    if kind == "log":
        return np.exp(np.clip(predicted, -5.0, 12.0))
    if kind == "sqrt":
        return np.square(np.clip(predicted, 0.0, 1e3))
    return predicted


def _run(params: Params) -> float:
    """Mean absolute error, in units of the error of repeating the last day."""
    errors = []
    with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"):
        for load in _data():
            for origin in _ORIGINS:
                start = origin - params["history_hours"]
                truth = load[origin : origin + _HORIZON]
                predicted = _forecast(load[start:origin], start, params)
                repeated = np.resize(load[origin - 24 : origin], _HORIZON)
                scale = np.mean(np.abs(repeated - truth))
                errors.append(min(np.mean(np.abs(predicted - truth)) / scale, _WORST_ERROR))
    mean = float(np.mean(errors))
    return mean if math.isfinite(mean) else _WORST_ERROR


def _suggest(trial: BaseTrial) -> Params:
    params: Params = {name: suggest_one(trial, name, d) for name, d in _COMMON.items()}
    params["method"] = suggest_one(trial, "method", _METHOD)
    branch = _METHODS[params["method"]]
    return params | {name: suggest_one(trial, name, d) for name, d in branch.items()}


def _space() -> dict[str, BaseDistribution]:
    space = {**_COMMON, "method": _METHOD}
    for branch in _METHODS.values():
        space |= branch
    return space


TASK = Task(
    name="fresh-forecast",
    family="fresh-forecast",
    description=(
        "The hourly electricity load of four islands is forecast 60 hours ahead (16 forecasts) by "
        "one of three methods (Holt-Winters smoothing, ridge regression on harmonics and lags, or "
        "the most similar windows of the past), after outliers are clipped and the load is "
        "transformed; the forecast may be shrunk towards the mean of the last week. "
        "The mean absolute error relative to repeating the last day is minimised."
    ),
    search_space=_space(),
    objective=_run,
    optimum=0.663495,
    median_random=1.17715,
    defaults={
        "transform": "log",
        "outlier_limit": 5.0,
        "history_hours": 1000,
        "forecast_shrinkage": 0.0,
        "method": "regression",
        "regression_lags": 24,
        "regression_daily_harmonics": 4,
        "regression_weekly_harmonics": 3,
        "regression_trend_degree": 0,
        "regression_penalty": 1.0,
        "regression_half_life_hours": 2000.0,
    },
    suggest=_suggest,
    conditions={
        name: {"method": [method]} for method, branch in _METHODS.items() for name in branch
    },
)
