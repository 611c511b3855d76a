"""Parameters whose possible values are known by their names."""

from __future__ import annotations

import math

from .._study.numbers import exact
from ..errors import ContradictionError
from .fact import Fact


# Words of the name, lowest and highest value, and whether the lowest is excluded.
_DOMAINS = (
    (frozenset({"learning", "rate"}), 0.0, math.inf, True),
    (frozenset({"weight", "decay"}), 0.0, math.inf, False),
    (frozenset({"batch", "size"}), 1.0, math.inf, False),
    (frozenset({"epoch"}), 0.0, math.inf, True),
    (frozenset({"layer"}), 0.0, math.inf, False),
    (frozenset({"tree"}), 1.0, math.inf, False),
    (frozenset({"estimator"}), 1.0, math.inf, False),
    *((frozenset({word}), 0.0, 1.0, True) for word in ("subsample", "colsample")),
    *(
        (frozenset(words.split()), 0.0, 1.0, False)
        for words in (
            "dropout",
            "momentum",
            "label smoothing",
            "warmup ratio",
            "l1 ratio",
            "fraction",
            "probability",
            "discount",
        )
    ),
    *((frozenset({word}), 0.0, 100.0, False) for word in ("percent", "percentage")),
)


def within_domain(fact: Fact, subject: frozenset[str]) -> None:
    """Check bounds against what a parameter can be at all.

    Raises:
        ContradictionError: No value of the parameter lies within the bounds.
    """
    for words, low, high, excluded in _DOMAINS:
        if not words <= subject or fact.choices:
            continue
        factor = 0.01 if fact.percent and high <= 1.0 else 1.0
        top = factor * min(fact.high, fact.below)
        bottom = factor * max(fact.low, fact.above)
        if top < low or (top == low and excluded) or bottom > high:
            end = f"to {exact(high)}" if high < math.inf else "upwards"
            begin = f"above {exact(low)}" if excluded else f"from {exact(low)}"
            name = " ".join(w for w in ("batch", "learning", "weight") if w in words)
            name = " ".join([name, *sorted(words - set(name.split()))]).strip()
            raise ContradictionError(f"{fact.words!r} is impossible: {name} goes {begin} {end}.")


def ends_of(subject: frozenset[str]) -> tuple[float, float]:
    """Return the lowest and the highest value that a parameter can have, as far as known."""
    known = [(low, high) for words, low, high, _ in _DOMAINS if words <= subject]
    lows, highs = [low for low, _ in known], [high for _, high in known]
    return max(lows, default=-math.inf), min(highs, default=math.inf)
