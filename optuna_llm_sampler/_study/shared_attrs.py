"""User attributes of trials that the user named to be shown to the model."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
import math
from typing import Any
from typing import TYPE_CHECKING

from .._text import plain
from .numbers import result_text
from .numbers import Spread
from .numbers import spread_of
from .summary import StudySummary
from .summary import TrialSummary


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


MAX_SHARED = 8
_MAX_CHARS = 80


def with_attrs(
    summary: StudySummary, trials: Sequence[FrozenTrial], names: Sequence[str]
) -> StudySummary:
    """Add to finished and failed trials what they have under these names, shortened."""
    if not names:
        return summary

    every = [trials[shown.number].user_attrs for shown in (*summary.finished, *summary.failed)]
    among = {
        name: spread_of(attrs[name] for attrs in every if isinstance(attrs.get(name), float))
        for name in names
    }

    def shown(trial: TrialSummary) -> TrialSummary:
        return replace(trial, attrs=_attrs(trials[trial.number].user_attrs, among))

    return replace(
        summary,
        finished=tuple(map(shown, summary.finished)),
        failed=tuple(map(shown, summary.failed)),
    )


def _attrs(attrs: Mapping[str, Any], among: Mapping[str, Spread]) -> dict[str, Any]:
    return {plain(n, _MAX_CHARS): _short(attrs[n], s) for n, s in among.items() if n in attrs}


def _short(value: Any, among: Spread) -> Any:
    if isinstance(value, float) and math.isfinite(value):
        return float(result_text(value, among))
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1e15):
        return value
    return plain(value, _MAX_CHARS)
