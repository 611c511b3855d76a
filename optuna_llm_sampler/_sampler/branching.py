"""A space with branches, and what a Gaussian process proposes in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from .._study.conditions import parent_values, parents_first
from .._study.distance import denormalize, is_logarithmic, natural_middle, normalize
from .._study.history import seen_space
from .._study.optuna_internals import constraints_of
from .._study.space import is_legal, legal_or, SearchSpace
from .._study.structure import Structure
from . import gp


Array = NDArray[np.float64]
# Candidates: at random, then some rounds near the best ones and the best trials.
_N_RANDOM, _N_LOCAL, _N_ROUNDS, _N_STARTS = 1000, 300, 3, 5
_STEPS = (0.2, 0.05, 0.02)
# By parameter and parent, the places of the parent with which the parameter is used.
Uses = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class Branching:
    """A space in which some parameters are used only with some values of others.

    Attributes:
        space:
            All parameters, deciding ones first.
        uses:
            When those are used that are not always.
    """

    space: SearchSpace
    uses: Uses

    @staticmethod
    def of(trials: Sequence[FrozenTrial]) -> Branching:
        """Infer the space, less what some trials lack for no known reason."""
        space, structure = _widest(trials), Structure()
        for trial in trials:
            structure.add(trial)
        conditions = structure.conditions(space)
        gone = structure.unexplained(list(space), conditions)
        space = parents_first({n: d for n, d in space.items() if n not in gone}, conditions)
        return Branching(
            space,
            {
                name: {
                    parent: [_place(value, space[parent]) for value in allowed]
                    for parent, allowed in parents.items()
                }
                for name, parents in conditions.items()
                if name in space
            },
        )

    def within(self, names: Iterable[str]) -> Branching:
        """Return the part that has only these parameters."""
        kept = set(names)
        return Branching(
            {n: d for n, d in self.space.items() if n in kept},
            {n: {p: v for p, v in uses.items() if p in kept} for n, uses in self.uses.items()},
        )

    def used(self, places: Array) -> NDArray[np.bool_]:
        """Tell which parameters the configurations use, one a row."""
        used = np.ones(places.shape, dtype=bool)
        index = {name: i for i, name in enumerate(self.space)}
        for name, i in index.items():
            for parent, allowed in self.uses.get(name, {}).items():
                j = index[parent]
                right = np.isclose(places[:, [j]], np.array(allowed)[None], atol=1e-9).any(1)
                used[:, i] &= used[:, j] & right
        return used

    def places(self, params: Mapping[str, Any]) -> Array | None:
        """Place a configuration, with NaN for what it has not got; None if it is not legal."""
        row = []
        for name, distribution in self.space.items():
            if name in params and not is_legal(params[name], distribution):
                return None
            row.append(normalize(params[name], distribution) if name in params else np.nan)
        return np.array(row)

    def complete(self, value_of: Callable[[str, BaseDistribution], Any]) -> dict[str, Any]:
        """Ask for the value of one parameter after the other, of those that are used."""
        params: dict[str, Any] = {}
        for name, distribution in self.space.items():
            if all(
                parent in params and _among(normalize(params[parent], self.space[parent]), allowed)
                for parent, allowed in self.uses.get(name, {}).items()
            ):
                params[name] = value_of(name, distribution)
        return params

    def params(self, places: Array) -> dict[str, Any]:
        """Return the used parameters of a configuration."""
        by_name = dict(zip(self.space, places, strict=True))
        return self.complete(lambda name, distribution: _value(by_name[name], distribution))

    def size(self) -> float:
        """Return how many configurations there are at most."""
        return math.prod(_n_values(distribution) for distribution in self.space.values())

    def grid(self) -> Array:
        """Return all configurations of a space in which each parameter has few values."""
        places = []
        for distribution in self.space.values():
            n = int(_n_values(distribution))
            if isinstance(distribution, CategoricalDistribution):
                places.append([float(i) for i in range(n)])
            else:
                assert isinstance(distribution, (FloatDistribution, IntDistribution))
                values = (distribution.low + i * (distribution.step or 0) for i in range(n))
                places.append([normalize(value, distribution) for value in values])
        return np.array(list(itertools.product(*places)))

    def draw(self, n: int, rng: np.random.RandomState) -> Array:
        """Draw configurations at random, with values for unused parameters, too."""
        rows = rng.uniform(size=(n, len(self.space)))
        for i, distribution in enumerate(self.space.values()):
            if isinstance(distribution, CategoricalDistribution):
                rows[:, i] = np.floor(rows[:, i] * len(distribution.choices))
        return self._snapped(rows)

    def opening(self, known: Sequence[Array], rng: np.random.RandomState) -> Array:
        """Draw one of the first configurations, of the choices that are rarest in others.

        Where a choice is new that decides what else is used, numbers are in the middle: a branch
        begins there.
        """
        row: Array = self.draw(1, rng)[0]
        deciding = {parent for parents in self.uses.values() for parent in parents}
        begins = False
        for i, (name, distribution) in enumerate(self.space.items()):
            if isinstance(distribution, CategoricalDistribution):
                made = [other[i] for other in known if not np.isnan(other[i])]
                choices = np.array(made, dtype=int)
                counts = np.bincount(choices, minlength=len(distribution.choices))
                row[i] = rng.choice(np.flatnonzero(counts == counts.min()))
                begins |= name in deciding and counts.min() == 0
        for i, distribution in enumerate(self.space.values()):
            if begins and not isinstance(distribution, CategoricalDistribution):
                row[i] = normalize(natural_middle(distribution), distribution)
        return row

    def near(self, rows: Array, n: int, rng: np.random.RandomState) -> Array:
        """Draw configurations near some others."""
        rows = rows[rng.randint(len(rows), size=n)]
        used = self.used(rows)
        share = np.maximum(1.5 / np.maximum(used.sum(1, keepdims=True), 1), 0.2)
        moves = used & (rng.uniform(size=rows.shape) < share)
        steps = rng.choice(_STEPS, size=(n, 1)) * rng.standard_normal(rows.shape)
        other = self.draw(n, rng)
        choices = [isinstance(d, CategoricalDistribution) for d in self.space.values()]
        moved = np.where(choices, other, np.clip(rows + steps, 0.0, 1.0))
        return self._snapped(np.where(moves, moved, rows))

    def _snapped(self, rows: Array) -> Array:
        for i, distribution in enumerate(self.space.values()):
            if isinstance(distribution, (FloatDistribution, IntDistribution)):
                rows[:, i] = _snapped(rows[:, i], distribution)
        return rows


def _widest(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return every parameter with the widest bounds that it had; branches may differ in them."""
    space = seen_space(trials)
    for trial in trials:
        for name, distribution in trial.distributions.items():
            if name in space and space[name] != distribution:
                space[name] = _wider(space[name], distribution)
    return space


