"""Eight tasks that no paper, table or repository has, so that no model can recall their answers.

Data and simulations are made in these modules, from seeds of their own. What the product is tuned
on is ``FRESH_DEV``. ``FRESH_HELD_OUT`` is for the last measurement alone: whoever looks at results
there while a rule or a prompt is being chosen, spoils it.

Every module here has one ``TASK``. A scale is searched as ``benchmarks/tasks/search.py`` does it,
and then once more around the best configurations; a value that any study found below that became
the optimum.
"""

from __future__ import annotations

from importlib import import_module

from .._task import Task


FRESH_DEV = ("fresh-net", "fresh-kernel", "fresh-cache", "fresh-forecast")
FRESH_HELD_OUT = ("fresh-boost", "fresh-text", "fresh-stock", "fresh-recommend")


def fresh_names() -> tuple[str, ...]:
    """Names of the eight tasks, those that are held out last."""
    return FRESH_DEV + FRESH_HELD_OUT


def load_fresh(name: str) -> Task:
    """Import the module of one task; nothing is trained yet."""
    # Not at the top: one of them needs PyTorch, which takes seconds to import.
    module = import_module(f".{name.removeprefix('fresh-')}", __package__)
    task: Task = module.TASK
    return task
