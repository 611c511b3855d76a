"""One study as one process sees it: decide where each trial's parameters come from.

A trial starts. Its process takes a snapshot of the advice store, and the plan that follows from
it says whose trial it is. The trial tries one of the user's own configurations or the documented
defaults, is left to the base sampler, or takes the configuration that an advice assigns to it. If
that advice does not exist yet, the trial waits for it, and its process asks the model unless
another process does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, ExitStack, nullcontext
from dataclasses import dataclass, replace
import random
import threading
import time
from typing import Any, TYPE_CHECKING

from optuna.logging import get_logger

from .._advice.advice import Config, IsDuplicate, values
from .._advice.question import Question
from .._policy.allocation import Plan, Policy
from .._policy.patience import Patience
from .._store.background_call import BackgroundCall, HostTrial
from .._store.records import Claim, CLOCK_SKEW
from .._store.store import AdviceStore, Snapshot
from ..errors import TurnedOffError
from ..llms.base import LLM
from .advisor import Advisor
from .own_configs import config_for, documented_config, OwnConfig
from .progress import waiting
from .settings import Settings


if TYPE_CHECKING:
    from .._advice.renaming import Redact

_logger = get_logger(f"optuna.{__name__}")

# The lease of a claim, in seconds: a third of the timeout within these bounds. A worker that has
# not renewed its claim for so long counts as dead, and another one has time left to ask.
_MIN_LEASE, _MAX_LEASE = 3.0, 20.0
# Pauses between two looks at another worker's call, in seconds; they grow.
_FIRST_PAUSE, _MAX_PAUSE = 0.2, 1.0


@dataclass(frozen=True)
class Decision:
    """Where a trial's parameters come from."""

    source: str  # as in `_study.keys.SOURCE`
    # The configuration to try; None leaves the trial to the base sampler.
    config: Config | None = None
    advice: str = ""  # where the configuration is from, for people to read


@dataclass(frozen=True)
class NextQuestion:
    """The next question to the model, and what asking it needs."""

    llm: str | LLM | None  # the model, as the user named it
    redact: Redact | None  # rewrites every text before it is sent
    question: Question  # what the model would be asked
    is_duplicate: IsDuplicate  # detects configurations that need not be tried again
    timeout: float  # longest time for the call, in seconds


def _decision_for(own: OwnConfig) -> Decision:
    return Decision(own.source, config=Config(own.params, why=own.why), advice=own.label)


