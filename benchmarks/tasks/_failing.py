"""Tasks of which half of the space fails, as networks do that do not fit into memory."""

from __future__ import annotations

from dataclasses import replace
import math
from statistics import median

import optuna

from ._task import Params, Task


_SIZES = ("batch_size", "depth", "width", "n_units_1", "n_units_2")


def failing(task: Task) -> Task:
    """Return the same task without the larger half of the networks; its description says nothing.

    The scale stays: of the optimum that is left, only a search could tell.
    """
    sizes = [name for name in _SIZES if name in task.search_space]
    if not sizes:
        raise ValueError(f"{task.name} has no sizes.")

    def size(params: Params) -> float:
        return sum(math.log(params[name]) for name in sizes)

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    limit = median(size(task.suggest_params(study.ask())) for _ in range(501))

    def objective(params: Params) -> float:
        if size(params) > limit:
            raise MemoryError("out of memory")
        return task.objective(params)

    return replace(task, name=f"{task.name}!memory", objective=objective)
