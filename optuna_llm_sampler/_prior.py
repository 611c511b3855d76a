"""What the model believes of single parameters, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import math
from statistics import fmean
from statistics import median
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from ._space import labels
from ._space import SearchSpace
from ._space import to_label
from ._space import unit


# Samples agree more than their writer knows: a part of every fitted prior stays uniform, as much
# as if these many samples had been drawn from the whole range.
_UNIFORM_SAMPLES = 2
_MIN_SAMPLES = 3
# Of the range; and how far from the center good values are said to lie, in standard deviations.
_MIN_SPREAD = 0.05
_REACH = 1.3
_UNIFORM_SPREAD = 12**-0.5


@dataclass(frozen=True)
class NumericPrior:
    """Where the model believes good values of a number to be, in natural units."""

    center: float
    low: float
    high: float
    confidence: float


# For a number, where it should be; for a choice, a weight by label.
Prior: TypeAlias = NumericPrior | Mapping[str, float]


def read_priors(value: Any, space: SearchSpace) -> dict[str, Prior]:
    """Read what a model says about each parameter; what makes no sense is left out."""
    out: dict[str, Prior] = {}
    if not isinstance(value, Mapping):
        return out
    for name, distribution in space.items():
        stated = value.get(name)
        if not isinstance(stated, Mapping):
            continue
        prior: Prior | None
        if isinstance(distribution, CategoricalDistribution):
            prior = _weights({label: stated.get(label) for label in labels(distribution)})
        else:
            numbers = [_number(stated.get(key)) for key in ("center", "low", "high")]
            confidence = _number(stated.get("confidence")) or 0.0
            prior = _numeric_prior([*numbers, confidence], distribution)
        if prior is not None:
            out[name] = prior
    return out


def _weights(stated: Mapping[str, Any]) -> Mapping[str, float] | None:
    numbers = {label: _number(weight) for label, weight in stated.items()}
    weights = {label: w for label, w in numbers.items() if w is not None and w >= 0}
    return weights if 0 < sum(weights.values()) < math.inf else None


def _numeric_prior(
    numbers: Sequence[float | None], distribution: BaseDistribution | None = None
) -> NumericPrior | None:
    """Check center, low, high and confidence, and cut them to the range of the distribution."""
    center, low, high, confidence = numbers
    if center is None or low is None or high is None or not low <= center <= high:
        return None
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        if high < distribution.low or low > distribution.high:
            return None
        center, low, high = (
            min(max(number, float(distribution.low)), float(distribution.high))
            for number in (center, low, high)
        )
    return NumericPrior(center, low, high, min(max(confidence or 0.0, 0.0), 1.0))


def fit_priors(configs: Sequence[Mapping[str, Any]], space: SearchSpace) -> dict[str, Prior]:
    """Fit a prior per parameter to a model's samples, for models that cannot state one.

    Numbers are fitted in the distribution's own scale: the center is the median, and the
    confidence is how much narrower than a uniform draw the samples lie. A part stays uniform.

    Args:
        configs:
            Distinct samples, in Optuna's own values.
        space:
            The parameters.

    Returns:
        Nothing for a parameter that fewer than three samples have.
    """
    out: dict[str, Prior] = {}
    for name, distribution in space.items():
        values = [config[name] for config in configs if name in config]
        if len(values) < _MIN_SAMPLES:
            continue
        trust = len(values) / (len(values) + _UNIFORM_SAMPLES)
        if isinstance(distribution, CategoricalDistribution):
            out[name] = _fitted_weights(values, distribution, trust)
        elif isinstance(distribution, (FloatDistribution, IntDistribution)):
            prior = _fitted_number(values, distribution, trust)
            if prior is not None:
                out[name] = prior
    return out


def _fitted_weights(
    values: Sequence[Any], distribution: CategoricalDistribution, trust: float
) -> Mapping[str, float]:
    names = labels(distribution)
    chosen = [to_label(value, distribution) for value in values]
    floor = (1 - trust) / len(names)
    return {name: floor + trust * chosen.count(name) / len(chosen) for name in names}


def _fitted_number(
    values: Sequence[Any], distribution: FloatDistribution | IntDistribution, trust: float
) -> NumericPrior | None:
    places = [unit(value, distribution) for value in values]
    center = median(places)
    spread = fmean((place - center) ** 2 for place in places) ** 0.5
    reach = _REACH * max(spread, _MIN_SPREAD)
    numbers = [at_unit(place, distribution) for place in (center, center - reach, center + reach)]
    return _numeric_prior([*numbers, trust * max(0.0, 1 - spread / _UNIFORM_SPREAD)], distribution)


def at_unit(place: float, distribution: FloatDistribution | IntDistribution) -> float:
    """Return the number at a place of [0, 1]; the inverse of :func:`~._space.unit`."""
    low, high = float(distribution.low), float(distribution.high)
    place = min(max(place, 0.0), 1.0)
    if distribution.log:
        return min(max(math.pow(low, 1 - place) * math.pow(high, place), low), high)
    return min(max(low * (1 - place) + high * place, low), high)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def prior_to_json(prior: Prior) -> Any:
    """Write it as pure JSON types."""
    if isinstance(prior, NumericPrior):
        return [prior.center, prior.low, prior.high, prior.confidence]
    return dict(prior)


def prior_from_json(data: Any) -> Prior:
    """Read what :func:`prior_to_json` wrote.

    Raises:
        ValueError: The content is not a prior.
    """
    prior: Prior | None = None
    if isinstance(data, Mapping):
        prior = _weights(data)
    elif isinstance(data, Sequence) and len(data) == 4:
        prior = _numeric_prior([_number(n) for n in data])
    if prior is None:
        raise ValueError("not a prior")
    return prior
