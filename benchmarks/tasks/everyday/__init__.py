"""Eleven small trainings with ranges as people write them, on data made from seeds.

Weight decay without ``log``, momentum to .99, dropout from 0 to 1, thousands of iterations,
regularisation over eight decades: such ranges reach far beyond what is good, and their middles are
bad. First proposals of small models are chosen and shown here, one family left out at a time
(decisions.md, "First proposals of small models"). Each training is its own family.

Scales are those of ``benchmarks/tasks/search.py``, for the four in PyTorch of 60 or 100 random
configurations and of some hundred trials of the comparisons; a value that a study found below the
optimum became the optimum.
"""

from __future__ import annotations

from importlib import import_module

from .._task import Task


_MODULES = {
    "sgd": "networks",
    "adam": "networks",
    "images": "sequences",
    "attention": "sequences",
    "histograms": "trees",
    "boosting": "trees",
    "forest": "trees",
    "linear": "linear",
    "svr": "linear",
    "net": "linear",
    "maze": "maze",
}


def everyday_names() -> tuple[str, ...]:
    """Names of the eleven tasks, as ``everyday/name``."""
    return tuple(f"everyday/{name}" for name in _MODULES)


def load_everyday(name: str) -> Task:
    """Import the module of one task; nothing is trained yet."""
    # Not at the top: two of them need PyTorch, which takes seconds to import.
    module = import_module(f".{_MODULES[name.removeprefix('everyday/')]}", __package__)
    tasks: dict[str, Task] = {task.name: task for task in module.TASKS}
    return tasks[name]
