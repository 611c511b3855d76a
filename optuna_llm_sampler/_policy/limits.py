"""Why the model may not be asked now: out of budget, or failing. Says so once per change."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import time

from optuna.logging import get_logger

from .._store.budget import Budget
from .._store.budget import spent
from .._store.prices import Price
from .._store.prices import price_of
from .._store.store import Snapshot
from .._text import plural
from ..errors import OptunaLLMError
from ..llms.base import LLM
from .breaker import Breaker
from .breaker import breaker


_logger = get_logger(f"optuna.{__name__}")

_GOES_ON = "The base sampler goes on."


class Limits:
    """What one process knows of a study's budget and breaker, read from the store.

    Args:
        llm:
            Returns the model.
        budget:
            What the study may spend, if that is limited.
        prices:
            What models cost, besides those that are known.
        clock:
            Seconds since the epoch.
        timed:
            See :func:`~optuna_llm_sampler._policy.shares.breaker.breaker`.
    """

    def __init__(
        self,
        llm: Callable[[], LLM],
        budget: Budget | None = None,
        prices: Mapping[str, Price] | None = None,
        clock: Callable[[], float] = time.time,
        *,
        timed: bool = True,
    ) -> None:
        self._llm = llm
        self._budget = budget
        self._prices = prices
        self._clock = clock
        self._timed = timed
        self._born = clock()
        self._off = ""
        self._said_budget = False
        self._seen = Breaker()

    def turn_off(self, reason: str) -> None:
        """Leave the model alone for good, in this process only."""
        self._off = reason

    def reason(self, snapshot: Snapshot) -> str:
        """Return why the model must not be asked now, ``""`` if it may be."""
        return self._off or self._out_of_budget(snapshot) or self._broken(snapshot)

    def requests(self, snapshot: Snapshot) -> int:
        """Return how many requests a call may make: a useless answer is asked for once more."""
        if self._budget is None or self._budget.calls is None:
            return 2
        used = spent((record.call for record in snapshot.records), len(snapshot.unanswered)).calls
        return 2 if self._budget.calls - used >= 2 else 1

    # --- the budget -------------------------------------------------------------------------

    def _out_of_budget(self, snapshot: Snapshot) -> str:
        if self._budget is None:
            return ""
        calls = [record.call for record in snapshot.records]
        used = spent(calls, len(snapshot.unanswered), self._prices)
        if self._budget.reached(used):
            said = ", ".join(
                f"{amount:,g} of {limit:,g} {name}"
                for name, amount, limit in self._budget.lines(used)
                if amount >= limit
            )
            return self._say(f"The budget of the study is used up ({said}).")
        if self._budget.usd is not None and (unknown := self._unknown(used.unpriced)):
            return self._say(
                f"Budget(usd=) cannot be kept: the price of {unknown} is not known. "
                f'Give it by prices={{"{unknown}": Price(...)}}.'
            )
        return ""

    def _unknown(self, unpriced: tuple[str, ...]) -> str:
        """Return a model without a price: one that was asked, or the one to ask."""
        name = self._name()
        if price_of(name, self._prices) is None:
            return name
        return next(iter(unpriced), "")

    def _say(self, message: str) -> str:
        if not self._said_budget:
            self._said_budget = True
            _logger.info(f"{message} {_GOES_ON}")
        return "budget"

    # --- the breaker ------------------------------------------------------------------------

    def _broken(self, snapshot: Snapshot) -> str:
        state = breaker(
            snapshot.records,
            asked=self._name(),
            n_trials=len(snapshot.trials),
            now=self._clock(),
            born=self._born,
            timed=self._timed,
        )
        if (state.failures, state.is_open) != (self._seen.failures, self._seen.is_open):
            self._log(state)
            self._seen = state
        return state.reason if state.is_open else ""

    def _log(self, state: Breaker) -> None:
        if state.final:
            _logger.info(
                f"The model is not asked any more ({state.reason}). {_GOES_ON} When the cause is "
                "gone, start again with a new sampler."
            )
        elif state.is_open:
            _logger.info(
                f"The model is left alone after {plural(state.failures, 'failure')} in a row "
                f"({state.reason}), for {state.seconds:.0f} s and {plural(state.trials, 'trial')} "
                "more at least. "
                f"{_GOES_ON} `optuna-llm doctor` says what is wrong with it."
            )
        elif state.failures and self._seen.is_open:
            _logger.info(f"The model may be asked again after {state.failures} failures.")
        elif self._seen.is_open or self._seen.failures > 1:
            _logger.info("The model answers again.")

    def _name(self) -> str:
        try:
            return self._llm().name
        except OptunaLLMError:  # it cannot be built; the call will say why
            return ""
