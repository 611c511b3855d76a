"""Fine-tuning: a plain loop over the epochs of one trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import time
from typing import Any

import torch

from .data import Data, Split
from .encoders import Encoder


_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Tokens:
    """A tokenized part of the data."""

    ids: list[list[int]]
    labels: tuple[int, ...]
    pad_id: int

    def batch(self, rows: list[int], device: Any) -> tuple[dict[str, Any], Any]:
        """Return the model's inputs, padded to the longest of these rows, and the labels."""
        width = max(len(self.ids[row]) for row in rows)
        ids = torch.full((len(rows), width), self.pad_id)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            n = len(self.ids[row])
            ids[i, :n] = torch.tensor(self.ids[row])
            mask[i, :n] = 1
        labels = torch.tensor([self.labels[row] for row in rows])
        inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
        return inputs, labels.to(device)


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch.

    Attributes:
        number:
            1 for the first.
        accuracy:
            Accuracy on the validation part.
        seconds:
            Time spent in training so far, evaluation not counted.
    """

    number: int
    accuracy: float
    seconds: float


class Training:
    """Trains classifiers with given hyperparameters on one machine's device.

    Args:
        data:
            The three parts.
        encoder:
            What is trained.
        seed:
            Seed of every training.
        index:
            The worker's number: it takes the GPU of this number, if there are any.
    """

    def __init__(self, data: Data, encoder: Encoder, *, seed: int, index: int = 0) -> None:
        self._data = data
        self._encoder = encoder
        self._seed = seed
        self._train = self._tokens(data.train)
        self._validation = self._tokens(data.validation)
        n_gpus = torch.cuda.device_count()
        self._device = torch.device(f"cuda:{index % n_gpus}" if n_gpus else "cpu")
        # On one CPU thread, CPU time is what the training costs, whoever else uses the machine.
        alone = not n_gpus and torch.get_num_threads() == 1
        self._clock = time.thread_time if alone else time.perf_counter

    def _tokens(self, split: Split) -> Tokens:
        return Tokens(self._encoder.tokenize(split.texts), split.labels, self._encoder.pad_id)

    def epochs(self, params: Mapping[str, Any]) -> Iterator[Epoch]:
        """Train a new classifier, and yield after each epoch."""
        for number, model, seconds in self._run(params):
            yield Epoch(number, self._accuracy(model, self._validation), seconds)

    def test_accuracy(self, params: Mapping[str, Any]) -> float:
        """Train once more, as in the trial with these hyperparameters, and test the result.

        Only the training part is used again: it is the model of the trial that is tested.
        """
        *_, (_, model, _) = self._run(params)
        return self._accuracy(model, self._tokens(self._data.test))

    def _run(self, params: Mapping[str, Any]) -> Iterator[tuple[int, Any, float]]:
        torch.manual_seed(self._seed)
        model = self._encoder.build(params).to(self._device)
        n_steps = params["epochs"] * -(-len(self._train.ids) // params["batch_size"])
        optimizer, scheduler = _optimizer(model, params, n_steps)
        loss = torch.nn.CrossEntropyLoss(label_smoothing=params["label_smoothing"])
        order = torch.Generator().manual_seed(self._seed)
        seconds = 0.0
        for number in range(1, params["epochs"] + 1):
            start = self._clock()
            model.train()
            rows = torch.randperm(len(self._train.ids), generator=order).tolist()
            for i in range(0, len(rows), params["batch_size"]):
                batch = rows[i : i + params["batch_size"]]
                inputs, labels = self._train.batch(batch, self._device)
                value = loss(model(**inputs).logits.float(), labels)
                optimizer.zero_grad()
                value.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                scheduler.step()
            seconds += self._clock() - start
            yield number, model, seconds

    def _accuracy(self, model: Any, tokens: Tokens) -> float:
        model.eval()
        n_right = 0
        with torch.inference_mode():
            for i in range(0, len(tokens.ids), _EVALUATION_BATCH):
                rows = list(range(i, min(i + _EVALUATION_BATCH, len(tokens.ids))))
                inputs, labels = tokens.batch(rows, self._device)
                n_right += int((model(**inputs).logits.argmax(-1) == labels).sum())
        return n_right / len(tokens.ids)


def _optimizer(model: Any, params: Mapping[str, Any], n_steps: int) -> tuple[Any, Any]:
    from transformers import get_scheduler

    trained = [p for p in model.parameters() if p.requires_grad]
    # Biases and norms are not decayed, as in the recipes that the model has read.
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": params["weight_decay"]},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=params["learning_rate"], fused=True)
    n_warmup = int(params["warmup_ratio"] * n_steps)
    return optimizer, get_scheduler("linear", optimizer, n_warmup, n_steps)
