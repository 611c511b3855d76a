"""One study as one process sees it: whose is this trial, and who asks the model.

Knows trial numbers and the board, not Optuna's study or trial.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
import random
import threading
import time
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.logging import get_logger

from ._advice import Config
from ._advice import is_known
from ._advice import values
from ._ask import Answer
from ._ask import ask
from ._board import Board
from ._board import Call
from ._board import Claim
from ._board import CLOCK_SKEW
from ._board import Post
from ._board import View
from ._branches import combined
from ._branches import Conditions
from ._branches import parents_first
from ._earlier import Earlier
from ._flight import Flight
from ._flight import Home
from ._history import plain
from ._history import Shown
from ._ledger import CallHook
from ._ledger import record_of
from ._plan import Plan
from ._policy import Place
from ._policy import Schedule
from ._prices import cost_of
from ._prices import Price
from ._prompt import Question
from .errors import OptunaLLMError
from .llms._types import LLM


_logger = get_logger(f"optuna.{__name__}")

# A call may go on for this long after nobody waits for it: its answer serves later trials.
_MIN_CALL_SECONDS = 120.0
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
class Settings:
    """What a session needs to know of the sampler's arguments."""

    llm: Callable[[], LLM]
    schedule: Schedule
    task: str
    param_notes: Mapping[str, str]
    search_space: Mapping[str, BaseDistribution] | None
    conditions: Conditions
    earlier: tuple[Earlier, ...]
    n_configs: int
    timeout: float
    prefetch: bool
    seed: int | None
    prices: Mapping[str, Price] = field(default_factory=dict)
    on_call: CallHook | None = None


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
        self._lock = threading.Lock()
        self._last: Plan | None = None
        self._flight: Flight | None = None
        self._waited_in_vain: set[int] = set()
        self._broken: str = ""
        self._warned: set[str] = set()

    def decide(self, trial_id: int, number: int) -> Decision:
        """Say whose a trial is; waits for the model no longer than the timeout.

        Never fails: a trial must not be lost because of what only this sampler reads and writes.
        """
        try:
            return self._decide(Home(trial_id, number))
        except Exception as error:  # a storage may fail in its own ways
            self._warn("storage", repr(error), "The base sampler goes on.")
            return Decision("fallback:storage")

    def open(self, trial_id: int, number: int) -> None:
        """Ask for the first advice while a trial runs that does not need it."""
        try:
            if self._settings.search_space:
                view = self._board.read()
                plan = Plan(self._settings.schedule, view, _first(view.anchor, number))
                self._prefetch(plan, Home(trial_id, number))
        except Exception as error:
            self._warn("storage", repr(error), "The base sampler goes on.")

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
        if not view.advices and self._space(view):
            # The first advice will begin the schedule; until then, every trial is in its block.
            anchor = min(number, _first(anchor, number))
        if anchor is None:
            return None
        self._last = Plan(self._settings.schedule, view, anchor)
        return self._last

    # --- taking a configuration -------------------------------------------------------------

    def _take(self, plan: Plan, home: Home) -> Decision:
        start, pause, waited = time.monotonic(), _FIRST_PAUSE, False
        while True:
            place = plan.place(home.number)
            patience = self._patience(plan, place)
            decision = self._ready(plan, home.number, wait=patience > 0)
            if decision is not None:
                self._prefetch(plan, home)
                return decision
            flight = self._flight_for(plan, home, waits=patience > 0)
            left = start + patience - time.monotonic()
            if left <= 0:
                return self._give_up(place.block, patience)
            self.waits += not waited
            waited, view = True, None
            if flight is None:
                time.sleep(min(left, pause * random.uniform(0.7, 1.3)))
                pause = min(1.5 * pause, _MAX_PAUSE)
            elif flight.done.wait(left):
                decision, view = self._landed(flight)
                if decision is not None:
                    return decision
            plan = self._look(home.number, view) or plan

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
            return Decision("llm", slot.config, str(slot))
        if due:
            return Decision(f"fallback:{self._broken}") if self._broken else None
        few = slot is not None and slot.index < self._settings.n_configs
        reason = plan.view.given_up.get(block) or ("few_ideas" if few else "not_ready")
        return Decision(f"fallback:{reason}")

    def _is_repetition(self, plan: Plan, config: Config, number: int) -> bool:
        space = self._space(plan.view)
        params = values(config, space)
        running = list(self._pending(plan.view, number).values())
        return plan.view.history.knows(params, space) or is_known(params, running, space)

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
        self._warn(
            "timeout",
            f"no advice within {self._settings.timeout:g} s.",
            "The base sampler goes on, and the advice is used as soon as it is there. "
            "Raise timeout= to wait for it.",
        )
        return Decision("fallback:timeout")

    # --- who asks ---------------------------------------------------------------------------

    def _flight_for(self, plan: Plan, home: Home, *, waits: bool) -> Flight | None:
        """Return this process's call, started now if nobody asks, or None if another one does."""
        flight = self._flight
        if flight is not None and not flight.done.is_set():
            return flight
        block = plan.due(home.number)
        if block is None or self._is_asked(plan, home.number):
            return None
        return self._launch(plan, home, block, waits=waits)

    def _prefetch(self, plan: Plan, home: Home) -> None:
        """Start the call for a coming block if it is time to, without waiting for it."""
        if self._settings.prefetch and not self._broken and self._space(plan.view):
            self._flight_for(plan, home, waits=False)

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
            ask=lambda view: self._ask(view, claim),
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

    # --- the call ---------------------------------------------------------------------------

    def _ask(self, view: View, claim: Claim) -> Post:
        blank = Post(claim.trial, claim.anchor, claim.block, claim.anchor, claim.ticket)
        question = self._question(view, claim.block)
        known = [*self._pending(view).values(), *(t.params for t in view.trials if t.params)]
        try:
            timeout = max(2 * self._settings.timeout, _MIN_CALL_SECONDS)
            answer = ask(self._settings.llm(), question, known, timeout=timeout)
        except OptunaLLMError as error:  # the back end could not be built
            answer = Answer(Call(requests=0, at=time.time()), error=error)
        except Exception as error:
            self._broken = "internal"
            self._warn("internal", repr(error), "The base sampler goes on; please report this.")
            return replace(blank, outcome="internal", retryable=False)
        self._note(answer)
        call = replace(answer.call, usd=cost_of(answer.call, self._settings.prices))
        post = replace(
            blank,
            outcome=answer.outcome,
            retryable=answer.error is None or answer.error.retryable,
            call=call,
            advice=answer.advice,
        )
        self._tell(post)
        return post

    def _tell(self, post: Post) -> None:
        if self._settings.on_call is None:
            return
        try:
            self._settings.on_call(record_of(post))
        except Exception as error:  # what others do with it must not cost a trial
            if "on_call" not in self._warned:
                self._warned.add("on_call")
                _logger.warning(f"on_call raised {error!r}. The advice is used all the same.")

    def _question(self, view: View, block: int) -> Question:
        settings, space = self._settings, self._space(view)
        seed = None if settings.seed is None else (settings.seed * 1_000 + block) % 2**31
        running = [Shown(n, plain(params, space)) for n, params in self._pending(view).items()]
        conditions = combined(settings.conditions, view.history.conditions(space), space)
        return Question(
            space=parents_first(space, conditions),
            digest=view.history.digest(running, self._board.metric_names(), space),
            task=settings.task,
            param_notes=settings.param_notes,
            n_configs=settings.n_configs,
            optional=view.history.optional(list(space), conditions),
            conditions=conditions,
            untried=view.history.untried(space),
            earlier=settings.earlier,
            seed=seed,
        )

    def _pending(self, view: View, number: int | None = None) -> dict[int, dict[str, Any]]:
        plan = Plan(self._settings.schedule, view, _first(view.anchor, len(view.trials)))
        return plan.pending(self._space(view), number)

    def _space(self, view: View) -> dict[str, BaseDistribution]:
        given = self._settings.search_space or {}
        # What trials have shown is newer than what the user said at construction.
        merged = {**given, **view.history.space()}
        return {n: d for n, d in merged.items() if not d.single()}

    def _note(self, answer: Answer) -> None:
        error = answer.error
        if error is None:
            call = answer.call
            _logger.info(
                f"{call.model}: {len(answer.advice.configs)} configurations in "
                f"{call.seconds:.1f} s."
            )
            return
        if not error.retryable:
            self._broken = error.reason
        self._warn(error.reason, str(error), error.hint)

    def _warn(self, reason: str, message: str, hint: str) -> None:
        """Warn once per reason; a thousand trials need not say the same."""
        if reason not in self._warned:
            self._warned.add(reason)
            _logger.warning(f"The language model was not used ({reason}): {message} {hint}")


def _first(anchor: int | None, number: int) -> int:
    """Return where the schedule starts if that is known, else that it starts here."""
    return number if anchor is None else anchor
