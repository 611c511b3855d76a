"""Samples of a small model → the configurations that are tried first.

Samples come in no order, and the model has not seen the bounds, which confuse small models. But
bounds are a guess of the user's. So the first configurations are made of all samples and bounds:

1. the consensus of the samples, with dropout and the like at 0;
2. the middle of every range, with dropout and the like at 0;
3. the consensus of the samples;
4. the samples, each time the one that differs most from all before it.

Numbers are shrunk towards the middle of their range. Shares, which are floats from 0 to at most 1,
are not, and have no middle: small models always write a dropout or a weight decay, so a share of
at most 0.5 is tried at 0. With conditions, each branch has its own consensus.

What was measured: decisions.md, "First proposals of small models".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from .._study.conditions import Conditions
from .._study.distance import denormalize, interpolate, normalize, Points
from .._study.space import legal_or, SearchSpace, to_label
from .advice import Config, distinct, IsDuplicate, never, values


_CONSENSUS = "what the model's samples agree on"
_SAMPLE = "one of the model's samples"
_AT_ZERO = ", with everything at 0 that may well be"
_MIDDLE = "the middle of each range, choices as in the model's samples"
_Params: TypeAlias = dict[str, Any]

# How far numbers move to the middle of their range; those too that most samples put outside.
_SHRINKAGE = 0.25
_MISSCALED_SHRINKAGE = 0.5
# Larger shares are taken for subsamples or momenta, which 0 does not switch off.
_MAX_SWITCHED_OFF = 0.5
# With more branches, the first few trials could not hold both proposals for each.
_FEW_BRANCHES = 3


def consensus_first(
    configs: Sequence[Config],
    space: SearchSpace,
    n: int,
    is_duplicate: IsDuplicate = never,
    conditions: Conditions | None = None,
) -> tuple[Config, ...]:
    """Put the consensus of the samples and the middle of the ranges before the samples.

    Args:
        configs:
            Distinct samples.
        space:
            The parameters.
        n:
            Largest number of configurations to return.
        is_duplicate:
            Whether a configuration need not be run again.
        conditions:
            When conditional parameters are used.
    """
    parents = frozenset(p for where in (conditions or {}).values() for p in where)
    rules = _Rules(space, parents, _misscaled(configs))
    points = [values(config, space) for config in configs]
    branches = _branches(points) if parents else [[point for point in points if point]]
    made = [rules.proposals(branch) for branch in branches if branch]
    first = _new(_in_turn(made), space, is_duplicate)
    samples = [
        replace(sample, params=rules.labels(rules.shrunk(point)), why=_SAMPLE)
        for sample, point in zip(configs, points, strict=True)
    ]
    rest = _new([*first, *samples], space, is_duplicate)[len(first) :]
    # A shrunk sample may be a duplicate where the sample is not.
    return (_farthest_first(first, rest, space) or tuple(configs))[:n]


def middle(params: Mapping[str, Any], space: SearchSpace) -> _Params:
    """Return the middle of the ranges, shares of at most 0.5 at 0, choices kept."""
    return _Rules(space).middle(params)


@dataclass(frozen=True)
class _Rules:
    """How values are changed before they are tried.

    Attributes:
        space:
            The parameters.
        parents:
            Parameters that decide whether others are used; these are kept.
        misscaled:
            Parameters that the model seems to give in another unit.
    """

    space: SearchSpace
    parents: frozenset[str] = frozenset()
    misscaled: frozenset[str] = frozenset()

    def proposals(self, points: Sequence[_Params]) -> list[Config]:
        """Make three configurations of the samples of one branch."""
        consensus = self.consensus(points)
        off = self.switched_off(consensus)
        why = _CONSENSUS if len(points) > 1 else _SAMPLE
        return [
            Config(self.labels(self.shrunk(off)), why + _AT_ZERO if off != consensus else why),
            Config(self.labels(self.middle(consensus)), _MIDDLE),
            Config(self.labels(self.shrunk(consensus)), why),
        ]

    def consensus(self, points: Sequence[_Params]) -> _Params:
        """Return the most frequent choice and the median number of each parameter."""
        drawn = {name: [point[name] for point in points if name in point] for name in self.space}
        return {
            name: _most_frequent(found, self.space[name])
            if name in self.parents or isinstance(self.space[name], CategoricalDistribution)
            else _median(found, self.space[name])
            for name, found in drawn.items()
            if found
        }

    def shrunk(self, params: Mapping[str, Any]) -> _Params:
        """Move numbers towards the middle of their range; choices, shares and parents stay."""
        return {
            name: self._towards_middle(
                name, value, _MISSCALED_SHRINKAGE if name in self.misscaled else _SHRINKAGE
            )
            for name, value in params.items()
        }

    def middle(self, params: Mapping[str, Any]) -> _Params:
        """Move numbers to the middle of their range, and switch shares off."""
        return {
            name: self._towards_middle(name, value, 1.0)
            for name, value in self.switched_off(params).items()
        }

    def switched_off(self, params: Mapping[str, Any]) -> _Params:
        """Set to 0 what may be dropout, weight decay or warm-up."""
        return {
            name: 0.0
            if _is_share(self.space[name])
            and (value <= _MAX_SWITCHED_OFF or name in self.misscaled)
            else value
            for name, value in params.items()
        }

    def _towards_middle(self, name: str, value: Any, share: float) -> Any:
        distribution = self.space[name]
        if name in self.parents or _is_share(distribution):
            return value
        if not isinstance(distribution, (FloatDistribution, IntDistribution)):
            return value
        return interpolate(value, denormalize(0.5, distribution), share, distribution)

    def labels(self, params: _Params) -> _Params:
        """Write choices as labels."""
        return {name: to_label(value, self.space[name]) for name, value in params.items()}


def _misscaled(configs: Sequence[Config]) -> frozenset[str]:
    """Return the parameters that most samples put outside of their range."""
    used = Counter(name for config in configs for name in config.params)
    outside = Counter(name for config in configs for name in config.outside)
    return frozenset(name for name, n in outside.items() if 2 * n > used[name])


def _in_turn(made: Sequence[Sequence[Config]]) -> list[Config]:
    """Give every branch its first configuration before any gets its second."""
    if len(made) > _FEW_BRANCHES:  # every other branch begins with the middle
        made = [[b, a, c] if i % 2 else [a, b, c] for i, (a, b, c) in enumerate(made)]
    return [config for turn in zip(*made, strict=True) for config in turn]


def _branches(points: Sequence[_Params]) -> list[list[_Params]]:
    """Group samples by the parameters that they have."""
    groups: dict[frozenset[str], list[_Params]] = {}
    for point in filter(None, points):
        groups.setdefault(frozenset(point), []).append(point)
    return list(groups.values())


def _new(configs: Sequence[Config], space: SearchSpace, is_duplicate: IsDuplicate) -> list[Config]:
    return distinct([c for c in configs if not is_duplicate(values(c, space))], space)


def _is_share(distribution: BaseDistribution) -> bool:
    if not isinstance(distribution, FloatDistribution):
        return False
    return distribution.low == 0 and distribution.high <= 1


def _most_frequent(found: Sequence[Any], distribution: BaseDistribution) -> Any:
    names = [to_label(value, distribution) for value in found]
    return found[names.index(Counter(names).most_common(1)[0][0])]


def _median(found: Sequence[Any], distribution: BaseDistribution) -> Any:
    """Return the median in the distribution's own scale."""
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    position = median(normalize(value, distribution) for value in found)
    return legal_or(found[0], denormalize(position, distribution), distribution)


def _farthest_first(
    first: Sequence[Config], rest: Sequence[Config], space: SearchSpace
) -> tuple[Config, ...]:
    """Append each time the configuration that differs most from all before it."""
    points = Points(values(config, space) for config in rest)
    nearest = np.full(len(rest), np.inf)
    for config in first:
        nearest = np.minimum(nearest, points.distances(values(config, space), space))
    order = list(first)
    for _ in rest:
        farthest = int(nearest.argmax())
        order.append(rest[farthest])
        nearest = np.minimum(nearest, points.distances(values(rest[farthest], space), space))
        nearest[farthest] = -np.inf
    return tuple(order)
