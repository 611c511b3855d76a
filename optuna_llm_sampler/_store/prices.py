"""What models cost, and what a study may spend. Pure functions of plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
import math
import re
from typing import Any

from .._advice.call import Call


def _is_amount(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf


@dataclass(frozen=True)
class Price:
    """Price of a model, in USD per million tokens.

    Args:
        input, output:
            For tokens sent and received.
        cached:
            For tokens sent that the endpoint had in its cache. :obj:`None`: as ``input``.

    Raises:
        ValueError: An argument is not a finite number, 0 or more.
    """

    input: float
    output: float
    cached: float | None = None

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached"):
            value = getattr(self, name)
            if not _is_amount(value) and not (name == "cached" and value is None):
                raise ValueError(f"{name} must be a number of USD, 0 or more; got {value!r}.")

    def of(self, call: Call) -> float | None:
        """Return the cost of a call in USD, or :obj:`None` when its tokens are not known."""
        if call.input_tokens is None or call.output_tokens is None:
            return None
        hits = min(call.cached_tokens or 0, call.input_tokens)
        cached = self.input if self.cached is None else self.cached
        usd = (call.input_tokens - hits) * self.input + hits * cached
        return (usd + call.output_tokens * self.output) / 1e6


# OpenAI's list prices of the standard tier (developers.openai.com/api/docs/models), November 2026.
# They change, and other hosts have their own: `prices=` of the sampler goes before them.
PRICES: Mapping[str, Price] = {
    "openai/gpt-5.4": Price(2.5, 15, 0.25),
    "openai/gpt-5.4-mini": Price(0.75, 4.5, 0.075),
    "openai/gpt-5.4-nano": Price(0.2, 1.25, 0.02),
    "openai/gpt-5.2": Price(1.75, 14, 0.175),
    "openai/gpt-5": Price(1.25, 10, 0.125),
    "openai/gpt-5-mini": Price(0.25, 2, 0.025),
    "openai/gpt-5-nano": Price(0.05, 0.4, 0.005),
    "openai/gpt-4.1": Price(2, 8, 0.5),
    "openai/gpt-4.1-mini": Price(0.4, 1.6, 0.1),
    "openai/gpt-4.1-nano": Price(0.1, 0.4, 0.025),
    "openai/gpt-4o": Price(2.5, 10, 1.25),
    "openai/gpt-4o-mini": Price(0.15, 0.6, 0.075),
}

# Weights on the user's own machine cost nothing, whatever their tokens.
OWN_WEIGHTS = ("local/", "hf/")
_FREE = Price(0, 0)
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def price_of(model: str, prices: Mapping[str, Price] | None = None) -> Price | None:
    """Look up a price by the name of a back end, such as ``"openai/gpt-5-mini-2025-08-07"``.

    A date at the end of the name is ignored. A model in no table has no known price.
    """
    if model.startswith(OWN_WEIGHTS):
        return _FREE
    table = {**PRICES, **(prices or {})}
    return table.get(model) or table.get(_DATE.sub("", model))


def cost_of(call: Call, prices: Mapping[str, Price] | None = None) -> float | None:
    """Return the cost of a call in USD, or :obj:`None` when price or tokens are unknown.

    The endpoint's own name for the model counts only in ``prices``, which the user wrote: any
    endpoint may call its model "gpt-5".
    """
    price = price_of(call.asked or call.model, prices) or (prices or {}).get(call.model)
    if price is _FREE:
        return 0.0
    return None if price is None else price.of(call)


def check_prices(prices: Any) -> None:
    """Validate the sampler's argument ``prices``.

    Raises:
        ValueError: It does not map names to prices.
    """
    if prices is None:
        return
    if not isinstance(prices, Mapping) or not all(
        isinstance(name, str) and isinstance(price, Price) for name, price in prices.items()
    ):
        raise ValueError('prices must map names of models ("openai/gpt-5-mini") to Price(...).')


@dataclass(frozen=True)
class Budget:
    """What a study may spend on the sampler's calls, by all workers and across restarts.

    Spending is counted from the storage. Calls under way when the budget runs out are finished,
    so their cost may exceed it. Then the base sampler goes on, and the trials that would have
    been the model's have the source ``fallback:budget``.

    Args:
        calls:
            Requests, including those of workers that died before they stored an outcome.
        tokens:
            Tokens sent and received; estimates where the endpoint does not count.
        usd:
            US dollars. Needs the price of the model: without it, the model is not asked.
        seconds:
            Time in calls, most of it in the background.

    Raises:
        ValueError: An argument is not a number, 0 or more.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_whole = field.name in ("calls", "tokens")
            if value is None or (
                _is_amount(value) and not (is_whole and isinstance(value, float))
            ):
                continue
            kind = "an integer" if is_whole else "a finite number"
            raise ValueError(f"{field.name} must be {kind}, 0 or more; got {value!r}.")

    def lines(self, total: Call) -> list[tuple[str, float, float]]:
        """Return what is limited, how much of it the calls' sum has used, and the limit."""
        used = {
            "calls": total.requests,
            "tokens": total.tokens,
            "usd": total.usd or 0.0,
            "seconds": total.seconds,
        }
        limits = {name: getattr(self, name) for name in used}
        return [(name, used[name], limit) for name, limit in limits.items() if limit is not None]
