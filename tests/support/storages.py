"""Real storages and real worker processes, with a model that counts its calls in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
import hashlib
import json
import multiprocessing
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Semaphore
import os
from pathlib import Path
import random
import socket
import tempfile
import time
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.storages import (
    BaseStorage,
    GrpcStorageProxy,
    JournalStorage,
    RDBStorage,
    run_grpc_proxy_server,
)
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from benchmarks._postgres import embedded_postgres, PRELOAD
from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler._store.records import AdviceRecord
from optuna_llm_sampler._store.store import AdviceStore
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from .mixed import objective, SPACE
from .versions import RetryCallback


@dataclass(frozen=True)
class Job:
    """What a worker process needs to know; pickled.

    Attributes:
        url:
            An SQLAlchemy URL, a file ``*.journal`` or ``grpc://host:port``.
        folder:
            Where workers write what they did.
        latency:
            Of the model, in seconds.
        seconds:
            Of the objective.
        arguments:
            Of the sampler.
        heartbeat:
            Seconds between two heartbeats, with retries; 0 for none.
        threads:
            Workers in each process.
    """

    url: str
    folder: Path
    latency: float = 0.0
    seconds: float = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)
    heartbeat: int = 0
    threads: int = 1
    name: str = "study"


@dataclass(frozen=True)
class Postgres:
    """A server of this test process.

    Attributes:
        url:
            Its SQLAlchemy URL.
        folder:
            Its data.
    """

    url: str
    folder: Path


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    # Not in tmp_path: every pytest session closes its root to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="optuna-llm-") as name:
        folder = Path(name) / "data"
        with embedded_postgres(folder, connections=200) as url:
            yield Postgres(url, folder)


# --- storages -------------------------------------------------------------------------------


def open_storage(job: Job) -> BaseStorage:
    if job.url.endswith(".journal"):
        return JournalStorage(JournalFileBackend(job.url))
    if job.url.startswith("grpc://"):
        host, port = job.url.removeprefix("grpc://").split(":")
        return GrpcStorageProxy(host=host, port=int(port))
    # Tables are made by the parent: eight workers that do it at once are busy for seconds.
    made = multiprocessing.parent_process() is not None
    options: dict[str, Any] = {"skip_compatibility_check": made, "skip_table_creation": made}
    if job.url.startswith("sqlite"):
        return RDBStorage(job.url, engine_kwargs={"connect_args": {"timeout": 60}}, **options)
    options["engine_kwargs"] = {"pool_pre_ping": True}
    if job.heartbeat:
        options["heartbeat_interval"] = job.heartbeat
        options["grace_period"] = 2 * job.heartbeat
        options["heartbeat_stale_trial_callback"] = RetryCallback(max_retry=3)
    return RDBStorage(job.url, **options)


@contextmanager
def opened(job: Job, sampler: optuna.samplers.BaseSampler | None = None) -> Iterator[Study]:
    """Open the study, and close its connections in the end."""
    storage = open_storage(job)
    try:
        yield optuna.create_study(
            storage=storage, study_name=job.name, sampler=sampler, load_if_exists=True
        )
    finally:
        storage.remove_session()
        if isinstance(storage, RDBStorage):
            storage.engine.dispose()
        if isinstance(storage, GrpcStorageProxy):
            storage.close()


def trials(job: Job) -> list[FrozenTrial]:
    with opened(job) as study:
        return study.get_trials(deepcopy=False)


def records(job: Job) -> Sequence[AdviceRecord]:
    with opened(job) as study:
        return AdviceStore.of(study).read().records


@contextmanager
def grpc_proxy(url: str) -> Iterator[str]:
    """Serve a storage over gRPC from a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = context().Process(target=_serve, args=(url, port))
    server.start()
    try:
        proxy = GrpcStorageProxy(host="127.0.0.1", port=port)
        proxy.wait_server_ready(timeout=60)
        proxy.close()
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.kill()
        server.join()


def _serve(url: str, port: int) -> None:
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
    run_grpc_proxy_server(storage, host="127.0.0.1", port=port)


# --- the model ------------------------------------------------------------------------------


