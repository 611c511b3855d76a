"""What the model said, as plain data: configurations, a prior per parameter, a note.

Parsing is per item: good items are kept, bad ones are dropped with a counted reason. The text is
data: nothing is evaluated, every size is bounded.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import json
import math
import re
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from ._space import coerce
from ._space import Coerced
from ._space import distance
from ._space import labels
from ._space import Rejected
from ._space import SearchSpace
from ._space import to_label


MAX_ANSWER_CHARS = 200_000
MAX_CONFIGS = 64
MAX_WHY_CHARS = 200  # optuna-dashboard's trial page does not wrap
MAX_NOTE_CHARS = 2_000
# Two configurations closer than this in every parameter are the same idea.
NEAR = 0.01


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
    """

    params: Mapping[str, Any]
    why: str = ""
    repaired: int = 0


@dataclass(frozen=True)
class NumericPrior:
    """Where the model believes good values of a number to be, in natural units."""

    center: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Advice:
    """The answer to one call.

    Attributes:
        configs:
            Distinct configurations, best guess first.
        prior:
            By parameter: a :class:`NumericPrior`, or a weight by label.
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
    prior: Mapping[str, NumericPrior | Mapping[str, float]] = field(default_factory=dict)
    note: str = ""
    n_ideas: int = 0
    repaired: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


def parse(
    texts: Sequence[str],
    space: SearchSpace,
    *,
    known: Sequence[Mapping[str, Any]] = (),
    limit: int = MAX_CONFIGS,
) -> Advice:
    """Read answers of any form: JSON, JSON in prose or fences, or ``dict(...)`` calls.

    Args:
        texts:
            One or more answers to the same question.
        space:
            The space the model was asked about.
        known:
            Parameters of trials that need not be run again, in Optuna's own values.
        limit:
            Longest list of configurations to return.

    Returns:
        The advice. ``configs`` is empty when nothing survived; ``rejected`` says why.
    """
    repaired: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    configs: list[Config] = []
    prior: dict[str, NumericPrior | Mapping[str, float]] = {}
    note = ""
    for text in texts:
        if len(text) > MAX_ANSWER_CHARS:
            rejected["too_long"] += 1
            text = text[:MAX_ANSWER_CHARS]
        answer = _read(text)
        if answer is None:
            rejected["no_object"] += 1
            continue
        for item in _items(answer):
            if len(configs) >= MAX_CONFIGS:
                rejected["too_many"] += 1
                break
            config = _config(item, space, repaired, rejected)
            if config is not None:
                configs.append(config)
        prior = prior or _prior(answer.get("prior"), space)
        note = note or _line(answer.get("note"), MAX_NOTE_CHARS)
    ideas = _distinct(configs, space, rejected)
    fresh = _unknown(ideas, known, space, rejected)
    return Advice(fresh[:limit], prior, note, len(ideas), dict(repaired), dict(rejected))


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
    item: Any, space: SearchSpace, repaired: Counter[str], rejected: Counter[str]
) -> Config | None:
    if not isinstance(item, Mapping):
        rejected["not_an_object"] += 1
        return None
    params: dict[str, Any] = {}
    changes = 0
    given = item.get("params") if isinstance(item.get("params"), Mapping) else item
    assert isinstance(given, Mapping)
    for name, distribution in space.items():
        if name not in given or (given[name] is None and not _has_none(distribution)):
            continue  # a branch that this configuration does not take
        coerced = coerce(given[name], distribution)
        if isinstance(coerced, Rejected):
            rejected[coerced.reason] += 1
            continue
        if coerced.repair:
            repaired[coerced.repair] += 1
            changes += 1
        params[name] = to_label(coerced.value, distribution)
    if not params:
        rejected["no_parameter"] += 1
        return None
    return Config(params, _line(item.get("why"), MAX_WHY_CHARS), changes)


def _has_none(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, CategoricalDistribution) and None in distribution.choices


def _distinct(
    configs: Sequence[Config], space: SearchSpace, rejected: Counter[str]
) -> list[Config]:
    kept: list[tuple[Config, dict[str, Any]]] = []
    for config in configs:
        params = values(config, space)
        if any(distance(params, other, space) < NEAR for _, other in kept):
            rejected["repeated"] += 1
        else:
            kept.append((config, params))
    return [config for config, _ in kept]


def _unknown(
    configs: Sequence[Config],
    known: Sequence[Mapping[str, Any]],
    space: SearchSpace,
    rejected: Counter[str],
) -> tuple[Config, ...]:
    fresh = tuple(c for c in configs if not is_known(values(c, space), known, space))
    rejected["known"] += len(configs) - len(fresh)
    rejected += Counter()  # drops the zero
    return fresh


def is_known(
    params: Mapping[str, Any], known: Sequence[Mapping[str, Any]], space: SearchSpace
) -> bool:
    """Tell whether a configuration is one that the study has already, or nearly so."""
    for other in known:
        shared = {name: space[name] for name in params if name in space}
        try:
            if distance(params, {n: other[n] for n in shared if n in other}, shared) < NEAR:
                return True
        except ValueError:  # a choice that is no longer in the distribution
            continue
    return False


def _line(value: Any, limit: int) -> str:
    """One printable line: NUL, lone surrogates and line breaks have no place in an attribute."""
    if not isinstance(value, str):
        return ""
    text = value[: 4 * limit].encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _prior(value: Any, space: SearchSpace) -> dict[str, NumericPrior | Mapping[str, float]]:
    out: dict[str, NumericPrior | Mapping[str, float]] = {}
    if not isinstance(value, Mapping):
        return out
    for name, distribution in space.items():
        stated = value.get(name)
        if not isinstance(stated, Mapping):
            continue
        if isinstance(distribution, CategoricalDistribution):
            weights = {label: _number(stated.get(label)) for label in labels(distribution)}
            known = {label: w for label, w in weights.items() if w is not None and w >= 0}
            if sum(known.values()) > 0:
                out[name] = known
        elif (numeric := _numeric_prior(stated)) is not None:
            out[name] = numeric
    return out


def _numeric_prior(stated: Mapping[str, Any]) -> NumericPrior | None:
    center, low, high = (_number(stated.get(key)) for key in ("center", "low", "high"))
    if center is None or low is None or high is None or not low <= center <= high:
        return None
    confidence = _number(stated.get("confidence"))
    return NumericPrior(center, low, high, min(max(confidence or 0.0, 0.0), 1.0))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


# --- from text to objects -------------------------------------------------------------------


def _items(answer: Mapping[str, Any]) -> list[Any]:
    for key in ("configs", "configurations", "suggestions"):
        if isinstance(answer.get(key), list):
            return list(answer[key])
    return [answer]


def _read(text: str) -> Mapping[str, Any] | None:
    """Find the first thing in a text that can be an answer."""
    for start in _starts(text):
        try:
            value, _ = json.JSONDecoder(parse_int=_parse_int).raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
            return {"configs": value}
        if isinstance(value, Mapping) and value:
            return value
    calls = list(_dict_calls(text))
    return {"configs": calls} if calls else None


def _starts(text: str, most: int = 50) -> list[int]:
    return [m.start() for m in re.finditer(r"[{\[]", text)][:most]


def _parse_int(digits: str) -> int | float:
    # int() of a million digits is slow, and refused by Python beyond 4300.
    return int(digits) if len(digits) <= 40 else math.inf


_TEXT = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
_CALL = re.compile(rf"dict\(((?:{_TEXT}|[^()\"'])*)\)?")
_ARGUMENT = re.compile(rf"(?P<name>[^\W\d]\w*)\s*=\s*(?P<value>{_TEXT}|[^\s,()\[\]{{}}\"']+)")


def _dict_calls(text: str) -> Iterator[dict[str, Any]]:
    """Read ``dict(a=1, b="x")`` without evaluating it."""
    for call in _CALL.finditer(text):
        arguments = {m["name"]: _literal(m["value"]) for m in _ARGUMENT.finditer(call[1])}
        if arguments:
            yield arguments


def _literal(text: str) -> Any:
    if len(text) > 600:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, (bool, int, float, str)) or value is None else text


# --- to and from the storage ----------------------------------------------------------------


def to_json(advice: Advice) -> dict[str, Any]:
    """Write the advice as pure JSON types."""
    prior = {
        name: [p.center, p.low, p.high, p.confidence] if isinstance(p, NumericPrior) else dict(p)
        for name, p in advice.prior.items()
    }
    return {
        "configs": [[dict(c.params), c.why, c.repaired] for c in advice.configs],
        "prior": prior,
        "note": advice.note,
        "n_ideas": advice.n_ideas,
        "repaired": dict(advice.repaired),
        "rejected": dict(advice.rejected),
    }


def from_json(data: Mapping[str, Any]) -> Advice:
    """Read what :func:`to_json` wrote.

    Raises:
        ValueError: The content is not an advice.
    """
    try:
        configs = tuple(
            Config(dict(params), str(why), int(repaired))
            for params, why, repaired in data["configs"][:MAX_CONFIGS]
        )
        prior = {
            str(name): dict(p) if isinstance(p, Mapping) else NumericPrior(*map(float, p))
            for name, p in data["prior"].items()
        }
        counts = [
            {str(k): int(v) for k, v in data[key].items()} for key in ("repaired", "rejected")
        ]
        return Advice(configs, prior, str(data["note"]), int(data["n_ideas"]), *counts)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an advice: {error!r}") from None
