"""A search space → the documented defaults of what is tuned. Pure functions of plain data.

How to call it::

    found = documented_defaults(space, estimators, task, conditions)

where ``estimators`` is what :func:`.loaded.loaded_estimators` returns. ``found`` is :obj:`None` in
most spaces.

What is tuned is recognised by the names of its parameters alone: the class that shares most names
with the space, at least two and half of them. What all names begin or end with does not count
(``svc_C``, ``svc_gamma``). The rule is cautious, because a wrong default costs a trial: where
several classes share as many names, only values on which they agree count, and half of the
parameters must have one. The steps of a pipeline and the branches of a space are recognised each
by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
import re
from typing import Any, TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution

from ..._study.conditions import Conditions, grouped
from ..._study.labels import literal
from ..._study.space import coerce, Coerced, SearchSpace


_MIN_NAMES = 2
# Names that any formula or loop may have, as single letters are. They identify a class only if
# they are the whole space.
_VAGUE = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "eps", "eta", "theta", "kappa", "lambda"),
    *("mu", "nu", "rho", "sigma", "tau", "omega"),
    *("seed", "random_state", "tol", "max_iter", "n_iter", "n_jobs", "verbose"),
}
_MAX_NAMED = 4
# "SVC" of "svm__SVC"; scikit-learn's pipelines write the parameters of a step like this.
_STEP = "__"
_KIND = re.compile(r"(Classifier|Regressor|Model)$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+")
# By parameter, the values with which others are used.
_Where: TypeAlias = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Estimator:
    """A class with the defaults of its arguments."""

    name: str  # the full name under which users import it: `"sklearn.svm.SVC"`
    defaults: Mapping[str, Any]  # by name of argument; None where it has none that is a value


@dataclass(frozen=True)
class DocumentedDefaults:
    """Documented defaults as a search space allows them."""

    # What has these defaults, one text for each step of a pipeline. Classes that fit equally well
    # are all named: `"sklearn.svm.SVC, SVR or NuSVR"`.
    sources: tuple[str, ...]
    values: Mapping[str, Any]  # at least one legal value by parameter name

    def __str__(self) -> str:
        values = ", ".join(f"{name}={literal(value)}" for name, value in self.values.items())
        return f"defaults of {' and '.join(self.sources)}: {values}"


def documented_defaults(
    space: SearchSpace,
    estimators: Sequence[Estimator],
    task: str = "",
    conditions: Conditions | None = None,
) -> DocumentedDefaults | None:
    """Recognise what is tuned, and return its defaults where the space allows them.

    Of a space with branches, these are the defaults of the first branch that is recognised, with
    the choices that lead to it.

    Args:
        space:
            The parameters.
        estimators:
            Classes that may be meant.
        task:
            What is tuned, in the user's words: decides between classes that fit equally well.
        conditions:
            When conditional parameters are used.
    """
    conditions = conditions or {}
    sources: list[str] = []
    values: dict[str, Any] = {}
    for where, names in _groups(space, conditions):
        if values.keys() & {*where, *names}:
            continue  # it belongs to what is recognised, or to another branch
        label = " ".join(str(allowed[0]) for allowed in where.values())
        for step, short in _steps(names).items():
            match = _match(short, space, estimators, [f"{label} {step}", task])
            if match is None:
                continue
            source, found = match
            sources.append(source)
            for name in found:
                for parent, allowed in _outermost(name, conditions).items():
                    values.setdefault(parent, _legal(allowed[0], space[parent]))
            values |= found
    return DocumentedDefaults(tuple(dict.fromkeys(sources)), values) if values else None


def _match(
    names: Mapping[str, str],
    space: SearchSpace,
    estimators: Sequence[Estimator],
    words: Sequence[str],
) -> tuple[str, dict[str, Any]] | None:
    """Recognise the class that parameters are arguments of.

    Args:
        names:
            Names in the space by name of argument, perhaps with an affix.
        space:
            The parameters.
        estimators:
            Classes that may be meant.
        words:
            Texts that may say which of several classes is meant, the more exact one first.

    Returns:
        The source and the values by name in the space, if half of the parameters have one.
    """
    for affix, short in _shortened(names):
        best = _fitting(short, estimators)
        said = ([e for e in best if _is_said(e, text)] for text in (affix, *words))
        best = next(filter(None, said), best)
        found = {
            full: legal
            for name, full in short.items()
            if (legal := _agreed(name, best, space[full])) is not _NOTHING
        }
        if 2 * len(found) >= len(names):
            return _named(best), found
    return None


def _named(estimators: Sequence[Estimator]) -> str:
    """Name classes that fit equally well, a classifier and its regressor once."""
    if len(estimators) == 1:
        return estimators[0].name
    stems = [_KIND.sub("", each.name) for each in estimators]
    first, *others = dict.fromkeys([stems[0], *(_own(stem) for stem in stems)])
    short = [name for name in others if name != _own(first)]
    names = [first, *short[: _MAX_NAMED - 1]]
    if len(short) >= _MAX_NAMED:
        names.append(f"{len(short) - _MAX_NAMED + 1} more")
    return f"{', '.join(names[:-1])} or {names[-1]}" if names[1:] else first


def _own(full: str) -> str:
    return full.rpartition(".")[2]


def _groups(space: SearchSpace, conditions: Conditions) -> list[tuple[_Where, list[str]]]:
    """Return names that may belong together, and the choices that lead to them.

    First comes the whole space, without steps of a pipeline that are part of a branch; then all
    that depends on the same choices.
    """
    always = [names for names in _steps(space).values() if names.values() - conditions.keys()]
    first: tuple[_Where, list[str]] = ({}, [full for step in always for full in step.values()])
    return [first, *grouped(conditions, lambda name: _outermost(name, conditions))]


def _outermost(name: str, conditions: Conditions) -> _Where:
    """Return the choices that a parameter depends on, and which do not depend on others."""
    found: _Where = {}
    for parent, allowed in conditions.get(name, {}).items():
        found |= _outermost(parent, conditions) or {parent: allowed}
    return found


def _steps(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the names in the space by step of a pipeline and name of argument."""
    steps: dict[str, dict[str, str]] = {}
    for full in names:
        step, _, name = full.rpartition(_STEP)
        steps.setdefault(step, {})[name] = full
    return steps


