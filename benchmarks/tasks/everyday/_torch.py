"""What trainings in PyTorch share: one thread, no trace in the caller's random numbers."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

import torch


def trained(fit: Callable[[], float], worst: float) -> float:
    """Run a training and return its loss, at most ``worst``.

    Args:
        fit:
            Trains from PyTorch's own random numbers, which are seeded here.
        worst:
            What a training that diverges is worth.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            loss = fit()
    finally:
        torch.set_num_threads(threads)
    return min(loss, worst) if math.isfinite(loss) else worst


def run_epochs(
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of: Callable[[Any, Any], Any],
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    batch_size: int,
    epochs: int,
    clip: float | None = None,
    schedule: Callable[[int, int], float] | None = None,
) -> None:
    """Train a network; ``schedule`` gives the learning rate's factor from step and steps."""
    rates = [group["lr"] for group in optimiser.param_groups]
    n_steps, step = epochs * math.ceil(len(x) / batch_size), 0
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            if schedule is not None:
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * schedule(step, n_steps)
            optimiser.zero_grad()
            loss_of(network(x[rows]), y[rows]).backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimiser.step()
            step += 1


def held_out(
    network: torch.nn.Module, score: Callable[[Any, Any], Any], x: torch.Tensor, y: torch.Tensor
) -> float:
    """Return the score of a trained network's outputs, from those and the targets."""
    network.eval()
    with torch.no_grad():
        return float(score(network(x), y))


def error_rate(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the share of the largest outputs that are not the label's, in [0, 1]."""
    wrong: torch.Tensor = outputs.argmax(dim=1) != labels
    return wrong.float().mean()


class Reader(torch.nn.Module):  # type: ignore[misc]
    """One layer of attention over words at their places, and a class from the mean."""

    _WIDTH = 32

    def __init__(self, words: int, length: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(words, self._WIDTH)
        self.places = torch.nn.Parameter(0.1 * torch.randn(length, self._WIDTH))
        self.attention = torch.nn.TransformerEncoderLayer(
            self._WIDTH, 2, dim_feedforward=64, dropout=dropout, batch_first=True, norm_first=True
        )
        self.out = torch.nn.Linear(self._WIDTH, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.attention(self.words(tokens) + self.places)
        logits: torch.Tensor = self.out(hidden.mean(dim=1))
        return logits
