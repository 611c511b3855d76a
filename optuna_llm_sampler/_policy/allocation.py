"""Whose trial it is, and which configuration it takes: pure functions of policy and storage.

Trial numbers are unique and atomic in every storage, so positions that follow from them need no
lock. The worker that asks the model writes the share into the advice, and with it the positions:
the i-th trial after the advice's start is the model's where ``floor(phase + i * share)``
increases, and takes the configuration of that index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
import math
from typing import Any

from .._advice.advice import Config, values
from .._store.records import AdviceRecord, Claim, MAX_PHASE
from .._store.store import Snapshot
from .._study.space import SearchSpace
from ..llms.style import Style
from .evidence import Evidence, evidence_of


# Configurations asked for in one call: few, so that each call knows the latest results
# (benchmarks/decisions.md, "Configurations per call").
N_CONFIGS_JSON = 4
N_CONFIGS_SAMPLES = 8
# Of an advice of a larger model that knew no result, only the best guess is tried, unless more
# trials wait: the next call then knows one (benchmarks/decisions.md, "Configurations per call").
_N_FIRST_JSON = 1
# Of a small model's first proposals, so many are tried; then a classical sampler has enough data.
N_FIRST_SAMPLES = 5
# An advice serves about this many trials, so a small share means few configurations.
_HORIZON = 8
# No call asks for more, however many workers there are, unless ``n_configs`` does.
_MAX_WANTED = 16


@dataclass(frozen=True)
class Policy:
    """How trials are allocated."""

    # The model's share of the trials after the first advice, in [0, 1]; None: it follows from
    # evidence.
    share: float | None
    n_configs: int  # configurations of one advice
    n_first: int  # how many configurations of the first advice are tried
    is_fixed: bool = False  # whether the user has set the share, so that evidence changes nothing
    # Whether the model is small: documented defaults are tried before its first proposals, and not
    # only where it cannot be used, because larger models know the documentation.
    is_small: bool = False

    def n_wanted(self, share: float, n_starting: int) -> int:
        """Return how many configurations to ask for; enough for the trials about to start."""
        several = max(1, round(_HORIZON * share))
        wanted = max(min(self.n_configs, several), math.ceil(share * n_starting))
        return min(wanted, max(_MAX_WANTED, self.n_configs))


def make_policy(style: Style, *, share: float | None, n_configs: int | None) -> Policy:
    """Complete what the user left open, by the style in which the model is asked.

    A small model, which is asked for samples, gets the first trials only: it reads a history no
    better than chance does.
    """
    is_fixed = share is not None
    n = n_configs or (N_CONFIGS_SAMPLES if style.samples else N_CONFIGS_JSON)
    if style.samples and share is None:
        share = 0.0
    if style.samples:
        n_first = n if share == 1 else min(N_FIRST_SAMPLES, n)
    else:
        n_first = n_configs or _N_FIRST_JSON
    return Policy(share, n, n_first, is_fixed, is_small=style.samples)


def count(index: int, share: float, phase: int) -> int:
    """Return how many of the first ``index`` trials after the start of an advice are the model's.

    Args:
        index:
            Number of trials, 0 or more.
        share:
            The model's share in [0, 1], rounded to hundredths.
        phase:
            Hundredths of a trial that the model has been given before, from 0 to 99. They carry
            over from advice to advice, so the base sampler gets its share between short advices.
    """
    return (phase + index * round(100 * share)) // 100


def position(index: int, share: float, phase: int = MAX_PHASE) -> int | None:
    """Return the position of one of the model's trials, :obj:`None` for the base sampler's."""
    before = count(index, share, phase)
    return before if count(index + 1, share, phase) > before else None


@dataclass(frozen=True)
class Assignment:
    """A trial's own configuration: a position in an advice."""

    record: AdviceRecord
    position: int

    @property
    def config(self) -> Config:
        return self.record.advice.configs[self.position]

    def __str__(self) -> str:
        return f"trial {self.record.trial}, block {self.record.block}, config {self.position}"


@dataclass(frozen=True)
class Turn:
    """Whose trial it is."""

    is_models: bool  # whether it is the model's
    assignment: Assignment | None = None  # its configuration; None while no advice has one for it

    @property
    def needs_advice(self) -> bool:
        """Whether the model has to be asked for this trial."""
        return self.is_models and self.assignment is None


