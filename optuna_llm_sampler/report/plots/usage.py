"""What the model took over time: tokens, seconds, money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import TYPE_CHECKING

from ..._extras import need
from ..._store.prices import Price
from ..._text import count
from ..._text import hover
from ..._text import plain
from ..report import AdviceLine
from ..report import report
from .info import studies_of


if TYPE_CHECKING:
    from optuna.study import Study
    import plotly.graph_objects as go


_TITLE = "Use of the Model"
FAILED = "#EF553B"
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class UsagePanel:
    """One row of the plot: a quantity that adds up over the trials, or one of each call.

    Attributes:
        title:
            On the axis.
        lines:
            By name: trial number and value so far.
        calls:
            By study: trial number, value, whether the call failed, and what it was.
    """

    title: str
    lines: dict[str, list[tuple[int, float]]]
    calls: dict[str, list[tuple[int, float, bool, str]]]


def usage_panels(studies: Sequence[Study], price: Price | None) -> list[UsagePanel]:
    """Return tokens, seconds and, where it is known, cost."""
    tokens = UsagePanel("Tokens so far", {}, {})
    seconds = UsagePanel("Seconds per call", {}, {})
    usd = UsagePanel("USD so far", {}, {})
    for study in studies:
        data = report(study, price=price)
        suffix = f" of {plain(study.study_name, 60)}" if len(studies) > 1 else ""
        sent = [(a.trial, a.call.input_tokens) for a in data.advice]
        received = [(a.trial, a.call.output_tokens) for a in data.advice]
        tokens.lines[f"Tokens in{suffix}"] = _running(sent)
        tokens.lines[f"Tokens out{suffix}"] = _running(received)
        usd.lines[f"Cost{suffix}"] = _running([(a.trial, a.usd) for a in data.advice])
        seconds.calls[suffix] = [
            (a.trial, a.call.seconds, a.outcome != "ok", _words(a)) for a in data.advice
        ]
    return [tokens, seconds] + ([usd] if _is_paid(usd) else [])


def _is_paid(panel: UsagePanel) -> bool:
    return any(value > 0 for line in panel.lines.values() for _, value in line)


def _running(steps: Sequence[tuple[int, float | None]]) -> list[tuple[int, float]]:
    total = 0.0
    out = []
    for trial, amount in sorted(steps, key=lambda step: step[0]):
        if amount is not None:
            total += amount
            out.append((trial, total))
    return out


def _words(line: AdviceLine) -> str:
    tokens = f"{count(line.call.input_tokens)} in, {count(line.call.output_tokens)} out"
    return (
        f"Trial {line.trial}: {line.outcome}, {line.call.seconds:.1f} s, {tokens}, "
        f"{line.used} of {line.configs} configurations used ({plain(line.call.model, 60)})"
    )


def plot_llm_usage(study: Study | Sequence[Study], *, price: Price | None = None) -> go.Figure:
    """Plot tokens, seconds and cost of the calls to the model over the trials.

    Args:
        study:
            A study, or several to be compared.
        price:
            What the model costs. :obj:`None`: cost is not plotted.

    Returns:
        A :class:`plotly.graph_objects.Figure`.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    go = need("plotly.graph_objects", "plot_llm_usage", "plot")
    subplots = need("plotly.subplots", "plot_llm_usage", "plot")
    rows = usage_panels(studies_of(study), price)
    figure = subplots.make_subplots(
        rows=len(rows), cols=1, shared_xaxes=True, vertical_spacing=0.08
    )
    for i, panel in enumerate(rows, start=1):
        for trace in [*_lines(go, panel), *_dots(go, panel)]:
            figure.add_trace(trace, row=i, col=1)
        figure.update_yaxes(title=panel.title, rangemode="tozero", row=i, col=1)
    figure.update_xaxes(title="Trial on which the answer lies", row=len(rows), col=1)
    figure.update_layout(title=_TITLE, height=120 + 200 * len(rows), showlegend=True)
    return figure


def _lines(go: Any, panel: UsagePanel) -> list[Any]:
    return [
        go.Scatter(
            x=[trial for trial, _ in steps],
            y=[value for _, value in steps],
            mode="lines+markers",
            name=hover(name, width=200),
            line={"shape": "hv", "dash": _DASHES[i // 2 % len(_DASHES)]},
        )
        for i, (name, steps) in enumerate(panel.lines.items())
        if steps
    ]


def _dots(go: Any, panel: UsagePanel) -> list[Any]:
    dots = []
    for suffix, calls in panel.calls.items():
        for failed, name in ((False, "Advice"), (True, "Call without advice")):
            mine = [call for call in calls if call[2] == failed]
            if mine:
                symbol = {"symbol": "x", "color": FAILED} if failed else {"symbol": "circle"}
                dots.append(
                    go.Scatter(
                        x=[trial for trial, *_ in mine],
                        y=[value for _, value, *_ in mine],
                        mode="markers",
                        name=hover(name + suffix, width=200),
                        marker={"size": 9, **symbol},
                        text=[hover(call[3]) for call in mine],
                        hovertemplate="%{text}<extra></extra>",
                    )
                )
    return dots
