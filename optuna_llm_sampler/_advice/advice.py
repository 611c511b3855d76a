"""What the model said, as plain data: configurations and a note.

Parsing is per item: good items are kept, bad ones are dropped with a counted reason. The text is
data: nothing is evaluated, every size is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import TypeAlias

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from .._study.conditions import Conditions
from .._study.conditions import of_branch
from .._study.space import CLIPPED
from .._study.space import coerce
from .._study.space import Coerced
from .._study.space import is_at
from .._study.space import is_near
from .._study.space import locate
from .._study.space import NEAR
from .._study.space import Point
from .._study.space import Rejected
from .._study.space import SearchSpace
from .._study.space import to_label
from .._text import MAX_WHY_CHARS
from .._text import one_line
from ..llms.read_text import Content
from ..llms.read_text import Found
from ..llms.read_text import MAX_ANSWER_CHARS
from ..llms.read_text import read
from ..llms.read_text import unfold


MAX_CONFIGS = 64
# Of all answers to one question together, no more than this is looked at.
_MAX_ITEMS = 4 * MAX_CONFIGS
_MAX_CHARS = 5 * MAX_ANSWER_CHARS
MAX_NOTE_CHARS = 2_000

# Tells whether a configuration, in Optuna's own values, need not be run again.
Known: TypeAlias = Callable[[Mapping[str, Any]], bool]


def nothing(params: Mapping[str, Any]) -> bool:
    """What is known of an empty study."""
    return False


@dataclass(frozen=True)
class Config:
    """One proposed configuration.

    Attributes:
        params:
            Values by parameter name, choices as labels. Parameters that the model left out, or
            for which it gave nothing usable, are missing.
        why:
            The model's reason in one line.
        repaired:
            How many values had to be changed to be legal.
        outside:
            Parameters whose value was outside of the range; not stored.
    """

    params: Mapping[str, Any]
    why: str = ""
    repaired: int = 0
    outside: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True)
class Advice:
    """The answer to one call.

    Attributes:
        configs:
            Distinct configurations, best guess first.
        note:
            What the model believes about the problem.
        n_ideas:
            How many distinct configurations were in the answer before any were dropped because
            the study knows them already.
        repaired:
            Counts by reason of values that had to be changed.
        rejected:
            Counts by reason of values and configurations that were dropped.
    """

    configs: tuple[Config, ...] = ()
    note: str = ""
    n_ideas: int = 0
    repaired: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


def reason_key(space: SearchSpace) -> str:
    """Return under which key a configuration has its reason: one that is no parameter's name."""
    key = "why"
    while key in space:
        key += "_"
    return key


def parse(
    texts: Sequence[str],
    space: SearchSpace,
    *,
    known: Known = nothing,
    limit: int = MAX_CONFIGS,
    conditions: Conditions | None = None,
    begun: bool = False,
) -> Advice:
    """Read answers of any form: JSON, JSON in prose or fences, or ``dict(...)`` calls.

    Args:
        texts:
            One or more answers to the same question.
        space:
            The space the model was asked about.
        known:
            Tells which configurations need not be run again.
        limit:
            Longest list of configurations to return.
        conditions:
            With which values of which parameters others are used; what a configuration has of
            other branches is dropped, and counted nowhere, since it does no harm.
        begun:
            Whether the answers go on from a beginning that the model was given.

    Returns:
        The advice. ``configs`` is empty when nothing survived; ``rejected`` says why.
    """
    total = _Taken()
    note = ""
    for text in _bounded(texts, total.rejected):
        left = _MAX_ITEMS - total.looked_at
        taken = _take(read(text, begun=begun), space, conditions or {}, left)
        if taken is None:
            total.rejected["no_object"] += 1
            continue
        total.add(taken)
        note = note or one_line(taken.content.note, MAX_NOTE_CHARS)
    configs, repaired, rejected = total.configs, total.repaired, total.rejected
    ideas = distinct(configs, space)
    rejected["repeated"] += len(configs) - len(ideas)
    fresh = _unknown(ideas, known, space, rejected)
    return Advice(fresh[:limit], note, len(ideas), dict(repaired), dict(rejected))


@dataclass
class _Taken:
    """What is taken from an answer, and what is not."""

    configs: list[Config] = field(default_factory=list)
    repaired: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    looked_at: int = 0
    content: Content = field(default_factory=Content)

    def add(self, other: _Taken) -> None:
        free = MAX_CONFIGS - len(self.configs)
        self.configs += other.configs[:free]
        self.repaired += other.repaired
        self.rejected += other.rejected
        self.rejected["too_many"] += len(other.configs) > free
        self.looked_at += other.looked_at


