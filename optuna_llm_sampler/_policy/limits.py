"""Why the model may not be asked now: the budget is used up, or the model fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import time

from optuna.logging import get_logger

from .._advice.call import Call, total_of
from .._store.calls import call_records
from .._store.prices import Budget, cost_of, Price, price_of
from .._store.store import Snapshot
from .._text import plural
from ..errors import OptunaLLMError
from ..llms.base import LLM
from .breaker import Breaker, breaker


_logger = get_logger(f"optuna.{__name__}")

_GOES_ON = "The base sampler goes on."


class Limits:
    """A study's budget and breaker, as one process reads them from the storage.

    Each change is logged once. The clock returns seconds since the epoch; ``is_timed`` is whether
    the breaker counts seconds, and not only trials.
    """

    def __init__(
        self,
        llm: Callable[[], LLM],
        budget: Budget | None = None,
        prices: Mapping[str, Price] | None = None,
        clock: Callable[[], float] = time.time,
        *,
        is_timed: bool = True,
    ) -> None:
        self._llm = llm
        self._budget = budget
        self._prices = prices
        self._clock = clock
        self._is_timed = is_timed
        self._born = clock()
        self._off = ""
        self._has_logged_budget = False
        self._seen = Breaker()

    def turn_off(self, reason: str) -> None:
        """Never ask the model again in this process."""
        self._off = reason

    def reason(self, snapshot: Snapshot) -> str:
        """Return why the model must not be asked now, ``""`` if it may be."""
        return self._off or self._budget_reason(snapshot) or self._breaker_reason(snapshot)

    def max_requests(self, snapshot: Snapshot) -> int:
        """Return how many requests a call may make: a useless answer is asked for once more."""
        if self._budget is None or self._budget.calls is None:
            return 2
        used = total_of(call_records(snapshot, under_way=True)).requests
        return 2 if self._budget.calls - used >= 2 else 1

    # --- the budget -------------------------------------------------------------------------

    def _budget_reason(self, snapshot: Snapshot) -> str:
        if self._budget is None:
            return ""
        calls: Sequence[Call] = call_records(snapshot, under_way=True)
        if self._budget.usd is not None:  # prices may have become known since a call was made
            calls = [
                call if call.usd is not None else replace(call, usd=cost_of(call, self._prices))
                for call in calls
            ]
        reached = [
            f"{used:,g} of {limit:,g} {name}"
            for name, used, limit in self._budget.lines(total_of(calls))
            if used >= limit
        ]
        if reached:
            return self._out_of_budget(
                f"The budget of the study is used up ({', '.join(reached)})."
            )
        if self._budget.usd is not None and (unpriced := self._unpriced(calls)):
            return self._out_of_budget(
                f"Budget(usd=) cannot be kept: the price of {unpriced} is not known. "
                f'Give it by prices={{"{unpriced}": Price(...)}}.'
            )
        return ""

    def _unpriced(self, calls: Sequence[Call]) -> str:
        """Return a model without a price: the one to ask, or one that has answered."""
        name = self._model_name()
        if price_of(name, self._prices) is None:
            return name
        return next((c.asked or c.model for c in calls if c.usd is None and c.tokens), "")

    def _out_of_budget(self, message: str) -> str:
        if not self._has_logged_budget:
            self._has_logged_budget = True
            _logger.info(f"{message} {_GOES_ON}")
        return "budget"

    # --- the breaker ------------------------------------------------------------------------

    def _breaker_reason(self, snapshot: Snapshot) -> str:
        state = breaker(
            snapshot.records,
            asked=self._model_name(),
            n_trials=len(snapshot.trials),
            now=self._clock(),
            born=self._born,
            is_timed=self._is_timed,
        )
        if state.failures != self._seen.failures:
            self._log(state)
            self._seen = state
        return state.reason if state.is_open else ""

    def _log(self, state: Breaker) -> None:
        if state.is_final:
            _logger.info(
                f"The model is not asked any more ({state.reason}). {_GOES_ON} When the cause is "
                "gone, start again with a new sampler."
            )
        elif state.is_open:
            _logger.info(
                f"The model is left alone after {plural(state.failures, 'failure')} in a row "
                f"({state.reason}), for at least {plural(state.trials, 'more trial')} and "
                f"{state.seconds:.0f} s. {_GOES_ON} `optuna-llm doctor` shows what is wrong."
            )
        elif not state.failures:
            _logger.info("The model answers again.")

    def _model_name(self) -> str:
        try:
            return self._llm().name
        except OptunaLLMError:  # it cannot be built; the call will report why
            return ""
