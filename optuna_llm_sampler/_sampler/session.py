"""One study as one process sees it: whose is this trial, and who asks the model.

Knows trial numbers and the store, not Optuna's study or trial.
"""

from __future__ import annotations

from collections.abc import Callable
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

from .._advice.advice import Config
from .._advice.advice import Known
from .._advice.advice import values
from .._advice.prompts.build import Question
from .._policy.allocation import Plan
from .._policy.patience import Patience
from .._policy.shares import Policy
from .._store.background_call import BackgroundCall
from .._store.background_call import HostTrial
from .._store.store import AdviceRecord
from .._store.store import AdviceStore
from .._store.store import Claim
from .._store.store import CLOCK_SKEW
from .._store.store import Snapshot
from ..llms.base import LLM
from .advisor import Caller
from .own_configs import config_for
from .progress import waiting
from .settings import Settings


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

    def __init__(
        self,
        store: AdviceStore,
        settings: Settings,
        *,
        llm: Callable[[], LLM],
        policy: Policy | None,
    ) -> None:
        self.waits = 0
        self._policy = policy
        self._store = store
        self._settings = settings
        self._patience = Patience(settings.timeout)
        self._caller = Caller(store, settings, self._patience, llm=llm, policy=policy)
        self._lock = threading.Lock()
        self._last: Plan | None = None
        self._background_call: BackgroundCall | None = None
        self._waited_in_vain: set[int] = set()
        self._saying = threading.Lock()
        self._first_left = bool(settings.own_configs)

    def decide(self, trial_id: int, number: int) -> Decision:
        """Say whose a trial is; waits for the model no longer than the timeout.

        Never fails: a trial must not be lost because of what only this sampler reads and writes.
        """
        try:
            return self._decide(HostTrial(trial_id, number))
        except Exception as error:  # a storage may fail in its own ways
            self._caller.warn("storage", repr(error), "The base sampler goes on.")
            return Decision("fallback:storage")
        finally:
            self._patience.started(number)

    def finished(self, number: int) -> None:
        """Note how long a trial of this process took."""
        self._patience.finished(number)

    def look_ahead(self) -> Ahead:
        """Return what the model would be asked next. Asks nothing."""
        snapshot = self._store.read()
        return Ahead(
            self._caller.question(snapshot, snapshot.settled + 1), self._caller.known(snapshot)
        )

    def _decide(self, host: HostTrial) -> Decision:
        call = self._background_call
        if call is not None and call.open:
            call.move_to(host)
        if self._policy is None and not self._first_left:
            return Decision("base")
        if self._is_surely_base(host.number):
            return Decision("base")
        snapshot = self._store.read()
        if self._first_left and (first := self._first(snapshot, host.number)) is not None:
            if self._policy is not None and self._settings.search_space:
                self._ask_ahead(self._look(snapshot), host)
            return first
        if self._policy is None or not self._caller.space(snapshot):
            return Decision("base")
        plan = self._look(snapshot)
        if not plan.turn(host.number).is_models:
            self._ask_ahead(plan, host)
            return Decision("base")
        return self._take(plan, host)

    def _first(self, snapshot: Snapshot, number: int) -> Decision | None:
        """Return the user's own configuration that this trial is to try, if one is left for it.

        Trials that have yet to take theirs are counted by number, so that each configuration is
        tried once, and by the first trial that can, whatever the study held before.
        """
        left = [own for own in self._settings.own_configs if not own.is_taken(snapshot.trials)]
        self._first_left = bool(left)
        own = config_for(number, left, snapshot)
        return None if own is None else Decision(own.source, Config(own.params), own.label)

    def _is_surely_base(self, number: int) -> bool:
        """Tell from what was stored when last read, where no later advice can change it."""
        plan = self._last
        if plan is None or self._first_left or plan.policy.share != 0 or not plan.snapshot.advices:
            return False
        return not plan.turn(number).is_models

    def _look(self, snapshot: Snapshot) -> Plan:
        assert self._policy is not None
        self._last = Plan(self._policy, snapshot)
        return self._last

    # --- taking a configuration -------------------------------------------------------------

    def _take(self, plan: Plan, host: HostTrial) -> Decision:
        with ExitStack() as until_decided:
            return self._wait(plan, host, until_decided)

    def _wait(self, plan: Plan, host: HostTrial, until_decided: ExitStack) -> Decision:
        start, pause, patience, deadline = time.monotonic(), _FIRST_PAUSE, 0.0, 0.0
        waited, block = False, plan.snapshot.settled
        try:
            while True:
                decision = self._ready(plan, host.number)
                if decision is not None:
                    self._ask_ahead(plan, host)
                    return decision
                if shut := self._why_not(plan, host.number):
                    return Decision(f"fallback:{shut}")
                call = self._call_for(plan, host, ahead=0)
                if not waited or plan.snapshot.settled != block:
                    block, patience = plan.snapshot.settled, self._patience_for(plan, call)
                    deadline = time.monotonic() + patience
                left = deadline - time.monotonic()
                if left <= 0:
                    return self._give_up(plan, patience)
                if not waited:
                    self.waits += 1
                    until_decided.enter_context(self._said_once(left))
                waited, snapshot = True, None
                if call is None:
                    time.sleep(min(left, pause * random.uniform(0.7, 1.3)))
                    pause = min(1.5 * pause, _MAX_PAUSE)
                elif call.done.wait(left):
                    decision, snapshot = self._outcome_of(call)
                    if decision is not None:
                        return decision
                plan = self._look(snapshot or self._store.read())
        finally:
            if waited and plan.snapshot.advices:
                self._patience.waited(time.monotonic() - start)

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

    def _patience_for(self, plan: Plan, call: BackgroundCall | None) -> float:
        """Return for how many seconds a trial may wait for the advice that it needs.

        For the first advice, and wherever nothing is asked ahead, that is the timeout, but not
        again for an advice that this process has waited for in vain: its asker may be dead. Later
        advices are waited for if they are likely to come soon enough.
        """
        block = plan.snapshot.settled + 1
        if block in self._waited_in_vain:
            return 0.0
        if not plan.snapshot.advices or not self._settings.prefetch:
            return self._settings.timeout
        under_way = 0.0 if call is None else call.seconds
        return self._patience.allowed(plan.snapshot.call_seconds - under_way)

    def _ready(self, plan: Plan, number: int) -> Decision | None:
        """Return the decision on a trial that does not need to ask the model."""
        turn = plan.turn(number)
        if not turn.is_models:
            return Decision("base")
        if turn.assignment is None:
            return None
        if self._is_repetition(plan, turn.assignment.config, number):
            return Decision("fallback:known_already")
        return Decision("llm", turn.assignment.config, str(turn.assignment))

    def _is_repetition(self, plan: Plan, config: Config, number: int) -> bool:
        params = values(config, self._caller.space(plan.snapshot))
        return self._caller.known(plan.snapshot, number)(params)

    def _outcome_of(self, call: BackgroundCall) -> tuple[Decision | None, Snapshot | None]:
        """Return what a call has come to: a decision, or the store with the new advice."""
        if call.interrupt is not None:
            raise call.interrupt
        if call.open:
            return Decision("fallback:not_stored"), None
        record, snapshot = call.record, call.snapshot
        if record is None or snapshot is None or record.outcome == "redundant":
            return None, None  # another worker was first
        if record.outcome != "ok":
            # The same trial does not ask again: a passing error needs time to pass.
            return Decision(f"fallback:{record.outcome}"), None
        return None, replace(snapshot, records=[*snapshot.records, record])

    def _give_up(self, plan: Plan, patience: float) -> Decision:
        if patience < self._settings.timeout or not patience:
            return Decision("fallback:not_ready")
        self._waited_in_vain.add(plan.snapshot.settled + 1)
        self._caller.warn(
            "timeout",
            f"no advice within {self._settings.timeout:g} s.",
            "The base sampler goes on, and the advice is used as soon as it is there. "
            "Raise timeout= to wait for it.",
        )
        return Decision("fallback:timeout")

    # --- who asks ---------------------------------------------------------------------------

    def _call_for(self, plan: Plan, host: HostTrial, *, ahead: int) -> BackgroundCall | None:
        """Return this process's call, started now if nobody asks, or None if another one does."""
        if self._is_calling():
            return self._background_call
        block = plan.due(host.number, ahead)
        if block is None or self._is_asked(plan, host.number) or self._why_not(plan, host.number):
            return None
        return self._start_call(plan, host, block)

    def _ask_ahead(self, plan: Plan, host: HostTrial) -> None:
        """Start the call for coming trials if it is time to, without waiting for it.

        An answer that trials may wait for is not asked for ahead, so that it knows all results.
        """
        if not self._settings.prefetch or not self._caller.space(plan.snapshot):
            return
        ahead = 0
        if plan.snapshot.advices:
            n_running = len(plan.snapshot.running)
            ahead = self._patience.trials_ahead(plan.snapshot.call_seconds, n_running)
        self._call_for(plan, host, ahead=ahead)

    def _is_calling(self) -> bool:
        return self._background_call is not None and not self._background_call.done.is_set()

    def _why_not(self, plan: Plan, number: int) -> str:
        """Return why nobody is going to ask the model now, ``""`` if somebody may or does."""
        if self._is_calling() or self._is_asked(plan, number):
            return ""
        return self._caller.limits.reason(plan.snapshot)

    def _is_asked(self, plan: Plan, number: int) -> bool:
        return any(
            rival.asking or rival.asked_on < number for rival in plan.snapshot.rivals(number)
        )

    def _start_call(self, plan: Plan, host: HostTrial, block: int) -> BackgroundCall:
        timeout = self._settings.timeout
        lease = min(max(timeout / 3, _MIN_LEASE), _MAX_LEASE) if timeout else _MAX_LEASE
        claim = Claim(host.number, block, host.number, False, time.time(), lease)
        call = BackgroundCall(
            self._store,
            claim,
            host,
            alone=all(running.number == host.number for running in plan.snapshot.running),
            ask=lambda snapshot: self._caller.ask(snapshot, claim),
            may_ask=lambda snapshot: not self._caller.limits.reason(snapshot),
            place=lambda snapshot, record, begun: self._place(
                snapshot, record, claim, [record.trial] if begun else self._waiting(snapshot)
            ),
        )
        with self._lock:
            if self._background_call is not None and self._background_call.open:
                return self._background_call
            self._background_call = call
        try:
            call.start(plan.snapshot)
        except BaseException:
            self._background_call = None
            raise
        return call

    def _place(
        self, snapshot: Snapshot, record: AdviceRecord, claim: Claim, waiting: Sequence[int]
    ) -> AdviceRecord:
        assert self._policy is not None
        return Plan(self._policy, snapshot).place_record(record, claim, waiting)

    def _waiting(self, snapshot: Snapshot) -> list[int]:
        """Guess which trials wait for a call: those of dead workers may look as if they did."""
        if self._settings.timeout <= 0:
            return []
        return [
            running.number
            for running in snapshot.running
            if running.source is None
            and running.number not in snapshot.lapsed
            and abs(running.age) < self._settings.timeout + CLOCK_SKEW
        ]
