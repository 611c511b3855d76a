"""Several objectives: domination, and what each trial adds to the hypervolume of the front.

Pure functions of losses. Optuna's own hypervolume is private (optuna/_hypervolume); a dozen points
need no more than the plain recursion.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import TypeAlias


Losses: TypeAlias = tuple[float, ...]


def dominates(a: Losses, b: Losses) -> bool:
    """Tell whether ``a`` is nowhere worse than ``b`` and somewhere better."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=False))


def thinned(points: Sequence[Losses], n: int) -> list[int]:
    """Choose points of a front: the best in each objective, then evenly along the first one."""
    order = sorted(range(len(points)), key=lambda i: points[i])
    if len(points) <= n:
        return order
    ends = {min(order, key=lambda i, k=k: points[i][k]) for k in range(len(points[0]))}  # type: ignore[misc]
    left = n - len(ends)
    for j in range(max(left, 0)):
        ends.add(order[round((j + 0.5) * (len(order) - 1) / left)])
    return sorted(ends, key=lambda i: points[i])


def scaled(points: Sequence[Losses]) -> list[Losses]:
    """Map each objective onto [0, 1], so that seconds and accuracies count alike."""
    columns = list(zip(*points, strict=True))
    finite = [[x for x in column if math.isfinite(x)] or [0.0] for column in columns]
    lows, highs = [min(c) for c in finite], [max(c) for c in finite]
    return [
        tuple(
            min(max((x - low) / (high - low), 0.0), 1.0) if high > low else 0.0
            for x, low, high in zip(point, lows, highs, strict=True)
        )
        for point in points
    ]


def shares(points: Sequence[Losses]) -> list[float]:
    """Return the share of the hypervolume that is lost without each point."""
    if not points:
        return []
    units = scaled(points)
    reference = (1.1,) * len(units[0])
    whole = hypervolume(units, reference)
    rest = (hypervolume([*units[:i], *units[i + 1 :]], reference) for i in range(len(units)))
    return [(whole - without) / whole for without in rest]


def hypervolume(points: Sequence[Losses], reference: Losses) -> float:
    """Return the volume that is dominated: each point's own, less what later points share."""
    total = 0.0
    for i, point in enumerate(points):
        own = math.prod(r - x for x, r in zip(point, reference, strict=True))
        limited = {
            tuple(max(x, y) for x, y in zip(point, other, strict=True))
            for other in points[i + 1 :]
        }
        kept = sorted(a for a in limited if not any(dominates(b, a) for b in limited))
        total += own - hypervolume(kept, reference)
    return total
