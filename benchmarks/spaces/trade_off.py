"""Accuracy against training time: the main job's encoder, on few queries and for few epochs."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.samplers import BaseSampler
from optuna.study import create_study
from optuna.trial import FrozenTrial

from benchmarks.customer_service.config import Config
from benchmarks.customer_service.objective import Objective
from optuna_llm_sampler._study.objectives import hypervolume


def objective() -> Objective:
    config = Config(storage="", objective="accuracy,seconds", limit=300, max_epochs=8)
    return Objective(config)


def run(trained: Objective, sampler: BaseSampler, n: int) -> list[FrozenTrial]:
    study = create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.set_metric_names(["validation accuracy", "training seconds"])
    study.optimize(trained, n_trials=n)
    return study.trials


def volumes(trials: Sequence[FrozenTrial], longest: float) -> list[float]:
    """Return the hypervolume after each trial; 1 would be no error in no time.

    Args:
        trials:
            In order.
        longest:
            Seconds from which on a trial adds nothing.
    """
    found, points = [], []
    for trial in trials:
        accuracy, seconds = trial.values
        points.append((min(1 - accuracy, 1.0), min(seconds / longest, 1.0)))
        found.append(hypervolume(points, (1.0, 1.0)))
    return found
