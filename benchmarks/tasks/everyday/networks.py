"""Fully connected networks in PyTorch: one sorts, trained by SGD; one predicts, by Adam."""

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
import torch

from .._task import Params, Task
from ._torch import held_out, run_epochs, trained


_SGD: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "momentum": FloatDistribution(0.1, 0.99),
    "weight_decay": FloatDistribution(1e-5, 0.1),
    "nesterov": CategoricalDistribution((True, False)),
    "batch_size": CategoricalDistribution((16, 32, 64, 128, 256)),
    "hidden_dim": IntDistribution(16, 512),
    "dropout": FloatDistribution(0.0, 0.9),
}
_ADAM: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-1),
    "beta1": FloatDistribution(0.5, 0.999),
    "beta2": FloatDistribution(0.5, 0.9999),
    "eps": FloatDistribution(1e-10, 1e-2, log=True),
    "weight_decay": FloatDistribution(0.0, 0.5),
    "batch_size": IntDistribution(8, 512),
    "n_layers": IntDistribution(1, 5),
    "n_units": IntDistribution(4, 256),
    "dropout": FloatDistribution(0.0, 1.0),
}


@cache
def _parcels() -> tuple[Any, Any, Any, Any]:
    """Sizes and weights of parcels; five kinds that overlap, in clusters of their own."""
    rng = np.random.default_rng(41_907_223)
    centres = rng.normal(0.0, 1.3, size=(5, 3, 12))
    kind = rng.integers(5, size=2000)
    part = rng.integers(3, size=2000)
    x = centres[kind, part] + rng.normal(0.0, 1.25, size=(2000, 12))
    wrong = rng.random(2000) < np.where(np.arange(2000) < 600, 0.1, 0.0)
    y = np.where(wrong, rng.integers(5, size=2000), kind)
    features, labels = torch.tensor(x).float(), torch.tensor(y)
    return features[:600], features[600:], labels[:600], labels[600:]


def _sort(params: Params) -> float:
    train_x, test_x, train_y, test_y = _parcels()

    def fit() -> float:
        width = params["hidden_dim"]
        network = torch.nn.Sequential(
            torch.nn.Linear(12, width),
            torch.nn.ReLU(),
            torch.nn.Dropout(params["dropout"]),
            torch.nn.Linear(width, width),
            torch.nn.ReLU(),
            torch.nn.Dropout(params["dropout"]),
            torch.nn.Linear(width, 5),
        )
        optimiser = torch.optim.SGD(
            network.parameters(),
            lr=params["lr"],
            momentum=params["momentum"],
            weight_decay=params["weight_decay"],
            nesterov=params["nesterov"],
        )
        loss = torch.nn.functional.cross_entropy
        batch = params["batch_size"]
        run_epochs(network, optimiser, loss, train_x, train_y, batch_size=batch, epochs=12)
        return held_out(network, loss, test_x, test_y)

    return trained(fit, 2.0)


@cache
def _boilers() -> tuple[Any, Any, Any, Any]:
    """Sensors of boilers and the heat that is lost, standardised, with noise."""
    rng = np.random.default_rng(73_118_059)
    x = rng.normal(size=(1900, 10))
    heat = (
        np.sin(2.0 * x[:, 0]) * x[:, 1]
        + 0.6 * np.abs(x[:, 2])
        + 0.5 * x[:, 3] * (x[:, 4] > 0.0)
        + 0.4 * x[:, 5]
        + rng.normal(0.0, 0.3, size=1900)
    )
    features, target = torch.tensor(x).float(), torch.tensor(heat - heat.mean()).float()
    target = (target / target.std())[:, None]
    return features[:700], features[700:], target[:700], target[700:]


def _predict(params: Params) -> float:
    train_x, test_x, train_y, test_y = _boilers()

    def fit() -> float:
        layers: list[Any] = []
        width = 10
        for _ in range(params["n_layers"]):
            layers += [
                torch.nn.Linear(width, params["n_units"]),
                torch.nn.ReLU(),
                torch.nn.Dropout(params["dropout"]),
            ]
            width = params["n_units"]
        network = torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))
        optimiser = torch.optim.AdamW(
            network.parameters(),
            lr=params["learning_rate"],
            betas=(params["beta1"], params["beta2"]),
            eps=params["eps"],
            weight_decay=params["weight_decay"],
            fused=True,
        )
        loss = torch.nn.functional.mse_loss
        batch = params["batch_size"]
        run_epochs(network, optimiser, loss, train_x, train_y, batch_size=batch, epochs=15)
        return held_out(network, loss, test_x, test_y)

    return trained(fit, 2.0)


TASKS = (
    Task(
        name="everyday/sgd",
        family="everyday/sgd",
        description=(
            "A network with two hidden layers (PyTorch, SGD, 12 epochs) sorts 600 parcels into 5 "
            "kinds by 12 measurements. The log loss on 1400 held-out parcels is minimised."
        ),
        search_space=_SGD,
        objective=_sort,
        optimum=0.504937,
        median_random=1.56859,
        defaults={
            "lr": 1e-2,
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "nesterov": False,
            "batch_size": 32,
            "hidden_dim": 128,
            "dropout": 0.2,
        },
    ),
    Task(
        name="everyday/adam",
        family="everyday/adam",
        description=(
            "A neural network (PyTorch, AdamW, 15 epochs) predicts how much heat a boiler loses "
            "from 10 sensors and 700 readings. The mean squared error of the standardised target "
            "on 1200 held-out readings is minimised."
        ),
        search_space=_ADAM,
        objective=_predict,
        optimum=0.3710049,
        median_random=0.760025,
        defaults={
            "learning_rate": 1e-3,
            "beta1": 0.9,
            "beta2": 0.999,
            "eps": 1e-8,
            "weight_decay": 0.01,
            "batch_size": 32,
            "n_layers": 2,
            "n_units": 128,
            "dropout": 0.1,
        },
    ),
)
