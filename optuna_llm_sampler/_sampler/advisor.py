"""Ask the model about a study: snapshot → question → answer → advice record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
import threading
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.logging import get_logger

from .._advice.advice import IsDuplicate
from .._advice.call import Call
from .._advice.question import Question
from .._policy.allocation import Plan
from .._policy.limits import Limits
from .._policy.patience import Patience
from .._store.calls import record_of
from .._store.prices import cost_of
from .._store.records import AdviceRecord, Claim
from .._store.store import AdviceStore, Snapshot
from .._study.conditions import combined, Conditions, parents_first
from .._study.distance import Points
from .._study.space import SearchSpace
from .._study.summary import TrialSummary, with_attrs
from ..errors import CallTimeoutError, OptunaLLMError
from ..llms.base import LLM
from .settings import Settings


if TYPE_CHECKING:
    from .._advice.ask import Answer

_logger = get_logger(f"optuna.{__name__}")

# Shortest limit of a call, in seconds. A call may last longer than trials wait for it, because its
# answer serves later trials.
_MIN_CALL_SECONDS = 120.0


class Advisor:
    """Asks the model about one study, from one process: snapshot → question → answer → record."""

    def __init__(
        self, store: AdviceStore, settings: Settings, patience: Patience, llm: Callable[[], LLM]
    ) -> None:
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
        self._llm = llm
        self._warned: set[str] = set()

    def ask(self, plan: Plan, claim: Claim) -> AdviceRecord:
        """Ask for the claimed block; return the outcome. Errors are part of it."""
        settings = self._settings
        record = AdviceRecord(
            trial=claim.trial,
            block=claim.block,
            asked_on=claim.asked_on,
            n_known=plan.snapshot.history.n_finished,
            budget=settings.budget,
        )
        try:
            answer = self._answer(plan, claim.block)
        except ReferenceError:
            raise  # the study was thrown away meanwhile: nobody needs a warning
        except Exception as error:
            self.limits.turn_off("internal")
            self.warn("internal", repr(error), "The base sampler goes on; please report this.")
            return replace(record, outcome="internal", call=Call(at=settings.clock()))
        self._log(answer)
        usd = cost_of(answer.call, settings.prices)
        call = replace(answer.call, at=round(settings.clock(), 3), usd=usd)
        record = replace(record, outcome=answer.outcome, call=call, advice=answer.advice)
        if answer.error is not None:
            record = replace(
                record,
                retryable=answer.error.retryable or answer.error.local,
                retry_after=max(0.0, answer.error.retry_after or 0.0),
            )
        self._report(record)
        return record

    def _answer(self, plan: Plan, block: int) -> Answer:
        # A third of this package, which nobody needs before the first question.
        from .._advice import ask

        question = self.question(plan, block)
        try:
            llm = self._llm()
        except OptunaLLMError as error:  # the back end could not be built
            return ask.Answer(Call(), error=error)
        return ask.ask(
            llm,
            question,
            self.is_duplicate(plan),
            timeout=self.call_timeout,
            max_requests=self.limits.max_requests(plan.snapshot),
            redact=self._settings.redact,
        )

    @property
    def call_timeout(self) -> float:
        """Longest time for one call, in seconds."""
        return max(2 * self._settings.timeout, _MIN_CALL_SECONDS)

    def question(self, plan: Plan, block: int) -> Question:
        """Return what the model is asked for a block of trials."""
        settings, snapshot = self._settings, plan.snapshot
        space, history = self.space(snapshot), snapshot.history
        seed = None if settings.seed is None else (settings.seed * 1_000 + block) % 2**31
        running = [TrialSummary(n, params) for n, params in plan.running_params(space).items()]
        conditions = self.conditions(snapshot, space)
        summary = history.summary(running, self._store.metric_names(), space)
        return Question(
            space=parents_first(space, conditions),
            summary=with_attrs(summary, snapshot.trials, settings.share_user_attrs),
            task=settings.task,
            param_notes=settings.param_notes,
            share=plan.share if snapshot.advices else 1.0,
            n_configs=plan.n_wanted(self._n_starting(snapshot)),
            optional=history.optional(list(space), conditions),
            conditions=conditions,
            untried=history.untried(space),
            prior_studies=settings.prior_studies,
            seed=seed,
        )

    def _n_starting(self, snapshot: Snapshot) -> int:
        """Count the trials that are undecided or likely to start during the call."""
        undecided = sum(running.source is None for running in snapshot.running)
        if not self._settings.prefetch:
            return undecided  # trials that start during the call wait for the next one
        soon = self._patience.starts_during(snapshot.call_seconds, len(snapshot.running))
        return max(undecided, math.ceil(soon))

    def is_duplicate(self, plan: Plan, number: int | None = None) -> IsDuplicate:
        """Return a predicate that detects near-duplicates of finished, running or assigned trials.

        Its cost hardly depends on the number of trials: one comparison of columns. Left out are
        the trial ``number`` and the assignments of later ones, see :meth:`Plan.running_params`.
        """
        space, history = self.space(plan.snapshot), plan.snapshot.history
        pending = Points(plan.running_params(space, number).values())
        return lambda params: (
            history.has_duplicate(params, space) or pending.has_duplicate(params, space)
        )

    def space(self, snapshot: Snapshot) -> dict[str, BaseDistribution]:
        """Return the parameters that are known, without those that have one value only."""
        # What trials have shown is newer than the argument search_space.
        merged = {**self._settings.search_space, **snapshot.history.space()}
        return {name: d for name, d in merged.items() if not d.single()}

    def conditions(self, snapshot: Snapshot, space: SearchSpace) -> Conditions:
        """Return when the conditional parameters of a space are used, as far as it is known."""
        inferred = snapshot.history.conditions(space)
        return combined(self._settings.conditions, inferred, space)

    # --- what users see ---------------------------------------------------------------------

    def _report(self, record: AdviceRecord) -> None:
        if self._settings.on_call is None:
            return
        try:
            self._settings.on_call(record_of(record))
        except Exception as error:  # an error of the user's function must not cost a trial
            if "on_call" not in self._warned:
                self._warned.add("on_call")
                _logger.warning(f"on_call raised {error!r}. The advice is used all the same.")

    def _log(self, answer: Answer) -> None:
        error, call = answer.error, answer.call
        if error is None:
            n_configs = len(answer.advice.configs)
            _logger.info(f"{call.model}: {n_configs} configurations in {call.seconds:.1f} s.")
            return
        if error.local and not error.retryable:
            self.limits.turn_off(error.reason)
        hint = error.hint
        if isinstance(error, CallTimeoutError) and self._settings.timeout < _MIN_CALL_SECONDS / 2:
            hint = "Use a faster model, or lower n_configs."  # a longer timeout changes nothing
        self.warn(error.reason, str(error), hint)

    def warn(self, reason: str, message: str, hint: str) -> None:
        """Warn that the model was not used, once per reason."""
        if not threading.main_thread().is_alive():
            return  # the call ends with the process; what that raises is no failure
        if reason not in self._warned:
            self._warned.add(reason)
            _logger.warning(f"The language model was not used ({reason}): {message} {hint}")
