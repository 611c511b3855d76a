"""Perishable goods between a depot and seven shops: a simulation, nothing is trained."""

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

from .._task import Params, Task


_SHOPS, _DAYS, _WARM_UP = 7, 170, 30
_SHELF_LIFE = 9
_LEAD_TIME = 4
_MARGIN, _PURCHASE = 3.0, 2.0
_DELIVERY, _ORDER, _EXPRESS, _HOLDING = 14.0, 90.0, 35.0, 0.02

_SPACE: dict[str, BaseDistribution] = {
    "depot_review_days": IntDistribution(1, 14),
    "depot_cover_days": FloatDistribution(0.0, 20.0),
    "depot_safety_factor": FloatDistribution(0.0, 4.0),
    "shop_review_days": IntDistribution(1, 7),
    "shop_cover_days": FloatDistribution(0.0, 10.0),
    "shop_safety_factor": FloatDistribution(0.0, 4.0),
    "forecast_smoothing": FloatDistribution(0.0, 1.0),
    "weekday_effect": FloatDistribution(0.0, 2.0),
    "markdown_from_age": IntDistribution(1, _SHELF_LIFE),
    "markdown": FloatDistribution(0.0, 0.9),
    "express_below_days": FloatDistribution(0.0, 3.0),
    "case_size": IntDistribution(1, 60, log=True),
    "issue_at_depot": CategoricalDistribution(("oldest_first", "newest_first")),
}


@cache
def _demand() -> tuple[tuple[tuple[tuple[int, ...], ...], ...], tuple[float, ...]]:
    """Two histories, as demand of each shop on each day, and how busy each weekday is."""
    rng = np.random.default_rng(660_318_294)
    weekday = np.array([0.8, 0.75, 0.85, 0.95, 1.35, 1.6, 0.7])
    histories = []
    for _ in range(2):
        level = rng.lognormal(2.6, 0.5, size=_SHOPS)
        drift = np.cumsum(rng.normal(0.0, 0.035, size=(_DAYS, _SHOPS)), axis=0)
        weather = rng.normal(0.0, 0.18, size=(_DAYS, 1))
        mean = level * np.exp(drift + weather) * weekday[np.arange(_DAYS) % 7][:, None]
        mean = np.where(rng.random(mean.shape) < 0.015, 2.5 * mean, mean)
        counts = rng.negative_binomial(8.0, 8.0 / (8.0 + mean))
        histories.append(tuple(tuple(int(count) for count in day) for day in counts))
    return tuple(histories), tuple(float(w) for w in weekday)


def _take(ages: list[float], wanted: float, newest_first: bool) -> tuple[list[float], float]:
    """Take goods from a stock by age; what was taken (by age), and how much."""
    taken = [0.0] * _SHELF_LIFE
    total = 0.0
    for age in range(_SHELF_LIFE) if newest_first else reversed(range(_SHELF_LIFE)):
        part = min(ages[age], wanted - total)
        if part > 0.0:
            ages[age] -= part
            taken[age] = part
            total += part
    return taken, total


def _sell(ages: list[float], demand: float, params: Params) -> tuple[float, float]:
    """Sell a day's demand: most customers take the freshest, a markdown draws some to the old.

    Returns:
        What is earned on top of the purchase, and how much demand is left over.
    """
    start, markdown = params["markdown_from_age"], params["markdown"]
    drawn = 0.15 + 0.75 * min(1.0, 1.7 * markdown)
    extra = demand * 0.35 * markdown
    old = sum(ages[start:])
    bargain = min(old, (demand + extra) * drawn)
    price = (_PURCHASE + _MARGIN) * (1.0 - markdown)
    rest = bargain
    for age in reversed(range(start, _SHELF_LIFE)):
        part = min(ages[age], rest)
        ages[age] -= part
        rest -= part
    open_demand = max(0.0, demand - bargain)
    _, sold = _take(ages, open_demand, newest_first=True)
    return price * bargain + (_PURCHASE + _MARGIN) * sold, open_demand - sold


