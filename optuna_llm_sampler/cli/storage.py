"""Load the study that ``--storage`` and ``--study`` name, or explain in one line why not."""

from __future__ import annotations

from collections.abc import Mapping
import difflib
import os
from pathlib import Path
import re
from typing import TYPE_CHECKING
import warnings

import optuna
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend

from .._study import keys as _keys
from .._study.optuna_internals import all_trials
from .._text import plain
from .common import StudyProblem


if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study


_SQLITE = b"SQLite format 3\x00"
_CONNECT_SECONDS = 10
# Drivers that have the option ``connect_timeout``.
_TIMEOUTS = re.compile(r"(postgresql|postgres|mysql|mariadb)(\+(psycopg2?|pymysql|mysqldb))?://")
_MOST_NAMES = 10


def open_study(url: str, name: str | None) -> Study:
    """Load a study, the only one if no name is given. Creates and changes nothing.

    Raises:
        StudyProblem: There is no such storage or study, or another version wrote it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about experimental storages
        try:
            return _open(url, name)
        except StudyProblem:
            raise
        except Exception as error:  # each database and driver has errors of its own
            raise problem_of(error, url) from error


def _open(url: str, name: str | None) -> Study:
    storage = open_storage(url)
    names = optuna.get_all_study_names(storage)
    study = optuna.load_study(study_name=_chosen(names, name, url), storage=storage)
    versions = {
        plain(value["v"], 20)
        for trial in all_trials(study)
        for key, value in trial.system_attrs.items()
        if key.startswith(_keys.RECORD) and isinstance(value, Mapping) and "v" in value
        if value["v"] != _keys.VERSION
    }
    if versions:
        raise StudyProblem(
            f"The study {plain(study.study_name)!r} was written by another version of "
            f"optuna-llm-sampler (format {', '.join(sorted(versions))}; this one knows "
            f"{_keys.VERSION}).",
            "Run: pip install --upgrade optuna-llm-sampler",
        )
    return study


def open_storage(url: str) -> BaseStorage:
    if "://" not in url:
        return _open_file(Path(url).expanduser())
    if url.startswith(("redis://", "rediss://", "unix://")):
        backend = JournalRedisBackend(url)
        return optuna.storages.JournalStorage(backend)
    if url.startswith("sqlite") and (path := _sqlite_path(url)) is not None:
        _check_file(path)
    arguments = {"connect_args": {"connect_timeout": _CONNECT_SECONDS}}
    return optuna.storages.RDBStorage(
        url,
        engine_kwargs=arguments if _TIMEOUTS.match(url) else None,
        # A misspelt name must not leave an empty database behind.
        skip_table_creation=True,
    )


def _open_file(path: Path) -> BaseStorage:
    _check_file(path)
    with path.open("rb") as file:
        is_sqlite = file.read(len(_SQLITE)) == _SQLITE
    if is_sqlite:
        url = f"sqlite:///{path.absolute()}"
        return optuna.storages.RDBStorage(url, skip_table_creation=True)
    backend = JournalFileBackend(os.fspath(path))
    return optuna.storages.JournalStorage(backend)


def _sqlite_path(url: str) -> Path | None:
    name = url.partition(":///")[2].partition("?")[0]
    return Path(name) if name and ":memory:" not in name and not name.startswith("file:") else None


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise StudyProblem(
            f"There is no file {plain(path)}.",
            "--storage takes a URL as for Optuna (sqlite:///study.db, postgresql://…), or the "
            "path of a SQLite or journal file.",
        )


def _chosen(names: list[str], name: str | None, url: str) -> str:
    shown = ", ".join(repr(plain(n, 60)) for n in sorted(names)[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    if not names:
        raise StudyProblem(f"There is no study in {public(url)}.")
    if name is None:
        if len(names) > 1:
            hint = f"Choose one with --study. There are: {shown}{more}."
            raise StudyProblem(f"There are {len(names)} studies in {public(url)}.", hint)
        return names[0]
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {plain(close[0])!r}?" if close else f"There are: {shown}{more}."
        raise StudyProblem(f"There is no study {plain(name)!r} in {public(url)}.", hint)
    return name


def public(url: str) -> str:
    """Return a URL without user, password and query, which may be secret."""
    return plain(re.sub(r"//[^/]*@", "//", url).partition("?")[0])


def problem_of(error: Exception, url: str) -> StudyProblem:
    """Explain in one line, without secrets, what is wrong with a storage."""
    reason = _reason(error)
    for secret in re.findall(r"//[^/:@]*:([^@]+)@", url):
        reason = reason.replace(secret, "***")
    if "no longer compatible" in reason:
        hint = "Run: pip install --upgrade optuna optuna-llm-sampler"
        if "upgrade" in reason:
            hint = "Run: optuna storage upgrade --storage URL (after a backup)"
        reason = "its tables are of another version of Optuna"
    elif re.search(r"no such table|doesn't exist|does not exist|UndefinedTable", reason):
        hint = "It has no tables of Optuna: check the name of the database."
    elif isinstance(error, ImportError) or "No module named" in reason:
        hint = "Install the driver of that database."
    elif "://" not in url or "not a database" in reason:
        hint = "It is neither a SQLite database nor a journal of Optuna."
    else:
        hint = "Check the address, and that the server runs."
    return StudyProblem(f"The storage {public(url)} cannot be read: {reason}.", hint)


def _reason(error: BaseException) -> str:
    """Return the first line of the driver's error, which Optuna and SQLAlchemy wrap."""
    while error.__cause__ is not None:
        error = error.__cause__
    error = getattr(error, "orig", None) or error
    lines = [line for line in str(error).splitlines() if line.strip()]
    return plain(lines[0] if lines else type(error).__name__, 240).rstrip(".")
