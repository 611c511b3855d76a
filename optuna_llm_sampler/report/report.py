"""Study → report: what the model did, what it cost, whether it helped. Plain data, read only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
import math
import statistics
from typing import Any
from typing import TYPE_CHECKING

from .._advice.call import Call
from .._advice.call import total_of
from .._policy.evidence import Evidence
from .._policy.evidence import evidence_of
from .._store.calls import call_records
from .._store.calls import CallRecord
from .._store.prices import OWN_WEIGHTS
from .._store.prices import Price
from .._store.store import AdviceRecord
from .._store.store import AdviceStore
from .._store.store import Snapshot
from .._study import keys as _keys
from .._study.keys import kind_of
from .._study.keys import KINDS
from .._study.objectives import best_trials
from .._study.objectives import improvements
from .._study.objectives import losses_of
from .._study.space import to_label
from .._text import plain


if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class TrialLine:
    """One trial, its values as the objective returned them.

    Choices that are neither numbers nor None are labels.
    """

    number: int
    state: str
    values: tuple[float, ...]
    source: str
    why: str
    advice: str
    repaired: int
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """All trials whose parameters came from the same kind of source.

    Attributes:
        kind:
            ``"defaults"``, ``"history"``, ``"llm"``, ``"base"``, ``"fallback"``, ``"enqueued"`` or
            ``"other"``
            (no source recorded).
        trials, complete, pruned, failed:
            How many there are in all and in each state.
        best, median:
            Of the complete ones; :obj:`None` without any and with several objectives.
        new_bests:
            How many of them were the best so far (several objectives: entered the Pareto front).
    """

    kind: str
    trials: int
    complete: int
    pruned: int
    failed: int
    best: float | None
    median: float | None
    new_bests: int


@dataclass(frozen=True)
class AdviceLine:
    """One answer of the model, or its failure.

    Attributes:
        trial:
            Number of the trial on which it lies.
        block:
            Which block of trials it serves.
        outcome:
            ``"ok"`` or the reason of the failure.
        call:
            What it took.
        usd:
            What it cost, if that is known.
        configs, used:
            How many configurations it has, and how many became trials.
        repaired, rejected:
            Counts by reason of values that were changed or dropped.
        note:
            What the model believed.
    """

    trial: int
    block: int
    outcome: str
    call: Call
    usd: float | None
    configs: int
    used: int
    repaired: Mapping[str, int]
    rejected: Mapping[str, int]
    note: str


@dataclass(frozen=True)
class Report:
    """What a person wants to know of a study.

    Attributes:
        study:
            Its name.
        directions, metric_names:
            Per objective.
        states:
            How many trials are in which state.
        best:
            The best trial, or the Pareto front.
        standings:
            Per kind of source.
        evidence:
            The model's latest trials against the base sampler's around them, by the rule that
            decides the model's share. :obj:`None` without an answer of the model.
        share:
            The model's share of the next trials.
        is_fixed:
            Whether the user, or the way in which a small model is asked, fixes the share.
        fallbacks:
            How many trials were the base sampler's for which reason.
        advice:
            Every answer of the model, oldest first.
        belief:
            What the model last said about the problem.
        usd:
            Cost of all calls as far as it is known; :obj:`None` when nothing is.
        trials:
            All of them.
        calls:
            Every call, those that gave no advice among them.
        budget:
            What the sampler that called last may spend: its name, how much was used, the limit.
    """

    study: str
    directions: tuple[str, ...]
    metric_names: tuple[str, ...]
    states: Mapping[str, int]
    best: tuple[TrialLine, ...] = ()
    standings: tuple[Standing, ...] = ()
    evidence: Evidence | None = None
    share: float | None = None
    is_fixed: bool = False
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    advice: tuple[AdviceLine, ...] = ()
    belief: str = ""
    usd: float | None = None
    trials: tuple[TrialLine, ...] = ()
    calls: tuple[CallRecord, ...] = ()
    budget: tuple[tuple[str, float, float], ...] = ()

    @property
    def uncounted(self) -> int:
        """How many calls lack the number of their tokens, so that totals lack them."""
        return sum(call.input_tokens is None or call.output_tokens is None for call in self.calls)

    @property
    def call(self) -> Call:
        """The sum of all calls."""
        return total_of(self.calls)

    def to_json(self) -> dict[str, Any]:
        """Return pure JSON types; infinite values are texts."""
        out: dict[str, Any] = _jsonable(
            {**asdict(self), "total": asdict(self.call), "uncounted": self.uncounted}
        )
        return out


def report(study: Study, *, price: Price | None = None) -> Report:
    """Say what the model did in a study, what it cost, and whether it helped.

    Args:
        study:
            Any study; one that never saw a :class:`~optuna_llm_sampler.LLMSampler` has no advice.
        price:
            What the model costs, for all calls. :obj:`None`: what the sampler knew when it called.
    """
    store = AdviceStore(study._storage, study._study_id)
    snapshot = store.read()
    calls = call_records(snapshot, store.attrs())
    names = store.metric_names()
    return _build(study.study_name, snapshot, calls, store.directions(), names, price)


def newer_versions(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return the versions of what a newer release has written on these trials, if any."""
    found = {
        plain(value["v"], 20)
        for trial in trials
        for key, value in trial.system_attrs.items()
        if key.startswith(_keys.POST) and isinstance(value, Mapping) and "v" in value
        if value["v"] != _keys.VERSION
    }
    return sorted(found)


