"""A configuration as code: a call, ``dict(lr=0.1)``, or an object, ``{"lr": 0.1}``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import keyword
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from ..._study.labels import find_choice, is_plain, literal
from ..._study.space import labels
from .text import escape, json_text


@dataclass(frozen=True)
class Notation:
    """How a configuration is written as code.

    Attributes:
        braces:
            Whether it is a JSON object. Otherwise it is a call of Python's ``dict``.
    """

    braces: bool

    @property
    def start(self) -> str:
        return "{" if self.braces else "dict("

    @property
    def end(self) -> str:
        return "}" if self.braces else ")"

    def key(self, name: str) -> str:
        """Write a parameter's name and what separates it from the value."""
        return f"{json_text(name)}: " if self.braces else f"{name}="

    def config(self, texts: Mapping[str, str]) -> str:
        """Write a configuration whose values are written already."""
        items = ", ".join(self.key(name) + text for name, text in texts.items())
        return f"{self.start}{items}{self.end}"

    def choices(self, distribution: CategoricalDistribution) -> list[str]:
        """Write each choice as a literal of Python, or of JSON in braces.

        Choices without a literal, such as functions, and those that would be read as another
        choice are written as their label.
        """
        literals = []
        for i, (choice, label) in enumerate(
            zip(distribution.choices, labels(distribution), strict=True)
        ):
            is_label = isinstance(choice, str) or not is_plain(choice)
            value = label if is_label or find_choice(choice, distribution)[0] != i else choice
            literals.append(json_text(value) if self.braces else escape(literal(value)))
        return literals

    def values(self, distribution: BaseDistribution, values: Sequence[Any]) -> list[str]:
        """Write some choices, given by label, or some integers."""
        if not isinstance(distribution, CategoricalDistribution):
            return [str(value) for value in values]
        literals = dict(zip(labels(distribution), self.choices(distribution), strict=True))
        return [literals[value] for value in values]


def notation_for(names: Iterable[str]) -> Notation:
    """Return a notation that can write all of these parameter names."""
    return Notation(not all(n.isidentifier() and not keyword.iskeyword(n) for n in names))


def few_values(distribution: IntDistribution, limit: int) -> range | None:
    """Return the values of an integer, or :obj:`None` if there are more than the limit."""
    n = (distribution.high - distribution.low) // distribution.step + 1  # may be beyond len()
    if n > limit:
        return None
    return range(distribution.low, distribution.high + 1, distribution.step)
