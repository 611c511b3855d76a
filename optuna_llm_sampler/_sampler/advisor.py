"""The store → one question → what came of it, as a record. Never fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
import threading
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.logging import get_logger

from .._advice.advice import is_known
from .._advice.advice import Known
from .._advice.ask import Answer
from .._advice.ask import ask
from .._advice.call import Call
from .._advice.prompts.build import Question
from .._policy.allocation import Plan
from .._policy.limits import Limits
from .._policy.patience import Patience
from .._policy.shares import Policy
from .._store.calls import record_of
from .._store.prices import cost_of
from .._store.store import AdviceRecord
from .._store.store import AdviceStore
from .._store.store import Claim
from .._store.store import Snapshot
from .._study.conditions import combined
from .._study.conditions import parents_first
from .._study.summary import TrialSummary
from .._study.summary import with_attrs
from ..errors import CallTimeoutError
from ..errors import OptunaLLMError
from ..errors import RedactionError
from ..llms.base import LLM
from .settings import Settings


_logger = get_logger(f"optuna.{__name__}")

# A call may go on for this long after nobody waits for it: its answer serves later trials.
_MIN_CALL_SECONDS = 120.0


class Caller:
    """Asks the model for one study, from one process.

    Attributes:
        limits:
            Why the model may not be asked, if so.
    """

    def __init__(
        self,
        store: AdviceStore,
        settings: Settings,
        patience: Patience,
        *,
        llm: Callable[[], LLM],
        policy: Policy | None,
    ) -> None:
        self._llm = llm
        self._policy = policy
        self.limits = Limits(
            llm,
            settings.budget,
            settings.prices,
            settings.clock,
            is_timed=settings.seed is None,
        )
        self._store = store
        self._settings = settings
        self._patience = patience
        self._warned: set[str] = set()

    def ask(self, snapshot: Snapshot, claim: Claim) -> AdviceRecord:
        """Ask for a block."""
        blank = AdviceRecord(
            trial=claim.trial,
            block=claim.block,
            asked_on=claim.asked_on,
            n_known=snapshot.history.n_finished,
            budget=self._settings.budget,
        )
        try:
            answer = self._answer(snapshot, claim.block)
        except ReferenceError:
            raise  # the study was thrown away meanwhile, so there is nobody to tell
        except Exception as error:
            self.limits.turn_off("internal")
            self.warn("internal", repr(error), "The base sampler goes on; please report this.")
            return replace(blank, outcome="internal", call=Call(at=self._settings.clock()))
        self._note(answer)
        call = replace(
            answer.call,
            at=round(self._settings.clock(), 3),
            usd=cost_of(answer.call, self._settings.prices),
        )
        record = replace(blank, outcome=answer.outcome, call=call, advice=answer.advice)
        if answer.error is not None:
            record = replace(
                record,
                retryable=answer.error.retryable or answer.error.local,
                retry_after=max(0.0, answer.error.retry_after or 0.0),
            )
        self._tell(record)
        return record

    def _answer(self, snapshot: Snapshot, block: int) -> Answer:
        question = self.question(snapshot, block)
        try:
            llm = self._llm()
        except OptunaLLMError as error:  # the back end could not be built
            return Answer(Call(), error=error)
        timeout = max(2 * self._settings.timeout, _MIN_CALL_SECONDS)
        try:
            return ask(
                llm,
                question,
                self.known(snapshot),
                timeout=timeout,
                max_requests=self.limits.max_requests(snapshot),
                redact=self._settings.redact,
            )
        except RedactionError as error:
            return Answer(Call(), error=error)

    def question(self, snapshot: Snapshot, block: int) -> Question:
        """Return what is asked for a block."""
        settings, space, plan = self._settings, self.space(snapshot), self._plan(snapshot)
        seed = None if settings.seed is None else (settings.seed * 1_000 + block) % 2**31
        running = [TrialSummary(n, params) for n, params in self.pending(snapshot).items()]
        conditions = combined(settings.conditions, snapshot.history.conditions(space), space)
        summary = snapshot.history.summary(running, self._store.metric_names(), space)
        return Question(
            space=parents_first(space, conditions),
            summary=with_attrs(summary, snapshot.trials, settings.share_user_attrs),
            task=settings.task,
            param_notes=settings.param_notes,
            share=plan.share if snapshot.advices else 1.0,
            n_configs=plan.n_wanted(self._n_starting(snapshot)),
            optional=snapshot.history.optional(list(space), conditions),
            conditions=conditions,
            untried=snapshot.history.untried(space),
            earlier=settings.prior_studies,
            seed=seed,
        )

    def pending(self, snapshot: Snapshot, number: int | None = None) -> dict[int, dict[str, Any]]:
        """Return the parameters of the trials that run, see :meth:`Plan.pending`."""
        return self._plan(snapshot).pending(self.space(snapshot), number)

    def _plan(self, snapshot: Snapshot) -> Plan:
        assert self._policy is not None
        return Plan(self._policy, snapshot)

    def _n_starting(self, snapshot: Snapshot) -> int:
        """Count the trials that wait to be told their parameters, or start during the call."""
        undecided = sum(running.source is None for running in snapshot.running)
        if not self._settings.prefetch:
            return undecided  # the others will wait as well
        soon = self._patience.starts_during(snapshot.call_seconds, len(snapshot.running))
        return max(undecided, math.ceil(soon))

    def known(self, snapshot: Snapshot, number: int | None = None) -> Known:
        """Return what tells whether a trial had nearly these parameters, or is to have them.

        It costs the same for 100 trials as for 10,000, but for one comparison of columns.
        """
        space = self.space(snapshot)
        running = list(self.pending(snapshot, number).values())
        return lambda params: (
            snapshot.history.has_duplicate(params, space) or is_known(params, running, space)
        )

    def space(self, snapshot: Snapshot) -> dict[str, BaseDistribution]:
        """Return the parameters as far as they are known."""
        # What trials have shown is newer than what the user said at construction.
        merged = {**self._settings.search_space, **snapshot.history.space()}
        return {n: d for n, d in merged.items() if not d.single()}

    def _tell(self, record: AdviceRecord) -> None:
        if self._settings.on_call is None:
            return
        try:
            self._settings.on_call(record_of(record))
        except Exception as error:  # what others do with it must not cost a trial
            if "on_call" not in self._warned:
                self._warned.add("on_call")
                _logger.warning(f"on_call raised {error!r}. The advice is used all the same.")

    def _note(self, answer: Answer) -> None:
        error = answer.error
        if error is None:
            call = answer.call
            _logger.info(
                f"{call.model}: {len(answer.advice.configs)} configurations in "
                f"{call.seconds:.1f} s."
            )
            return
        if error.local and not error.retryable:
            self.limits.turn_off(error.reason)
        hint = error.hint
        is_limit_fixed = 2 * self._settings.timeout < _MIN_CALL_SECONDS
        if isinstance(error, CallTimeoutError) and is_limit_fixed:
            hint = "Use a faster model, or lower n_configs."  # a longer timeout changes nothing
        self.warn(error.reason, str(error), hint)

    def warn(self, reason: str, message: str, hint: str) -> None:
        """Warn once per reason; a thousand trials need not say the same."""
        if not threading.main_thread().is_alive():
            return  # the process ends, and with it the call: what that raised is no failure
        if reason not in self._warned:
            self._warned.add(reason)
            _logger.warning(f"The language model was not used ({reason}): {message} {hint}")
