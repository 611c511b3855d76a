"""One worker of ``benchmarks.scale``: imported by its processes, which need nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
import json
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Semaphore
import random
import time
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial
import sqlalchemy

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "decay": FloatDistribution(1e-6, 1e-2, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "momentum": FloatDistribution(0.5, 0.99),
    "layers": IntDistribution(1, 12),
    "width": IntDistribution(16, 1024, log=True),
    "batch": CategoricalDistribution([32, 64, 128, 256]),
    "optimizer": CategoricalDistribution(["adam", "sgd", "lion"]),
}
BASES: dict[str, type[BaseSampler]] = {
    "random": RandomSampler,
    "tpe": TPESampler,
    "gp": GPSampler,
}


@dataclass(frozen=True)
class Cell:
    """One study: who samples, how many workers, how many trials there are already.

    Attributes:
        sampler:
            ``"tpe"``, or ``"llm+tpe"`` for the model on top of it.
        latency:
            Of the model, in seconds.
        seconds:
            Of the objective.
        trials:
            Of all workers together.
    """

    sampler: str
    workers: int
    existing: int
    latency: float
    seconds: float
    trials: int

    @property
    def base(self) -> Cell:
        return Cell(
            self.sampler.removeprefix("llm+"),
            self.workers,
            self.existing,
            0.0,
            self.seconds,
            self.trials,
        )


@dataclass(frozen=True)
class Timing:
    """How long a trial was with its sampler, whether it waited for the model, and until when."""

    seconds: float
    waited: bool
    until: float


@dataclass(frozen=True)
class Report:
    """What a worker did."""

    sql: int
    cpu_seconds: float
    timings: list[Timing]


class Timed(LLMSampler):
    """Notes how long a trial spends with the sampler."""

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        session = self._session(study)
        waits, start = session.n_waits, time.monotonic()
        params = super().sample_relative(study, trial, search_space)
        seconds = time.monotonic() - start
        timings.append(Timing(seconds, session.n_waits > waits, time.time()))
        return params


timings: list[Timing] = []


def make_sampler(cell: Cell) -> BaseSampler:
    name = cell.sampler.removeprefix("llm+")
    base = BASES[name]()
    if name == cell.sampler:
        return base

    def answer(request: Request) -> str:
        time.sleep(cell.latency)
        rng = random.Random()
        return json.dumps({"configs": [random_params(rng) for _ in range(8)]})

    return Timed(FakeLLM(answer), base_sampler=base, search_space=SPACE)


def random_params(rng: random.Random) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, distribution in SPACE.items():
        if isinstance(distribution, CategoricalDistribution):
            params[name] = rng.choice(distribution.choices)
        elif isinstance(distribution, IntDistribution):
            params[name] = rng.randint(distribution.low, distribution.high)
        elif isinstance(distribution, FloatDistribution):
            params[name] = rng.uniform(distribution.low, distribution.high)
    return params


def objective(trial: Trial) -> float:
    for name, distribution in SPACE.items():
        trial._suggest(name, distribution)
    return float(trial.params["dropout"] + trial.params["momentum"])


def work(
    cell: Cell, url: str, name: str, ready: Barrier, tickets: Semaphore, out: Queue[Report]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_database(url, made=True)
    study = optuna.load_study(study_name=name, storage=storage, sampler=make_sampler(cell))
    study.get_trials(deepcopy=False)
    statements = Counter[str]()
    sqlalchemy.event.listen(
        storage.engine, "before_cursor_execute", lambda *_: statements.update(sql=1)
    )

    def timed(trial: Trial) -> float:
        value = objective(trial)
        time.sleep(cell.seconds)
        return value

    ready.wait(600)
    cpu = time.process_time()
    while tickets.acquire(False):
        study.optimize(timed, n_trials=1)
    out.put(Report(statements["sql"], time.process_time() - cpu, timings))
    storage.engine.dispose()


def open_database(url: str, *, made: bool = False) -> RDBStorage:
    """Open a database, whose tables are ``made`` already."""
    return RDBStorage(
        url,
        engine_kwargs={"pool_pre_ping": True},
        skip_compatibility_check=made,
        skip_table_creation=made,
    )
