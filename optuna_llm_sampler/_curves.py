"""A trial's intermediate values in a few words: shape, slope, divergence, where it was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math


# Of all that was gained, this share in the last quarter of the steps is still a slope.
_SLOPE = 0.1
_NEARLY_ALL = 0.95


def curve(values: Mapping[int, float], *, minimize: bool) -> str:
    """Describe a learning curve, ``""`` when there is none."""
    if not values:
        return ""
    steps = sorted(values)
    seen = [values[step] for step in steps]
    bad = next((i for i, value in enumerate(seen) if not math.isfinite(value)), None)
    if bad is not None:
        return f"diverged: {seen[bad]} at step {steps[bad]}"
    if len(steps) < 3:
        return f"{_numbers(seen)} until step {steps[-1]}"
    losses = seen if minimize else [-value for value in seen]
    return f"{_numbers([seen[0], seen[-1]])} until step {steps[-1]}, {_shape(losses, steps, seen)}"


def _shape(losses: Sequence[float], steps: Sequence[int], seen: Sequence[float]) -> str:
    best = min(range(len(losses)), key=losses.__getitem__)
    gain = losses[0] - losses[best]
    lost = losses[-1] - losses[best]
    if losses[-1] > losses[0]:
        return "diverging" if lost > 2 * gain else f"best {seen[best]:.3g} at step {steps[best]}"
    if gain == 0:
        return "flat"
    if lost > gain / 2:
        return f"best {seen[best]:.3g} at step {steps[best]}, worse since"
    quarter = losses[-1 - max(1, len(losses) // 4)]
    if quarter - losses[-1] > _SLOPE * gain:
        return "still improving"
    flat = next(i for i, loss in enumerate(losses) if losses[0] - loss >= _NEARLY_ALL * gain)
    return f"flat since step {steps[flat]}"


def _numbers(values: Sequence[float]) -> str:
    return " → ".join(f"{value:.3g}" for value in values)
