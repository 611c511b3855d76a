"""The history of a study as an SVG drawing, for a page that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
import math

from ..._study.numbers import result_text, spread_of
from ..._text import html
from .data import History, Point


_WIDTH, _HEIGHT = 900, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 15, 12, 40
_STAR = "M0,-7 1.7,-2.3 6.7,-2.2 2.7,.9 4.1,5.7 0,2.8 -4.1,5.7 -2.7,.9 -6.7,-2.2 -1.7,-2.3Z"


def draw(history: History, title: str, last: int) -> str:
    """Draw one objective by trial number, coloured by source.

    Args:
        history:
            What to draw.
        title:
            Name of the objective.
        last:
            Number of the study's last trial.
    """
    if not history.points:
        return "<p class='soft'>No trial has a value yet.</p>"
    frame = _Frame(last, [point.value for point in history.points])
    best = ""
    for number, value in history.best:
        x, y = frame.x(number), frame.y(value)
        best += f"H{x}V{y}" if best else f"M{x},{y}"
    parts = [
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='{html(title)} by trial'>",
        *frame.axes(title),
        f"<path class='best' d='{best}'/>" if best else "",
        *(_mark(point, frame) for point in history.points),
        *(_cross(point, frame) for point in history.failed),
        "</svg>",
    ]
    return "".join(parts)


class _Frame:
    """Where a trial and a value are in the drawing."""

    def __init__(self, last: int, values: Sequence[float]) -> None:
        self._last = max(last, 1)
        self._ticks = _ticks(min(values), max(values))

    def x(self, number: float) -> float:
        inner = _WIDTH - _LEFT - _RIGHT - 20
        return round(_LEFT + 10 + inner * number / self._last, 1)

    def y(self, value: float) -> float:
        low, high = self._ticks[0], self._ticks[-1]
        inner = _HEIGHT - _TOP - _BOTTOM
        return round(_TOP + inner * (high - value) / (high - low), 1)

    def axes(self, title: str) -> list[str]:
        parts = []
        among = spread_of(self._ticks)
        for tick in self._ticks:
            y = self.y(tick)
            parts.append(f"<path class='grid' d='M{_LEFT},{y}H{_WIDTH - _RIGHT}'/>")
            written = result_text(tick, among, digits=6)
            parts.append(f"<text x='{_LEFT - 8}' y='{y + 4}' class='end'>{written}</text>")
        for tick in _ticks(0, self._last):
            if 0 <= tick <= self._last and tick == int(tick):
                x, y = self.x(tick), _HEIGHT - _BOTTOM + 18
                parts.append(f"<text x='{x}' y='{y}' class='mid'>{int(tick)}</text>")
        middle = (_TOP + _HEIGHT - _BOTTOM) / 2
        turned = f"transform='translate(13,{middle}) rotate(-90)'"
        parts.append(f"<text x='{_WIDTH / 2}' y='{_HEIGHT - 4}' class='mid'>Trial</text>")
        parts.append(f"<text {turned} class='mid'>{html(title, 40)}</text>")
        return parts


def _ticks(low: float, high: float) -> list[float]:
    """Return four to eight round numbers around a range."""
    span = high - low or abs(high) or 1.0
    rough = span / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def _cross(point: Point, frame: _Frame) -> str:
    x, y = frame.x(point.line.number), _HEIGHT - _BOTTOM
    arms = f"M{x - 4},{y - 4}L{x + 4},{y + 4}M{x - 4},{y + 4}L{x + 4},{y - 4}"
    return f"<path class='{point.line.kind} failed' d='{arms}'>{_tip(point)}</path>"


def _mark(point: Point, frame: _Frame) -> str:
    x, y, kind = frame.x(point.line.number), frame.y(point.value), point.line.kind
    look = f"class='{kind}{' pruned' if point.line.state == 'pruned' else ''}'"
    if kind == "llm":
        return f"<path {look} transform='translate({x},{y})' d='{_STAR}'>{_tip(point)}</path>"
    return f"<circle {look} cx='{x}' cy='{y}' r='4'>{_tip(point)}</circle>"


def _tip(point: Point) -> str:
    return f"<title>{html('; '.join(point.texts), 400)}</title>"
