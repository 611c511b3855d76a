"""Samples of a small model → the configurations that are tried first.

Samples come in no order, and the model has not seen the bounds, which confuse small models. So the
first configurations are made of all samples and bounds:

1. the consensus of the samples, numbers moved a little to the middle of their range, shares at 0;
2. the middle of every range, shares at 0, choices as in the consensus;
3. the samples as they are, each time the one that differs most from all before it.

A range is taken in its natural scale: one of two decades or more is a logarithm. Shares are
floats from 0 to at most 1; they have no middle, and small models always write a dropout or a
weight decay, so a share of at most 0.5 is tried at 0. A fraction that most samples put above its
range was meant as a count or in percent, which says nothing. With conditions, each branch has its
own consensus; more than three branches begin with their middles.

What was measured: decisions.md, "First proposals of small models".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    FloatDistribution,
    IntDistribution,
)

from .._study.conditions import Conditions
from .._study.distance import denormalize, interpolate, natural_middle, normalize, Points
from .._study.space import legal_or, SearchSpace, to_label
from .advice import Config, distinct, IsDuplicate, never, values


_CONSENSUS = "what the model's samples agree on"
_SAMPLE = "one of the model's samples"
_AT_ZERO = ", with everything at 0 that may well be"
_MIDDLE = "the middle of each range, choices as in the model's samples"
_Params: TypeAlias = dict[str, Any]

# How far the consensus moves to the middle.
_SHRINKAGE = 0.125
# Larger shares are taken for subsamples or momenta, which 0 does not switch off.
_MAX_SWITCHED_OFF = 0.5
# With more branches, the first few trials cannot hold both proposals for each, and a branch has a
# sample or two, which agree on little.
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
    configs = _without_counts(configs, space)
    points = [point for config in configs if (point := values(config, space))]
    branches = _branches(points) if parents else [points]
    made = _in_turn([_proposals(branch, space, parents) for branch in branches if branch])
    first = distinct([c for c in made if not is_duplicate(values(c, space))], space)
    samples = [replace(config, why=_SAMPLE) for config in configs]
    rest = distinct([*first, *samples], space)[len(first) :]
    return _farthest_first(first, rest, space)[:n]


def middle(params: Mapping[str, Any], space: SearchSpace) -> _Params:
    """Return the middle of the ranges, shares of at most 0.5 at 0; choices stay."""
    return _towards_middle(_switched_off(params, space), space, 1.0)


def _without_counts(configs: Sequence[Config], space: SearchSpace) -> list[Config]:
    """Give fractions that most samples put above their range the value 0, else the middle."""
    above = Counter(
        name
        for config in configs
        for name in config.outside
        if _is_fraction(fraction := space[name]) and config.params[name] == fraction.high
    )
    used = Counter(name for config in configs for name in config.params)
    instead = {
        name: 0.0 if _is_share(space[name]) else natural_middle(space[name])
        for name, k in above.items()
        if 2 * k > used[name]
    }
    return [
        replace(config, params={n: instead.get(n, value) for n, value in config.params.items()})
        for config in configs
    ]


def _proposals(
    points: Sequence[_Params], space: SearchSpace, parents: frozenset[str]
) -> tuple[Config, Config]:
    """Make two configurations of the samples of one branch."""
    consensus = _consensus(points, space, parents)
    off = _switched_off(consensus, space)
    why = _CONSENSUS if len(points) > 1 else _SAMPLE
    agreed = _towards_middle(off, space, _SHRINKAGE, parents)
    return (
        Config(_labels(agreed, space), why + _AT_ZERO if off != consensus else why),
        Config(_labels(_towards_middle(off, space, 1.0, parents), space), _MIDDLE),
    )


def _consensus(points: Sequence[_Params], space: SearchSpace, parents: frozenset[str]) -> _Params:
    """Return the most frequent choice and the median number of each parameter."""
    drawn = {name: [point[name] for point in points if name in point] for name in space}
    return {
        name: _median(found, space[name])
        if name not in parents and _is_number(space[name])
        else _most_frequent(found, space[name])
        for name, found in drawn.items()
        if found
    }


def _switched_off(params: Mapping[str, Any], space: SearchSpace) -> _Params:
    """Set to 0 what may be dropout, weight decay or warm-up."""
    return {
        name: 0.0 if _is_share(space[name]) and value <= _MAX_SWITCHED_OFF else value
        for name, value in params.items()
    }


def _towards_middle(
    params: Mapping[str, Any],
    space: SearchSpace,
    share: float,
    parents: frozenset[str] = frozenset(),
) -> _Params:
    """Move numbers towards the middle of their range; choices, shares and parents stay."""
    return {
        name: _moved(value, space[name], share)
        if name not in parents and _is_number(space[name]) and not _is_share(space[name])
        else value
        for name, value in params.items()
    }


def _moved(value: Any, distribution: BaseDistribution, share: float) -> Any:
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    middle = denormalize(0.5, distribution)
    return legal_or(value, interpolate(value, middle, share, distribution), distribution)


def _labels(params: _Params, space: SearchSpace) -> _Params:
    """Write choices as labels."""
    return {name: to_label(value, space[name]) for name, value in params.items()}


def _in_turn(made: Sequence[tuple[Config, Config]]) -> list[Config]:
    """Give every branch its first configuration before any gets its second."""
    if len(made) > _FEW_BRANCHES:
        made = [(b, a) for a, b in made]
    return [config for turn in zip(*made, strict=True) for config in turn]


def _branches(points: Sequence[_Params]) -> list[list[_Params]]:
    """Group samples by the parameters that they have."""
    groups: dict[frozenset[str], list[_Params]] = {}
    for point in points:
        groups.setdefault(frozenset(point), []).append(point)
    return list(groups.values())


def _is_number(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, (FloatDistribution, IntDistribution))


def _is_fraction(distribution: BaseDistribution) -> TypeGuard[FloatDistribution]:
    """Tell whether a float is between 0 and 1, and not in a logarithmic scale as rates are."""
    if not isinstance(distribution, FloatDistribution) or distribution.log:
        return False
    return distribution.low >= 0 and distribution.high <= 1


def _is_share(distribution: BaseDistribution) -> bool:
    return _is_fraction(distribution) and distribution.low == 0


def _most_frequent(found: Sequence[Any], distribution: BaseDistribution) -> Any:
    names = [to_label(value, distribution) for value in found]
    return found[names.index(Counter(names).most_common(1)[0][0])]


def _median(found: Sequence[Any], distribution: BaseDistribution) -> Any:
    """Return the median in the natural scale."""
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