def _shortened(names: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the names as they are, and without words that all of them begin or end with."""
    yield "", dict(names)
    for step in (1, -1):
        common = commonprefix([name[::step] for name in names])
        for end in (i + 1 for i, c in enumerate(common) if c == "_"):
            short = {name[::step][end:][::step]: full for name, full in names.items()}
            if "" not in short:
                yield common[:end][::step].strip("_"), short


def _fitting(names: Iterable[str], estimators: Sequence[Estimator]) -> list[Estimator]:
    """Return the classes that share most names, if these are enough to recognise one."""
    wanted = frozenset(names)
    shared = [wanted & each.defaults.keys() for each in estimators]
    most = max(map(len, shared), default=0)
    if most < _MIN_NAMES or 2 * most < len(wanted):
        return []
    return [
        each
        for each, own in zip(estimators, shared, strict=True)
        if len(own) == most and (own == wanted or any(not _is_vague(name) for name in own))
    ]


def _is_vague(name: str) -> bool:
    return len(name) == 1 or name in _VAGUE


def _is_said(estimator: Estimator, task: str) -> bool:
    """Tell whether words name the class or its library, as in "a random forest" or "XGBoost"."""
    library, _, _ = estimator.name.partition(".")
    stem = _KIND.sub("", _own(estimator.name))
    parts = _WORD.findall(stem)
    initials = "".join(part[0] for part in parts)
    called = [[library], parts, *([[initials]] if len(parts) > 1 else [])]
    patterns = (r"[\s_-]*".join(map(re.escape, words)) for words in called if words)
    return any(re.search(rf"\b{each}s?\b", task, re.IGNORECASE) for each in patterns)


_NOTHING = object()


def _agreed(name: str, estimators: Sequence[Estimator], distribution: BaseDistribution) -> Any:
    """Return the default that all classes have, if it is legal, else ``_NOTHING``."""
    agreed = {repr(each.defaults[name]) if name in each.defaults else "" for each in estimators}
    if len(agreed) != 1 or "" in agreed:
        return _NOTHING
    return _legal(estimators[0].defaults[name], distribution)


def _legal(value: Any, distribution: BaseDistribution) -> Any:
    is_choice = isinstance(distribution, CategoricalDistribution)
    if not is_choice and isinstance(value, (tuple, list)) and len(value) == 1:
        value = value[0]  # the width of the only hidden layer
    if distribution.single():
        return _NOTHING
    coerced = coerce(value, distribution)
    if isinstance(coerced, Coerced) and coerced.repair in ("", "relabelled"):
        return coerced.value
    return _NOTHING
