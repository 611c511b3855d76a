"""A small convolutional network on images and a small transformer on texts, in PyTorch."""

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
from ._torch import error_rate, held_out, Reader, run_epochs, trained


_IMAGES: dict[str, BaseDistribution] = {
    "optimizer": CategoricalDistribution(("Adam", "RMSprop", "SGD")),
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "n_channels": IntDistribution(2, 32),
    "kernel_size": CategoricalDistribution((3, 5, 7)),
    "dropout": FloatDistribution(0.0, 1.0),
    "weight_decay": FloatDistribution(1e-10, 1e-2, log=True),
    "label_smoothing": FloatDistribution(0.0, 0.5),
    "batch_size": IntDistribution(16, 256),
}
_ATTENTION: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-6, 1e-2, log=True),
    "num_train_epochs": IntDistribution(1, 8),
    "per_device_train_batch_size": CategoricalDistribution((8, 16, 32, 64)),
    "weight_decay": FloatDistribution(0.0, 0.3),
    "warmup_ratio": FloatDistribution(0.0, 0.5),
    "adam_beta1": FloatDistribution(0.8, 0.99),
    "adam_beta2": FloatDistribution(0.9, 0.9999),
    "max_grad_norm": FloatDistribution(0.1, 10.0),
    "hidden_dropout_prob": FloatDistribution(0.0, 0.5),
}
_SIDE, _SHAPES = 12, 4
_WORDS, _LENGTH, _TOPICS = 60, 12, 4


@cache
def _shapes() -> tuple[Any, Any, Any, Any]:
    """Strokes of four shapes, moved, of unequal strength, on a noisy ground."""
    rng = np.random.default_rng(88_400_161)
    n, across = 1500, np.arange(_SIDE)
    kind = rng.integers(_SHAPES, size=n)
    row, column = rng.uniform(4.0, 8.0, size=(2, n, 1, 1))
    y, x = across[None, :, None] - row, across[None, None, :] - column
    angle = (rng.normal(0.0, 0.3, size=n) + kind % 2 * math.pi / 4)[:, None, None]
    x, y = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
    cross = np.minimum(np.abs(x), np.abs(y))
    ring = np.abs(np.maximum(np.abs(x), np.abs(y)) - 3.0)
    away = np.where((kind < 2)[:, None, None], cross, ring)
    ink = rng.lognormal(0.0, 0.4, size=(n, 1, 1)) * np.exp(-(away**2)) * (x**2 + y**2 < 20.0)
    pixels = torch.tensor(ink + rng.normal(0.0, 0.35, size=ink.shape)).float()[:, None]
    labels = torch.tensor(kind)
    return pixels[:500], pixels[500:], labels[:500], labels[500:]


def _see(params: Params) -> float:
    train_x, test_x, train_y, test_y = _shapes()

    def fit() -> float:
        channels, kernel = params["n_channels"], params["kernel_size"]
        network = torch.nn.Sequential(
            torch.nn.Conv2d(1, channels, kernel, padding=kernel // 2),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(channels, channels, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Dropout(params["dropout"]),
            torch.nn.Linear(channels * (_SIDE // 4) ** 2, _SHAPES),
        )
        build = getattr(torch.optim, params["optimizer"])
        optimiser = build(
            network.parameters(), lr=params["lr"], weight_decay=params["weight_decay"]
        )
        loss = torch.nn.CrossEntropyLoss(label_smoothing=params["label_smoothing"])
        batch = params["batch_size"]
        run_epochs(network, optimiser, loss, train_x, train_y, batch_size=batch, epochs=6)
        return held_out(network, error_rate, test_x, test_y)

    return trained(fit, 1.0)


@cache
def _letters() -> tuple[Any, Any, Any, Any]:
    """Sequences of words; which of two words comes first decides, and a topic's own words."""
    rng = np.random.default_rng(30_552_817)
    n = 1500
    topic = rng.integers(_TOPICS, size=n)
    words = rng.integers(8, _WORDS, size=(n, _LENGTH))
    own = rng.random((n, _LENGTH)) < 0.35
    words = np.where(own, 8 + 10 * (topic[:, None] // 2) + words % 10, words)
    places = np.sort(rng.random((n, _LENGTH)).argsort(axis=1)[:, :2], axis=1)
    pair = np.stack([topic % 2, 1 - topic % 2], axis=1)
    np.put_along_axis(words, places, pair, axis=1)
    wrong = (rng.random(n) < 0.08) & (np.arange(n) < 400)
    labels = torch.tensor(np.where(wrong, rng.integers(_TOPICS, size=n), topic))
    tokens = torch.tensor(words)
    return tokens[:400], tokens[400:], labels[:400], labels[400:]


def _read(params: Params) -> float:
    train_x, test_x, train_y, test_y = _letters()
    warmup: float = params["warmup_ratio"]

    def factor(step: int, n_steps: int) -> float:
        done = (step + 1) / (n_steps + 1)
        return done / warmup if done < warmup else (1.0 - done) / (1.0 - warmup)

    def fit() -> float:
        network = Reader(_WORDS, _LENGTH, _TOPICS, params["hidden_dropout_prob"])
        optimiser = torch.optim.AdamW(
            network.parameters(),
            lr=params["learning_rate"],
            betas=(params["adam_beta1"], params["adam_beta2"]),
            weight_decay=params["weight_decay"],
            fused=True,
        )
        loss = torch.nn.functional.cross_entropy
        run_epochs(
            network,
            optimiser,
            loss,
            train_x,
            train_y,
            batch_size=params["per_device_train_batch_size"],
            epochs=params["num_train_epochs"],
            clip=params["max_grad_norm"],
            schedule=factor,
        )
        return held_out(network, loss, test_x, test_y)

    return trained(fit, 2.0)


TASKS = (
    Task(
        name="everyday/images",
        family="everyday/images",
        description=(
            "A small convolutional network (PyTorch, 6 epochs) recognises 4 shapes in 500 noisy "
            "images of 12x12 pixels. The classification error on 1000 held-out images is "
            "minimised."
        ),
        search_space=_IMAGES,
        objective=_see,
        optimum=0.381,
        median_random=0.727,
        defaults={
            "optimizer": "Adam",
            "lr": 1e-3,
            "n_channels": 32,
            "kernel_size": 3,
            "dropout": 0.25,
            "weight_decay": 1e-5,
            "label_smoothing": 0.0,
            "batch_size": 32,
        },
    ),
    Task(
        name="everyday/attention",
        family="everyday/attention",
        description=(
            "A transformer encoder with one layer is trained from scratch (AdamW, linear "
            "schedule) to sort 400 short texts into 4 topics. The log loss on 1100 held-out texts "
            "is minimised."
        ),
        search_space=_ATTENTION,
        objective=_read,
        optimum=0.93975,
        median_random=1.34336,
        defaults={
            "learning_rate": 1e-3,
            "num_train_epochs": 5,
            "per_device_train_batch_size": 16,
            "weight_decay": 0.01,
            "warmup_ratio": 0.1,
            "adam_beta1": 0.9,
            "adam_beta2": 0.999,
            "max_grad_norm": 1.0,
            "hidden_dropout_prob": 0.1,
        },
    ),
)
