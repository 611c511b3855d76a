"""A trial's intermediate values in a few words: shape, slope, divergence, where it was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math

from .numbers import result_text
from .numbers import Spread
from .numbers import spread_of


# Of all that was gained, this share in the last quarter of the steps is still a slope.
_SLOPE = 0.1
_NEARLY_ALL = 0.95
_DIGITS = 3


def curve(values: Mapping[int, float], among: Spread | None = None, *, minimize: bool) -> str:
    """Describe a learning curve, ``""`` when there is none.

    Args:
        values:
            By step.
        among:
            How the ends of the curves differ that are shown together.
        minimize:
            Whether less is better.
    """
    if not values:
        return ""
    steps = sorted(values)
    seen = [values[step] for step in steps]
    bad = next((i for i, value in enumerate(seen) if not math.isfinite(value)), None)
    if bad is not None:
        return f"diverged: {seen[bad]} at step {steps[bad]}"
    losses = seen if minimize else [-value for value in seen]
    best = min(range(len(losses)), key=losses.__getitem__)
    along = spread_of([seen[0], seen[best], seen[-1]])
    first, top, last = (
        result_text(seen[i], along, among or Spread(), digits=_DIGITS) for i in (0, best, -1)
    )
    course = f"{last if len(steps) == 1 else f'{first} → {last}'} until step {steps[-1]}"
    if len(steps) < 3:
        return course
    return f"{course}, {_shape(losses, steps, f'best {top} at step {steps[best]}')}"


def _shape(losses: Sequence[float], steps: Sequence[int], best_at: str) -> str:
    best = min(losses)
    gain = losses[0] - best
    lost = losses[-1] - best
    if losses[-1] > losses[0]:
        return "diverging" if lost > 2 * gain else best_at
    if gain == 0:
        return "flat"
    if lost > gain / 2:
        return f"{best_at}, worse since"
    quarter = losses[-1 - max(1, len(losses) // 4)]
    if quarter - losses[-1] > _SLOPE * gain:
        return "still improving"
    flat = next(i for i, loss in enumerate(losses) if losses[0] - loss >= _NEARLY_ALL * gain)
    return f"flat since step {steps[flat]}"
