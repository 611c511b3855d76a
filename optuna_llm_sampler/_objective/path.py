"""One way through an objective: which values of its choices lead there, what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
import warnings

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from .._study.conditions import parent_values
from .operators import compute
from .values import is_plain, lift, OfChoice, plain, UNKNOWN


# Steps on all ways through an objective.
_MAX_STEPS = 100_000


class TooLongError(Exception):
    """The objective has more ways through it than are followed."""


class GiveUpError(Exception):
    """What follows on this path cannot be read."""


@dataclass
class Path:
    """One way through an objective."""

    steps: Iterator[int]  # counts the steps on all paths
    script: tuple[int, ...] = ()  # which way to go at the first forks; then the first way
    others: list[tuple[int, ...]] = field(default_factory=list)  # scripts of ways not taken
    # Indexes of the values that lead here, by parameter that was asked for and can decide.
    where: dict[str, tuple[int, ...]] = field(default_factory=dict)
    # Distributions by name; None if they are not constant.
    found: dict[str, BaseDistribution | None] = field(default_factory=dict)
    # What is not certain, in words, by parameter name or by what it is.
    left_out: dict[str, str] = field(default_factory=dict)
    doubt: str = ""  # why what follows may not be reached
    because: str = ""  # the latest fork that depends on no choice
    reasons: dict[str, str] = field(default_factory=dict)  # that at each parameter
    is_open: bool = False  # whether parameters may be asked for that were not read
    has_raised: bool = False
    n_certain: int | None = None  # how many parameters were asked for before the first fork
    _taken: tuple[int, ...] = ()
    _values: dict[str, Any] = field(default_factory=dict)

    def step(self) -> None:
        """Count a step.

        Raises:
            TooLongError: There were too many.
        """
        if next(self.steps) > _MAX_STEPS:
            raise TooLongError

    def fork(self, n: int) -> int:
        """Return which of ``n`` ways this path goes."""
        if n == 1:
            return 0
        if self.n_certain is None:
            self.n_certain = len(self.found)
        way = 0
        if len(self._taken) < len(self.script):
            way = self.script[len(self._taken)]
        else:
            self.others += [(*self._taken, other) for other in range(n - 1, 0, -1)]
        self._taken += (way,)
        return way

    def open(self, what: str) -> None:
        """Note that parameters may be asked for out of sight."""
        self.is_open = True
        self.left_out.setdefault(what, what)

    # --- values -----------------------------------------------------------------------------

    def now(self, value: Any) -> Any:
        """Return a value as the choices of this path determine it."""
        if isinstance(value, OfChoice) and len(groups := self._groups(value)) == 1:
            return value.values[groups[0][0]]
        return value

    def settle(self, value: Any) -> Any:
        """Return a value on this path; fork if it depends on a choice."""
        if not isinstance(value, OfChoice):
            return value
        groups = self._groups(value)
        chosen = groups[self.fork(len(groups))]
        self.where[value.param] = tuple(chosen)
        return value.values[chosen[0]]

    def _groups(self, value: OfChoice) -> list[list[int]]:
        """Return the indexes that lead here, those of the same value together."""
        groups: dict[str, list[int]] = {}
        for i in self.where[value.param]:
            each = value.values[i]
            key = repr(each) if is_plain(each) else f"?{id(each)}"
            groups.setdefault(key, []).append(i)
        return list(groups.values())

    def apply(self, function: Callable[..., Any], *values: Any) -> Any:
        """Return a function of constants, of which one parameter's value may decide."""
        now = [self.now(value) for value in values]
        params = {value.param for value in now if isinstance(value, OfChoice)}
        if not params:
            return compute(function, *now)
        if len(params) > 1:
            return UNKNOWN
        (param,) = params
        at = [
            (i, [each.values[i] if isinstance(each, OfChoice) else each for each in now])
            for i in self.where[param]
        ]
        return OfChoice(param, {i: compute(function, *args) for i, args in at})

    # --- parameters -------------------------------------------------------------------------

    def suggest(self, method: str, args: list[Any], kwargs: dict[str, Any], where: str) -> Any:
        """Note that a parameter is asked for; return its value."""
        names, _ = SUGGESTIONS[method]
        given = dict(zip(("name", *names), args, strict=False)) | kwargs
        name = self.settle(given.pop("name", UNKNOWN))
        if not isinstance(name, str) or len(args) > len(names) + 1:
            self.open(f"a parameter whose name is not constant ({where})")
            return UNKNOWN
        distribution = self._distribution(method, given)
        if distribution is None:
            self.left_out.setdefault(name, f"the range of {name!r} is not constant ({where})")
        elif self.found.get(name, distribution) != distribution:
            self.left_out.setdefault(name, f"{name!r} has several ranges ({where})")
        if name in self.found:
            return self._values[name]
        if self.doubt:
            self.left_out.setdefault(name, f"{name!r} is {self.doubt}")
        self.found[name] = distribution
        self.reasons[name] = self.because
        self._values[name] = self._value(name, distribution)
        return self._values[name]

    def _distribution(self, method: str, given: dict[str, Any]) -> BaseDistribution | None:
        try:
            options = {key: plain(self.now(value)) for key, value in given.items()}
            with warnings.catch_warnings():  # about choices and steps; the trial warns again
                warnings.simplefilter("ignore")
                return SUGGESTIONS[method][1](**options)
        except Exception:  # nothing that Optuna accepts, or not known
            return None

    def _value(self, name: str, distribution: BaseDistribution | None) -> Any:
        values = [] if distribution is None else list(map(lift, domain(distribution)))
        if any(values[i] == values[j] for i in range(len(values)) for j in range(i)):
            return UNKNOWN  # True and 1: Optuna stores the first of them
        if len(values) < 2:
            return values[0] if values else UNKNOWN
        self.where[name] = tuple(range(len(values)))
        return OfChoice(name, dict(enumerate(values)))


def domain(distribution: BaseDistribution) -> tuple[Any, ...]:
    """Return the values of a parameter that can decide about others, in order."""
    values = parent_values(distribution) or ()
    if values and isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return values


def _categorical(choices: Any) -> CategoricalDistribution:
    if isinstance(choices, (str, frozenset)):
        raise ValueError
    return CategoricalDistribution(choices)


# What may be given by position, after the name (optuna/trial/_trial.py), and the distribution.
SUGGESTIONS: dict[str, tuple[tuple[str, ...], Callable[..., BaseDistribution]]] = {
    "suggest_float": (("low", "high"), FloatDistribution),
    "suggest_int": (("low", "high"), IntDistribution),
    "suggest_categorical": (("choices",), _categorical),
    "suggest_uniform": (("low", "high"), lambda low, high: FloatDistribution(low, high)),
    "suggest_loguniform": (
        ("low", "high"),
        lambda low, high: FloatDistribution(low, high, log=True),
    ),
    "suggest_discrete_uniform": (
        ("low", "high", "q"),
        lambda low, high, q: FloatDistribution(low, high, step=q),
    ),
}
