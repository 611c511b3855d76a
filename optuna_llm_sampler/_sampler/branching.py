"""Configurations of a space with branches as points of a Gaussian process, and the next of them.

A parameter that is not used lies in the middle of its range, a choice that is not made half way
between all others, in trials and in candidates alike. So only what is used tells two apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState

from .._study.conditions import parent_values
from .._study.conditions import parents_first
from .._study.history import seen_space
from .._study.space import denormalize
from .._study.space import legal_or
from .._study.space import normalize
from .._study.space import SearchSpace
from .._study.structure import Structure
from . import gp


Array = NDArray[np.float64]
N_RANDOM = 1000
N_LOCAL = 300
N_ROUNDS = 3
N_STARTS = 5
STEPS = (0.2, 0.05, 0.02)
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
        """Infer the space from finished trials, less what some of them lack for no known reason."""
        space, structure = seen_space(trials), Structure()
        for trial in trials:
            kinds = trial.distributions
            internal = {n: kinds[n].to_internal_repr(v) for n, v in trial.params.items()}
            full = trial.state == TrialState.COMPLETE
            structure.add(trial.number, internal, kinds, full=full)
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
        """Place a configuration, with NaN for what it has not got; None if a choice is unknown."""
        try:
            return np.array(
                [
                    normalize(params[name], distribution) if name in params else np.nan
                    for name, distribution in self.space.items()
                ]
            )
        except (ValueError, TypeError):
            return None

    def params(self, places: Array) -> dict[str, Any]:
        """Return the used parameters of a configuration."""
        used = self.used(places[None])[0]
        return {
            name: _value(place, distribution)
            for (name, distribution), place, here in zip(
                self.space.items(), places, used, strict=True
            )
            if here
        }

    def draw(self, n: int, rng: np.random.RandomState) -> Array:
        """Draw configurations at random, with values for unused parameters, too."""
        rows = rng.uniform(size=(n, len(self.space)))
        for i, distribution in enumerate(self.space.values()):
            if isinstance(distribution, CategoricalDistribution):
                rows[:, i] = np.floor(rows[:, i] * len(distribution.choices))
        return self._snapped(rows)

    def near(self, rows: Array, n: int, rng: np.random.RandomState) -> Array:
        """Draw configurations near some others."""
        rows = rows[rng.randint(len(rows), size=n)]
        used = self.used(rows)
        share = np.maximum(1.5 / np.maximum(used.sum(1, keepdims=True), 1), 0.2)
        moves = used & (rng.uniform(size=rows.shape) < share)
        steps = rng.choice(STEPS, size=(n, 1)) * rng.standard_normal(rows.shape)
        other = self.draw(n, rng)
        choices = [isinstance(d, CategoricalDistribution) for d in self.space.values()]
        moved = np.where(choices, other, np.clip(rows + steps, 0.0, 1.0))
        return self._snapped(np.where(moves, moved, rows))

    def _snapped(self, rows: Array) -> Array:
        for i, distribution in enumerate(self.space.values()):
            if isinstance(distribution, (FloatDistribution, IntDistribution)):
                rows[:, i] = _snapped(rows[:, i], distribution)
        return rows


def _place(label: Any, distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float((parent_values(distribution) or ()).index(label))
    return normalize(label, distribution)


def _value(place: float, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(place)]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    return legal_or(distribution.low, denormalize(place, distribution), distribution)


def _snapped(places: Array, distribution: FloatDistribution | IntDistribution) -> Array:
    low, high, step = float(distribution.low), float(distribution.high), distribution.step
    if step is None or high <= low:
        return places
    if not distribution.log:
        n_steps = (high - low) / step
        return np.round(places * n_steps) / n_steps
    width = math.log(high) - math.log(low)
    values = low + np.round((np.exp(math.log(low) + places * width) - low) / step) * step
    return np.clip((np.log(values) - math.log(low)) / width, 0.0, 1.0)


@dataclass(frozen=True)
class Encoder:
    """Writes places as columns: numbers as they are, a column per choice that was seen."""

    branching: Branching
    choices: tuple[tuple[float, ...], ...]

    @staticmethod
    def of(branching: Branching, rows: Array) -> Encoder:
        seen = []
        for i, distribution in enumerate(branching.space.values()):
            if isinstance(distribution, CategoricalDistribution):
                column = rows[:, i]
                seen.append(tuple(np.unique(column[~np.isnan(column)])))
            else:
                seen.append(())
        return Encoder(branching, tuple(seen))

    @property
    def groups(self) -> NDArray[np.intp]:
        kinds = self.branching.space.values()
        widths = [
            len(seen) + 1 if isinstance(d, CategoricalDistribution) else 1
            for d, seen in zip(kinds, self.choices, strict=True)
        ]
        return np.repeat(np.arange(len(widths)), widths)

    def encode(self, rows: Array, used: NDArray[np.bool_]) -> Array:
        columns = []
        for i, (distribution, seen) in enumerate(
            zip(self.branching.space.values(), self.choices, strict=True)
        ):
            here, column = used[:, i], rows[:, i]
            if not isinstance(distribution, CategoricalDistribution):
                columns.append(np.where(here, column, 0.5)[:, None])
                continue
            # Two choices are at a squared distance of one; one that is not made, at a half.
            hot = np.array(column[:, None] == np.array([*seen, np.nan])[None], dtype=float)
            hot[:, -1] = 1.0 - hot.sum(1)
            columns.append(np.sqrt(0.5) * hot * here[:, None])
        return np.hstack(columns)


def candidates(
    branching: Branching,
    known: Sequence[tuple[Mapping[str, Any], float]],
    pending: Sequence[Mapping[str, Any]],
    rng: np.random.RandomState,
) -> Iterator[dict[str, Any]]:
    """Yield configurations to try next, the best first.

    Args:
        branching:
            The space.
        known:
            Parameters and values of trials; lower is better.
        pending:
            Parameters of trials that run.
        rng:
            Source of all draws.
    """
    pairs = [(row, value) for p, value in known if (row := branching.places(p)) is not None]
    rows = np.array([row for row, _ in pairs])
    y = standardized(np.array([value for _, value in pairs]))
    encoder = Encoder.of(branching, rows)
    x = encoder.encode(rows, ~np.isnan(rows))
    posterior = gp.fit(x, encoder.groups, y, rng)
    busy = [row for p in pending if (row := branching.places(p)) is not None]
    if busy:
        waiting = np.array(busy)
        posterior = posterior.supposing(encoder.encode(waiting, ~np.isnan(waiting)))

    def score(points: Array) -> Array:
        return posterior.log_improvement(encoder.encode(points, branching.used(points)))

    points = branching.draw(N_RANDOM, rng)
    best = np.argsort(y, kind="stable")[:N_STARTS]
    starts = np.where(np.isnan(rows[best]), branching.draw(len(best), rng), rows[best])
    scores = score(points)
    for _ in range(N_ROUNDS):
        top = points[np.argsort(-scores, kind="stable")[:N_STARTS]]
        more = branching.near(np.vstack([starts, top]), N_LOCAL, rng)
        points, scores = np.vstack([points, more]), np.append(scores, score(more))
    for i in np.argsort(-scores, kind="stable"):
        yield branching.params(points[i])


def standardized(values: Array) -> Array:
    """Return values with mean 0 and deviation 1; those far worse than the median count less."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    values = np.clip(np.nan_to_num(values, posinf=high, neginf=low), low, high)
    largest = max(abs(low), abs(high), 1e-300)
    values = values / largest  # of which the squares are numbers, too
    spread = np.median(values) - values.min()
    if SQUASH and spread > 0:
        above = (values - values.min()) / spread
        values = np.where(above > 1.0, 1.0 + np.log(np.maximum(above, 1.0)), above)
    deviation = values.std()
    found: Array = (values - values.mean()) / (deviation if deviation > 0 else 1.0)
    return found


SQUASH = True
