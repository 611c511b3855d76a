"""A small network in PyTorch that sorts noisy spectra."""

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
import torch

from .._task import Params, Task


_CLASSES, _BANDS = 7, 48
_TRAIN, _TEST = 420, 2000
_EPOCHS = 12
_WRONG_LABELS = 0.2
# A network that has diverged is as bad as this, whatever it says.
_WORST_LOSS = 3.0
_ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "gelu": torch.nn.GELU}

_SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "weight_decay": FloatDistribution(1e-5, 1e1, log=True),
    "beta_1": FloatDistribution(0.0, 0.99),
    "beta_2": FloatDistribution(0.8, 0.9999),
    "batch_size": IntDistribution(16, 256, log=True),
    "lr_schedule": CategoricalDistribution(("constant", "linear", "cosine", "step")),
    "warmup_fraction": FloatDistribution(0.0, 0.5),
    "gradient_clip_norm": FloatDistribution(1e-2, 1e2, log=True),
    "label_smoothing": FloatDistribution(0.0, 0.5),
    "hidden_width": IntDistribution(8, 192, log=True),
    "hidden_layers": IntDistribution(1, 3),
    "dropout": FloatDistribution(0.0, 1.0),
    "activation": CategoricalDistribution(tuple(_ACTIVATIONS)),
}


def _spectra(rng: np.random.Generator, n: int, lines: Any) -> tuple[Any, Any]:
    """Classes share their lines and differ in how strong these are and by how much they shift."""
    centres, widths, strengths = lines
    classes = rng.integers(_CLASSES, size=n)
    band = np.arange(_BANDS)
    shift = rng.normal(0.0, 1.5, size=(n, 1))
    height = strengths[classes] * rng.lognormal(0.0, 0.45, size=(n, centres.size))
    distance = (band - (centres + shift)[..., None]) / widths[:, None]
    signal = (height[..., None] * np.exp(-0.5 * distance**2)).sum(axis=1)
    slope = rng.normal(0.0, 0.8, size=(n, 1)) * np.linspace(-1.0, 1.0, _BANDS)
    return signal + slope + rng.normal(0.0, 0.35, size=signal.shape), classes


@cache
def _data() -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(730_451_902)
    lines = (
        rng.uniform(3.0, _BANDS - 3.0, size=9),
        rng.uniform(0.8, 3.5, size=9),
        rng.gamma(1.2, 0.8, size=(_CLASSES, 9)),
    )
    train_x, train_y = _spectra(rng, _TRAIN, lines)
    test_x, test_y = _spectra(rng, _TEST, lines)
    wrong = rng.random(_TRAIN) < _WRONG_LABELS
    train_y = np.where(wrong, rng.integers(_CLASSES, size=_TRAIN), train_y)
    mean, deviation = train_x.mean(), train_x.std()
    features = (torch.tensor((x - mean) / deviation).float() for x in (train_x, test_x))
    return (*features, torch.tensor(train_y), torch.tensor(test_y))


def _factor(schedule: str, warmup: float, done: float) -> float:
    """What the learning rate is multiplied with after this fraction of all steps."""
    if done < warmup:
        return (done + 1e-3) / warmup
    rest = (done - warmup) / (1.0 - warmup)
    if schedule == "linear":
        return 1.0 - rest
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * rest))
    if schedule == "step":
        return 0.1 ** math.floor(3.0 * rest)
    return 1.0


def _network(params: Params) -> Any:
    layers: list[Any] = []
    width = _BANDS
    for _ in range(params["hidden_layers"]):
        layers += [
            torch.nn.Linear(width, params["hidden_width"]),
            _ACTIVATIONS[params["activation"]](),
            torch.nn.Dropout(params["dropout"]),
        ]
        width = params["hidden_width"]
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, _CLASSES))


def _fit_and_score(params: Params) -> float:
    train_x, test_x, train_y, test_y = _data()
    torch.manual_seed(11)
    network = _network(params)
    weights = list(network.parameters())
    optimiser = torch.optim.AdamW(
        weights,
        lr=params["learning_rate"],
        betas=(params["beta_1"], params["beta_2"]),
        weight_decay=params["weight_decay"],
        fused=True,
    )
    smoothed = torch.nn.CrossEntropyLoss(label_smoothing=params["label_smoothing"])
    batch = params["batch_size"]
    n_steps = _EPOCHS * math.ceil(_TRAIN / batch)
    step = 0
    for _ in range(_EPOCHS):
        for rows in torch.randperm(_TRAIN).split(batch):
            factor = _factor(params["lr_schedule"], params["warmup_fraction"], step / n_steps)
            optimiser.param_groups[0]["lr"] = params["learning_rate"] * factor
            optimiser.zero_grad()
            smoothed(network(train_x[rows]), train_y[rows]).backward()
            torch.nn.utils.clip_grad_norm_(weights, params["gradient_clip_norm"])
            optimiser.step()
            step += 1
    network.eval()
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(network(test_x), test_y).item()
    return min(loss, _WORST_LOSS) if math.isfinite(loss) else _WORST_LOSS


def _train(params: Params) -> float:
    """Log loss on held-out spectra."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # The caller's random numbers stay as they are.
        with torch.random.fork_rng(devices=[]):
            return _fit_and_score(params)
    finally:
        torch.set_num_threads(threads)


TASK = Task(
    name="fresh-net",
    family="fresh-net",
    description=(
        "A fully connected network (PyTorch, AdamW, 12 epochs) sorts spectra of 48 "
        "bands into 7 classes; there are 420 training spectra and some of their labels are wrong. "
        "The log loss on 2000 held-out spectra with correct labels is minimised."
    ),
    search_space=_SPACE,
    objective=_train,
    optimum=0.53628713,
    median_random=1.84221,
    defaults={
        "learning_rate": 1e-3,
        "weight_decay": 1e-2,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "batch_size": 32,
        "lr_schedule": "cosine",
        "warmup_fraction": 0.05,
        "gradient_clip_norm": 1.0,
        "label_smoothing": 0.1,
        "hidden_width": 128,
        "hidden_layers": 2,
        "dropout": 0.1,
        "activation": "relu",
    },
)
