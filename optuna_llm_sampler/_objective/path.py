"""One way through an objective: which values of its choices lead there, what it asks for."""

from __future__ import annotations

from collections.abc import Callable
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
from .values import is_same, NotPlainError, OfChoice, plain, UNKNOWN


class TooLongError(Exception):
    """The objective has more ways through it than are followed."""


# Limits of what is followed: ways through the objective, and steps on all of them.
MAX_PATHS = 300
MAX_STEPS = 100_000


class Script:
    """Decisions of one path, replayed and continued; all paths are followed one after another."""

    def __init__(self) -> None:
        self._taken: list[list[int]] = []
        self._position = 0
        self._steps = 0

    def choose(self, n: int) -> int:
        """Return which of ``n`` ways to go."""
        if self._position == len(self._taken):
            self._taken.append([0, n])
        self._position += 1
        return self._taken[self._position - 1][0]

    def next(self) -> bool:
        """Go to the next path; return whether there is one."""
        self._position = 0
        while self._taken and self._taken[-1][0] == self._taken[-1][1] - 1:
            self._taken.pop()
        if self._taken:
            self._taken[-1][0] += 1
        return bool(self._taken)

    def step(self) -> None:
        """Count a step.

        Raises:
            TooLongError: There were too many.
        """
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooLongError


@dataclass
class Path:
    """One way through an objective.

    Attributes:
        script:
            Decides at each fork.
        where:
            Indexes of the values that lead here, by parameter that was asked for and can decide.
        found:
            Distributions by name; :obj:`None` if they are not constant.
        left_out:
            What is not certain, in words, by parameter name or by what it is.
        doubt:
            Why what follows may not be reached, or ``""``.
        because:
            The latest fork that depends on no choice, in words, or ``""``.
        is_open:
            Whether parameters may be asked for that were not read.
        has_raised:
            Whether it ends with an exception.
        is_cut:
            Whether this is only what all paths begin with, because there are too many.
        reasons:
            By parameter name, :attr:`because` when it was asked for.
        n_certain:
            How many parameters were asked for before the first fork.
    """

    script: Script
    where: dict[str, tuple[int, ...]] = field(default_factory=dict)
    found: dict[str, BaseDistribution | None] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    doubt: str = ""
    because: str = ""
    is_open: bool = False
    has_raised: bool = False
    is_cut: bool = False
    n_certain: int | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    _values: dict[str, Any] = field(default_factory=dict)

    def fork(self, n: int) -> int:
        """Return which of ``n`` ways this path goes."""
        if n > 1 and self.n_certain is None:
            self.n_certain = len(self.found)
        return self.script.choose(n) if n > 1 else 0

    def open(self, what: str) -> None:
        """Note that parameters may be asked for out of sight."""
        self.is_open = True
        self.left_out.setdefault(what, what)

    # --- values -----------------------------------------------------------------------------

    def now(self, value: Any) -> Any:
        """Return a value as the choices of this path determine it."""
        if not isinstance(value, OfChoice):
            return value
        left = [value.values[i] for i in self.where[value.param]]
        try:
            first = plain(left[0])
            is_one = all(is_same(plain(each), first) for each in left[1:])
        except NotPlainError:
            is_one = len(left) == 1
        return left[0] if is_one else value

    def settle(self, value: Any, key: Callable[[Any], Any] | None = None) -> Any:
        """Return the value on this path; fork if it depends on a choice.

        Args:
            value:
                Any value.
            key:
                A function of constants, which is returned instead.
        """
        if key is not None:
            value = self.apply(key, value)
        value = self.now(value)
        if not isinstance(value, OfChoice):
            return value
        groups: dict[str, list[int]] = {}
        for i in self.where[value.param]:
            groups.setdefault(_identity(value.values[i]), []).append(i)
        chosen = list(groups.values())[self.fork(len(groups))]
        self.where[value.param] = tuple(chosen)
        return value.values[chosen[0]]

    def apply(self, function: Callable[..., Any], *values: Any) -> Any:
        """Return a function of constants, of which one parameter's value may decide."""
        now = [self.now(value) for value in values]
        params = {value.param for value in now if isinstance(value, OfChoice)}
        if len(params) > 1:
            return UNKNOWN
        try:
            if not params:
                return compute(function, *(plain(value) for value in now))
        except NotPlainError:
            return UNKNOWN
        (param,) = params
        n = len(next(value.values for value in now if isinstance(value, OfChoice)))
        results = [
            self._at(function, now, i) if i in self.where[param] else UNKNOWN for i in range(n)
        ]
        return OfChoice(param, tuple(results))

    def _at(self, function: Callable[..., Any], values: list[Any], i: int) -> Any:
        try:
            return compute(
                function,
                *(plain(v.values[i] if isinstance(v, OfChoice) else v) for v in values),
            )
        except NotPlainError:
            return UNKNOWN

    # --- parameters -------------------------------------------------------------------------

    def suggest(self, method: str, args: list[Any], kwargs: dict[str, Any], where: str) -> Any:
        """Note that a parameter is asked for; return its value."""
        bound = dict(zip(_PARAMETERS[method], args, strict=False))
        name = self.settle(bound.pop("name", kwargs.get("name", UNKNOWN)))
        if not isinstance(name, str) or len(args) > len(_PARAMETERS[method]):
            self.open(f"a parameter whose name is not constant ({where})")
            return UNKNOWN
        bound.update((key, value) for key, value in kwargs.items() if key != "name")
        distribution = self._distribution(method, bound)
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
                return _DISTRIBUTIONS[method](**options)
        except Exception:  # nothing that Optuna accepts, or not known
            return None

    def _value(self, name: str, distribution: BaseDistribution | None) -> Any:
        if distribution is None or parent_values(distribution) is None:
            return UNKNOWN
        values = domain(distribution)
        if any(values[i] == values[j] for i in range(len(values)) for j in range(i)):
            return UNKNOWN  # True and 1: Optuna stores the first of them
        wrapped = tuple(compute(lambda value: value, value) for value in values)
        if len(values) == 1:
            return wrapped[0]
        self.where[name] = tuple(range(len(values)))
        return OfChoice(name, wrapped)


