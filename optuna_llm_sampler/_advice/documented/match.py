"""A search space → the documented defaults of what is tuned. Pure functions of plain data.

How to call it::

    found = documented_defaults(space, estimators, task)

where ``estimators`` is what :func:`.loaded.loaded_estimators` returns. ``found`` is :obj:`None` in
most spaces; otherwise ``found.values`` has a legal value for half of the parameters or more.

What is tuned is recognised by the names of its parameters alone: the class that shares most names
with the space, at least two and half of them. The rule is cautious, because a wrong default costs
a trial: where several classes share as many names, only values on which they agree count, and half
of the parameters must have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import re
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

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
    space: SearchSpace, estimators: Sequence[Estimator], task: str = ""
) -> DocumentedDefaults | None:
    """Recognise what is tuned, and return its defaults where the space allows them.

    In the space of a pipeline (``svm__C``), each step is recognised by itself.

    Args:
        space:
            The parameters.
        estimators:
            Classes that may be meant.
        task:
            What is tuned, in the user's words: decides between classes that fit equally well.
    """
    sources: list[str] = []
    values: dict[str, Any] = {}
    for names in _steps(space):
        best = _fitting(names, estimators)
        best = [each for each in best if _is_said(each, task)] or best
        found = {
            full: legal
            for name, full in names.items()
            if (legal := _agreed(name, best, space[full])) is not _NOTHING
        }
        if 2 * len(found) >= len(names):
            sources.append(_named(best))
            values |= found
    return DocumentedDefaults(tuple(dict.fromkeys(sources)), values) if values else None


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


def _steps(space: SearchSpace) -> list[dict[str, str]]:
    """Return the names in the space by name of argument, for each step of a pipeline."""
    steps: dict[str, dict[str, str]] = {}
    for full in space:
        step, _, name = full.rpartition(_STEP)
        steps.setdefault(step, {})[name] = full
    return list(steps.values())


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
    called = [[library], _WORD.findall(stem)]
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
