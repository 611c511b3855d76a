"""From exchangeable samples to the few configurations that are tried.

A model asked in JSON sees the bounds and puts its best guess first. Samples of a small model have
no order, and it has not seen the bounds, which confuse it (small-models.md §2.2). But whoever set
them knows something, too: the middle of a range is a guess of its own. So the first configurations
are made of all samples and of the ranges: what the samples agree on in each parameter, with
dropout and the like at 0; the middle of every range; what the samples agree on; and then each time
the sample that differs most from those before it. Numbers of the model move a quarter of the way
to the middle of their range. With branches, each is treated so.

Shares, which are floats in a range from 0 to 1 at most, neither move nor have a middle. A small
model always writes a dropout or a weight decay and never tries without, even when it is asked to
(``# without regularisation`` above a configuration leaves ``dropout=0.2``, 1.5B model). So a share
of which it says 0.5 or less is tried at 0.

Measured on the recorded answers of the 0.5B model (benchmarks/regret), best of one, two and five,
HPOBench-MLP; HPOlib; and six spaces of scikit-learn's estimators, looked at only afterwards (5
seeds, on a scale that was lowered since):

================================================= ============== ============== ==============
agreed, then at 0, then samples                   .306/.264/.182 .786/.268/.233 .664/.646/.637
the middle third (second where nothing may be 0)  .306/.203/.167 .786/.268/.197 .664/.615/.287
and everything moved by a quarter                 .229/.184/.147 .782/.264/.200 .539/.493/.283
and at 0 first, the middle second: as it is       .229/.184/.147 .264/.206/.200 .536/.297/.283
the middle alone, choices by chance, no model     .222           .476           .341
================================================= ============== ============== ==============

On conditional/digits (5 seeds): most typical sample first .396/.396/.225; moved by a quarter
.277/.277/.123; as it is .130/.105/.042; the middles alone .053 (uniform draws .751/.372/.256).
With two objectives, what is agreed on is a compromise, and samples of either aim follow:
hypervolume of the first five (benchmarks/spaces trade-off, more is better) .130 by the samples
alone, .156 with these moved, .192 as it is (uniform draws .224).

What most samples put outside of its range, the model knows in another unit
(``min_samples_split=2`` where a fraction is asked) or not at all: such a number moves half of the
way, such a share is tried at 0. With 10 seeds and the present scale, scikit-learn's spaces
.545/.310/.288 without and .394/.305/.284 with this, nothing else by more than .001; with the names
hidden, where the model says 1 for nearly everything, HPOlib 1.0/.933/.851 and .941/.209/.207.

Once there is a history, samples stay as they are: the middle of the ranges has been tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from statistics import median
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from .._study.conditions import Conditions
from .._study.space import denormalize
from .._study.space import interpolate
from .._study.space import legal_or
from .._study.space import normalize
from .._study.space import SearchSpace
from .._study.space import to_label
from .advice import Config
from .advice import distinct
from .advice import Known
from .advice import nothing
from .advice import values


_AGREED = "what the model's samples agree on"
_SAMPLE = "one of the model's samples"
_OFF = ", with everything at 0 that may well be"
_MIDDLE = "the middle of each range, choices as in the model's samples"
Params: TypeAlias = dict[str, Any]

# How far numbers move to the middle of their range, those as well that most samples put outside.
_PULL = 0.25
_FOREIGN_PULL = 0.5
# With more branches, the first few trials could not hold both proposals for each.
_FEW_BRANCHES = 3


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
    rules = _Rules(space, fixed, _foreign(configs))
    points = [values(config, space) for config in configs]
    made = [_made(branch, rules) for branch in _branches(points, bool(fixed))]
    first = _fresh(_in_turn(made), space, known)
    samples = [
        replace(config, params=_labels(rules.pulled(point), space), why=_SAMPLE)
        for config, point in zip(configs, points, strict=True)
    ]
    rest = _fresh([*first, *samples], space, known)[len(first) :]
    # What was moved may be known where the samples are not.
    return (_farthest_first(first, rest, space) or tuple(configs))[:n]


def _foreign(configs: Sequence[Config]) -> frozenset[str]:
    """Return the parameters that most samples put outside of their range."""
    named = Counter(name for config in configs for name in config.params)
    outside = Counter(name for config in configs for name in config.outside)
    return frozenset(name for name, n in outside.items() if 2 * n > named[name])


@dataclass(frozen=True)
class _Rules:
    """How values are changed before they are tried.

    Attributes:
        space:
            The parameters.
        fixed:
            Those that decide about others.
        foreign:
            Those of which the model does not know what they are measured in.
    """

    space: SearchSpace
    fixed: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()

    def pulled(self, params: Params, share: float | None = None) -> Params:
        """Move numbers towards the middle of their range, in its own scale.

        Choices and shares stay, and so does what decides about other parameters.
        """
        return {
            name: value
            if name in self.fixed or _is_share(self.space[name])
            else interpolate(
                value,
                _middle(value, self.space[name]),
                share or (_FOREIGN_PULL if name in self.foreign else _PULL),
                self.space[name],
            )
            for name, value in params.items()
        }

    def switched_off(self, params: Params) -> Params:
        """Set to 0 what may be dropout, weight decay or warm-up; not a subsample or a momentum."""
        return {
            name: 0.0
            if _is_share(self.space[name]) and (value <= 0.5 or name in self.foreign)
            else value
            for name, value in params.items()
        }

    def middle(self, params: Params) -> Params:
        return self.pulled(self.switched_off(params), 1.0)


def middle(params: Params, space: SearchSpace) -> Params:
    """Return the middle of the ranges, everything that may be 0 switched off, choices kept."""
    return _Rules(space).middle(params)


def _made(points: Sequence[Params], rules: _Rules) -> list[Config]:
    """Make three configurations of the samples of one branch."""
    space = rules.space
    agreed = _agreed(points, space, rules.fixed)
    off = rules.switched_off(agreed)
    why = _AGREED if len(points) > 1 else _SAMPLE
    return [
        _config(rules.pulled(off), why + _OFF if off != agreed else why, space),
        _config(rules.middle(agreed), _MIDDLE, space),
        _config(rules.pulled(agreed), why, space),
    ]


def _in_turn(made: Sequence[Sequence[Config]]) -> list[Config]:
    """Give every branch its first configuration before any gets its second."""
    if len(made) > _FEW_BRANCHES:  # in every other branch, the middle goes first
        made = [[b, a, c] if i % 2 else [a, b, c] for i, (a, b, c) in enumerate(made)]
    return [config for turn in zip(*made, strict=True) for config in turn]


def _branches(points: Sequence[Params], conditional: bool) -> list[list[Params]]:
    """Group samples by the parameters they have; samples of a flat space are one group."""
    groups: dict[frozenset[str], list[Params]] = {}
    for point in filter(None, points):
        groups.setdefault(frozenset(point if conditional else ()), []).append(point)
    return list(groups.values())


def _fresh(configs: Sequence[Config], space: SearchSpace, known: Known) -> list[Config]:
    return distinct([c for c in configs if not known(values(c, space))], space)


def _middle(value: Any, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        return denormalize(0.5, distribution)
    return value


def _is_share(distribution: BaseDistribution) -> bool:
    if not isinstance(distribution, FloatDistribution):
        return False
    return distribution.low == 0 and distribution.high <= 1


def _agreed(points: Sequence[Params], space: SearchSpace, fixed: frozenset[str]) -> Params:
    found = {name: [point[name] for point in points if name in point] for name in space}
    return {
        name: _commonest(drawn, space[name])
        if name in fixed or isinstance(space[name], CategoricalDistribution)
        else _median(drawn, space[name])
        for name, drawn in found.items()
        if drawn
    }


def _commonest(found: Sequence[Any], distribution: BaseDistribution) -> Any:
    names = [to_label(value, distribution) for value in found]
    return found[names.index(Counter(names).most_common(1)[0][0])]


def _median(found: Sequence[Any], distribution: BaseDistribution) -> Any:
    """Return the median in the distribution's own scale."""
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    place = median(normalize(value, distribution) for value in found)
    return legal_or(found[0], denormalize(place, distribution), distribution)


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
        gap = abs(normalize(a[name], distribution) - normalize(b[name], distribution))
        total += 0.5 * (gap > 0) if isinstance(distribution, CategoricalDistribution) else gap
    return total