def _simulate(history: Any, weekday: Any, params: Params) -> float:
    """Average loss per day after a month of warming up."""
    newest_first = params["issue_at_depot"] == "newest_first"
    smoothing, effect = params["forecast_smoothing"], params["weekday_effect"]
    case = params["case_size"]
    factor = [max(0.1, 1.0 + effect * (w - 1.0)) for w in weekday]
    level = [14.0] * _SHOPS
    spread = [6.0] * _SHOPS
    depot = [0.0] * _SHELF_LIFE
    depot[0] = 400.0
    shops = [[30.0] + [0.0] * (_SHELF_LIFE - 1) for _ in range(_SHOPS)]
    on_order: dict[int, float] = {}
    loss = 0.0
    for day, demands in enumerate(history):
        cost = 0.0
        depot[0] += on_order.pop(day, 0.0)
        ahead = [factor[(day + i) % 7] for i in range(24)]
        for shop in range(_SHOPS):
            stock = sum(shops[shop])
            regular = (day + shop) % params["shop_review_days"] == 0
            express = stock < params["express_below_days"] * level[shop] * ahead[0]
            if not regular and not express:
                continue
            days = params["shop_cover_days"] + (params["shop_review_days"] if regular else 1)
            whole = int(days)
            need = level[shop] * (sum(ahead[:whole]) + (days - whole) * ahead[whole])
            need += params["shop_safety_factor"] * spread[shop] * math.sqrt(days) - stock
            wanted = case * math.ceil(need / case)
            if wanted <= 0:
                continue
            taken, total = _take(depot, wanted, newest_first)
            if total > 0.0:
                shops[shop] = [a + b for a, b in zip(shops[shop], taken, strict=True)]
                cost += _DELIVERY + (0.0 if regular else _EXPRESS)
        if day % params["depot_review_days"] == 0:
            days = params["depot_cover_days"] + params["depot_review_days"] + _LEAD_TIME
            whole = min(int(days), 38)
            busy = sum(factor[(day + i) % 7] for i in range(whole)) + (days - whole)
            target = sum(level) * busy
            target += params["depot_safety_factor"] * math.sqrt(days * sum(s * s for s in spread))
            order = target - sum(depot) - sum(map(sum, shops)) - sum(on_order.values())
            if order > 0.0:
                arrival = day + _LEAD_TIME + (day // 7) % 2
                on_order[arrival] = on_order.get(arrival, 0.0) + order
                cost += _ORDER + _PURCHASE * order
        for shop, demand in enumerate(demands):
            earned, missed = _sell(shops[shop], float(demand), params)
            cost += 0.8 * missed - earned
            seen = demand / factor[day % 7]
            error = seen - level[shop]
            level[shop] += smoothing * error
            spread[shop] += 0.1 * (abs(error) * 1.25 - spread[shop])
        for ages in (depot, *shops):
            cost += _HOLDING * sum(ages)
            ages.insert(0, 0.0)
            cost += 0.3 * ages.pop()
        if day >= _WARM_UP:
            loss += cost
    # What is left over is worth what it cost, less the older it is.
    left = sum(
        ages[age] * (1.0 - age / _SHELF_LIFE)
        for ages in (depot, *shops)
        for age in range(_SHELF_LIFE)
    )
    left += sum(on_order.values())
    return (loss - _PURCHASE * left) / (_DAYS - _WARM_UP)


def _run(params: Params) -> float:
    """Average loss per day (a profit is negative) over both histories."""
    histories, weekday = _demand()
    return sum(_simulate(history, weekday, params) for history in histories) / len(histories)


TASK = Task(
    name="fresh-stock",
    family="fresh-stock",
    description=(
        "A simulated depot (lead time 4 to 5 days) orders fresh food that keeps for 9 days and "
        "delivers it in cases to 7 shops, by forecasts with exponential smoothing and a pattern "
        "of weekdays; orders, deliveries and express deliveries cost money, old goods can be "
        "marked down, and demand that is not met is lost. "
        "The loss per day (minus the profit) over 140 days is minimised."
    ),
    search_space=_SPACE,
    objective=_run,
    optimum=-226.50844,
    median_random=115.381,
    defaults={
        "depot_review_days": 3,
        "depot_cover_days": 1.0,
        "depot_safety_factor": 1.65,
        "shop_review_days": 2,
        "shop_cover_days": 1.0,
        "shop_safety_factor": 1.65,
        "forecast_smoothing": 0.2,
        "weekday_effect": 1.0,
        "markdown_from_age": 7,
        "markdown": 0.3,
        "express_below_days": 0.25,
        "case_size": 6,
        "issue_at_depot": "oldest_first",
    },
)