def _wider(a: BaseDistribution, b: BaseDistribution) -> BaseDistribution:
    if isinstance(a, CategoricalDistribution) or type(a) is not type(b):
        return a
    assert isinstance(a, (FloatDistribution, IntDistribution))
    assert isinstance(b, (FloatDistribution, IntDistribution))
    if a.log != b.log or {a.step, b.step} - {None, 1}:
        return a
    low: Any = min(a.low, b.low)
    high: Any = max(a.high, b.high)
    return type(a)(low, high, log=a.log)


def _place(label: Any, distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float((parent_values(distribution) or ()).index(label))
    return normalize(label, distribution)


def _value(place: float, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(place)]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return legal_or(distribution.low, denormalize(place, distribution), distribution)


def _among(place: float, allowed: Sequence[float]) -> bool:
    return any(abs(place - other) < 1e-9 for other in allowed)


def _n_values(distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if distribution.step is None:
        return math.inf
    return (distribution.high - distribution.low) // distribution.step + 1


def _snapped(places: Array, distribution: FloatDistribution | IntDistribution) -> Array:
    low, high, step = float(distribution.low), float(distribution.high), distribution.step
    if step is None or high <= low:
        return places
    if not is_logarithmic(distribution):
        n_steps = (high - low) / step
        return np.round(places * n_steps) / n_steps
    width = math.log(high) - math.log(low)
    values = low + np.round((np.exp(math.log(low) + places * width) - low) / step) * step
    return np.clip((np.log(values) - math.log(low)) / width, 0.0, 1.0)


@dataclass(frozen=True)
class Encoder:
    """Writes configurations as points of which the distances say how much they differ.

    The ends of a range and two choices are at a distance of one. What is used in one of two
    configurations only adds a squared distance of a half, whatever its value: such a number lies
    on a quarter of a circle, and a choice in a corner of a simplex, both around the origin.
    """

    branching: Branching
    choices: tuple[tuple[float, ...], ...]

    @staticmethod
    def of(branching: Branching, rows: Array) -> Encoder:
        """Note which choices were seen; all others are one."""
        return Encoder(
            branching,
            tuple(
                tuple(np.unique(column[~np.isnan(column)]))
                if isinstance(distribution, CategoricalDistribution)
                else ()
                for distribution, column in zip(branching.space.values(), rows.T, strict=True)
            ),
        )

    def encode(self, rows: Array, used: NDArray[np.bool_]) -> list[Array]:
        """Return the columns of each parameter."""
        found = []
        for i, (name, distribution) in enumerate(self.branching.space.items()):
            column, here = rows[:, [i]], used[:, [i]]
            if isinstance(distribution, CategoricalDistribution):
                hot = np.array(column == np.array([[*self.choices[i], np.nan]]), dtype=float)
                hot[:, -1] = 1.0 - hot.sum(1)
                columns = np.sqrt(0.5) * hot
            elif name in self.branching.uses:
                angle = 0.5 * np.pi * column
                columns = np.sqrt(0.5) * np.hstack([np.cos(angle), np.sin(angle)])
            else:
                columns = column
            found.append(np.where(here, columns, 0.0))
        return found


def candidates(
    branching: Branching,
    trials: Sequence[FrozenTrial],
    pending: Sequence[Mapping[str, Any]],
    rng: np.random.RandomState,
    *,
    maximize: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield configurations to try next, the best first, all from one fit.

    Args:
        branching:
            The space.
        trials:
            Complete trials with one value each.
        pending:
            Parameters of trials that run.
        rng:
            Source of all draws.
        maximize:
            Whether higher values are better.
    """
    placed = [(row, t) for t in trials if (row := branching.places(t.params)) is not None]
    rows, known = np.array([row for row, _ in placed]), [trial for _, trial in placed]
    values = np.array([trial.values[0] for trial in known])
    score = _score(branching, rows, -values if maximize else values, known, pending, rng)
    best = np.argsort(-values if maximize else values, kind="stable")[:_N_STARTS]
    starts = np.where(np.isnan(rows[best]), branching.draw(len(best), rng), rows[best])
    points = branching.draw(_N_RANDOM, rng)
    scores = score(points)
    for _ in range(_N_ROUNDS):
        top = points[np.argsort(-scores, kind="stable")[:_N_STARTS]]
        more = branching.near(np.vstack([starts, top]), _N_LOCAL, rng)
        points, scores = np.vstack([points, more]), np.append(scores, score(more))
    for i in np.argsort(-scores, kind="stable"):
        yield branching.params(points[i])


def _score(
    branching: Branching,
    rows: Array,
    values: Array,
    trials: Sequence[FrozenTrial],
    pending: Sequence[Mapping[str, Any]],
    rng: np.random.RandomState,
) -> Callable[[Array], Array]:
    """Return the logarithm of the expected improvement that also keeps the constraints."""
    encoder = Encoder.of(branching, rows)
    columns = encoder.encode(rows, ~np.isnan(rows))
    groups = np.repeat(np.arange(len(columns)), [c.shape[1] for c in columns])
    x = np.hstack(columns)
    limits = []
    for name in {name: None for trial in trials for name in constraints_of(trial)}:
        having = [i for i, trial in enumerate(trials) if name in constraints_of(trial)]
        bounded = _finite(np.array([constraints_of(trials[i])[name] for i in having]))
        if (deviation := bounded.std()) > 0:
            y = (bounded - bounded.mean()) / deviation
            fitted = gp.fit(x[having], groups, y, rng)
            limits.append((fitted, -bounded.mean() / deviation))
    feasible = np.array([all(c <= 0 for c in constraints_of(t).values()) for t in trials])
    gain = gp.fit(x, groups, standardized(values), rng, feasible)
    busy = [row for params in pending if (row := branching.places(params)) is not None]
    if busy:
        waiting = np.array(busy)
        gain = gain.supposing(np.hstack(encoder.encode(waiting, ~np.isnan(waiting))))

    def score(points: Array) -> Array:
        at = np.hstack(encoder.encode(points, branching.used(points)))
        total = gain.log_improvement(at) if feasible.any() else np.zeros(len(at))
        for fitted, limit in limits:
            total = total + fitted.log_probability_below(limit, at)
        return total

    return score


def _finite(values: Array) -> Array:
    """Cut infinities, and scale values of which the squares would be some."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    cut: Array = np.clip(values, low, high) / max(abs(low), abs(high), 1e-300)
    return cut


def standardized(values: Array) -> Array:
    """Return values with mean 0 and deviation 1; what is worse than the median hardly counts.

    A few very bad values would make all others alike. So the distance from the best to the median
    is doubled at most.
    """
    values = _finite(values)
    spread = np.median(values) - values.min()
    if spread > 0:
        above = (values - values.min()) / spread
        values = np.where(above > 1.0, 2.0 - 1.0 / np.maximum(above, 1.0), above)
    deviation = values.std()
    found: Array = (values - values.mean()) / (deviation if deviation > 0 else 1.0)
    return found
