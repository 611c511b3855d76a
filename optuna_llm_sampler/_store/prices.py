"""What models cost. A model that is not in a table has an unknown price, never none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
import re
from typing import Any
from typing import Protocol

from .._advice.call import Call


def _is_amount(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf


class Counted(Protocol):
    """A call whose tokens are counted, as far as they are."""

    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def cached_tokens(self) -> int | None: ...


@dataclass(frozen=True)
class Price:
    """What a model costs, in USD per million tokens.

    Args:
        input, output:
            Of tokens sent and received.
        cached:
            Of tokens sent that the endpoint had in its cache. :obj:`None`: as ``input``.

    Raises:
        ValueError: One of them is no finite number, 0 or more.
    """

    input: float
    output: float
    cached: float | None = None

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached"):
            value = getattr(self, name)
            if not _is_amount(value) and not (name == "cached" and value is None):
                raise ValueError(f"{name} must be a number of USD, 0 or more; got {value!r}.")

    def of(self, call: Counted) -> float | None:
        """Return the price of a call, or :obj:`None` when its tokens are not known."""
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

# Nobody sends a bill for weights on one's own machine.
_FREE = Price(0, 0)
OWN_WEIGHTS = ("local/", "hf/")
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def price_of(model: str, prices: Mapping[str, Price] | None = None) -> Price | None:
    """Look up a price by the name of a back end, ``"openai/gpt-5-mini"``; a date is left out."""
    if model.startswith(OWN_WEIGHTS):
        return _FREE
    table = {**PRICES, **(prices or {})}
    return table.get(model) or table.get(_DATE.sub("", model))


def cost_of(call: Call, prices: Mapping[str, Price] | None = None) -> float | None:
    """Return what a call cost in USD, or :obj:`None` when the price or the tokens are unknown.

    The name that the endpoint gives itself counts where the user priced it; else it could be
    anybody's who calls his model so.
    """
    price = price_of(call.asked or call.model, prices) or (prices or {}).get(call.model)
    if price is _FREE:
        return 0.0
    return None if price is None else price.of(call)


def check_prices(prices: Any) -> None:
    if prices is None:
        return
    if not isinstance(prices, Mapping) or not all(
        isinstance(name, str) and isinstance(price, Price) for name, price in prices.items()
    ):
        raise ValueError('prices must map names of models ("openai/gpt-5-mini") to Price(...).')