def _take(
    answers: Sequence[Found], space: SearchSpace, conditions: Conditions, left: int
) -> _Taken | None:
    """Take the first answer with a usable configuration; if there is none, the likeliest one."""
    likeliest: _Taken | None = None
    for found in answers:
        taken = _Taken(content=unfold(found.values, space.keys()))
        taken.rejected["cut"] += found.cut
        for item in taken.content.items:
            if len(taken.configs) >= MAX_CONFIGS or taken.looked_at >= left:
                taken.rejected["too_many"] += 1
                break
            taken.looked_at += 1
            config = _config(item, space, conditions, taken.repaired, taken.rejected)
            if config is not None:
                taken.configs.append(config)
        if taken.configs:
            return taken
        likeliest = likeliest or taken
    return likeliest


def _bounded(texts: Sequence[str], rejected: Counter[str]) -> Iterator[str]:
    """Cut what is beyond the limits, and count it."""
    left = _MAX_CHARS
    for text in texts:
        if left <= 0:
            rejected["too_many"] += 1
            break
        whole, text = text, text[: min(left, MAX_ANSWER_CHARS)]
        rejected["too_long"] += len(text) < len(whole)
        left -= max(len(text), 1000)  # an empty answer is not for nothing, either
        yield text


def values(config: Config, space: SearchSpace) -> dict[str, Any]:
    """Return the configuration in Optuna's own values, for the parameters of ``space``."""
    out: dict[str, Any] = {}
    for name, distribution in space.items():
        if name in config.params:
            coerced = coerce(config.params[name], distribution)
            if isinstance(coerced, Coerced):
                out[name] = coerced.value
    return out


def _config(
    item: Any,
    space: SearchSpace,
    conditions: Conditions,
    repaired: Counter[str],
    rejected: Counter[str],
) -> Config | None:
    if not isinstance(item, Mapping):
        rejected["not_an_object"] += 1
        return None
    params: dict[str, Any] = {}
    repairs: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, distribution in space.items():
        if name not in item or (item[name] is None and not _has_none(distribution)):
            continue  # a branch that this configuration does not take
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
    repaired.update(repairs.values())
    rejected.update(reason for name, reason in refused.items() if name in expected)
    if not params:
        rejected["no_parameter"] += 1
        return None
    why = one_line(item.get(reason_key(space)), MAX_WHY_CHARS)
    outside = frozenset(name for name, repair in repairs.items() if repair == CLIPPED)
    return Config(params, why, len(repairs), outside)


def _has_none(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, CategoricalDistribution) and None in distribution.choices


def distinct(configs: Sequence[Config], space: SearchSpace) -> list[Config]:
    """Leave out what is nearly the same as one before it."""
    kept: list[Config] = []
    points: list[Point] = []
    for config in configs:
        point = locate(values(config, space), space)
        if not any(is_near(point, other, NEAR) for other in points):
            kept.append(config)
            points.append(point)
    return kept


def _unknown(
    configs: Sequence[Config],
    known: Known,
    space: SearchSpace,
    rejected: Counter[str],
) -> tuple[Config, ...]:
    fresh = tuple(c for c in configs if not known(values(c, space)))
    rejected["known"] += len(configs) - len(fresh)
    rejected += Counter()  # drops the zeros
    return fresh


def is_known(
    params: Mapping[str, Any], known: Sequence[Mapping[str, Any]], space: SearchSpace
) -> bool:
    """Tell whether a configuration is one that the study has already, or nearly so."""
    shared = {name: space[name] for name in params if name in space}
    point = locate(params, shared)
    return any(is_at(point, other, shared, NEAR) for other in known)


def to_json(advice: Advice) -> dict[str, Any]:
    """Write the advice as pure JSON types."""
    return {
        "configs": [[dict(c.params), c.why, c.repaired] for c in advice.configs],
        "note": advice.note,
        "n_ideas": advice.n_ideas,
        "repaired": dict(advice.repaired),
        "rejected": dict(advice.rejected),
    }


def from_json(data: Mapping[str, Any]) -> Advice:
    """Read what :func:`to_json` wrote; the storage may hold anything.

    Keys that are not known are ignored: earlier versions stored a ``prior``, too.

    Raises:
        ValueError: The content is not an advice.
    """
    try:
        return Advice(
            configs=tuple(_stored_config(*entry) for entry in data["configs"][:MAX_CONFIGS]),
            note=one_line(data["note"], MAX_NOTE_CHARS),
            n_ideas=_count(data["n_ideas"]),
            repaired=_stored_counts(data["repaired"]),
            rejected=_stored_counts(data["rejected"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an advice: {type(error).__name__}") from None


def _stored_config(params: Any, why: Any, repaired: Any) -> Config:
    for value in params.values():
        if value is not None and not isinstance(value, (str, bool, int, float)):
            raise ValueError("not an advice: a value that is none")
    return Config(dict(params), one_line(why, MAX_WHY_CHARS), _count(repaired))


def _stored_counts(counts: Any) -> dict[str, int]:
    return {one_line(reason, 40): _count(n) for reason, n in list(counts.items())[:MAX_CONFIGS]}


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError("not an advice: a count that is none")
    return value
