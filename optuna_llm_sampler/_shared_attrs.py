"""User attributes of trials that the user named to be shown to the model."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
import math
from typing import Any
from typing import TYPE_CHECKING

from ._digest import Digest
from ._digest import Shown
from ._plain import plain


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


MAX_SHARED = 8
_MAX_CHARS = 80


def with_attrs(digest: Digest, trials: Sequence[FrozenTrial], names: Sequence[str]) -> Digest:
    """Add to finished and failed trials what they have under these names, shortened."""
    if not names:
        return digest

    def shown(trial: Shown) -> Shown:
        return replace(trial, attrs=_attrs(trials[trial.number].user_attrs, names))

    return replace(
        digest,
        finished=tuple(map(shown, digest.finished)),
        failed=tuple(map(shown, digest.failed)),
    )


def _attrs(attrs: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {plain(n, _MAX_CHARS): _short(attrs[n]) for n in names if n in attrs}


def _short(value: Any) -> Any:
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.4g}")
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1e15):
        return value
    return plain(value, _MAX_CHARS)
