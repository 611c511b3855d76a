"""What leaves the machine, rewritten by the user's own function, and the way back.

Names of parameters and choices are exchanged on the way out and put back in the advice; all other
texts are only rewritten. What quotes names in sentences of our own is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from .._study.space import labels
from .._study.summary import StudySummary
from .._study.summary import TrialSummary
from .._study.warm_start import PriorStudy
from ..errors import RedactionError
from .advice import Advice
from .question import Question
from .short_names import restored
from .short_names import shortened


# From a text to the one that is sent in its place.
Redact: TypeAlias = Callable[[str], str]


class Redaction:
    """A question as it is sent, and the way back for its answer.

    Args:
        question:
            As it is.
        redact:
            The user's function.

    Attributes:
        question:
            As it is sent.

    Raises:
        RedactionError: The function fails, or gives two names or choices the same text.
    """

    def __init__(self, question: Question, redact: Redact) -> None:
        self._redact = redact
        self._names = self._distinct(question.space)
        self._own_names = {sent: name for name, sent in self._names.items()}
        self._choices = {
            name: self._distinct(c for c in distribution.choices if isinstance(c, str))
            for name, distribution in question.space.items()
            if isinstance(distribution, CategoricalDistribution)
        }
        space = {name: self._distribution(name, d) for name, d in question.space.items()}
        self._labels = {
            name: dict(zip(labels(sent), labels(own), strict=True))
            for (name, own), sent in zip(question.space.items(), space.values(), strict=True)
            if isinstance(own, CategoricalDistribution)
            and isinstance(sent, CategoricalDistribution)
        }
        with_choices = replace(
            question,
            space=space,
            task=self._text(question.task),
            param_notes={n: self._text(note) for n, note in question.param_notes.items()},
            summary=self._digest(question.summary),
            conditions={
                child: {parent: self._values(parent, values) for parent, values in where.items()}
                for child, where in question.conditions.items()
            },
            untried={name: self._values(name, v) for name, v in question.untried.items()},
            earlier=tuple(map(self._earlier, question.earlier)),
        )
        self.question = shortened(with_choices, self._names)

    def own(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Write a configuration, in values, with the names and choices as they are."""
        found = {}
        for sent, value in params.items():
            name = self._own_names.get(sent, sent)
            own = {new: old for old, new in self._choices.get(name, {}).items()}
            found[name] = own.get(value, value) if isinstance(value, str) else value
        return found

    def restored(self, advice: Advice) -> Advice:
        """Write an advice with the names and choices as they are."""
        found = restored(advice, self._names)
        configs = tuple(
            replace(config, params={n: self._label(n, v) for n, v in config.params.items()})
            for config in found.configs
        )
        return replace(found, configs=configs)

    # --- one piece --------------------------------------------------------------------------

    def _text(self, text: str) -> str:
        if not text:
            return text
        try:
            sent = self._redact(text)
        except Exception as error:
            raise RedactionError(f"redact raised {type(error).__name__}.") from error
        if not isinstance(sent, str):
            raise RedactionError(f"redact must return a text; got {type(sent).__name__}.")
        return sent

    def _distinct(self, texts: Iterable[str]) -> dict[str, str]:
        found = {text: self._text(text) for text in texts}
        if len(set(found.values())) < len(found) or not all(found.values()):
            raise RedactionError("redact must give every name and every choice a text of its own.")
        return found

    def _distribution(self, name: str, distribution: BaseDistribution) -> BaseDistribution:
        if not isinstance(distribution, CategoricalDistribution):
            return distribution
        return CategoricalDistribution(self._values(name, distribution.choices))

    def _value(self, name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        known = self._choices.get(name, {})
        return known[value] if value in known else self._text(value)

    def _values(self, name: str, values: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(self._value(name, value) for value in values)

    def _label(self, name: str, label: Any) -> Any:
        return self._labels.get(name, {}).get(label, label)

    def _params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._value(name, value) for name, value in params.items()}

    # --- the history ------------------------------------------------------------------------

    def _digest(self, summary: StudySummary) -> StudySummary:
        return replace(
            summary,
            metric_names=tuple(map(self._text, summary.metric_names)),
            constraints=tuple(map(self._text, summary.constraints)),
            finished=tuple(map(self._shown, summary.finished)),
            running=tuple(map(self._shown, summary.running)),
            failed=tuple(map(self._shown, summary.failed)),
            failing=(),
        )

    def _shown(self, shown: TrialSummary) -> TrialSummary:
        return replace(
            shown,
            params=self._params(shown.params),
            violated={self._text(name): x for name, x in shown.violated.items()},
            error=self._text(shown.error),
            why=self._text(shown.why),
            attrs={
                self._text(name): self._text(value) if isinstance(value, str) else value
                for name, value in shown.attrs.items()
            },
        )

    def _earlier(self, study: PriorStudy) -> PriorStudy:
        return replace(
            study,
            name=self._text(study.name),
            goals=tuple(map(self._text, study.goals)),
            best=tuple((self._params(params), values) for params, values in study.best),
        )
