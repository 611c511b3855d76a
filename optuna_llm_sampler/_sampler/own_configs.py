"""The user's own configurations, which are tried before anything else: each one once."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import TYPE_CHECKING

from .._study import keys as _keys


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class OwnConfig:
    """A configuration that the user trusts, or the best of an earlier study.

    Attributes:
        source:
            ``"defaults"`` or ``"history"``.
        label:
            What the trial that tries it says of it; different for each.
        params:
            Values by parameter name.
    """

    source: str
    label: str
    params: Mapping[str, Any]

    def is_taken(self, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether a trial has tried this configuration, or is going to."""
        return any(self._has(trial) for trial in trials)

    def _has(self, trial: FrozenTrial) -> bool:
        if _keys.read(trial.user_attrs, _keys.ADVICE) == self.label:
            return True
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        return all(name in params and params[name] == v for name, v in self.params.items())
