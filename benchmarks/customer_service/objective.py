"""One trial: hyperparameters in, validation accuracy (and training time) out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import os
import socket
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, TPESampler

from optuna_llm_sampler import DefaultBaseSampler, LLMSampler, ProposedSpace

from .config import Config
from .data import load
from .encoders import make_encoder
from .training import Training


# User attribute of a trial: whose it is, so that the trial of a dead worker can be told.
WORKER = "worker"
SECONDS = "training_seconds"


def worker_name(pid: int | None = None) -> str:
    """Return the name of a process of this machine, by default of this one."""
    return f"{socket.gethostname()}:{os.getpid() if pid is None else pid}"


class Objective:
    """The objective function of the study, and what a sampler should know about it.

    Args:
        config:
            The run.
        index:
            The worker's number.
    """

    def __init__(self, config: Config, index: int = 0) -> None:
        self._config = config
        self._data = load(config.data, seed=config.data_seed, limit=config.limit)
        self._encoder = make_encoder(config.encoder, self._data, config.max_epochs)
        self._training = Training(self._data, self._encoder, seed=config.data_seed, index=index)

    @property
    def space(self) -> dict[str, BaseDistribution]:
        proposed = self._config.proposed
        return self._encoder.space if proposed is None else dict(proposed.space)

    def tune_in(self, proposed: ProposedSpace) -> None:
        """Tune in a proposed space instead of the encoder's."""
        self._config = replace(self._config, proposed=proposed)

    @property
    def n_categories(self) -> int:
        return len(self._data.categories)

    @property
    def task(self) -> str:
        """The task in words, as the model gets it."""
        goal = "Maximize accuracy on validation queries after the last epoch"
        if self._config.objective == "accuracy,seconds":
            goal += ", and minimize the seconds of training"
        wish = f" The user asks: {self._config.ask}" if self._config.ask else ""
        return (
            f"Text classification: assign short customer-service queries (about 15 words) to one "
            f"of {len(self._data.categories)} intents. {len(self._data.train)} training queries. "
            f"The model is {self._encoder.description}. AdamW, linear warm-up for warmup_ratio of "
            f"the steps, then linear decay to 0. {goal}.{wish}"
        )

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, float]:
        # First of all: a worker may die while it waits for the sampler.
        trial.set_user_attr(WORKER, worker_name())
        params = suggest(trial, self.space)
        single = self._config.objective == "accuracy"
        accuracy = seconds = 0.0
        for epoch in self._training.epochs(params):
            accuracy, seconds = epoch.accuracy, epoch.seconds
            if single:  # Optuna has neither reports nor pruning for several objectives
                trial.report(accuracy, step=epoch.number)
                if epoch.number < params["epochs"] and trial.should_prune():
                    trial.set_user_attr(SECONDS, round(seconds, 2))
                    raise optuna.TrialPruned
        trial.set_user_attr(SECONDS, round(seconds, 2))
        return accuracy if single else (accuracy, seconds)

    def test_accuracy(self, params: Mapping[str, Any]) -> float:
        """Train with these hyperparameters as in the study, and test once."""
        return self._training.test_accuracy(params)


def suggest(trial: optuna.Trial, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Ask a trial for all parameters of a space."""
    params: dict[str, Any] = {}
    for name, d in space.items():
        if isinstance(d, FloatDistribution):
            params[name] = trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
        elif isinstance(d, IntDistribution):
            params[name] = trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
        elif isinstance(d, CategoricalDistribution):
            params[name] = trial.suggest_categorical(name, d.choices)
    return params


def make_sampler(config: Config, objective: Objective, seed: int) -> BaseSampler:
    """Return the sampler of one worker."""
    if config.sampler == "tpe":
        return TPESampler(seed=seed)
    if config.sampler == "base":
        return DefaultBaseSampler(seed=seed)
    proposed = config.proposed
    return LLMSampler(
        config.llm,
        task=objective.task,
        search_space=objective.space,
        defaults=None if proposed is None else proposed.defaults,
        param_notes=None if proposed is None else proposed.param_notes,
        timeout=config.timeout,
        seed=seed,
    )


def make_pruner(config: Config, objective: Objective) -> optuna.pruners.BasePruner:
    """Return a pruner for one objective: Optuna has none for several."""
    epochs = objective.space["epochs"]
    if config.objective != "accuracy" or not isinstance(epochs, IntDistribution):
        return optuna.pruners.NopPruner()
    # In its first epochs a long trial is behind a short one, whose learning rate decays faster.
    # Few trials are long, and the median of one or two of them means nothing.
    return optuna.pruners.MedianPruner(
        n_startup_trials=5, n_warmup_steps=epochs.high // 3, n_min_trials=4
    )