def domain(distribution: BaseDistribution) -> tuple[Any, ...]:
    """Return the values of a parameter that can decide about others, in order."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return parent_values(distribution) or ()


def _identity(value: Any) -> str:
    try:
        return repr(plain(value))
    except NotPlainError:
        return f"?{id(value)}"


def _uniform(low: float, high: float) -> FloatDistribution:
    return FloatDistribution(low, high)


def _log_uniform(low: float, high: float) -> FloatDistribution:
    return FloatDistribution(low, high, log=True)


def _discrete_uniform(low: float, high: float, q: float) -> FloatDistribution:
    return FloatDistribution(low, high, step=q)


def _categorical(choices: Any) -> CategoricalDistribution:
    if isinstance(choices, (str, frozenset)):
        raise ValueError
    return CategoricalDistribution(choices)


_DISTRIBUTIONS: dict[str, Callable[..., BaseDistribution]] = {
    "suggest_float": FloatDistribution,
    "suggest_int": IntDistribution,
    "suggest_categorical": _categorical,
    "suggest_uniform": _uniform,
    "suggest_loguniform": _log_uniform,
    "suggest_discrete_uniform": _discrete_uniform,
}
# What may be given by position (optuna/trial/_trial.py).
_PARAMETERS = {
    "suggest_float": ("name", "low", "high"),
    "suggest_int": ("name", "low", "high"),
    "suggest_categorical": ("name", "choices"),
    "suggest_uniform": ("name", "low", "high"),
    "suggest_loguniform": ("name", "low", "high"),
    "suggest_discrete_uniform": ("name", "low", "high", "q"),
}
SUGGESTIONS = frozenset(_PARAMETERS)
# Other methods and attributes of a trial, which ask for no parameter.
HARMLESS = (
    *("report", "should_prune", "set_user_attr", "set_system_attr", "set_constraint", "number"),
    *("params", "distributions", "user_attrs", "system_attrs", "study", "datetime_start"),
)
