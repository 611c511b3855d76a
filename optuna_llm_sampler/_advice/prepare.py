"""A question → the request that is sent, and the way back for its answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from optuna.distributions import CategoricalDistribution

from .._study.space import labels
from ..errors import NamelessError
from ..llms.base import Request
from ..llms.style import Style
from .prompts import build
from .question import Question
from .renaming import Redact, Renaming


# Parameters are nameless if so many share so many choices and a name of so few letters.
_MIN_NAMELESS, _MIN_CHOICES, _MAX_LETTERS = 4, 4, 2


@dataclass(frozen=True)
class Prepared:
    """A request, and the way back for its answer."""

    request: Request  # what is sent
    question: Question  # what is asked, with the names and choices that are sent
    renaming: Renaming  # restores the own names and choices


def prepare(
    question: Question, style: Style, *, timeout: float, redact: Redact | None = None
) -> Prepared:
    """Prepare the request for a question; ``redact`` rewrites every text that is sent.

    Raises:
        NamelessError: The model cannot know what any of the parameters is.
        RedactionError: The function ``redact`` cannot be used.
    """
    renaming = Renaming(question.space, redact)
    sent = renaming.apply(question)
    if style.samples and (left_out := nameless(sent)):
        space = {name: d for name, d in sent.space.items() if name not in left_out}
        if not space:
            raise NamelessError("No parameter's name says what it is.")
        sent = replace(sent, space=space)
    return Prepared(replace(build(sent, style), timeout=timeout), sent, renaming)


def nameless(question: Question) -> frozenset[str]:
    """Return the parameters that share a list of choices and differ by a number only.

    Small models choose worse than chance for names such as ``Op0`` … ``Op5`` (decisions.md,
    "Nameless parameters"), so these are left to the base sampler. A note on a parameter gives it a
    meaning, and so does a condition.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    conditions = question.conditions
    has_meaning = {
        *question.param_notes,
        *conditions,
        *(p for c in conditions.values() for p in c),
    }
    for name, distribution in question.space.items():
        if not isinstance(distribution, CategoricalDistribution) or name in has_meaning:
            continue
        stem = "".join(c for c in name if c.isalpha())
        if len(stem) <= _MAX_LETTERS and len(distribution.choices) >= _MIN_CHOICES:
            groups.setdefault((stem, labels(distribution)), []).append(name)
    return frozenset(
        name for names in groups.values() if len(names) >= _MIN_NAMELESS for name in names
    )
