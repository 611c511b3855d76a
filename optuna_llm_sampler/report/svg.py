"""The history of a study as one SVG drawing, for pages that must not need anything else."""

from __future__ import annotations

from collections.abc import Sequence
import math

from .._study.keys import KINDS
from .._study.numbers import result_text
from .._study.numbers import Spread
from .._study.numbers import spread_of
from .._text import html
from .report import TrialLine


COLORS = {
    "defaults": "#00a87a",
    "history": "#c9a400",
    "llm": "#e0492f",
    "base": "#5b66e8",
    "fallback": "#e8913a",
    "enqueued": "#9a5be0",
    "other": "#9a9a9a",
}
_WIDTH, _HEIGHT = 900, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 15, 12, 40
_STAR = "M0,-7 1.7,-2.3 6.7,-2.2 2.7,.9 4.1,5.7 0,2.8 -4.1,5.7 -2.7,.9 -6.7,-2.2 -1.7,-2.3Z"


def kind_of_line(line: TrialLine) -> str:
    kind = line.source.partition(":")[0]
    return kind if kind in KINDS else "other"


def history(
    trials: Sequence[TrialLine],
    objective: int,
    among: Sequence[Spread],
    *,
    maximize: bool,
    title: str,
) -> str:
    """Draw the values of one objective by trial number, coloured by source.

    Args:
        trials:
            All trials.
        objective:
            Which of their values.
        among:
            How the results differ, per objective.
        maximize:
            Whether more is better.
        title:
            Name of the objective.
    """
    shown = [t for t in trials if len(t.values) > objective and math.isfinite(t.values[objective])]
    if not shown:
        return "<p class='none'>No trial has a value yet.</p>"
    frame = _Frame(
        max(t.number for t in trials),
        [t.values[objective] for t in shown],
    )
    parts = [
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='{html(title)} by trial'>",
        *frame.axes(title),
        _best_line(shown, objective, frame, maximize=maximize),
        *(_mark(t, frame.x(t.number), frame.y(t.values[objective]), among) for t in shown),
        *(_cross(t, frame.x(t.number), among) for t in trials if t.state == "fail"),
        "</svg>",
    ]
    return "".join(parts)


class _Frame:
    """Where a trial and a value lie in the drawing."""

    def __init__(self, last: int, values: Sequence[float]) -> None:
        self._last = max(last, 1)
        self.ticks = _ticks(min(values), max(values))
        self._low, self._high = self.ticks[0], self.ticks[-1]

    def x(self, number: float) -> float:
        inner = _WIDTH - _LEFT - _RIGHT - 20
        return round(_LEFT + 10 + inner * number / self._last, 1)

    def y(self, value: float) -> float:
        inner = _HEIGHT - _TOP - _BOTTOM
        return round(_TOP + inner * (self._high - value) / (self._high - self._low), 1)

    def axes(self, title: str) -> list[str]:
        parts = []
        among = spread_of(self.ticks)
        for tick in self.ticks:
            y = self.y(tick)
            parts.append(f"<path class='grid' d='M{_LEFT},{y}H{_WIDTH - _RIGHT}'/>")
            written = result_text(tick, among, digits=6)
            parts.append(f"<text x='{_LEFT - 8}' y='{y + 4}' class='end'>{written}</text>")
        for tick in _ticks(0, self._last):
            if 0 <= tick <= self._last and tick == int(tick):
                x, y = self.x(tick), _HEIGHT - _BOTTOM + 18
                parts.append(f"<text x='{x}' y='{y}' class='mid'>{int(tick)}</text>")
        middle = (_TOP + _HEIGHT - _BOTTOM) / 2
        parts.append(f"<text x='{_WIDTH / 2}' y='{_HEIGHT - 4}' class='mid'>Trial</text>")
        parts.append(
            f"<text transform='translate(13,{middle}) rotate(-90)' class='mid'>{html(title, 40)}"
            "</text>"
        )
        return parts


def _ticks(low: float, high: float) -> list[float]:
    """Return four to eight round numbers around a range."""
    span = high - low or abs(high) or 1.0
    rough = span / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def _best_line(
    shown: Sequence[TrialLine], objective: int, frame: _Frame, *, maximize: bool
) -> str:
    better = max if maximize else min
    best: float | None = None
    path = ""
    for trial in shown:
        if trial.state == "complete":
            value = trial.values[objective]
            best = value if best is None else better(best, value)
        if best is not None:
            x, y = frame.x(trial.number), frame.y(best)
            path += f"H{x}V{y}" if path else f"M{x},{y}"
    return f"<path class='best' d='{path}'/>" if path else ""


def _cross(trial: TrialLine, x: float, among: Sequence[Spread]) -> str:
    y = _HEIGHT - _BOTTOM
    arms = f"M{x - 4},{y - 4}L{x + 4},{y + 4}M{x - 4},{y + 4}L{x + 4},{y - 4}"
    return f"<path class='{kind_of_line(trial)} failed' d='{arms}'>{_tip(trial, among)}</path>"


def _mark(trial: TrialLine, x: float, y: float, among: Sequence[Spread]) -> str:
    kind = kind_of_line(trial)
    look = f"class='{kind}{' pruned' if trial.state == 'pruned' else ''}'"
    tip = _tip(trial, among)
    if kind == "llm":
        return f"<path {look} transform='translate({x},{y})' d='{_STAR}'>{tip}</path>"
    return f"<circle {look} cx='{x}' cy='{y}' r='4'>{tip}</circle>"


def _tip(trial: TrialLine, among: Sequence[Spread]) -> str:
    results = (result_text(*each, digits=5) for each in zip(trial.values, among, strict=False))
    values = ", ".join(results) or trial.state
    why = f" – {trial.why}" if trial.why else ""
    words = f"Trial {trial.number}: {values} ({trial.source or 'source not recorded'}){why}"
    return f"<title>{html(words, 400)}</title>"
