"""Answers that only recite the list of choices that the question has shown.

Where many parameters share one list of choices and their names mean nothing (the edges of a
network's cell, ``Op0`` … ``Op5``), a small model writes the choices down in the order in which it
has read them: none, skip_connect, nor_conv_1x1, nor_conv_3x3, … Such an answer differs from others
and is no idea: best of five on NAS-Bench-201 .68 with, against .48 of uniform draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from optuna.distributions import CategoricalDistribution

from ._advice import Advice
from ._advice import Config
from ._space import labels
from ._space import SearchSpace


_MIN_PARAMETERS = 4
_MIN_CHOICES = 4


def without_recitals(advice: Advice, space: SearchSpace) -> Advice:
    """Drop configurations that are no ideas, and count them."""
    kept = tuple(config for config in advice.configs if not is_recital(config, space))
    n = len(advice.configs) - len(kept)
    if not n:
        return advice
    return replace(
        advice,
        configs=kept,
        n_ideas=advice.n_ideas - n,
        rejected={**advice.rejected, "recited": n},
    )


def is_recital(config: Config, space: SearchSpace) -> bool:
    """Tell whether most choices are followed by the next one of a list that many share."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for name, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution) and name in config.params:
            names = labels(distribution)
            groups.setdefault(names, []).append(names.index(config.params[name]))
    return any(
        len(names) >= _MIN_CHOICES and len(taken) >= _MIN_PARAMETERS and _is_in_turn(taken, names)
        for names, taken in groups.items()
    )


def _is_in_turn(taken: Sequence[int], names: Sequence[str]) -> bool:
    steps = [(b - a) % len(names) == 1 for a, b in pairwise(taken)]
    return 2 * sum(steps) > len(steps)
