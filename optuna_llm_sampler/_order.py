"""From exchangeable samples to the few configurations that are tried.

A model asked in JSON sees the bounds and puts its best guess first. Samples of a small model have
no order, and it has not seen the bounds, which confuse it (small-models.md §2.2). But whoever set
them knows something, too: the middle of a range is a guess of its own. So the first configurations
are made of all samples and of the ranges: what the samples agree on in each parameter, with
everything switched off that may be 0; the middle of every range; what the samples agree on; and
then each time the sample that differs most from those before it. All numbers of the model move a
quarter of the way to the middle of their range.

A small model always writes a dropout or a weight decay and never tries without, even when it is
asked to (``# without regularisation`` above a configuration leaves ``dropout=0.2``, 1.5B model).

Measured on the recorded answers of the 0.5B model (benchmarks/regret), best of one, two and five,
HPOBench-MLP; HPOlib; and six spaces of scikit-learn's estimators, looked at only afterwards:

================================================= ============== ============== ==============
agreed, switched off, then samples                .306/.264/.182 .786/.268/.233 .664/.646/.637
the middle second                                 .306/.203/.167 .786/.268/.197 .664/.615/.287
and everything moved by a quarter                 .229/.184/.147 .782/.264/.200 .539/.493/.283
the middle alone, choices by chance, no model     .222           .476           .341
================================================= ============== ============== ==============

Here what is switched off comes first, which changes the best of one only. With branches, each is
treated so: first what is agreed on in all of them, then their middles. On conditional/digits
(5 seeds): most typical sample first .396/.396/.225; its numbers moved by a quarter .277/.277/.123;
as it is .130/.105/.042; the middles alone .053 (uniform draws .751/.372/.256).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from ._advice import Config
from ._advice import distinct
from ._advice import Known
from ._advice import nothing
from ._advice import values
from ._branches import Conditions
from ._prior import at_unit
from ._space import between
from ._space import legal_or
from ._space import SearchSpace
from ._space import to_label
from ._space import unit


_OFF = "what the model's samples agree on, everything that may be 0 switched off"
_MIDDLE = "the middle of each range, choices as the model's samples agree"
_AGREED = "what the model's samples agree on"
_SAMPLE = "one of the model's samples"
Params: TypeAlias = dict[str, Any]

# How far numbers move to the middle of their range.
_PULL = 0.25


def agreed_first(
    configs: Sequence[Config],
    space: SearchSpace,
    n: int,
    known: Known = nothing,
    conditions: Conditions | None = None,
) -> tuple[Config, ...]:
    """Put what the samples agree on and the middle of the ranges before them.

    Args:
        configs:
            Distinct samples.
        space:
            The parameters.
        n:
            How many to return at most.
        known:
            Tells which configurations need not be run again.
        conditions:
            With which values of which parameters others are used. The samples of each branch are
            taken for themselves.
    """
    fixed = frozenset(parent for parents in (conditions or {}).values() for parent in parents)
    points = [values(config, space) for config in configs]
    agreed = [_agreed(branch, space) for branch in _branches(points, space, fixed)]
    off = [_switched_off(params, space) for params in agreed]
    made = [
        *(_config(_pulled(params, space, fixed), _OFF, space) for params in off),
        *(_config(middle(params, space, fixed), _MIDDLE, space) for params in agreed),
        *(_config(_pulled(params, space, fixed), _AGREED, space) for params in agreed),
    ]
    first = _fresh(made, space, known)
    samples = [
        replace(config, params=_labels(_pulled(point, space, fixed), space), why=_SAMPLE)
        for config, point in zip(configs, points, strict=True)
    ]
    rest = _fresh([*first, *samples], space, known)[len(first) :]
    # What was moved may be known where the samples are not.
    return (_farthest_first(first, rest, space) or tuple(configs))[:n]


def middle(params: Params, space: SearchSpace, fixed: frozenset[str] = frozenset()) -> Params:
    """Return the middle of the ranges, everything that may be 0 switched off, choices kept."""
    return _pulled(_switched_off(params, space), space, fixed, 1.0)


def _branches(
    points: Sequence[Params], space: SearchSpace, parents: frozenset[str]
) -> list[list[Params]]:
    """Group samples by the values that decide about other parameters."""
    groups: dict[tuple[Any, ...], list[Params]] = {}
    for point in points:
        decisive = _labels({name: point[name] for name in parents & set(point)}, space)
        groups.setdefault(tuple(sorted(decisive.items())), []).append(point)
    return list(groups.values())


def _fresh(configs: Sequence[Config], space: SearchSpace, known: Known) -> list[Config]:
    return distinct([c for c in configs if not known(values(c, space))], space)


def _pulled(
    params: Params, space: SearchSpace, fixed: frozenset[str], share: float = _PULL
) -> Params:
    """Move numbers towards the middle of their range, in its own scale.

    Choices stay, and so does what may be 0: the middle of such a range is no guess at it.
    """
    return {
        name: value
        if name in fixed or _may_be_off(distribution := space[name])
        else between(value, _middle(value, distribution), share, distribution)
        for name, value in params.items()
    }


def _middle(value: Any, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        return at_unit(0.5, distribution)
    return value


def _may_be_off(distribution: BaseDistribution) -> bool:
    """Tell whether it is a float from 0 on: dropout, weight decay, momentum, warm-up."""
    return isinstance(distribution, FloatDistribution) and distribution.low == 0


def _switched_off(params: Params, space: SearchSpace) -> Params:
    return {name: 0.0 if _may_be_off(space[name]) else value for name, value in params.items()}


def _agreed(points: Sequence[Params], space: SearchSpace) -> Params:
    found = {name: [point[name] for point in points if name in point] for name in space}
    return {name: _common(drawn, space[name]) for name, drawn in found.items() if drawn}


def _common(found: Sequence[Any], distribution: BaseDistribution) -> Any:
    """Return the commonest choice, or the median in the distribution's own scale."""
    if isinstance(distribution, CategoricalDistribution):
        names = [to_label(value, distribution) for value in found]
        return found[names.index(Counter(names).most_common(1)[0][0])]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    place = median(unit(value, distribution) for value in found)
    return legal_or(found[0], at_unit(place, distribution), distribution)


def _labels(params: Params, space: SearchSpace) -> Params:
    return {name: to_label(value, space[name]) for name, value in params.items()}


def _config(params: Params, why: str, space: SearchSpace) -> Config:
    return Config(_labels(params, space), why)


def _farthest_first(
    first: Sequence[Config], rest: Sequence[Config], space: SearchSpace
) -> tuple[Config, ...]:
    """Go on each time with the one that differs most from all before it."""
    order, left = list(first), list(rest)
    points = {id(config): values(config, space) for config in [*order, *left]}
    while left:
        gaps = [
            min((_gap(points[id(c)], points[id(o)], space) for o in order), default=0.0)
            for c in left
        ]
        order.append(left.pop(gaps.index(max(gaps))))
    return tuple(order)


def _gap(a: Mapping[str, Any], b: Mapping[str, Any], space: SearchSpace) -> float:
    """City-block distance; another choice, or a parameter that only one has, counts a half."""
    total = 0.0
    for name, distribution in space.items():
        if name not in a or name not in b:
            total += 0.5 * ((name in a) != (name in b))
            continue
        gap = abs(unit(a[name], distribution) - unit(b[name], distribution))
        total += 0.5 * (gap > 0) if isinstance(distribution, CategoricalDistribution) else gap
    return total
