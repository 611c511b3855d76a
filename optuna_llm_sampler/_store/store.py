"""Advice in the shared storage: who writes, who reads, which worker asks.

Study attributes are no lock (18 of 30 rounds had several winners on PostgreSQL), so everything
lies on trials, whose numbers are unique.

*Exactly once.* The answer to a call is a *record*: one attribute on a trial of the process that
asked. It says from which trial on it serves (``start``) and what the model's share of the trials
is from there on. The positions of the model's trials follow from both (``_policy.position``), and
each takes the configuration of its position. So a configuration belongs to one trial number,
whatever else goes wrong.

*One call at a time.* A worker that wants to ask writes a *claim* on its own trial, waits a moment,
reads again, and gives way to a claim that is being acted upon or has the lower asked_on (the trial
number where it began). While the call lasts, the claim is renewed, and moves to the process's next
trial when the first one ends. Nobody waits for a claim that is no longer renewed: its worker is
dead. Two workers that miss each other cost one call too many and nothing else.

NOTE: The lowest unfinished trial does not lead, because a trial that was asked for but samples
late (ask-and-tell), or one whose worker died before this study was resumed, would be waited for.
And an advice names its start, because counting from a fixed number would leave the best guesses of
a slow model to trials of the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
import json
from statistics import median
import threading
import time
from typing import Any
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from .._study import keys as _keys
from .._study.history import History
from .records import AdviceRecord as AdviceRecord
from .records import Call as Call
from .records import Claim as Claim
from .records import CLOCK_SKEW as CLOCK_SKEW
from .records import fit
from .records import read_claims
from .records import read_records


if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Running:
    """A trial that runs now.

    Attributes:
        source:
            As in ``_study.keys.SOURCE``, :obj:`None` while it is undecided.
        params:
            What is known of its parameters.
        age:
            Seconds since it began, as far as the clocks of two machines agree.
    """

    number: int
    source: str | None
    params: Mapping[str, Any]
    age: float


@dataclass(frozen=True)
class Snapshot:
    """The store as it is now.

    Attributes:
        trials:
            All trials of the study, by number.
        records:
            By trial number.
        claims:
            Those that were renewed lately, by asked_on.
        running:
            By trial number.
        lapsed:
            Trials on which a call was under way that is no longer renewed.
        history:
            The finished trials. Shared by all views of a store, so it may know more than this one.
        begun:
            All calls that were ever begun, as far as their workers came to say so.
    """

    trials: Sequence[FrozenTrial]
    records: Sequence[AdviceRecord]
    claims: Sequence[Claim]
    running: Sequence[Running]
    lapsed: frozenset[int]
    history: History
    begun: frozenset[tuple[int, int]] = frozenset()

    @cached_property
    def advices(self) -> list[AdviceRecord]:
        """Posts with configurations, the one that counts last."""
        found = [record for record in self.records if record.outcome == "ok"]
        return sorted(found, key=lambda record: (record.block, -record.trial))

    @cached_property
    def unanswered(self) -> frozenset[tuple[int, int]]:
        """Calls that are under way, or whose workers died before they could record."""
        return self.begun - self.answered

    @cached_property
    def answered(self) -> frozenset[tuple[int, int]]:
        """Calls of which is known what came of them."""
        return frozenset(record.call_id for record in self.records)

    @cached_property
    def settled(self) -> int:
        """The last block that need not be asked for any more, -1 for none."""
        return max((record.block for record in self.advices), default=-1)

    @cached_property
    def call_seconds(self) -> float:
        """Median duration of the latest answered calls, in seconds."""
        return median([record.call.seconds for record in self.advices[-5:]] or [0.0])

    def rivals(self, asked_on: int) -> list[Claim]:
        """Return the claims of others that may still lead to an advice."""
        return [
            claim
            for claim in self.claims
            if claim.asked_on != asked_on
            and claim.call_id not in self.answered
            and claim.block > self.settled
        ]

    def n_enqueued(self, start: int, stop: int) -> int:
        """Count the trials from ``start`` to before ``stop`` whose parameters the user fixed."""
        return sum(
            bool(trial.system_attrs.get("fixed_params")) for trial in self.trials[start:stop]
        )


class AdviceStore:
    """The attributes of one study's trials. Thread-safe as far as the storage is.

    Everything that cannot change any more is read once: what a read costs beyond the storage's
    own ``get_all_trials`` depends on the number of unfinished trials, not on that of all trials.
    """

    def __init__(self, storage: BaseStorage, study_id: int) -> None:
        self._storage = storage
        self._study_id = study_id
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._n_seen = 0
        self._unfinished: set[int] = set()
        self._records: list[AdviceRecord] = []
        self._claims: dict[int, tuple[Claim, float]] = {}
        self._begun: set[tuple[int, int]] = set()
        self._history: History | None = None

    def read(self) -> Snapshot:
        """Read the store afresh."""
        with self._lock:
            # The storage, not the study: under Hyperband the sampler gets a study that shows only
            # the trials of one bracket (optuna/pruners/_hyperband.py, _BracketStudy).
            trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
            if len(trials) < self._n_seen:  # another study has got the number of a deleted one
                self._forget()
            if self._history is None:
                self._history = History(self.directions())
            changed = [trials[n] for n in sorted(self._unfinished)] + trials[self._n_seen :]
            self._n_seen = len(trials)
            passing: list[AdviceRecord] = []
            for trial in changed:
                records = read_records(trial)
                (self._records if trial.state.is_finished() else passing).extend(records)
                for claim in read_claims(trial):
                    self._note(claim)
                self._sort(trial)
            records = sorted([*self._records, *passing], key=lambda record: record.trial)
            running = [_running(t) for t in changed if t.state == TrialState.RUNNING]
            live, lapsed = self._judge_claims()
            return Snapshot(
                trials, records, live, running, lapsed, self._history, frozenset(self._begun)
            )

    def _sort(self, trial: FrozenTrial) -> None:
        assert self._history is not None
        if trial.state.is_finished():
            self._unfinished.discard(trial.number)
            self._history.add(trial)
        else:
            self._unfinished.add(trial.number)

    def _note(self, claim: Claim) -> None:
        if claim.asking and claim.asked_on <= claim.trial:  # no more of them than of trials
            self._begun.add(claim.call_id)
        known, _ = self._claims.get(claim.asked_on, (None, 0.0))
        if known is None or claim.at > known.at:
            self._claims[claim.asked_on] = (claim, time.monotonic())

    def _judge_claims(self) -> tuple[list[Claim], frozenset[int]]:
        """Return the claims that were renewed within their lease, and the trials of the others.

        The age of a claim is taken on our own clock, from when we first saw it, since the clocks
        of two machines differ; one that is very old by any clock was dead before we came.
        """
        now, today = time.monotonic(), time.time()
        self._claims = {
            asked_on: (claim, since)
            for asked_on, (claim, since) in self._claims.items()
            if abs(today - claim.at) < claim.lease + CLOCK_SKEW
        }
        claims = sorted(self._claims.values(), key=lambda noted: noted[0].asked_on)
        live = [c for c, since in claims if now - since < c.lease]
        lapsed = {c.trial for c, since in claims if c.asking and now - since >= c.lease}
        return live, frozenset(lapsed)

    def directions(self) -> list[StudyDirection]:
        return self._storage.get_study_directions(self._study_id)

    def attrs(self) -> dict[str, Any]:
        """Read the study's own attributes, those of the system."""
        return self._storage.get_study_system_attrs(self._study_id)

    def metric_names(self) -> list[str] | None:
        # The key of Study.set_metric_names (optuna/study/study.py).
        names = self.attrs().get("study:metric_names")
        return [str(name) for name in names] if isinstance(names, list) else None

    def claim(self, trial_id: int, claim: Claim) -> None:
        self._write(trial_id, _keys.CLAIM, asdict(claim))

    def record(self, trial_id: int, record: AdviceRecord) -> None:
        self._write(trial_id, f"{_keys.POST}{':'.join(map(str, record.call_id))}", fit(record))

    def release(self) -> None:
        """Give back the connection of the calling thread, if there still is a storage."""
        try:
            self._storage.remove_session()
        except ReferenceError:
            pass

    def _write(self, trial_id: int, key: str, value: Mapping[str, Any]) -> None:
        self._storage.set_trial_system_attr(trial_id, key, {"v": _keys.VERSION, **value})


def _running(trial: FrozenTrial) -> Running:
    source = _keys.read(trial.user_attrs, _keys.SOURCE)
    params = {**_published(trial.system_attrs), **trial.params}
    age = 0.0
    if trial.datetime_start is not None:
        age = (datetime.now() - trial.datetime_start).total_seconds()
    return Running(trial.number, None if source is None else str(source), params, age)


def _published(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a built-in sampler says of the parameters that its trial is going to have."""
    for prefix in _keys.PUBLISHED_BY_OPTUNA:
        keys = sorted((key for key in attrs if key.startswith(prefix)), key=lambda k: (len(k), k))
        pieces = [str(attrs[key]) for key in keys]
        try:
            params = json.loads("".join(pieces)) if pieces else None
        except ValueError:  # not all of its pieces are there yet
            continue
        if isinstance(params, dict):
            return params
    return {}
