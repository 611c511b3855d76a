"""Names and choices as they are sent, and the way back.

Names of parameters and choices are exchanged in the question and put back in the advice. All other
texts are rewritten by the user's ``redact=`` only, and need no way back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution

from .._study.space import labels, SearchSpace
from .._study.summary import StudySummary, TrialSummary
from .._study.warm_start import PriorStudy
from ..errors import RedactionError
from .advice import Advice
from .question import Question


# From a text to the one that is sent in its place.
Redact: TypeAlias = Callable[[str], str]

# A model repeats a name in every configuration, and some endpoints limit names in a schema.
_MAX_NAME_CHARS = 40
_HEAD, _TAIL = 20, 14
# Characters of tags, marks of chat templates and code fences: ``<|im_end|>`` ends the user's turn.
_UNSAFE = "<>|`"


class Renaming:
    """The names and choices of a space as they are sent.

    Args:
        space:
            The parameters with their own names.
        redact:
            The user's function, applied to every text. :obj:`None`: only names that are too long
            or not safe in a prompt are exchanged.

    Raises:
        RedactionError: The function fails, or gives two names or choices the same text.
    """

    def __init__(self, space: SearchSpace, redact: Redact | None = None) -> None:
        self._redact = redact
        redacted = self._distinct(space)
        short = short_names(redacted.values())
        self._names = {name: short.get(text, text) for name, text in redacted.items()}
        self._own_names = {text: name for name, text in self._names.items()}
        self._choices: dict[str, dict[str, str]] = {}
        self._distributions: dict[str, BaseDistribution] = {}
        self._own_labels: dict[str, dict[str, str]] = {}
        for name, own in space.items():
            if redact is not None and isinstance(own, CategoricalDistribution):
                self._choices[name] = self._distinct(c for c in own.choices if isinstance(c, str))
                sent = CategoricalDistribution(self._values(name, own.choices))
                self._distributions[name] = sent
                self._own_labels[name] = dict(zip(labels(sent), labels(own), strict=True))

    def apply(self, question: Question) -> Question:
        """Return a question as it is sent.

        Raises:
            RedactionError: The user's function fails.
        """
        return replace(
            question,
            space={
                self._name(n): self._distributions.get(n, d) for n, d in question.space.items()
            },
            summary=self._summary(question.summary),
            task=self._text(question.task),
            param_notes={self._name(n): self._text(t) for n, t in question.param_notes.items()},
            optional=frozenset(map(self._name, question.optional)),
            conditions={
                self._name(child): {self._name(n): self._values(n, v) for n, v in parents.items()}
                for child, parents in question.conditions.items()
            },
            untried={self._name(n): self._values(n, v) for n, v in question.untried.items()},
            prior_studies=tuple(map(self._prior_study, question.prior_studies)),
        )

    def restore(self, advice: Advice) -> Advice:
        """Return an advice with the parameters' own names and choices."""
        configs = [
            replace(
                config,
                params={
                    name: self._own_labels.get(name, {}).get(label, label)
                    for name, label in self._with_own_names(config.params).items()
                },
            )
            for config in advice.configs
        ]
        return replace(advice, configs=tuple(configs))

    def restore_values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration, in Optuna's values, with its own names and choices."""
        found = self._with_own_names(params)
        for name, choices in self._choices.items():
            own = {sent: choice for choice, sent in choices.items()}
            if isinstance(found.get(name), str):
                found[name] = own.get(found[name], found[name])
        return found

    def _with_own_names(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self._own_names.get(name, name): value for name, value in params.items()}

    # --- one piece --------------------------------------------------------------------------

    def _text(self, text: str) -> str:
        if not text or self._redact is None:
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
        if self._redact is not None and (
            len(set(found.values())) < len(found) or not all(found.values())
        ):
            raise RedactionError("redact must give every name and every choice a text of its own.")
        return found

    def _name(self, name: str) -> str:
        return self._names.get(name, name)

    def _value(self, name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        choices = self._choices.get(name, {})
        return choices[value] if value in choices else self._text(value)

    def _values(self, name: str, values: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(self._value(name, value) for value in values)

    def _params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self._name(name): self._value(name, value) for name, value in params.items()}

    # --- the history ------------------------------------------------------------------------

    def _summary(self, summary: StudySummary) -> StudySummary:
        return replace(
            summary,
            metric_names=tuple(map(self._text, summary.metric_names)),
            constraints=tuple(map(self._text, summary.constraints)),
            finished=tuple(map(self._trial, summary.finished)),
            running=tuple(map(self._trial, summary.running)),
            failed=tuple(map(self._trial, summary.failed)),
            # These sentences quote names and choices: redacted, they are left out.
            failing=() if self._redact else tuple(map(self._sentence, summary.failing)),
            kinds={self._name(name): kind for name, kind in summary.kinds.items()},
        )

    def _sentence(self, sentence: str) -> str:
        for name, sent in self._names.items():
            if sent != name:
                sentence = sentence.replace(name, sent)
        return sentence

    def _trial(self, trial: TrialSummary) -> TrialSummary:
        return replace(
            trial,
            params=self._params(trial.params),
            violated={self._text(name): amount for name, amount in trial.violated.items()},
            error=self._text(trial.error),
            why=self._text(trial.why),
            attrs={
                self._text(name): self._text(value) if isinstance(value, str) else value
                for name, value in trial.attrs.items()
            },
        )

    def _prior_study(self, study: PriorStudy) -> PriorStudy:
        return replace(
            study,
            name=self._text(study.name),
            goals=tuple(map(self._text, study.goals)),
            best=tuple((self._params(params), values) for params, values in study.best),
        )


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return another name for each that is too long or not safe in a prompt.

    An identifier is replaced by an identifier.
    """
    names = list(names)
    found: dict[str, str] = {}
    taken = {name for name in names if len(name) <= _MAX_NAME_CHARS and _is_safe(name)}
    for name in names:
        if name in taken:
            continue
        safe, n = "".join(c if _is_safe(c) else "_" for c in name), 2
        head, tail = safe[:_HEAD], safe[-_TAIL:]
        short = f"{head}__{tail}" if len(name) > _MAX_NAME_CHARS else safe
        while short in taken:
            short, n = f"{head}_{n}_{tail}", n + 1
        taken.add(short)
        found[name] = short
    return found


def _is_safe(name: str) -> bool:
    return name.isprintable() and not any(c in name for c in _UNSAFE)
