"""The main job on a training of a second, with a model whose words are made up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import optuna

from benchmarks.customer_service.config import Config
from benchmarks.customer_service.storage import connect, open_study
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from .storages import until


# A training of a second: 77 queries, one or two epochs.
SMALL = ["--limit", "96", "--max-epochs", "2"]

PARAMS: dict[str, Any] = {
    "learning_rate": 3e-3,
    "batch_size": 32,
    "epochs": 2,
    "weight_decay": 0.01,
    "warmup_ratio": 0.1,
    "dropout": 0.1,
    "label_smoothing": 0.0,
    "n_layers": 1,
}


def answer(request: Request) -> str:
    """Propose eight configurations; top-level, because workers import it."""
    rates = (3e-3, 1e-3, 1e-2, 2e-3, 5e-3, 3e-4, 7e-4, 2e-2)
    configs = [{**PARAMS, "learning_rate": rate, "why": f"{rate} is usual"} for rate in rates]
    return json.dumps({"configs": configs})


@dataclass(frozen=True)
class PatientAnswer:
    """Answers once two trials have begun.

    Attributes:
        storage:
            The storage of the run, with no other study in it.
    """

    storage: str

    def __call__(self, request: Request) -> str:
        with connect(self.storage) as storage:
            (study,) = storage.get_all_studies()
            until(lambda: len(storage.get_all_trials(study._study_id, deepcopy=False)) >= 2)
        return answer(request)


def small_config(tmp_path: Path, **changes: Any) -> Config:
    values: dict[str, Any] = {
        "storage": str(tmp_path / "study.journal"),
        "limit": 96,
        "max_epochs": 2,
        "llm": FakeLLM(answer),
    }
    return Config(**{**values, **changes})


@contextmanager
def study_of(config: Config) -> Iterator[optuna.Study]:
    with connect(config.storage) as storage:
        yield open_study(config, storage)
