"""The text of an answer → advice.

Every configuration is read by itself: usable ones are kept, others are dropped and counted by
reason. The text is data: nothing is evaluated, and every size is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._study.conditions import Conditions, of_branch
from .._study.space import CLIPPED, coerce, Rejected, SearchSpace, to_label
from .._text import MAX_WHY_CHARS, one_line
from ..llms.read_text import Found, MAX_ANSWER_CHARS, read, unfold
from .advice import (
    Advice,
    Config,
    distinct,
    IsDuplicate,
    MAX_CONFIGS,
    MAX_NOTE_CHARS,
    never,
    reason_key,
    values,
)


# Limits for all answers to one question together.
_MAX_ITEMS = 4 * MAX_CONFIGS
_MAX_CHARS = 5 * MAX_ANSWER_CHARS
_MIN_CHARS_COUNTED = 1_000


def parse(
    texts: Sequence[str],
    space: SearchSpace,
    *,
    is_duplicate: IsDuplicate = never,
    limit: int = MAX_CONFIGS,
    conditions: Conditions | None = None,
    prefilled: bool = False,
) -> Advice:
    """Read answers of any form: JSON, JSON in prose or fences, or ``dict(...)`` calls.

    Configurations that ``is_duplicate`` holds for are dropped. So are, without being counted,
    values of branches that ``conditions`` exclude, since they do no harm.

    Args:
        limit:
            Largest number of configurations to return.
        prefilled:
            Whether the answers continue a beginning that the model was given.

    Returns:
        The advice. If it has no configurations, ``rejected`` says why.
    """
    total = _Taken()
    note = ""
    for text in _bounded(texts, total.rejected):
        answers = read(text, prefilled=prefilled)
        taken = _take(answers, space, conditions or {}, _MAX_ITEMS - total.n_read)
        if taken is None:
            total.rejected["no_object"] += 1
            continue
        total.add(taken)
        note = note or one_line(taken.note, MAX_NOTE_CHARS)
    ideas = distinct(total.configs, space)
    new = [config for config in ideas if not is_duplicate(values(config, space))]
    total.rejected["repeated"] += len(total.configs) - len(ideas)
    total.rejected["known"] += len(ideas) - len(new)
    # Adding an empty counter drops zeros.
    rejected = dict(total.rejected + Counter())
    return Advice(tuple(new[:limit]), note, len(ideas), dict(total.repaired), rejected)


@dataclass
class _Taken:
    """What was read from one or more answers."""

    configs: list[Config] = field(default_factory=list)  # usable configurations
    note: Any = None  # what the model believes about the problem, as written
    repaired: Counter[str] = field(default_factory=Counter)  # counts of repaired values by reason
    # Counts of rejected values and configurations by reason.
    rejected: Counter[str] = field(default_factory=Counter)
    n_read: int = 0  # how many items were read, usable or not

    def add(self, other: _Taken) -> None:
        free = MAX_CONFIGS - len(self.configs)
        self.configs += other.configs[:free]
        self.repaired += other.repaired
        self.rejected += other.rejected
        self.rejected["too_many"] += len(other.configs) > free
        self.n_read += other.n_read


def _take(
    answers: Sequence[Found], space: SearchSpace, conditions: Conditions, max_items: int
) -> _Taken | None:
    """Read the first answer with a usable configuration, else the first answer."""
    first: _Taken | None = None
    for found in answers:
        content = unfold(found.values, space.keys())
        taken = _Taken(note=content.note)
        taken.rejected["cut"] += found.cut
        for item in content.items:
            if len(taken.configs) >= MAX_CONFIGS or taken.n_read >= max_items:
                taken.rejected["too_many"] += 1
                break
            taken.n_read += 1
            _take_item(item, space, conditions, taken)
        if taken.configs:
            return taken
        first = first or taken
    return first


def _bounded(texts: Sequence[str], rejected: Counter[str]) -> Iterator[str]:
    """Cut texts beyond the limits, and count the cuts."""
    left = _MAX_CHARS
    for text in texts:
        if left <= 0:
            rejected["too_many"] += 1
            break
        kept = text[: min(left, MAX_ANSWER_CHARS)]
        rejected["too_long"] += len(kept) < len(text)
        left -= max(len(kept), _MIN_CHARS_COUNTED)
        yield kept


def _take_item(item: Any, space: SearchSpace, conditions: Conditions, taken: _Taken) -> None:
    """Read one configuration."""
    if not isinstance(item, Mapping):
        taken.rejected["not_an_object"] += 1
        return
    params: dict[str, Any] = {}
    repairs: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, distribution in space.items():
        if name not in item:
            continue  # a branch that this configuration does not take
        if item[name] is None and None not in getattr(distribution, "choices", ()):
            continue
        coerced = coerce(item[name], distribution)
        if isinstance(coerced, Rejected):
            refused[name] = coerced.reason
            continue
        if coerced.repair:
            repairs[name] = coerced.repair
        params[name] = to_label(coerced.value, distribution)
    expected = of_branch({**params, **dict.fromkeys(refused)}, conditions)
    params = of_branch(params, conditions)
    repairs = {name: repair for name, repair in repairs.items() if name in params}
    taken.repaired.update(repairs.values())
    taken.rejected.update(reason for name, reason in refused.items() if name in expected)
    if not params:
        taken.rejected["no_parameter"] += 1
        return
    why = one_line(item.get(reason_key(space)), MAX_WHY_CHARS)
    outside = frozenset(name for name, repair in repairs.items() if repair == CLIPPED)
    taken.configs.append(Config(params, why, len(repairs), outside))
