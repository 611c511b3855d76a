"""Reinforcement learning: a table of values, learned in a maze with a wind."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from .._task import Params, Task


_SIDE, _STEPS, _EPISODES, _LONGEST = 6, 12_000, 40, 60
_SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(0.001, 1.0),
    "gamma": FloatDistribution(0.5, 0.9999),
    "epsilon_start": FloatDistribution(0.1, 1.0),
    "epsilon_end": FloatDistribution(0.0, 0.5),
    "epsilon_decay_steps": IntDistribution(10, 100_000),
    "initial_q": FloatDistribution(0.0, 50.0),
}


@cache
def _moves() -> tuple[list[list[int]], list[float], list[float]]:
    """Where each of four moves leads from each cell, what a cell costs, and random numbers."""
    rng = np.random.default_rng(6_149_985)
    walls = set(rng.choice(np.arange(1, _SIDE**2 - 1), size=6, replace=False).tolist())
    walls -= {1, _SIDE, _SIDE**2 - 2, _SIDE * (_SIDE - 1) - 1}
    leads = []
    for cell in range(_SIDE**2):
        row, column = divmod(cell, _SIDE)
        near = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        inside = [r * _SIDE + c if 0 <= r < _SIDE and 0 <= c < _SIDE else cell for r, c in near]
        leads.append([cell if there in walls else there for there in inside])
    cost = rng.choice([-0.1, -0.1, -0.1, -2.0], size=_SIDE**2).tolist()
    return leads, cost, rng.random(4 * _STEPS + 4 * _EPISODES * _LONGEST).tolist()


def _learn(params: Params) -> float:
    """Negative mean reward of an episode after 12,000 steps of learning."""
    leads, cost, numbers = _moves()
    draw = iter(numbers)
    values: Any = [[params["initial_q"]] * 4 for _ in leads]
    rate, gamma, goal = params["learning_rate"], params["gamma"], len(leads) - 1
    start, end = params["epsilon_start"], params["epsilon_end"]
    cell, steps = 0, 0

    def step(cell: int, move: int) -> tuple[int, float]:
        there = leads[cell][int(4 * next(draw)) if next(draw) < 0.15 else move]
        return there, 20.0 if there == goal else cost[there]

    for i in range(_STEPS):
        row = values[cell]
        epsilon = start + (end - start) * min(1.0, i / params["epsilon_decay_steps"])
        move = int(4 * next(draw)) if next(draw) < epsilon else row.index(max(row))
        there, reward = step(cell, move)
        ahead = 0.0 if there == goal else gamma * max(values[there])
        row[move] += rate * (reward + ahead - row[move])
        steps += 1
        cell = there
        if there == goal or steps >= _LONGEST:
            cell, steps = 0, 0
    # The same wind for every configuration, whatever the learning has drawn.
    draw = iter(numbers[4 * _STEPS :])
    total = 0.0
    for _ in range(_EPISODES):
        cell, steps = 0, 0
        while cell != goal and steps < _LONGEST:
            row = values[cell]
            cell, reward = step(cell, row.index(max(row)))
            total += reward
            steps += 1
    return -total / _EPISODES


TASKS = (
    Task(
        name="everyday/maze",
        family="everyday/maze",
        description=(
            "Tabular Q-learning with an epsilon-greedy policy learns in 12,000 steps to cross a "
            "windy 6x6 maze; the goal gives 20, most cells cost 0.1 and some cost 2. The negative "
            "mean reward of 40 greedy episodes is minimised."
        ),
        search_space=_SPACE,
        objective=_learn,
        optimum=-16.655,
        median_random=-8.17125,
        defaults={
            "learning_rate": 0.1,
            "gamma": 0.99,
            "epsilon_start": 1.0,
            "epsilon_end": 0.05,
            "epsilon_decay_steps": 5_000,
            "initial_q": 0.0,
        },
    ),
)
