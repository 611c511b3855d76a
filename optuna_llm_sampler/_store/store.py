"""The advice store: how workers share advice through Optuna's storage.

Study attributes are no lock (18 of 30 rounds had several winners on PostgreSQL), so everything is
stored on trials, whose numbers are unique.

*Exactly once.* The outcome of a call is an advice record: one attribute on a trial of the process
that asked. It names the first trial that it serves (``start``) and the model's share of the trials
from there on. Both determine the positions of the model's trials
(:func:`~optuna_llm_sampler._policy.allocation.position`), and each trial takes the configuration
of its position. So a configuration belongs to one trial number, whatever else fails.

*One call at a time.* A worker that wants to ask writes a claim on its own trial, waits a moment,
reads again, and gives way to a claim whose call is under way or that began on an earlier trial.
While the call lasts, the claim is renewed, and it moves to the process's next trial when the first
one ends. Nobody waits for an expired claim: its worker is dead. Two workers that miss each other's
claims make one call too many and nothing else.

NOTE: The lowest unfinished trial does not lead, because that may be a trial that was asked for but
samples late (ask-and-tell), or one whose worker died. And an advice names its start, because
counting from a fixed number would leave a slow model's best guesses to trials of the past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from statistics import median
import threading
import time
from typing import Any, TYPE_CHECKING

from optuna.trial import TrialState

from .._study import keys as _keys
from .._study.history import History
from .._study.optuna_internals import (
    fixed_params,
    metric_names_of,
    published_params,
    storage_of,
    study_id_of,
)
from .records import (
    AdviceRecord,
    CallId,
    Claim,
    CLOCK_SKEW,
    read_claims,
    read_records,
    to_attribute,
)


if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Running:
    """A running trial."""

    number: int  # its number
    source: str | None  # as in `_study.keys.SOURCE`; None while it is undecided
    params: Mapping[str, Any]  # its parameters as far as they are known
    age: float  # seconds since it began, as far as the clocks of two machines agree


@dataclass(frozen=True)
class Snapshot:
    """What the store holds at one moment."""

    trials: Sequence[FrozenTrial]  # all trials of the study, by number
    records: Sequence[AdviceRecord]  # all advice records, by trial number
    claims: Sequence[Claim]  # claims that have not expired, by `asked_on`
    running: Sequence[Running]  # running trials, by number
    expired: frozenset[int]  # trials with the expired claim of a call that was under way
    # The finished trials. All snapshots of a store share it, so it may know later ones.
    history: History
    # All calls that ever began, as far as their workers announced them.
    calls_begun: frozenset[CallId] = frozenset()

    @cached_property
    def advices(self) -> list[AdviceRecord]:
        """Records with an advice. The last one that serves a trial counts."""
        found = [record for record in self.records if record.outcome == "ok"]
        return sorted(found, key=lambda record: (record.block, -record.trial))

    @cached_property
    def answered(self) -> frozenset[CallId]:
        """Calls whose outcome has been stored."""
        return frozenset(record.call_id for record in self.records)

    @cached_property
    def unanswered(self) -> frozenset[CallId]:
        """Calls that are under way, or whose workers died before they stored an outcome."""
        return self.calls_begun - self.answered

    @cached_property
    def next_block(self) -> int:
        """Index of the block to ask for next."""
        return max((record.block + 1 for record in self.advices), default=0)

    @cached_property
    def call_seconds(self) -> float:
        """Median duration of the latest five calls with an advice, in seconds."""
        return median([record.call.seconds for record in self.advices[-5:]] or [0.0])

    def other_claims(self, asked_on: int) -> list[Claim]:
        """Return the claims of other calls that may still lead to an advice."""
        return [
            claim
            for claim in self.claims
            if claim.asked_on != asked_on
            and claim.call_id not in self.answered
            and claim.block >= self.next_block
        ]

    def n_enqueued(self, start: int, stop: int) -> int:
        """Count the trials from ``start`` to before ``stop`` whose parameters the user fixed."""
        return sum(bool(fixed_params(t)) for t in self.trials[start:stop])


class AdviceStore:
    """Reads and writes what workers share of one study. Thread-safe as far as the storage is.

    Whatever cannot change any more is read once: beyond the storage's own ``get_all_trials``, the
    cost of a read depends on the number of unfinished trials, not on that of all trials.
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
        self._calls_begun: set[CallId] = set()
        self._history: History | None = None

    @classmethod
    def of(cls, study: Study) -> AdviceStore:
        """Return the store of a study."""
        return cls(storage_of(study), study_id_of(study))

    def read(self) -> Snapshot:
        """Read the store."""
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
                is_finished = trial.state.is_finished()
                (self._records if is_finished else passing).extend(read_records(trial))
                for claim in read_claims(trial):
                    self._note_claim(claim)
                if is_finished:
                    self._unfinished.discard(trial.number)
                    self._history.add(trial)
                else:
                    self._unfinished.add(trial.number)
            claims, expired = self._judge_claims()
            return Snapshot(
                trials=trials,
                records=sorted([*self._records, *passing], key=lambda record: record.trial),
                claims=claims,
                running=[_running(t) for t in changed if t.state == TrialState.RUNNING],
                expired=expired,
                history=self._history,
                calls_begun=frozenset(self._calls_begun),
            )

    def _note_claim(self, claim: Claim) -> None:
        if claim.asking and claim.asked_on <= claim.trial:  # no more calls than trials
            self._calls_begun.add(claim.call_id)
        known, _ = self._claims.get(claim.asked_on, (None, 0.0))
        if known is None or claim.at > known.at:
            self._claims[claim.asked_on] = (claim, time.monotonic())

    def _judge_claims(self) -> tuple[list[Claim], frozenset[int]]:
        """Return the claims that have not expired, and the trials of calls whose claim has.

        The clocks of two machines differ, so the age of a claim is measured on our own clock, from
        when we first saw it. A claim that is very old by any clock had expired before we came.
        """
        now, epoch = time.monotonic(), time.time()
        self._claims = {
            asked_on: (claim, since)
            for asked_on, (claim, since) in self._claims.items()
            if abs(epoch - claim.at) < claim.lease + CLOCK_SKEW
        }
        claims = sorted(self._claims.values(), key=lambda noted: noted[0].asked_on)
        valid = [c for c, since in claims if now - since < c.lease]
        expired = {c.trial for c, since in claims if c.asking and now - since >= c.lease}
        return valid, frozenset(expired)

    def directions(self) -> list[StudyDirection]:
        return self._storage.get_study_directions(self._study_id)

    def attrs(self) -> dict[str, Any]:
        """Read the study's system attributes."""
        return self._storage.get_study_system_attrs(self._study_id)

    def metric_names(self) -> list[str] | None:
        """Read the names that the user gave to the objectives, if any."""
        return metric_names_of(self.attrs())

    def claim(self, trial_id: int, claim: Claim) -> None:
        """Write a claim, in place of the trial's former one."""
        self._write(trial_id, _keys.CLAIM, asdict(claim))

    def record(self, trial_id: int, record: AdviceRecord) -> None:
        """Write a record."""
        asked_on, block = record.call_id
        self._write(trial_id, f"{_keys.RECORD}{asked_on}:{block}", to_attribute(record))

    def release(self) -> None:
        """Give back the calling thread's connection to the storage."""
        try:
            self._storage.remove_session()
        except ReferenceError:  # the storage is gone
            pass

    def _write(self, trial_id: int, key: str, value: Mapping[str, Any]) -> None:
        self._storage.set_trial_system_attr(trial_id, key, {"v": _keys.VERSION, **value})


def _running(trial: FrozenTrial) -> Running:
    source = _keys.read(trial.user_attrs, _keys.SOURCE)
    params = {**published_params(trial), **trial.params}
    age = 0.0
    if trial.datetime_start is not None:
        age = (datetime.now() - trial.datetime_start).total_seconds()
    return Running(trial.number, None if source is None else str(source), params, age)
