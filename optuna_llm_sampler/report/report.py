"""Study → report: what the model did, what it cost, whether it helped. Plain data, read only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
import math
import statistics
from typing import Any, TYPE_CHECKING

from .._advice.call import Call, total_of
from .._policy.evidence import Evidence, evidence_of
from .._store.calls import call_records, CallRecord
from .._store.prices import OWN_WEIGHTS, Price
from .._store.records import AdviceRecord
from .._store.store import AdviceStore, Snapshot
from .._study import keys as _keys
from .._study.keys import KINDS
from .._study.numbers import result_text, Spread, spread_of, spreads_of
from .._study.objectives import best_trials, improvements, losses_of
from .._study.space import to_label
from .._text import NOTHING, plain


if TYPE_CHECKING:
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class TrialLine:
    """One trial."""

    # Its number and the name of its state, in lower case.
    number: int
    state: str
    values: tuple[float, ...] = ()  # its results, as the objective returned them
    # Its user attributes as in `_study.keys`, cleaned.
    source: str = ""
    why: str = ""
    advice: str = ""
    repaired: int = 0
    # Its parameters. Choices that are neither numbers, booleans nor None are labels.
    params: Mapping[str, Any] = field(default_factory=dict)
    is_valid: bool = False  # whether it is complete and feasible, without NaN

    @property
    def kind(self) -> str:
        """The kind of its source, one of ``KINDS``."""
        kind = self.source.partition(":")[0]
        return kind if kind in KINDS else "other"


@dataclass(frozen=True)
class SourceStats:
    """The trials of one kind of source."""

    kind: str  # one of `KINDS`
    # Number of trials in all and in each state.
    trials: int
    complete: int
    pruned: int
    failed: int
    # Of the valid ones; None without any and with several objectives.
    best: float | None
    median: float | None
    # How many trials improved the best result (several objectives: entered the Pareto front).
    improved: int


@dataclass(frozen=True)
class AdviceLine:
    """The outcome of one call for advice."""

    trial: int  # number of the trial that stores it
    block: int  # index of the block of trials that it is for
    outcome: str  # `"ok"` or the reason of the failure
    call: Call  # tokens, seconds and cost of the call
    # Number of configurations, and how many of them became trials.
    configs: int
    used: int
    # Number of values that were changed, or values and configurations that were dropped, by
    # reason.
    repaired: Mapping[str, int]
    rejected: Mapping[str, int]
    note: str  # what the model believes


@dataclass(frozen=True)
class Report:
    """What the model did in a study."""

    study: str  # name of the study
    # Per objective; an objective without a name has an empty one.
    directions: tuple[str, ...]
    metric_names: tuple[str, ...]
    states: Mapping[str, int]  # number of trials by state
    best: tuple[TrialLine, ...] = ()  # the best trial, or the Pareto front
    sources: tuple[SourceStats, ...] = ()  # statistics by kind of source
    # Comparison of the model's latest trials with the base sampler's, by the rule that sets the
    # model's share. None before the first advice.
    evidence: Evidence | None = None
    # The model's share of the next trials; None before the first advice.
    share: float | None = None
    # Whether the share is fixed, by the user or because a small model was asked.
    is_fixed: bool = False
    # Number of the base sampler's trials that were meant for the model, by reason.
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    advice: tuple[AdviceLine, ...] = ()  # every call for advice that has an outcome, oldest first
    belief: str = ""  # what the model last said about the problem
    trials: tuple[TrialLine, ...] = ()  # all trials
    # Every call to a model, oldest first, also those without advice.
    calls: tuple[CallRecord, ...] = ()
    # Name, used amount and limit of each limit of the sampler that called last.
    budget: tuple[tuple[str, float, float], ...] = ()

    @cached_property
    def total(self) -> Call:
        """The sum of all calls."""
        return total_of(self.calls)

    @property
    def objective_names(self) -> list[str]:
        """Name each objective; those without a name as Optuna's plots do."""
        if len(self.metric_names) == 1:
            return [self.metric_names[0] or "Objective Value"]
        return [name or f"Objective {i}" for i, name in enumerate(self.metric_names)]

    @cached_property
    def _spreads(self) -> tuple[Spread, ...]:
        return spreads_of((line.values for line in self.trials), self.directions)

    @cached_property
    def _param_spreads(self) -> dict[str, Spread]:
        found: dict[str, list[float]] = {}
        for line in self.trials:
            for name, value in line.params.items():
                if isinstance(value, float):
                    found.setdefault(name, []).append(value)
        return {name: spread_of(values) for name, values in found.items()}

    def value_text(self, value: float | None, objective: int = 0) -> str:
        """Write a result with the digits that tell it from the others."""
        if value is None or math.isnan(value):
            return NOTHING
        return result_text(value, self._spreads[objective], digits=5)

    def values_text(self, line: TrialLine) -> str:
        """Write the results of a trial."""
        return ", ".join(self.value_text(value, i) for i, value in enumerate(line.values))

    def params_text(self, line: TrialLine) -> dict[str, str]:
        """Write names and values of a trial's parameters."""
        return {
            plain(name, 60): result_text(value, self._param_spreads[name])
            if isinstance(value, float)
            else plain(value, 60)
            for name, value in line.params.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return pure JSON types; infinite values and NaN are texts."""
        out: dict[str, Any] = _jsonable({**asdict(self), "total": asdict(self.total)})
        return out


def report(study: Study, *, price: Price | None = None) -> Report:
    """Summarize what the model did in a study, what it cost, and whether it helped.

    The study may have no advice at all. A price, if given, counts for all calls; else what the
    sampler knew when it called.
    """
    store = AdviceStore.of(study)
    snapshot = store.read()
    directions = store.directions()
    calls = call_records(snapshot, store.attrs())
    lines = tuple(trial_line(trial, directions) for trial in snapshot.trials)
    best = {trial.number for trial in best_trials(snapshot.trials, directions)}
    improved = {trial.number for trial in improvements(snapshot.trials, directions)}
    used = Counter(line.advice.rpartition(", ")[0] for line in lines)
    advice = tuple(_advice_line(record, used, price) for record in snapshot.records)
    evidence = evidence_of(snapshot) if snapshot.advices else None
    fixed = snapshot.advices[-1].fixed_share if snapshot.advices else None
    failures = (line.source.partition(":")[2] for line in lines if line.kind == "fallback")
    names = [*(store.metric_names() or ()), *directions]
    return Report(
        study=study.study_name,
        directions=tuple(direction.name.lower() for direction in directions),
        metric_names=tuple(n if isinstance(n, str) else "" for n in names[: len(directions)]),
        states=dict(Counter(line.state for line in lines)),
        best=tuple(line for line in lines if line.number in best),
        sources=_source_stats(lines, directions, improved),
        evidence=evidence,
        share=evidence.share if evidence and fixed is None else fixed,
        is_fixed=fixed is not None,
        fallbacks=dict(Counter(reason for reason in failures if reason)),
        advice=advice,
        belief=next((line.note for line in reversed(advice) if line.note), ""),
        trials=lines,
        calls=tuple(replace(call, usd=usd_of(call, price)) for call in calls),
        budget=_budget(snapshot),
    )


def _budget(snapshot: Snapshot) -> tuple[tuple[str, float, float], ...]:
    last = max(snapshot.records, key=lambda record: record.call.at, default=None)
    if last is None or last.budget is None:
        return ()
    total = total_of(call_records(snapshot, under_way=True))
    return tuple(last.budget.lines(total))


def usd_of(call: Call, price: Price | None) -> float | None:
    """Return the cost of a call; a price given now replaces the one known then."""
    if price is None or call.model.startswith(OWN_WEIGHTS):
        return call.usd
    return price.of(call)


def trial_line(trial: FrozenTrial, directions: Sequence[StudyDirection]) -> TrialLine:
    attrs = trial.user_attrs
    repaired = _keys.read(attrs, _keys.REPAIRED, 0)
    return TrialLine(
        number=trial.number,
        state=trial.state.name.lower(),
        values=tuple(trial.values or ()),
        source=plain(_keys.read(attrs, _keys.SOURCE, ""), 60),
        why=plain(_keys.read(attrs, _keys.WHY, "")),
        advice=plain(_keys.read(attrs, _keys.ADVICE, ""), 60),
        repaired=repaired if isinstance(repaired, int) else 0,
        params={n: _label(v, trial.distributions[n]) for n, v in trial.params.items()},
        is_valid=losses_of(trial, directions) is not None,
    )


def _label(value: Any, distribution: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return plain(to_label(value, distribution), 100)


def _advice_line(record: AdviceRecord, used: Counter[str], price: Price | None) -> AdviceLine:
    return AdviceLine(
        trial=record.trial,
        block=record.block,
        outcome=plain(record.outcome, 40),
        call=replace(record.call, usd=usd_of(record.call, price)),
        configs=len(record.advice.configs),
        used=used[f"trial {record.trial}, block {record.block}"],
        repaired=record.advice.repaired,
        rejected=record.advice.rejected,
        note=plain(record.advice.note, 2_000),
    )


def _source_stats(
    lines: Sequence[TrialLine], directions: Sequence[StudyDirection], improved: set[int]
) -> tuple[SourceStats, ...]:
    found = []
    for kind in KINDS:
        own = [line for line in lines if line.kind == kind]
        states = Counter(line.state for line in own)
        values = [line.values[0] for line in own if line.is_valid and len(directions) == 1]
        best = max if directions[0].name == "MAXIMIZE" else min
        stats = SourceStats(
            kind=kind,
            trials=len(own),
            complete=states["complete"],
            pruned=states["pruned"],
            failed=states["fail"],
            best=best(values, default=None),
            median=statistics.median(values) if values else None,
            improved=sum(line.number in improved for line in own),
        )
        found += [stats] if own else []
    return tuple(found)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
