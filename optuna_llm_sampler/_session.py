"""One study as one process sees it: whose is this trial, and who asks the model.

Knows trial numbers and the board, not Optuna's study or trial.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import replace
import random
import threading
import time

from optuna.logging import get_logger

from ._advice import Config
from ._advice import Known
from ._advice import values
from ._board import Board
from ._board import Claim
from ._board import CLOCK_SKEW
from ._board import Post
from ._board import View
from ._caller import Caller
from ._caller import Settings
from ._flight import Flight
from ._flight import Home
from ._plan import Plan
from ._policy import Place
from ._progress import waiting
from ._prompt import Question


_logger = get_logger(f"optuna.{__name__}")

# A worker that has not renewed its claim for so long is taken for dead. A third of the timeout, so
# that whoever takes over still has time to answer those who wait, within these bounds.
_MIN_LEASE, _MAX_LEASE = 3.0, 20.0
# Seconds between two looks at what another worker is doing, growing.
_FIRST_PAUSE, _MAX_PAUSE = 0.2, 1.0


@dataclass(frozen=True)
class Decision:
    """Where a trial's parameters come from.

    Attributes:
        source:
            ``"defaults"``, ``"llm"``, ``"base"`` or ``"fallback:<reason>"``.
        config:
            The configuration, when it is not the base sampler's.
        advice:
            Where the configuration lies, in words.
    """

    source: str
    config: Config | None = None
    advice: str = ""


@dataclass(frozen=True)
class Ahead:
    """The next question, and what tells which answers to it are known already."""

    question: Question
    known: Known


class Session:
    """Decides for the trials of one study that run in this process. Thread-safe.

    Attributes:
        waits:
            How many trials have waited for the model, however shortly.
    """

    def __init__(self, board: Board, settings: Settings) -> None:
        self.waits = 0
        self._board = board
        self._settings = settings
        self._caller = Caller(board, settings)
        self._lock = threading.Lock()
        self._last: Plan | None = None
        self._flight: Flight | None = None
        self._waited_in_vain: set[int] = set()
        self._saying = threading.Lock()

    def decide(self, trial_id: int, number: int) -> Decision:
        """Say whose a trial is; waits for the model no longer than the timeout.

        Never fails: a trial must not be lost because of what only this sampler reads and writes.
        """
        try:
            return self._decide(Home(trial_id, number))
        except Exception as error:  # a storage may fail in its own ways
            self._caller.warn("storage", repr(error), "The base sampler goes on.")
            return Decision("fallback:storage")

    def open(self, trial_id: int, number: int) -> None:
        """Ask for the first advice while a trial runs that does not need it."""
        try:
            if self._settings.search_space:
                view = self._board.read()
                plan = Plan(self._settings.schedule, view, _first(view.anchor, number))
                self._prefetch(plan, Home(trial_id, number))
        except Exception as error:
            self._caller.warn("storage", repr(error), "The base sampler goes on.")

    def look_ahead(self) -> Ahead:
        """Return what the model would be asked next. Asks nothing."""
        view = self._board.read()
        return Ahead(self._caller.question(view, view.settled + 1), self._caller.known(view))

    def _decide(self, home: Home) -> Decision:
        flight = self._flight
        if flight is not None and flight.open:
            flight.move_to(home)
        if self._is_surely_base(home.number):
            return Decision("base")
        plan = self._look(home.number)
        if plan is None:
            return Decision("base")
        if plan.place(home.number).slot is None:
            self._prefetch(plan, home)
            return Decision("base")
        return self._take(plan, home)

    def _is_surely_base(self, number: int) -> bool:
        """Tell from what was on the board when last read; the schedule never changes again."""
        plan = self._last
        if plan is None or not plan.view.advices:
            return False
        return plan.place(number).slot is None and plan.due(number) is None

    def _look(self, number: int, view: View | None = None) -> Plan | None:
        """Read the board, unless given, and see how the schedule applies to the study now."""
        view = view or self._board.read()
        anchor = view.anchor
        if not view.advices and self._caller.space(view):
            # The first advice will begin the schedule; until then, every trial is in its block.
            anchor = min(number, _first(anchor, number))
        if anchor is None:
            return None
        self._last = Plan(self._settings.schedule, view, anchor)
        return self._last

    # --- taking a configuration -------------------------------------------------------------

    def _take(self, plan: Plan, home: Home) -> Decision:
        with ExitStack() as until_decided:
            return self._wait(plan, home, until_decided)

    def _wait(self, plan: Plan, home: Home, until_decided: ExitStack) -> Decision:
        start, pause, waited = time.monotonic(), _FIRST_PAUSE, False
        while True:
            place = plan.place(home.number)
            shut = self._why_not(plan, home.number)
            patience = 0.0 if shut else self._patience(plan, place)
            decision = self._ready(plan, home.number, wait=patience > 0)
            if decision is not None:
                self._prefetch(plan, home)
                return decision
            if shut:
                return Decision(f"fallback:{shut}")
            flight = self._flight_for(plan, home, waits=patience > 0)
            left = start + patience - time.monotonic()
            if left <= 0:
                return self._give_up(place.block, patience)
            if not waited:
                self.waits += 1
                until_decided.enter_context(self._said_once(left))
            waited, view = True, None
            if flight is None:
                time.sleep(min(left, pause * random.uniform(0.7, 1.3)))
                pause = min(1.5 * pause, _MAX_PAUSE)
            elif flight.done.wait(left):
                decision, view = self._landed(flight)
                if decision is not None:
                    return decision
            plan = self._look(home.number, view) or plan

    @contextmanager
    def _said_once(self, at_most: float) -> Iterator[None]:
        """Say what is being waited for, unless another thread does."""
        if not self._saying.acquire(blocking=False):
            yield
            return
        try:
            with waiting("the language model's advice", at_most):
                yield
        finally:
            self._saying.release()

    def _patience(self, plan: Plan, place: Place) -> float:
        """How long a trial may wait: only for the first advice if later ones are prefetched, and
        not again for a block that this process has waited for in vain (its asker may be dead)."""
        later = place.block > 0 or plan.view.advices
        if place.block in self._waited_in_vain or (self._settings.prefetch and later):
            return 0.0
        return self._settings.timeout

    def _ready(self, plan: Plan, number: int, *, wait: bool) -> Decision | None:
        """Return the decision on a trial of the model's if it need not wait for the model."""
        block, slot = plan.place(number).block, plan.slot(number)
        if block < 0 or plan.place(number).slot is None:
            return Decision("base")
        due = block > plan.view.settled
        if slot is not None and slot.config is not None and not (due and wait):
            if self._is_repetition(plan, slot.config, number):
                return Decision("fallback:known_already")
            if plan.is_hopeless(number):
                return Decision("fallback:failing")
            return Decision("llm", slot.config, str(slot))
        if due:
            return None
        few = slot is not None and slot.index < self._settings.n_configs
        return Decision(f"fallback:{'few_ideas' if few else 'not_ready'}")

    def _is_repetition(self, plan: Plan, config: Config, number: int) -> bool:
        params = values(config, self._caller.space(plan.view))
        return self._caller.known(plan.view, number)(params)

    def _landed(self, flight: Flight) -> tuple[Decision | None, View | None]:
        """Return what a call has come to: a decision, or the board with the new advice."""
        if flight.interrupt is not None:
            raise flight.interrupt
        if flight.open:
            return Decision("fallback:not_stored"), None
        post, view = flight.post, flight.view
        if post is None or view is None or post.outcome == "redundant":
            return None, None  # another worker was first
        if post.outcome != "ok":
            # The same trial does not ask again: a passing error needs time to pass.
            return Decision(f"fallback:{post.outcome}"), None
        return None, replace(view, posts=[*view.posts, post])

    def _give_up(self, block: int, patience: float) -> Decision:
        if patience <= 0:
            return Decision("fallback:not_ready")
        self._waited_in_vain.add(block)
        self._caller.warn(
            "timeout",
            f"no advice within {self._settings.timeout:g} s.",
            "The base sampler goes on, and the advice is used as soon as it is there. "
            "Raise timeout= to wait for it.",
        )
        return Decision("fallback:timeout")

    # --- who asks ---------------------------------------------------------------------------

    def _flight_for(self, plan: Plan, home: Home, *, waits: bool) -> Flight | None:
        """Return this process's call, started now if nobody asks, or None if another one does."""
        if self._is_flying():
            return self._flight
        block = plan.due(home.number)
        if block is None or self._is_asked(plan, home.number) or self._why_not(plan, home.number):
            return None
        return self._launch(plan, home, block, waits=waits)

    def _prefetch(self, plan: Plan, home: Home) -> None:
        """Start the call for a coming block if it is time to, without waiting for it."""
        if self._settings.prefetch and self._caller.space(plan.view):
            self._flight_for(plan, home, waits=False)

    def _is_flying(self) -> bool:
        return self._flight is not None and not self._flight.done.is_set()

    def _why_not(self, plan: Plan, number: int) -> str:
        """Return why nobody is going to ask the model now, ``""`` if somebody may or does."""
        if self._is_flying() or self._is_asked(plan, number):
            return ""
        return self._caller.limits.reason(plan.view)

    def _is_asked(self, plan: Plan, number: int) -> bool:
        return any(rival.asking or rival.ticket < number for rival in plan.view.rivals(number))

    def _launch(self, plan: Plan, home: Home, block: int, *, waits: bool) -> Flight:
        timeout = self._settings.timeout
        lease = min(max(timeout / 3, _MIN_LEASE), _MAX_LEASE) if timeout else _MAX_LEASE
        claim = Claim(home.number, plan.anchor, block, home.number, False, time.time(), lease)
        flight = Flight(
            self._board,
            claim,
            home,
            alone=all(running.number == home.number for running in plan.view.running),
            ask=lambda view: self._caller.ask(view, claim),
            may_ask=lambda view: not self._caller.limits.reason(view),
            place=lambda view, post, begun: self._place(
                view, post, claim, [post.trial] if begun else self._waiting(view, claim, waits)
            ),
        )
        with self._lock:
            if self._flight is not None and self._flight.open:
                return self._flight
            self._flight = flight
        try:
            flight.start(plan.view)
        except BaseException:
            self._flight = None
            raise
        return flight

    def _place(self, view: View, post: Post, claim: Claim, waiting: Sequence[int]) -> Post:
        begin = view.anchor if view.advices else min([claim.anchor, *waiting])
        plan = Plan(self._settings.schedule, view, _first(begin, claim.anchor))
        return plan.place_post(post, claim, waiting)

    def _waiting(self, view: View, claim: Claim, asker_waits: bool) -> list[int]:
        """Guess which trials wait for this call: those of dead workers may look as if they did."""
        if self._settings.timeout <= 0 or (view.advices and self._settings.prefetch):
            return []
        return [
            running.number
            for running in view.running
            if running.source is None
            and (asker_waits or running.number != claim.ticket)
            and running.number not in view.lapsed
            and abs(running.age) < self._settings.timeout + CLOCK_SKEW
        ]


def _first(anchor: int | None, number: int) -> int:
    """Return where the schedule starts if that is known, else that it starts here."""
    return number if anchor is None else anchor
