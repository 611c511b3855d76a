"""Whose trial it is and which configuration it takes: pure functions of policy and storage."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from typing import Any

from .._advice.advice import Config
from .._advice.advice import values
from .._store.store import AdviceRecord
from .._store.store import Claim
from .._store.store import Snapshot
from .._study.space import SearchSpace
from .evidence import Evidence
from .evidence import evidence_of
from .shares import count
from .shares import Policy
from .shares import position


@dataclass(frozen=True)
class Assignment:
    """A trial's own configuration: its index in an advice."""

    record: AdviceRecord
    index: int

    @property
    def config(self) -> Config:
        return self.record.advice.configs[self.index]

    def __str__(self) -> str:
        return f"trial {self.record.trial}, block {self.record.block}, config {self.index}"


@dataclass(frozen=True)
class Turn:
    """Whose trial it is.

    Attributes:
        is_models:
            Whether the trial is the model's.
        slot:
            Its configuration; :obj:`None` while no advice has one for it.
    """

    is_models: bool
    assignment: Assignment | None = None

    @property
    def is_due(self) -> bool:
        """Whether the model has to be asked for this trial."""
        return self.is_models and self.assignment is None


_BASE = Turn(False)


@dataclass(frozen=True)
class Plan:
    """The policy as it applies to a study now.

    Attributes:
        policy:
            How trials are shared out.
        view:
            What the storage holds.
    """

    policy: Policy
    snapshot: Snapshot

    @cached_property
    def evidence(self) -> Evidence:
        """What the model's latest trials came to beside the base sampler's."""
        return evidence_of(self.snapshot)

    @property
    def share(self) -> float:
        """The model's share of the next trials."""
        return self.evidence.share if self.policy.share is None else self.policy.share

    def turn(self, number: int) -> Turn:
        """Return whose trial it is."""
        record = self._advice_for(number)
        if record is None:  # the first proposals are the model's
            return Turn(True)
        index = self._index(record, number)
        if count(index, record.share, record.phase) >= len(record.advice.configs):
            return Turn(position(index, self.share, record.phase) is not None)
        place = position(index, record.share, record.phase)
        if place is None or self._has_lost(record, index):
            return _BASE
        return Turn(True, Assignment(record, place))

    def due(self, number: int, ahead: int = 0) -> int | None:
        """Return the block to ask for when this trial starts, if any.

        Args:
            number:
                The trial.
            ahead:
                How many trials before it is needed an advice is asked for.
        """
        if any(self.turn(number + i).is_due for i in range(ahead + 1)):
            return self.snapshot.settled + 1
        return None

    def assignment(self, number: int) -> Assignment | None:
        """Return a trial's configuration, if an advice has one for it."""
        return self.turn(number).assignment

    def pending(self, space: SearchSpace, number: int | None = None) -> dict[int, dict[str, Any]]:
        """Return the parameters of the trials that run, whether set or only promised.

        Args:
            space:
                The space in which the promised configurations are read.
            number:
                Leave out this trial, and what is promised to later ones, which have yet to see
                what this one takes.
        """
        found: dict[int, dict[str, Any]] = {}
        for running in self.snapshot.running:
            if running.number == number:
                continue
            late = number is not None and running.number > number
            promised: Mapping[str, Any] = {}
            if running.source == "llm" or (running.source is None and not late):
                assignment = self.assignment(running.number)
                promised = values(assignment.config, space) if assignment else {}
            if promised or running.params:
                found[running.number] = {**promised, **running.params}
        return found

    def n_wanted(self, n_starting: int) -> int:
        """Return how many configurations to ask for, see :meth:`Policy.n_wanted`."""
        if not self.snapshot.advices:
            return self.policy.n_wanted(1.0, n_starting)
        return self.policy.n_wanted(self.share, n_starting)

    def place_record(
        self, record: AdviceRecord, claim: Claim, waiting: Iterable[int]
    ) -> AdviceRecord:
        """Write into a new advice which trials it serves.

        It begins with the first trial that waits for it, else with the next one to come, so that
        no best guess is left to the past.

        Args:
            record:
                The result of the call.
            claim:
                The claim under which it was made.
            waiting:
                Trials that may be waiting for the model.
        """
        record = replace(record, fixed_share=self.policy.share)
        if record.outcome != "ok":
            return record
        if claim.block <= self.snapshot.settled:
            return replace(record, outcome="redundant")
        served = [number for number in waiting if self.turn(number).is_due]
        start = min(served, default=len(self.snapshot.trials))
        if not self.snapshot.advices:
            configs = record.advice.configs[: max(self.policy.n_first, len(served))]
            advice = replace(record.advice, configs=configs)
            return replace(record, start=start, share=1.0, advice=advice)
        last, share = self.snapshot.advices[-1], max(self.share, 0.01)
        start = max(start, last.start)
        phase = (last.phase + self._index(last, start) * round(100 * share)) % 100
        least = 100 - round(100 * share)  # with which the first trial is the model's
        if len(self.snapshot.advices) == 1:
            phase = least  # so the second one is the base sampler's: something to compare with
        elif served:
            phase = max(phase, least)  # a trial that has waited gets what it has waited for
        return replace(record, start=start, share=share, phase=phase)

    def _has_lost(self, record: AdviceRecord, index: int) -> bool:
        """Tell whether a trial that was promised to the model is the base sampler's after all."""
        if self.policy.is_fixed or self.evidence.share >= record.share / 2:
            return False
        return position(index, self.evidence.share, record.phase) is None

    def _advice_for(self, number: int) -> AdviceRecord | None:
        """Return the latest advice that serves a trial."""
        return next((p for p in reversed(self.snapshot.advices) if p.start <= number), None)

    def _index(self, record: AdviceRecord, number: int) -> int:
        """Count the trials from the start of the advice on, without enqueued ones.

        An enqueued trial is known as such before any later trial exists: all workers count alike.
        """
        return number - record.start - self.snapshot.n_enqueued(record.start, number)
