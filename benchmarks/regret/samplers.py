"""The samplers of the comparison. Controls get the same seeds and the same first point."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler
from optuna.samplers import CmaEsSampler
from optuna.samplers import GPSampler
from optuna.samplers import RandomSampler
from optuna.samplers import TPESampler

from benchmarks.tasks import Task
from optuna_llm_sampler import DefaultBaseSampler
from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler import LocalLLM
from optuna_llm_sampler.llms import LLM
from optuna_llm_sampler.llms._record import Recorder
from optuna_llm_sampler.llms._record import Replay
from optuna_llm_sampler.testing import FakeLLM


ANSWERS = Path(__file__).parent / "answers.jsonl"


@dataclass(frozen=True)
class Run:
    """One study of the comparison.

    Attributes:
        task:
            What is tuned.
        seed:
            Number of the repetition, from 0.
        record:
            Whether the local model is really asked and its answers are kept.
    """

    task: Task
    seed: int
    record: bool = False

    def number(self, *salt: str) -> int:
        """A seed of this run's own, so that no two samplers share a stream by accident."""
        text = json.dumps([self.task.name, self.seed, *salt])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


Maker = Callable[[Run], BaseSampler]


def local_model(run: Run) -> LLM:
    return Recorder(LocalLLM(), ANSWERS) if run.record else Replay(ANSWERS)


def nothing(run: Run) -> LLM:
    return FakeLLM(lambda request: "")


def _fake(run: Run, points: Callable[[np.random.RandomState], list[dict[str, Any]]]) -> LLM:
    rng = np.random.RandomState(run.number("points"))
    configs = points(rng)
    return FakeLLM(lambda request: json.dumps({"configs": configs}))


def noise(run: Run) -> LLM:
    """Uniform points: knows nothing."""
    return _fake(run, lambda rng: [_uniform(run.task, rng) for _ in range(8)])


def adversary(run: Run) -> LLM:
    """The worst of 200 points: knows everything and means ill."""

    def points(rng: np.random.RandomState) -> list[dict[str, Any]]:
        found = [_uniform(run.task, rng) for _ in range(200)]
        return sorted(found, key=run.task.objective, reverse=True)[:8]

    return _fake(run, points)


def parrot(run: Run) -> LLM:
    """One point again and again."""
    return _fake(run, lambda rng: [_uniform(run.task, rng)] * 8)


def _uniform(task: Task, rng: np.random.RandomState) -> dict[str, Any]:
    """A configuration as Optuna's own random sampler draws it."""
    study = optuna.create_study(sampler=RandomSampler(seed=int(rng.randint(2**31))))
    return task.suggest_params(study.ask())


BASES: Mapping[str, Callable[[int], BaseSampler]] = {
    "auto": lambda seed: DefaultBaseSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed, n_startup_trials=5, warn_independent_sampling=False),
}
MODELS: Mapping[str, Callable[[Run], LLM]] = {
    "local": local_model,
    "noise": noise,
    "adversary": adversary,
    "parrot": parrot,
}


def ours(model: str, base: str, *, defaults: bool = False) -> Maker:
    def make(run: Run) -> BaseSampler:
        return LLMSampler(
            MODELS[model](run),
            task=run.task.description,
            search_space=run.task.search_space,
            defaults=run.task.defaults if defaults else None,
            base_sampler=BASES[base](run.number(base)),
            timeout=600.0,
            prefetch=False,
            seed=run.number("requests"),
        )

    return make


def auto_sampler(run: Run) -> BaseSampler:
    """The rule of OptunaHub's AutoSampler for these budgets: TPE with categories, else GP."""
    mixed = any(isinstance(d, CategoricalDistribution) for d in run.task.search_space.values())
    if mixed or run.task.suggest is not None:
        return TPESampler(seed=run.number("autosampler"), multivariate=True, group=False)
    return GPSampler(seed=run.number("autosampler"))


# "+default": the expert's configuration comes first, enqueued as a user would do it.
SAMPLERS: dict[str, Maker] = {
    "random": lambda run: RandomSampler(seed=run.number("random")),
    "tpe": lambda run: TPESampler(seed=run.number("tpe")),
    "gp": lambda run: GPSampler(seed=run.number("gp"), warn_independent_sampling=False),
    "cmaes": lambda run: CmaEsSampler(seed=run.number("cmaes"), warn_independent_sampling=False),
    "autosampler": auto_sampler,
    "base": lambda run: DefaultBaseSampler(seed=run.number("auto")),
    "tpe+default": lambda run: TPESampler(seed=run.number("tpe")),
    "gp+default": lambda run: GPSampler(seed=run.number("gp"), warn_independent_sampling=False),
    "ours": ours("local", "auto"),
    "ours-tpe": ours("local", "tpe"),
    "ours+default": ours("local", "auto", defaults=True),
    "ours-tpe+default": ours("local", "tpe", defaults=True),
    "ours(noise)": ours("noise", "auto"),
    "ours(adversary)": ours("adversary", "auto"),
    "ours(parrot)": ours("parrot", "auto"),
    "ours-tpe(noise)": ours("noise", "tpe"),
    "ours-tpe(adversary)": ours("adversary", "tpe"),
    "ours-tpe(parrot)": ours("parrot", "tpe"),
}


def is_numeric(task: Task) -> bool:
    """CMA-ES needs at least two numbers."""
    numbers = [d for d in task.search_space.values() if not isinstance(d, CategoricalDistribution)]
    return len(numbers) >= 2 and not all(isinstance(d, IntDistribution) for d in numbers)
