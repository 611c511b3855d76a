"""What the model advises, as plain data: configurations and a note, to and from JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .._study.distance import Points
from .._study.space import coerce, Coerced, SearchSpace
from .._text import MAX_WHY_CHARS, one_line


MAX_CONFIGS = 64
MAX_NOTE_CHARS = 2_000

# Whether a configuration, in Optuna's own values, need not be run again.
IsDuplicate: TypeAlias = Callable[[Mapping[str, Any]], bool]


def never(params: Mapping[str, Any]) -> bool:
    """Say of every configuration that it is no duplicate."""
    return False


@dataclass(frozen=True)
class Config:
    """One proposed configuration."""

    # Values by parameter name, choices as labels. Parameters without a usable value are missing.
    params: Mapping[str, Any]
    why: str = ""  # the model's reason in one line
    repaired: int = 0  # how many values had to be changed to be legal
    # Parameters whose value was outside of the range; not stored.
    outside: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True)
class Advice:
    """The answer to one call."""

    configs: tuple[Config, ...] = ()  # distinct configurations, best guess first
    note: str = ""  # what the model believes about the problem
    n_ideas: int = 0  # how many distinct configurations the answer had, with duplicates of trials
    # Counts of repaired values by reason.
    repaired: Mapping[str, int] = field(default_factory=dict)
    # Counts of rejected values and configurations by reason.
    rejected: Mapping[str, int] = field(default_factory=dict)


def reason_key(space: SearchSpace) -> str:
    """Return the key of a configuration's reason: ``why``, unless a parameter has that name."""
    key = "why"
    while key in space:
        key += "_"
    return key


def values(config: Config, space: SearchSpace) -> dict[str, Any]:
    """Return a configuration in Optuna's own values, for the parameters of a space."""
    out: dict[str, Any] = {}
    for name, distribution in space.items():
        if name in config.params:
            coerced = coerce(config.params[name], distribution)
            if isinstance(coerced, Coerced):
                out[name] = coerced.value
    return out


def distinct(configs: Sequence[Config], space: SearchSpace) -> list[Config]:
    """Drop each configuration that is nearly the same as one before it."""
    kept: list[Config] = []
    points = Points()
    for config in configs:
        params = values(config, space)
        if not points.has_near(params, space):
            kept.append(config)
            points.add(params)
    return kept


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

    Unknown keys are ignored: earlier versions stored a ``prior``, too.

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
            raise ValueError("not an advice: not a parameter's value")
    return Config(dict(params), one_line(why, MAX_WHY_CHARS), _count(repaired))


def _stored_counts(counts: Any) -> dict[str, int]:
    return {one_line(reason, 40): _count(n) for reason, n in list(counts.items())[:MAX_CONFIGS]}


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError("not an advice: not a count")
    return value
