"""The same workers as Ray tasks, on as many machines as a Ray cluster has.

Ray places the workers, starts them again elsewhere when their node dies, and keeps what is left to
do. The study is Optuna's: nothing but its storage holds a result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import os
from pathlib import Path
import time
from typing import Any

import optuna

from optuna_llm_sampler.errors import need

from .config import Config, UsageError
from .objective import worker_name
from .storage import bury, connect
from .workers import GRACE, Outcome, POLL, run_worker


# How often a worker is started again after its node or its process has died.
_RETRIES = 3


class Tickets:
    """The trials that are left, and who holds one. A Ray actor beside the driver.

    Args:
        n:
            Number of trials.
    """

    def __init__(self, n: int) -> None:
        self._left = n
        self._workers: dict[int, str] = {}
        self._holders: set[int] = set()

    def enter(self, index: int, name: str) -> str | None:
        """Begin as a worker, and get the name of the one that has died as the same, if any."""
        dead = self._workers.get(index)
        self._workers[index] = name
        if index in self._holders:  # its trial is to be run again
            self._holders.remove(index)
            self._left += 1
        return dead

    def take(self, index: int) -> bool:
        """Give back the ticket of a trial that was run, and take another if there is any."""
        self._holders.discard(index)
        if self._left == 0:
            return False
        self._left -= 1
        self._holders.add(index)
        return True

    def name(self, index: int) -> str | None:
        return self._workers.get(index)


def run_ray(
    config: Config,
    n_trials: int,
    n_workers: int,
    study: optuna.Study,
    tick: Callable[[], None],
    *,
    address: str | None = None,
) -> Outcome:
    """Run the trials in Ray tasks.

    Args:
        config:
            The run.
        n_trials:
            Trials of all workers together; one that a dying node interrupts is run again.
        n_workers:
            Number of tasks.
        study:
            The study of the run.
        tick:
            Called twice a second while workers run.
        address:
            Of the cluster, ``"auto"`` for one on this machine. :obj:`None`: what ``RAY_ADDRESS``
            names, else Ray is started here.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: There is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    ray = need("ray", "--engine ray", "ray")
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(
                address=address,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="warning",
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UsageError(f"Ray cannot be reached at {address}: {reason}") from error
    try:
        return _run(ray, _absolute(config), n_trials, min(n_workers, n_trials), study, tick)
    finally:
        if ours:
            ray.shutdown()


def _absolute(config: Config) -> Config:
    """Name files so that they are found from another working folder."""
    paths = {"storage": config.storage, "data": config.data, "encoder": config.encoder}
    found = {
        name: str(Path(path).resolve())
        for name, path in paths.items()
        if path.endswith(".journal") or Path(path).is_dir()
    }
    return replace(config, **found)  # type: ignore[arg-type]


def _run(
    ray: Any,
    config: Config,
    n_trials: int,
    n_workers: int,
    study: optuna.Study,
    tick: Callable[[], None],
) -> Outcome:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Where this process is, because the run ends anyway when that node does.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(num_cpus=0, scheduling_strategy=here)(Tickets)
    tickets = actor.remote(n_trials)
    task = ray.remote(num_cpus=config.threads, max_retries=_RETRIES)(_work)
    start = len(study.get_trials(deepcopy=False))
    workers = {task.remote(config, i, start, tickets): i for i in range(n_workers)}
    troubles: list[str] = []
    pending = list(workers)
    try:
        while pending:
            done, pending = ray.wait(pending, timeout=POLL)
            for worker in done:
                troubles += _autopsy(ray, worker, workers[worker], tickets, study)
            tick()
    except KeyboardInterrupt:
        for worker in pending:
            ray.cancel(worker)  # raises KeyboardInterrupt there
        end = time.monotonic() + GRACE
        _, late = ray.wait(pending, num_returns=len(pending), timeout=GRACE)
        for worker in late:
            ray.cancel(worker, force=True)
        ray.wait(pending, num_returns=len(pending), timeout=max(end - time.monotonic(), 1.0))
        for worker in pending:
            _bury(ray.get(tickets.name.remote(workers[worker])), study)
        return Outcome(tuple(troubles), interrupted=True)
    return Outcome(tuple(troubles))


def _work(config: Config, index: int, start: int, tickets: Any) -> None:
    """Be one worker; runs in a process of Ray's."""
    import ray

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    dead = ray.get(tickets.enter.remote(index, worker_name()))
    if dead is not None:
        with connect(config.storage) as storage:
            study = optuna.load_study(study_name=config.study, storage=storage)
            _bury(dead, study)
            start = len(study.get_trials(deepcopy=False))  # for another seed than the dead one's
    run_worker(config, index, lambda: bool(ray.get(tickets.take.remote(index))), start=start)


def _bury(name: str | None, study: optuna.Study) -> list[int]:
    return bury(study, lambda worker: worker == name)


def _autopsy(ray: Any, worker: Any, index: int, tickets: Any, study: optuna.Study) -> list[str]:
    """Fail what a dead worker left running, and say how it ended unless it ended well."""
    try:
        ray.get(worker)
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        numbers = _bury(ray.get(tickets.name.remote(index)), study)
        lost = f"; its trial {numbers[0]} has failed" if numbers else ""
        return [f"worker {index} ended: {lines[-1]}{lost}"]
    return []
