"""What is asked, and in which styles: every cell of the comparison by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.tasks import load, table_names
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._study.summary import StudySummary
from optuna_llm_sampler.llms import CODE, JSON, SCRIPT, Style

from .boxes import PROBLEMS
from .bump import bump_names, bump_question


@dataclass(frozen=True)
class Way:
    """A style, and whether the user has written a phrase on each parameter."""

    style: Style
    notes: bool = False


# Of the three things that set the style as code apart, one at a time is
# taken back.
WAYS: Mapping[str, Way] = {
    "code": Way(CODE),
    "code, notes": Way(CODE, notes=True),
    "code, bounds": Way(replace(CODE, bounds=True)),
    "code, no exponents": Way(replace(CODE, exponents=False)),
    "code, not begun": Way(replace(CODE, prefill=False)),
    "script": Way(SCRIPT),
    "json": Way(JSON),
    "json, no bounds": Way(replace(JSON, bounds=False)),
}

BOXED = {problem.name: problem for problem in PROBLEMS}


def problem_names() -> tuple[str, ...]:
    """The five classic problems, the tables, and the bump with a history."""
    return (*BOXED, *table_names(), *bump_names())


def question(problem: str, way: Way, seed: int) -> Question:
    """Make one question. Seeds lie far apart, because llama.cpp counts on from them."""
    request_seed = 1000 * (seed + 1)
    if problem in bump_names():
        return bump_question(problem, seed, request_seed)
    none = StudySummary(("minimize",), ("",))
    if problem in BOXED:
        boxed = BOXED[problem]
        return Question(boxed.search_space, none, task=boxed.task, seed=request_seed)
    task = load(problem)
    notes = task.param_notes if way.notes else {}
    return Question(
        task.search_space, none, task=task.description, param_notes=notes, seed=request_seed
    )