@dataclass(frozen=True)
class Plan:
    """A policy applied to a study."""

    policy: Policy  # how trials are allocated
    snapshot: Snapshot  # what the storage holds

    @cached_property
    def evidence(self) -> Evidence:
        return evidence_of(self.snapshot)

    @property
    def share(self) -> float:
        """The model's share of the next trials."""
        return self.evidence.share if self.policy.share is None else self.policy.share

    def turn(self, number: int) -> Turn:
        """Return whose a trial is."""
        record = next((r for r in reversed(self.snapshot.advices) if r.start <= number), None)
        if record is None:  # the first proposals are the model's
            return Turn(True)
        index = self._index(record, number)
        if count(index, record.share, record.phase) >= len(record.advice.configs):
            # No new advice serves a trial before the latest start: it would wait in vain.
            is_latest = record is self.snapshot.advices[-1]
            return Turn(is_latest and position(index, self.share, record.phase) is not None)
        assigned = position(index, record.share, record.phase)
        if assigned is None or self._is_revoked(record, index):
            return Turn(False)
        return Turn(True, Assignment(record, assigned))

    def block_to_ask(self, number: int, ahead: int = 0) -> int | None:
        """Return the block to ask for when a trial starts, ``ahead`` trials before its use."""
        if any(self.turn(number + i).needs_advice for i in range(ahead + 1)):
            return self.snapshot.next_block
        return None

    def running_params(
        self, space: SearchSpace, number: int | None = None
    ) -> dict[int, dict[str, Any]]:
        """Return the parameters of the running trials, whether set or assigned, by trial number.

        Assigned configurations are read in ``space``. Left out are the trial ``number`` and the
        assignments of later ones, which have yet to see what this trial takes.
        """
        found: dict[int, dict[str, Any]] = {}
        for running in self.snapshot.running:
            if running.number == number:
                continue
            is_later = number is not None and running.number > number
            assigned: Mapping[str, Any] = {}
            if running.source == "llm" or (running.source is None and not is_later):
                assignment = self.turn(running.number).assignment
                assigned = values(assignment.config, space) if assignment else {}
            if assigned or running.params:
                found[running.number] = {**assigned, **running.params}
        return found

    def promised_params(self, space: SearchSpace, number: int) -> list[dict[str, Any]]:
        """Return what other trials are going to try: those that run, and the rest of the advice.

        Args:
            space:
                The space in which configurations are read.
            number:
                The latest trial that has begun.
        """
        rest: Sequence[Config] = ()
        if self.snapshot.advices:
            last = self.snapshot.advices[-1]
            begun = max(0, self._index(last, number + 1))
            rest = last.advice.configs[count(begun, last.share, last.phase) :]
        running = self.running_params(space).values()
        return [*running, *(values(config, space) for config in rest)]

    def n_wanted(self, n_starting: int) -> int:
        """Return how many configurations to ask for, see :meth:`Policy.n_wanted`."""
        return self.policy.n_wanted(self.share if self.snapshot.advices else 1.0, n_starting)

    def scheduled(
        self, record: AdviceRecord, claim: Claim, waiting: Iterable[int]
    ) -> AdviceRecord:
        """Return a new record with the trials that it serves.

        It starts with the first trial that waits for it, else with the next one to come, so that
        no best guess is left to the past.
        """
        record = replace(record, fixed_share=self.policy.share)
        if record.outcome != "ok":
            return record
        if claim.block < self.snapshot.next_block:
            return replace(record, outcome="redundant")
        served = [number for number in waiting if self.turn(number).needs_advice]
        start = min(served, default=len(self.snapshot.trials))
        if not self.snapshot.advices:
            knew_nothing = not record.n_known or self.policy.is_small
            n_first = self.policy.n_first if knew_nothing else self.policy.n_configs
            configs = record.advice.configs[: max(n_first, len(served))]
            advice = replace(record.advice, configs=configs)
            return replace(record, start=start, share=1.0, advice=advice)
        last, share = self.snapshot.advices[-1], max(self.share, 0.01)
        start = max(start, last.start)
        phase = (last.phase + self._index(last, start) * round(100 * share)) % 100
        first_is_models = 100 - round(100 * share)  # the least phase with which it is
        if len(self.snapshot.advices) == 1:
            # The second trial is the base sampler's, so that there is something to compare with.
            phase = first_is_models
        elif served:  # a trial that has waited gets its configuration
            phase = max(phase, first_is_models)
        return replace(record, start=start, share=share, phase=phase)

    def _is_revoked(self, record: AdviceRecord, index: int) -> bool:
        """Return whether an assigned trial is the base sampler's, since the model has lost share.

        A share has to fall below half of the advice's.
        """
        if self.policy.is_fixed or self.evidence.share >= record.share / 2:
            return False
        return position(index, self.evidence.share, record.phase) is None

    def _index(self, record: AdviceRecord, number: int) -> int:
        """Count the trials from the start of an advice, without enqueued ones.

        An enqueued trial is marked before any later trial exists, so all workers count alike.
        """
        return number - record.start - self.snapshot.n_enqueued(record.start, number)
