"""Parameter names that are long, or could be taken for more than names, exchanged in a question.

A name of 200 characters would be written by the model again in every configuration, and some
endpoints limit the names in a schema. A name such as ``<|im_end|>`` would end the user's turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set
from dataclasses import replace
from typing import Any
from typing import TypeVar

from .._study.summary import StudySummary
from .._study.summary import TrialSummary
from .advice import Advice
from .question import Question


MAX_NAME_CHARS = 40
_HEAD, _TAIL = 20, 14

# Of tags, marks of chat templates, and fences around code.
_ODD = "<>|`"

_T = TypeVar("_T")


def _is_odd(name: str) -> bool:
    return not name.isprintable() or any(c in name for c in _ODD)


def short_names(names: Set[str] | Mapping[str, Any]) -> dict[str, str]:
    """Return a form for each name that cannot be used; it stays an identifier if it was one."""
    found: dict[str, str] = {}
    taken = {name for name in names if len(name) <= MAX_NAME_CHARS and not _is_odd(name)}
    for name in names:
        if name in taken:
            continue
        plain, n = "".join("_" if c in _ODD or not c.isprintable() else c for c in name), 2
        head, tail = plain[:_HEAD], plain[-_TAIL:]
        short = f"{head}__{tail}" if len(name) > MAX_NAME_CHARS else plain
        while short in taken:
            short, n = f"{head}_{n}_{tail}", n + 1
        taken.add(short)
        found[name] = short
    return found


def renamed(of: Mapping[str, _T], names: Mapping[str, str]) -> dict[str, _T]:
    """Exchange the keys that have another name."""
    return {names.get(name, name): value for name, value in of.items()}


def shortened(question: Question, short: Mapping[str, str]) -> Question:
    """Write a question with short names throughout."""
    if not short:
        return question
    return replace(
        question,
        space=renamed(question.space, short),
        summary=_digest(question.summary, short),
        param_notes=renamed(question.param_notes, short),
        optional=frozenset(short.get(name, name) for name in question.optional),
        conditions={n: renamed(c, short) for n, c in renamed(question.conditions, short).items()},
        untried=renamed(question.untried, short),
        earlier=tuple(
            replace(study, best=tuple((renamed(params, short), v) for params, v in study.best))
            for study in question.earlier
        ),
    )


def restored(advice: Advice, short: Mapping[str, str]) -> Advice:
    """Write an advice with the names as they are."""
    if not short:
        return advice
    long = {alias: name for name, alias in short.items()}
    configs = tuple(replace(c, params=renamed(c.params, long)) for c in advice.configs)
    return replace(advice, configs=configs)


def _digest(summary: StudySummary, short: Mapping[str, str]) -> StudySummary:
    failing = []
    for words in summary.failing:
        for name, alias in short.items():
            words = words.replace(name, alias)
        failing.append(words)
    return replace(
        summary,
        finished=tuple(_shown(trial, short) for trial in summary.finished),
        running=tuple(_shown(trial, short) for trial in summary.running),
        failed=tuple(_shown(trial, short) for trial in summary.failed),
        failing=tuple(failing),
        kinds=renamed(summary.kinds, short),
    )


def _shown(trial: TrialSummary, short: Mapping[str, str]) -> TrialSummary:
    return replace(trial, params=renamed(trial.params, short))
