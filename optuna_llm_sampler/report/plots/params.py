"""What the model proposed for each parameter and where the trials went, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from ..._advice.advice import values
from ..._store.store import AdviceRecord
from ..._store.store import Snapshot
from ..._study.objectives import good_trials
from ..._study.space import labels
from ..._study.space import to_label
from ..._text import plain
from .info import read


if TYPE_CHECKING:
    from optuna.study import Study


@dataclass(frozen=True)
class Proposed:
    """The values of a number in the configurations of one advice.

    Attributes:
        trial:
            Number of the trial on which the advice lies.
        low, median, high:
            The lowest, the median (of two, the lower one) and the highest of them, in the
            parameter's own units.
    """

    trial: int
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class ParamPanel:
    """One parameter of one study.

    Attributes:
        study, param:
            Their names.
        log:
            Whether it is searched on a logarithmic scale.
        labels:
            Names of the choices, in order; empty for a number. A choice's value is its index.
        trials:
            Number, value and whether it is one of the better quarter, for every trial that has
            the parameter.
        proposed:
            For a number, by advice.
        shares:
            For a choice, by advice: number of the trial, and by index the share of the
            configurations that have it, adding up to 1.
    """

    study: str
    param: str
    log: bool
    labels: tuple[str, ...]
    trials: tuple[tuple[int, float, bool], ...]
    proposed: tuple[Proposed, ...]
    shares: tuple[tuple[int, Mapping[int, float]], ...]

    @property
    def last(self) -> int:
        """Where the time axis ends."""
        marks = [t for t, _, _ in self.trials] + [p.trial for p in self.proposed]
        return max(marks + [t for t, _ in self.shares], default=0)


def param_panels(studies: Sequence[Study], params: Sequence[str] | None) -> list[ParamPanel]:
    """Return a panel per parameter and study; the same parameter of several studies together.

    Raises:
        ValueError: A parameter is in none of the studies.
    """
    views = {study: read(study) for study in studies}
    spaces = {study: _space(snapshot) for study, snapshot in views.items()}
    known = sorted({name for space in spaces.values() for name in space})
    for name in params or ():
        if name not in known and any(spaces.values()):
            raise ValueError(f"Parameter {name} does not exist in your study.")
    return [
        _panel(study, views[study], name, spaces[study][name])
        for name in (known if params is None else dict.fromkeys(params))
        for study in studies
        if name in spaces[study]
    ]


def _space(snapshot: Snapshot) -> dict[str, BaseDistribution]:
    space: dict[str, BaseDistribution] = {}
    for trial in snapshot.trials:
        space.update(trial.distributions)
    return {name: space[name] for name in space if not space[name].single()}


def _panel(
    study: Study, snapshot: Snapshot, name: str, distribution: BaseDistribution
) -> ParamPanel:
    good = {trial.number for trial in good_trials(snapshot.trials, study.directions)}
    records = [record for record in snapshot.records if record.outcome == "ok"]
    names = labels(distribution) if isinstance(distribution, CategoricalDistribution) else ()
    trials = []
    for trial in snapshot.trials:
        if name in trial.params:
            value = _coordinate(trial.params[name], distribution, names)
            if value is not None:
                trials.append((trial.number, value, trial.number in good))
    advised = [
        (record.trial, found)
        for record in records
        if (found := _coordinates(record, name, distribution, names))
    ]
    proposed = [Proposed(t, min(found), median_low(found), max(found)) for t, found in advised]
    shares = [(t, _shares(found)) for t, found in advised]
    return ParamPanel(
        study=plain(study.study_name, 60),
        param=plain(name, 60),
        log=bool(getattr(distribution, "log", False)),
        labels=tuple(plain(label, 30) for label in names),
        trials=tuple(trials),
        proposed=() if names else tuple(proposed),
        shares=tuple(shares) if names else (),
    )


def _coordinate(value: Any, distribution: BaseDistribution, names: Sequence[str]) -> float | None:
    if not names:
        return float(value) if isinstance(value, (int, float)) else None
    label = to_label(value, distribution)
    return float(names.index(label)) if label in names else None


def _coordinates(
    record: AdviceRecord, name: str, distribution: BaseDistribution, names: Sequence[str]
) -> list[float]:
    configs = [values(config, {name: distribution}) for config in record.advice.configs]
    found = [_coordinate(c[name], distribution, names) for c in configs if name in c]
    return [value for value in found if value is not None]


def _shares(found: Sequence[float]) -> dict[int, float]:
    return {int(i): n / len(found) for i, n in sorted(Counter(found).items())}