class Model:
    """Takes its time, writes its calls into a file, and says the same to the same question."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __call__(self, request: Request) -> str:
        note(self._job, "calls", pid=os.getpid(), at=time.time())
        time.sleep(self._job.latency)
        text = request.messages[-1]["content"]
        rng = random.Random(hashlib.sha256(text.encode()).digest())
        # A coarse grid: models like round numbers, and repeat what they said already.
        configs = [
            {
                "x": float(rng.randint(-9, 9)),
                "y": rng.choice([1e-4, 1e-3, 1e-2]),
                "n": rng.randint(1, 9),
                "kind": rng.choice(["a", "b", "None"]),
                "why": "a round number",
            }
            for _ in range(12)
        ]
        note(self._job, "answers", pid=os.getpid(), at=time.time())
        return json.dumps({"configs": configs, "note": "?"})


class MoodyModel(Model):
    """Good for two calls, then bad for two, and so on. Never says the same twice."""

    def __call__(self, request: Request) -> str:
        is_good = len(noted(self._job, "calls")) // 2 % 2 == 0
        note(self._job, "calls", pid=os.getpid(), at=time.time())
        time.sleep(self._job.latency)
        low, high = (0.0, 2.0) if is_good else (8.0, 10.0)
        configs = [
            {
                "x": random.choice([-1, 1]) * random.uniform(low, high),
                "y": 10 ** random.uniform(-5, -1),
                "n": random.randint(1, 3) if is_good else random.randint(7, 9),
                "kind": random.choice(["a", "b", "None"]),
                "why": "?",
            }
            for _ in range(16)
        ]
        return json.dumps({"configs": configs, "note": "?"})


def note(job: Job, what: str, **fields: Any) -> None:
    with (job.folder / f"{what}.jsonl").open("a") as file:
        file.write(json.dumps(fields) + "\n")


def noted(job: Job, what: str) -> list[dict[str, Any]]:
    path = job.folder / f"{what}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# --- workers --------------------------------------------------------------------------------


class TimedSampler(LLMSampler):
    """Measures how long a trial spends with the sampler before it has its parameters."""

    job: Job

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        waits, start = self._session(study).n_waits, time.monotonic()
        params = super().sample_relative(study, trial, search_space)
        waited = self._session(study).n_waits > waits
        seconds = time.monotonic() - start
        note(self.job, "trials", number=trial.number, seconds=seconds, waited=waited)
        return params


def make_sampler(job: Job) -> LLMSampler:
    arguments = {"base_sampler": RandomSampler(), "search_space": SPACE, **job.arguments}
    sampler = TimedSampler(arguments.pop("llm", FakeLLM(Model(job))), **arguments)
    sampler.job = job
    return sampler


def context() -> ForkServerContext:
    """Processes that are forked from one that has the imports done and no threads."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.support.storages", "openai.resources.chat", *PRELOAD])
    return found


def _work(job: Job, tickets: Semaphore) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def timed(trial: Trial) -> float:
        value = objective(trial)
        note(job, "running", pid=os.getpid(), number=trial.number)
        time.sleep(job.seconds)
        return value

    with opened(job, make_sampler(job)) as study:

        def work() -> None:
            while tickets.acquire(False):
                study.optimize(timed, n_trials=1)
            study._storage.remove_session()

        with ThreadPoolExecutor(job.threads) as pool:
            for done in [pool.submit(work) for _ in range(job.threads)]:
                done.result()


@contextmanager
def workers(job: Job, n: int, n_trials: int) -> Iterator[Sequence[ForkServerProcess]]:
    """Start workers that share a number of trials; kill those that are left in the end."""
    with opened(job):
        pass
    tickets = context().Semaphore(n_trials)
    processes = [context().Process(target=_work, args=(job, tickets)) for _ in range(n)]
    try:
        for process in processes:
            process.start()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def join(processes: Sequence[ForkServerProcess], seconds: float = 120) -> list[int | None]:
    """Wait until all have ended, and return their exit codes."""
    end = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    return [process.exitcode for process in processes]


def run(job: Job, n: int, n_trials: int) -> list[FrozenTrial]:
    """Run a study to its end and return its trials."""
    with workers(job, n, n_trials) as processes:
        assert join(processes) == [0] * n
    return trials(job)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def source(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get("llm_source"))
