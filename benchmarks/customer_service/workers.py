"""One worker, and several of them as processes that share the storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import hashlib
import multiprocessing
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Semaphore
import os
import signal
import socket
import time

import optuna
import torch

from .config import Config
from .objective import make_pruner, make_sampler, Objective, worker_name
from .storage import bury, connect


POLL = 0.5
# How long a worker may take to tell its trial when it is asked to stop, in seconds.
GRACE = 15.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        troubles:
            One line for each worker that died.
        interrupted:
            Whether it was stopped by Ctrl-C.
    """

    troubles: tuple[str, ...] = ()
    interrupted: bool = False


def worker_seed(seed: int, index: int, start: int) -> int:
    """Return the sampler's seed of a worker: another one for each, and for each continuation."""
    digest = hashlib.sha256(f"{seed}:{index}:{start}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def run_worker(
    config: Config,
    index: int,
    take: Callable[[], bool],
    *,
    start: int = 0,
    objective: Objective | None = None,
    after: Callable[[], None] | None = None,
) -> None:
    """Run trials as long as there are any to take.

    Args:
        config:
            The run. Its study exists.
        index:
            The worker's number.
        take:
            Takes one trial from those that are left; false when none is.
        start:
            How many trials the study had when the run began.
        objective:
            The objective function if there is one already.
        after:
            Called after each trial.
    """
    torch.set_num_threads(config.threads)
    objective = Objective(config, index) if objective is None else objective
    with connect(config.storage) as storage:
        study = optuna.load_study(
            study_name=config.study,
            storage=storage,
            sampler=make_sampler(config, objective, worker_seed(config.seed, index, start)),
            pruner=make_pruner(config, objective),
        )
        while take():
            # A trial that fails is a result too: the model is told, and the others go on.
            study.optimize(objective, n_trials=1, catch=(Exception,))
            if after is not None:
                after()


def run_here(
    config: Config,
    n_trials: int,
    objective: Objective,
    study: optuna.Study,
    tick: Callable[[], None],
) -> Outcome:
    """Run all trials in this process; ``tick`` is called after each."""
    start = len(study.get_trials(deepcopy=False))
    left = iter(range(n_trials))
    verbosity = optuna.logging.get_verbosity()
    handler = signal.signal(signal.SIGINT, _interrupt)
    try:
        run_worker(
            config,
            0,
            lambda: next(left, None) is not None,
            start=start,
            objective=objective,
            after=tick,
        )
    except KeyboardInterrupt:
        return Outcome(interrupted=True)
    finally:
        signal.signal(signal.SIGINT, handler)
        optuna.logging.set_verbosity(verbosity)
    return Outcome()


def run_processes(
    config: Config, n_trials: int, n_workers: int, study: optuna.Study, tick: Callable[[], None]
) -> Outcome:
    """Run the trials in worker processes, and survive what happens to them.

    Args:
        config:
            The run.
        n_trials:
            Trials of all workers together.
        n_workers:
            Number of processes.
        study:
            The study of the run.
        tick:
            Called twice a second while workers run.
    """
    # Processes are spawned: torch and llama.cpp have threads, which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    # A semaphore rather than a locked counter: a killed worker cannot take it along.
    tickets = context.Semaphore(n_trials)
    start = len(study.get_trials(deepcopy=False))
    processes = [
        context.Process(target=_child, args=(config, i, start, tickets), name=f"worker {i}")
        for i in range(min(n_workers, n_trials))
    ]
    troubles: list[str] = []
    try:
        _start(processes)
        alive = list(processes)
        while alive:
            alive[0].join(POLL)
            for process in [p for p in alive if not p.is_alive()]:
                alive.remove(process)
                troubles += _autopsy(process, study)
            tick()
    except KeyboardInterrupt:
        _stop(processes)
        for process in processes:
            _autopsy(process, study)
        return Outcome(tuple(troubles), interrupted=True)
    finally:
        _stop(processes)
    return Outcome(tuple(troubles))


def bury_orphans(study: optuna.Study) -> list[int]:
    """Fail the trials that dead processes of this machine left running, in an earlier run."""
    here = f"{socket.gethostname()}:"
    return bury(
        study, lambda name: name.startswith(here) and not _is_alive(int(name.rpartition(":")[2]))
    )


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # where signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _interrupt(*_: object) -> None:
    """End the trial without the page of traceback that Optuna logs for it."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    raise KeyboardInterrupt


def _child(config: Config, index: int, start: int, tickets: Semaphore) -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parent = multiprocessing.parent_process()

    def take() -> bool:
        return (parent is None or parent.is_alive()) and tickets.acquire(False)

    try:
        run_worker(config, index, take, start=start)
    except KeyboardInterrupt:
        pass  # the parent has asked for it, and Optuna has failed the trial


def _start(processes: Sequence[BaseProcess]) -> None:
    # Ctrl-C in a terminal reaches all processes. Workers inherit that they ignore it, so that each
    # is stopped once, by its parent, and not a second time while it tells its trial.
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for process in processes:
            process.start()
    finally:
        signal.signal(signal.SIGINT, old)


def _stop(processes: Sequence[BaseProcess]) -> None:
    started = [process for process in processes if process.pid is not None]
    for process in started:
        process.terminate()
    end = time.monotonic() + GRACE
    for process in started:
        process.join(max(end - time.monotonic(), 0.0))
        if process.is_alive():
            process.kill()
            process.join()


def _autopsy(process: BaseProcess, study: optuna.Study) -> list[str]:
    """Fail what a dead worker left running, and say how it ended unless it ended well."""
    if process.pid is None:
        return []
    name = worker_name(process.pid)
    numbers = bury(study, lambda worker: worker == name)
    if not process.exitcode:
        return []
    code = process.exitcode
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    lost = f"; its trial {numbers[0]} has failed" if numbers else ""
    return [f"{process.name} (process {process.pid}) {how}{lost}"]