def _build(
    name: str,
    snapshot: Snapshot,
    calls: Sequence[CallRecord],
    directions: list[StudyDirection],
    metric_names: list[str] | None,
    price: Price | None,
) -> Report:
    used = Counter(_advice_of(trial) for trial in snapshot.trials)
    advice = tuple(_advice_line(record, used, price) for record in snapshot.records)
    calls = tuple(replace(call, usd=usd_of(call, price)) for call in calls)
    sources = [str(_keys.read(trial.user_attrs, _keys.SOURCE, "")) for trial in snapshot.trials]
    evidence = evidence_of(snapshot) if snapshot.advices else None
    fixed = snapshot.advices[-1].fixed_share if snapshot.advices else None
    return Report(
        study=name,
        directions=tuple(d.name.lower() for d in directions),
        metric_names=tuple(metric_names or [""] * len(directions)),
        states=dict(Counter(trial.state.name.lower() for trial in snapshot.trials)),
        best=tuple(trial_line(t) for t in best_trials(snapshot.trials, directions)),
        standings=_standings(snapshot.trials, directions),
        evidence=evidence,
        share=evidence.share if evidence and fixed is None else fixed,
        is_fixed=fixed is not None,
        fallbacks=dict(Counter(plain(s[9:], 40) for s in sources if s.startswith("fallback:"))),
        advice=advice,
        belief=next((line.note for line in reversed(advice) if line.note), ""),
        usd=total_of(calls).usd,
        trials=tuple(trial_line(trial) for trial in snapshot.trials),
        calls=calls,
        budget=_budget(snapshot),
    )


def _budget(snapshot: Snapshot) -> tuple[tuple[str, float, float], ...]:
    last = max(snapshot.records, key=lambda record: record.call.at, default=None)
    if last is None or last.budget is None:
        return ()
    total = total_of(call_records(snapshot, under_way=True))
    return tuple(last.budget.lines(total))


def usd_of(call: Call, price: Price | None) -> float | None:
    """Return what a call cost; a price given now goes before what was known then."""
    if price is None or call.model.startswith(OWN_WEIGHTS):
        return call.usd
    return price.of(call)


def trial_line(trial: FrozenTrial) -> TrialLine:
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
        params={n: _shown(v, trial.distributions[n]) for n, v in trial.params.items()},
    )


def _shown(value: Any, distribution: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return plain(to_label(value, distribution), 100)


def _advice_of(trial: FrozenTrial) -> str:
    """Return "trial 3, block 0" of "trial 3, block 0, config 2"."""
    return str(_keys.read(trial.user_attrs, _keys.ADVICE, "")).rpartition(", ")[0]


def _advice_line(record: AdviceRecord, used: Mapping[str, int], price: Price | None) -> AdviceLine:
    return AdviceLine(
        trial=record.trial,
        block=record.block,
        outcome=plain(record.outcome, 40),
        call=record.call,
        usd=usd_of(record.call, price),
        configs=len(record.advice.configs),
        used=used.get(f"trial {record.trial}, block {record.block}", 0),
        repaired=record.advice.repaired,
        rejected=record.advice.rejected,
        note=plain(record.advice.note, 2_000),
    )


def _standings(
    trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]
) -> tuple[Standing, ...]:
    firsts = {trial.number for trial in improvements(trials, directions)}
    rows = []
    for kind in KINDS:
        own = [trial for trial in trials if kind_of(trial) == kind]
        if own:
            rows.append(_standing(kind, own, directions, firsts))
    return tuple(rows)


def _standing(
    kind: str,
    trials: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
    firsts: set[int],
) -> Standing:
    states = Counter(trial.state.name for trial in trials)
    scored = [t for t in trials if losses_of(t, directions) is not None]
    values = [t.values[0] for t in scored] if len(directions) == 1 else []
    best = min(scored, key=lambda t: losses_of(t, directions) or (math.inf,), default=None)
    return Standing(
        kind=kind,
        trials=len(trials),
        complete=states["COMPLETE"],
        pruned=states["PRUNED"],
        failed=states["FAIL"],
        best=best.values[0] if best is not None and values else None,
        median=statistics.median(values) if values else None,
        new_bests=sum(trial.number in firsts for trial in trials),
    )


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
