"""Which configuration is whose: pure functions of the schedule and of what is on the board."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from typing import Any

from ._advice import Config
from ._advice import values
from ._board import Claim
from ._board import Post
from ._board import View
from ._credit import is_spent
from ._credit import only_fails
from ._credit import results_of
from ._policy import Place
from ._policy import Schedule
from ._space import SearchSpace


@dataclass(frozen=True)
class Slot:
    """A trial's own configuration: its index in an advice, which may have fewer."""

    post: Post
    index: int

    @property
    def config(self) -> Config | None:
        configs = self.post.advice.configs
        return configs[self.index] if self.index < len(configs) else None

    def __str__(self) -> str:
        return f"trial {self.post.trial}, block {self.post.block}, config {self.index}"


@dataclass(frozen=True)
class Plan:
    """The schedule as it applies to a study.

    Attributes:
        schedule:
            By index.
        view:
            The board.
        anchor:
            Number of the trial whose index is 0.
    """

    schedule: Schedule
    view: View
    anchor: int

    def place(self, number: int) -> Place:
        """Return a trial's place; a trial before the schedule is the base sampler's."""
        if number < self.anchor:
            return Place(-1, None)
        place = self.schedule.place(number - self.anchor)
        # The first proposals are the model's whatever they come to.
        if place.slot is not None and place.turn >= self.schedule.n_first and self._is_spent:
            return replace(place, slot=None)
        return place

    @cached_property
    def _is_spent(self) -> bool:
        """Whether the model has lost its share; it is not asked any more, so this is for good."""
        if not self.schedule.decays:
            return False
        return is_spent(results_of(self.view.trials, self.view.history.directions))

    def is_hopeless(self, number: int) -> bool:
        """Tell whether a trial is of the first proposals, and those before it have only failed.

        Later ones come from a model that has been told of the failures.
        """
        first = self.place(number).turn < self.schedule.n_first
        return first and only_fails(self.view.trials)

    def slot(self, number: int) -> Slot | None:
        """Return a trial's own configuration in the latest advice that serves it."""
        for post in reversed(self.view.advices):
            if post.start > number:
                continue
            place = self.schedule.place(number - post.anchor)
            if place.slot is None:
                return None
            return Slot(post, place.turn - self.schedule.place(post.start - post.anchor).turn)
        return None

    def due(self, number: int) -> int | None:
        """Return the block to ask for when this trial starts, if any."""
        place, block = self.place(number), None
        if place.block > self.view.settled:
            block = place.block
        elif place.renewal and place.block == self.view.settled:
            block = place.block + 1  # the last trial of a block asks for the next one ahead
        if block is None or not self.schedule.has_turn(block, number - self.anchor):
            return None
        if block > 0 and self._is_spent:
            return None
        return block

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
        for running in self.view.running:
            if running.number == number:
                continue
            late = number is not None and running.number > number
            promised: Mapping[str, Any] = {}
            if running.source == "llm" or (running.source is None and not late):
                slot = self.slot(running.number)
                promised = values(slot.config, space) if slot and slot.config else {}
            if promised or running.params:
                found[running.number] = {**promised, **running.params}
        return found

    def place_post(self, post: Post, claim: Claim, waiting: Iterable[int]) -> Post:
        """Say from which trial on a new advice serves.

        It begins with the first trial that waits for it, else with the next to come. The first
        advice of all also begins the schedule, so that no best guess is left to the past.

        Args:
            post:
                The result of the call.
            claim:
                The claim under which it was made.
            waiting:
                Trials that may be waiting for the model.
        """
        advices = self.view.advices
        if post.outcome != "ok":
            return post
        if advices and (claim.anchor != self.anchor or claim.block <= advices[-1].block):
            return replace(post, outcome="redundant")
        places = {number: self.place(number) for number in waiting}
        served = [n for n, p in places.items() if p.slot is not None and p.block >= claim.block]
        start = min(served, default=len(self.view.trials))
        if advices:
            return replace(post, start=max(start, self.anchor))
        return replace(post, anchor=start, block=0, start=start)
