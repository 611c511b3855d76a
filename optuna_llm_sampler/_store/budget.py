"""What a study may spend on the model, and what it has spent. Pure functions of plain data."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields
import math
from typing import Any

from .._advice.call import Call
from .prices import cost_of
from .prices import Price


@dataclass(frozen=True)
class Budget:
    """What a study may spend on the model, by all workers together and across restarts.

    What was spent is counted from what all workers wrote to the storage. Calls under way when the
    budget runs out are finished, so that it may be exceeded by those. Then the base sampler goes
    on, and the trials that would have been the model's have the source ``fallback:budget``.

    Args:
        calls:
            Requests. Those of workers that died before they could say what came of them count.
        tokens:
            Tokens sent and received; estimates where the endpoint does not count.
        usd:
            US dollars. Needs the price of the model: without it, the model is not asked.
        seconds:
            Time in calls, most of it in the background.

    Raises:
        ValueError: One of them is not a number, 0 or more.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            whole = field.name in ("calls", "tokens")
            if value is not None and not _is_amount(value, whole=whole):
                kind = "an integer" if whole else "a finite number"
                raise ValueError(f"{field.name} must be {kind}, 0 or more; got {value!r}.")

    def reached(self, spent: Spent) -> bool:
        return any(used >= limit for _, used, limit in self.lines(spent))

    def lines(self, spent: Spent) -> list[tuple[str, float, float]]:
        """Return what is limited, how much of it was used, and the limit."""
        return [
            (field.name, getattr(spent, field.name), limit)
            for field in fields(self)
            if (limit := getattr(self, field.name)) is not None
        ]


@dataclass(frozen=True)
class Spent:
    """What calls took together.

    Attributes:
        unpriced:
            Models that answered and whose price is not known.
    """

    calls: int
    tokens: int
    usd: float
    seconds: float
    unpriced: tuple[str, ...] = ()


def spent(
    calls: Iterable[Call], n_unanswered: int = 0, prices: Mapping[str, Price] | None = None
) -> Spent:
    """Sum up calls, and those begun of which nobody knows what came."""
    calls = list(calls)
    costs = [cost_of(call, prices) if call.usd is None else call.usd for call in calls]
    unpriced = {
        call.asked or call.model
        for call, cost in zip(calls, costs, strict=True)
        if cost is None and call.tokens
    }
    return Spent(
        calls=sum(call.requests for call in calls) + n_unanswered,
        tokens=sum(call.tokens for call in calls),
        usd=math.fsum(cost or 0.0 for cost in costs),
        seconds=math.fsum(call.seconds for call in calls),
        unpriced=tuple(sorted(unpriced)),
    )


def read_budget(value: Any) -> Budget | None:
    """Read a budget from the storage, where anything may lie.

    Raises:
        ValueError: It is none.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("no budget")
    return Budget(**{field.name: value.get(field.name) for field in fields(Budget)})


def _is_amount(value: Any, *, whole: bool) -> bool:
    kinds = int if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value < math.inf
