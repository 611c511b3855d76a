"""Storages that several processes can share, and the study in them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.storages import JournalStorage
from optuna.storages import RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal import JournalFileOpenLock
from optuna.trial import TrialState

from .._postgres import embedded_postgres
from .config import Config
from .objective import WORKER


EMBEDDED_POSTGRES = "embedded-postgres"

_JOURNAL = ".journal"
_PROBLEM = "customer_service:problem"
# A trial of a machine that is gone is told to have failed after twice this time, in seconds.
_HEARTBEAT = 30


class StudyError(ValueError):
    """The study in the storage is another one than the run is about."""


@contextmanager
def serve(storage: str, folder: Path) -> Iterator[str]:
    """Yield a storage as workers can open it; PostgreSQL is started where it is asked for."""
    if storage == EMBEDDED_POSTGRES:
        with embedded_postgres(folder / "postgres") as url:
            yield url
    else:
        yield storage


@contextmanager
def connect(storage: str) -> Iterator[BaseStorage]:
    """Open a journal file (``*.journal``) or what an SQLAlchemy URL names."""
    opened = _open(storage)
    try:
        yield opened
    finally:
        if isinstance(opened, RDBStorage):
            opened.engine.dispose()  # else its connections stay open until they are collected


def _open(storage: str) -> BaseStorage:
    if storage.endswith(_JOURNAL):
        Path(storage).parent.mkdir(parents=True, exist_ok=True)
        # Windows allows links only to administrators.
        lock = JournalFileOpenLock(storage) if os.name == "nt" else None
        return JournalStorage(JournalFileBackend(storage, lock_obj=lock))
    if storage.startswith("sqlite"):
        return RDBStorage(storage, engine_kwargs={"connect_args": {"timeout": 60}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RDBStorage(storage, heartbeat_interval=_HEARTBEAT)


def open_study(config: Config, storage: BaseStorage) -> optuna.Study:
    """Create the study of a run in a storage, or open it to continue it.

    Raises:
        StudyError: There is such a study, but about another problem.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=config.study,
        directions=config.directions,
        load_if_exists=True,
    )
    known = study.user_attrs.get(_PROBLEM)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(_PROBLEM, config.problem)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(config.metrics)
    elif known != config.problem:
        raise StudyError(
            f"The study {config.study!r} in {config.storage} is about {known}, and this run about "
            f"{config.problem}. Give this one another name with --study."
        )
    return study


def bury(study: optuna.Study, is_dead: Callable[[str], bool]) -> list[int]:
    """Fail the running trials of workers that are dead, and return the trials' numbers.

    Else the samplers would count on results that never come.
    """
    numbers = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if is_dead(trial.user_attrs.get(WORKER, "")):
            study.tell(trial.number, state=TrialState.FAIL)
            numbers.append(trial.number)
    return numbers