class Session:
    """Decides for the trials of one study that run in this process. Thread-safe.

    The policy is :obj:`None` if the model is off.

    Attributes:
        decided:
            Numbers of the trials that were decided here.
        n_waits:
            Number of trials that have waited for the model.
    """

    def __init__(
        self,
        store: AdviceStore,
        settings: Settings,
        *,
        llm: Callable[[], LLM],
        policy: Policy | None,
    ) -> None:
        self.decided: set[int] = set()
        self.n_waits = 0
        self._store = store
        self._settings = settings
        self._policy = policy
        self._patience = Patience(settings.timeout)
        self._advisor = Advisor(store, settings, self._patience, llm)
        self._has_own = bool(settings.own_configs)
        # Whether a trial may still have to try documented defaults, once it is known which.
        self._may_be_documented = (
            settings.documented_defaults and not settings.own_configs and policy is not None
        )
        self._documented: OwnConfig | None = None
        self._latest_plan: Plan | None = None
        self._call: BackgroundCall | None = None
        self._call_lock = threading.Lock()
        self._progress_lock = threading.Lock()
        self._waited_in_vain: set[int] = set()

    def decide(self, trial_id: int, number: int) -> Decision:
        """Decide where a trial's parameters come from. Wait ``timeout`` seconds at most.

        Errors of the storage lead to a fallback: a trial must not be lost because of attributes
        that only this sampler reads and writes.
        """
        host = HostTrial(trial_id=trial_id, number=number)
        self.decided.add(number)
        try:
            if self._call is not None and self._call.open:
                self._call.move_to(host)
            return self._decide(host)
        except Exception as error:  # each storage has its own errors
            self._advisor.warn("storage", repr(error), "The base sampler goes on.")
            return Decision("fallback:storage")
        finally:
            self._patience.started(number)

    def finished(self, number: int) -> None:
        """Note that a trial of this process has ended."""
        self._patience.finished(number)

    @property
    def misleading(self) -> Sequence[int]:
        """Numbers of the trials that the base sampler should not learn from."""
        plan = self._latest_plan
        return () if plan is None else plan.evidence.misleading

    def promised_params(self, number: int) -> list[dict[str, Any]]:
        """Return what trials are going to try that were decided or promised by this one's turn."""
        if (plan := self._latest_plan) is None:
            return []
        return plan.promised_params(self._advisor.space(plan.snapshot), number)

    def next_question(self) -> NextQuestion:
        """Return what the model would be asked next. Ask nothing.

        Raises:
            TurnedOffError: The model is off.
        """
        plan = self._plan(self._store.read())
        question = self._advisor.question(plan, plan.snapshot.next_block)
        return NextQuestion(
            llm=self._settings.llm,
            redact=self._settings.redact,
            question=question,
            is_duplicate=self._advisor.is_duplicate(plan),
            timeout=self._advisor.call_timeout,
        )

    # --- deciding ---------------------------------------------------------------------------

    def _decide(self, host: HostTrial) -> Decision:
        if not self._has_own and (self._policy is None or self._stays_base(host.number)):
            return Decision("base")
        snapshot = self._store.read()
        own = self._own_config(snapshot, host.number)
        if self._policy is None:
            return own or Decision("base")
        if not self._advisor.space(snapshot):
            return own or Decision("base")
        plan = self._plan(snapshot)
        if own is None and self._policy.documented_first:
            own = self._documented_defaults(snapshot, host.number)
        if own is None:
            decision = self._take(plan, host)
            if decision.source.startswith("fallback"):
                return self._documented_defaults(snapshot, host.number) or decision
            return decision
        if self._settings.search_space:
            self._ask_ahead(plan, host)
        return own

    def _stays_base(self, number: int) -> bool:
        """Return whether no later advice can make a trial the model's; read no storage."""
        plan = self._latest_plan
        if plan is None or plan.policy.share != 0 or not plan.snapshot.advices:
            return False
        return not plan.turn(number).is_models

    def _own_config(self, snapshot: Snapshot, number: int) -> Decision | None:
        """Decide for the user's own configuration that a trial has to try, if there is one."""
        if not self._has_own:
            return None
        left = [own for own in self._settings.own_configs if not own.is_taken(snapshot.trials)]
        self._has_own = bool(left)
        own = config_for(number, left, snapshot)
        return None if own is None else _decision_for(own)

    def _documented_defaults(self, snapshot: Snapshot, number: int) -> Decision | None:
        """Decide for documented defaults, if they are found and nothing better is known yet."""
        if not self._may_be_documented or snapshot.advices:
            return None
        if self._documented is None:
            space = self._advisor.space(snapshot)
            conditions = self._advisor.conditions(snapshot, space)
            self._documented = documented_config(space, conditions, self._settings.task)
        if self._documented is None or self._documented.is_taken(snapshot.trials):
            self._may_be_documented = False
            return None
        own = config_for(number, [self._documented], snapshot)
        return None if own is None else _decision_for(own)

    def _plan(self, snapshot: Snapshot) -> Plan:
        if self._policy is None:
            raise TurnedOffError("The language model is turned off for this sampler.")
        self._latest_plan = Plan(self._policy, snapshot)
        return self._latest_plan

    def _take(self, plan: Plan, host: HostTrial) -> Decision:
        """Take what the plan has for a trial; wait for the advice that it needs."""
        block: int | None = None
        allowed, deadline, pause = 0.0, 0.0, _FIRST_PAUSE
        with ExitStack() as wait:
            while (decision := self._decide_by(plan, host)) is None:
                call = self._call_for(plan, host)
                is_first = block is None
                if block != plan.snapshot.next_block:  # each advice has its own deadline
                    block = plan.snapshot.next_block
                    allowed = self._allowed_wait(plan, call)
                    deadline = time.monotonic() + allowed
                left = deadline - time.monotonic()
                if left <= 0:
                    return self._give_up(block, allowed)
                if is_first:
                    wait.enter_context(self._waiting(left))
                if call is None:  # another process asks
                    time.sleep(min(left, pause * random.uniform(0.7, 1.3)))
                    pause = min(1.5 * pause, _MAX_PAUSE)
                    found: Snapshot | Decision = self._store.read()
                else:
                    found = self._outcome_of(call, left)
                if isinstance(found, Decision):
                    return found
                plan = self._plan(found)
        return decision

    def _decide_by(self, plan: Plan, host: HostTrial) -> Decision | None:
        """Return what a plan decides for a trial; :obj:`None`: the trial needs a new advice."""
        turn = plan.turn(host.number)
        if turn.needs_advice:
            if self._is_calling() or self._is_asked_by_others(plan, host.number):
                return None
            reason = self._advisor.limits.reason(plan.snapshot)
            return Decision(f"fallback:{reason}") if reason else None
        if turn.assignment is None:
            decision = Decision("base")
        else:
            config = turn.assignment.config
            params = values(config, self._advisor.space(plan.snapshot))
            if self._advisor.is_duplicate(plan, host.number)(params):
                decision = Decision("fallback:known_already")
            else:
                decision = Decision("llm", config=config, advice=str(turn.assignment))
        self._ask_ahead(plan, host)
        return decision

    # --- waiting ----------------------------------------------------------------------------

    @contextmanager
    def _waiting(self, at_most: float) -> Iterator[None]:
        """Count a wait, and show it unless another thread shows one."""
        begin = time.monotonic()
        self.n_waits += 1
        shows = self._progress_lock.acquire(blocking=False)
        try:
            with waiting("the language model's advice", at_most) if shows else nullcontext():
                yield
        finally:
            if shows:
                self._progress_lock.release()
            if self._latest_plan is not None and self._latest_plan.snapshot.advices:
                self._patience.waited(time.monotonic() - begin)

    def _allowed_wait(self, plan: Plan, call: BackgroundCall | None) -> float:
        """Return how many seconds a trial may wait for the advice that it needs.

        The timeout, for the first advice and wherever nothing is asked ahead, unless this process
        has waited for that advice in vain: its worker may be dead. For later advices, what the
        process has earned by its trials, if they are likely to come within that time.
        """
        if plan.snapshot.next_block in self._waited_in_vain:
            return 0.0
        if not plan.snapshot.advices or not self._settings.prefetch:
            return self._settings.timeout
        passed = 0.0 if call is None else call.seconds
        return self._patience.allowed(plan.snapshot.call_seconds - passed)

    def _outcome_of(self, call: BackgroundCall, seconds: float) -> Snapshot | Decision:
        """Wait for this process's call; return a snapshot with its advice, or a fallback."""
        if not call.done.wait(seconds):
            return self._store.read()
        if call.interrupt is not None:
            raise call.interrupt
        if call.open:
            return Decision("fallback:not_stored")
        record, snapshot = call.record, call.snapshot
        if record is None or snapshot is None or record.outcome == "redundant":
            return self._store.read()  # another worker was first
        if record.outcome != "ok":
            # The same trial does not ask again: a passing error needs time to pass.
            return Decision(f"fallback:{record.outcome}")
        return replace(snapshot, records=[*snapshot.records, record])

    def _give_up(self, block: int, waited: float) -> Decision:
        if waited < self._settings.timeout or not waited:
            return Decision("fallback:not_ready")
        self._waited_in_vain.add(block)
        self._advisor.warn(
            "timeout",
            f"no advice within {self._settings.timeout:g} s.",
            "The base sampler goes on, and later trials use the advice. "
            "Raise timeout= to wait for it.",
        )
        return Decision("fallback:timeout")

    # --- asking -----------------------------------------------------------------------------

    def _ask_ahead(self, plan: Plan, host: HostTrial) -> None:
        """Start a call for coming trials if it is time to, without waiting for it."""
        if not self._settings.prefetch:
            return
        snapshot, ahead = plan.snapshot, 0
        if snapshot.advices:  # the first advice is asked for when it is needed, to know more
            ahead = self._patience.trials_ahead(snapshot.call_seconds, len(snapshot.running))
        self._call_for(plan, host, ahead=ahead)

    def _call_for(self, plan: Plan, host: HostTrial, *, ahead: int = 0) -> BackgroundCall | None:
        """Return this process's call; start it if the trial needs it and nobody else asks.

        It also starts if one of the next ``ahead`` trials needs it.
        """
        if self._is_calling():
            return self._call
        block = plan.block_to_ask(host.number, ahead)
        if block is None or self._is_asked_by_others(plan, host.number):
            return None
        if self._advisor.limits.reason(plan.snapshot):
            return None
        return self._start_call(plan, host, block)

    def _is_calling(self) -> bool:
        return self._call is not None and not self._call.done.is_set()

    def _is_asked_by_others(self, plan: Plan, number: int) -> bool:
        claims = plan.snapshot.other_claims(number)
        return any(claim.asking or claim.asked_on < number for claim in claims)

    def _start_call(self, plan: Plan, host: HostTrial, block: int) -> BackgroundCall:
        policy, timeout = plan.policy, self._settings.timeout
        lease = min(max(timeout / 3, _MIN_LEASE), _MAX_LEASE) if timeout else _MAX_LEASE
        claim = Claim(
            trial=host.number,
            block=block,
            asked_on=host.number,
            asking=False,
            at=time.time(),
            lease=lease,
        )
        call = BackgroundCall(
            self._store,
            claim,
            host,
            is_alone=all(running.number == host.number for running in plan.snapshot.running),
            ask=lambda snapshot: self._advisor.ask(Plan(policy, snapshot), claim),
            may_ask=lambda snapshot: not self._advisor.limits.reason(snapshot),
            schedule=lambda snapshot, record, has_begun: Plan(policy, snapshot).scheduled(
                record, claim, [record.trial] if has_begun else self._waiting_trials(snapshot)
            ),
        )
        with self._call_lock:
            if self._call is not None and self._call.open:
                return self._call
            self._call = call
        try:
            call.start(plan.snapshot)
        except BaseException:
            self._call = None
            raise
        return call

    def _waiting_trials(self, snapshot: Snapshot) -> list[int]:
        """Guess which trials wait for a call; trials of dead workers may look like them."""
        if self._settings.timeout <= 0:
            return []
        return [
            running.number
            for running in snapshot.running
            if running.source is None
            and running.number not in snapshot.expired
            and abs(running.age) < self._settings.timeout + CLOCK_SKEW
        ]
