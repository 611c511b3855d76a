"""A model's answer and the words' facts → a search space. Nothing of the answer is trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import math
import re
from typing import Any, TypeAlias, TypeGuard

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from .._study.conditions import parent_values, parents_first
from .._study.distance import natural_middle
from .._study.labels import to_number
from .._study.space import coerce, Coerced, is_legal, legal_or
from .._text import one_line, plain, printable
from ..errors import ContradictionError, UnusableAnswerError
from ..llms.read_text import read
from .domains import within_domain
from .fact import Fact, in_unit, intersection
from .like import Like
from .proposal import ProposedSpace
from .ranges import number_range, Refused
from .request import MAX_PARAMETERS
from .stated import Stated
from .subjects import names_meant, tokens
from .units import unit_in_name


_MAX_NAME_CHARS = 80
_MAX_WORDS_CHARS = 300
_MAX_CHOICES = 64
_MAX_CHOICE_CHARS = 200
_MAX_LISTED = 6
# What a name may be made of: identifiers, and names of settings such as "optimizer.lr".
_NAME = re.compile(r"[^\W\d][\w.:/-]*(?: [\w.:/-]+)*")
_Item: TypeAlias = Mapping[str, Any]


@dataclass
class _Draft:
    """What is accepted so far, and what there is to say about the rest."""

    space: dict[str, BaseDistribution] = field(default_factory=dict)
    items: dict[str, _Item] = field(default_factory=dict)
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def remark(self, what: str, items: Sequence[str]) -> None:
        if items:
            shown = ", ".join(plain(item, 60) for item in items[:_MAX_LISTED])
            more = len(items) - _MAX_LISTED
            self.notes.append(f"{what}: {shown}{f' and {more} more' if more > 0 else ''}.")


def build(text: str, task: str, stated: Stated, like: Like | None) -> ProposedSpace:
    """Return the space that an answer describes, within what the words state.

    Raises:
        ContradictionError: The words allow no value of a parameter.
        UnusableAnswerError: The answer holds no usable parameter.
    """
    items, model_note = _items(text)
    draft = _Draft()
    named = _named(items, like, stated, draft)
    loose = _assign(named, stated.facts, draft)
    chosen = _chosen(named, stated, draft)
    refused, unapplied = [], list(loose)
    for name, item in chosen.items():
        facts = draft.facts.get(name, [])
        try:
            draft.space[name] = _distribution(name, item, facts, like)
            draft.items[name] = item
        except Refused as reason:
            refused.append(f"{name!r} ({reason})")
            unapplied += facts
    draft.remark("Refused", refused)
    if not draft.space:
        said = " ".join(draft.notes) or "it lists no parameter."
        raise UnusableAnswerError(f"The model's answer holds no usable search space: {said}")
    draft.remark("Stated, but tied to no parameter", [repr(fact.words) for fact in unapplied])
    draft.remark("Numbers in the words that were not read as limits", stated.unread)
    return _proposed(task, draft, like, model_note)


def _proposed(task: str, draft: _Draft, like: Like | None, model_note: str) -> ProposedSpace:
    conditions = _conditions(draft)
    space = parents_first(draft.space, conditions)
    note = " ".join(draft.notes)
    if model_note:
        note = f"{note} The model says: {model_note}".strip()
    return ProposedSpace(
        task=task,
        space=space,
        conditions=conditions,
        defaults=_defaults(space, conditions, draft.items, like),
        param_notes=_words(space, draft.items, "meaning"),
        why=_words(space, draft.items, "why"),
        note=note,
    )


# --- the parameters of an answer --------------------------------------------------------------


def _items(text: str) -> tuple[list[_Item], str]:
    """Find the list of parameters in an answer, and the note beside it."""
    for found in read(text):
        for value in found.values:
            listed = value.get("parameters") if isinstance(value, Mapping) else value
            if isinstance(listed, Mapping):
                listed = [
                    {"name": name, **item}
                    for name, item in listed.items()
                    if isinstance(item, Mapping)
                ]
            if isinstance(listed, list) and any(isinstance(item, Mapping) for item in listed):
                note = value.get("note") if isinstance(value, Mapping) else None
                items = [item for item in listed if isinstance(item, Mapping)]
                return items, one_line(note, 2 * _MAX_WORDS_CHARS)
    raise UnusableAnswerError("The model's answer holds no list of parameters.")


def _named(
    items: Sequence[_Item], like: Like | None, stated: Stated, draft: _Draft
) -> dict[str, _Item]:
    """Return the parameters with usable names, each name once."""
    known = like.parameters if like is not None and not like.is_open else None
    named: dict[str, _Item] = {}
    bad, foreign = [], []
    for item in items[: 10 * MAX_PARAMETERS]:
        name = item.get("name")
        if not _is_name(name):
            bad.append(repr(plain(name, 40)))
        elif known is not None and name not in known and not _is_asked_for(name, stated):
            foreign.append(repr(name))
        else:
            named.setdefault(name, item)
    draft.remark("Refused names", bad)
    draft.remark("Left out, because like= has no such parameter", foreign)
    if len(items) > 10 * MAX_PARAMETERS:
        draft.notes.append(
            f"Of {len(items):,} parameters the first {10 * MAX_PARAMETERS} were read."
        )
    return named


def _is_name(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and len(name) <= _MAX_NAME_CHARS and bool(_NAME.fullmatch(name))


def _is_asked_for(name: str, stated: Stated) -> bool:
    """Tell whether the words fix a parameter themselves."""
    return any(names_meant(fact, [name]) for fact in stated.facts)


def _assign(named: Mapping[str, _Item], facts: Sequence[Fact], draft: _Draft) -> list[Fact]:
    """Tie each fact to the parameters that the words, or else the model, say it is about."""
    loose = []
    for number, fact in enumerate(facts, start=1):
        said = [name for name, item in named.items() if number in _numbers(item.get("stated"))]
        names = list(named)
        meant = names_meant(fact, names) or said or names_meant(fact, names, guess=True)
        for name in meant:
            draft.facts.setdefault(name, []).append(fact)
        if not any(fact in tied for tied in draft.facts.values()):
            loose.append(fact)
    return loose


def _numbers(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _chosen(named: Mapping[str, _Item], stated: Stated, draft: _Draft) -> dict[str, _Item]:
    """Keep as many parameters as allowed: those that the words fix, then the model's first ones.

    Raises:
        ContradictionError: The words fix more parameters than they allow.
    """
    limit = MAX_PARAMETERS if stated.max_params is None else min(stated.max_params, MAX_PARAMETERS)
    fixed = [name for name in named if name in draft.facts]
    if stated.max_params is not None and len(fixed) > limit:
        raise ContradictionError(
            f"The words allow at most {limit} parameters and set limits for {len(fixed)}: "
            f"{', '.join(fixed)}."
        )
    kept = set([*fixed, *(name for name in named if name not in draft.facts)][:limit])
    left_out = [repr(name) for name in named if name not in kept]
    draft.remark(f"Left out, because at most {limit} parameters are allowed", left_out)
    return {name: item for name, item in named.items() if name in kept}


# --- one parameter ----------------------------------------------------------------------------


def _distribution(
    name: str, item: _Item, facts: Sequence[Fact], like: Like | None
) -> BaseDistribution:
    """Return a parameter's distribution.

    Raises:
        ContradictionError: The words allow no value of it.
        Refused: The model's range or choices cannot be used.
    """
    fact = _fact_of(name, facts)
    choices = _choices(item.get("choices"))
    known = like.parameters.get(name) if like is not None else None
    kind = _kind(item, choices, known.distribution if known is not None else None)
    if fact is not None and fact.choices:
        return CategoricalDistribution(_stated_choices(fact, choices, kind))
    if kind == "categorical":
        if not choices:
            raise Refused("no usable choices")
        if fact is None:
            return CategoricalDistribution(choices)
        numbers = [c for c in choices if not isinstance(c, bool) and isinstance(c, (int, float))]
        if not numbers:
            raise Refused("the words set bounds, and its choices are no numbers")
        if allowed := [c for c in numbers if fact.allows(c)]:
            return CategoricalDistribution(allowed)
        kind = "int" if all(isinstance(c, int) for c in numbers) else "float"
        item = {"low": min(numbers), "high": max(numbers)}
    return number_range(name, item, is_int=kind == "int", fact=fact)


def _fact_of(name: str, facts: Sequence[Fact]) -> Fact | None:
    """Return all facts about a parameter as one, in its own unit."""
    if not facts:
        return None
    words = {word.lower() for word in re.split(r"[\W_]+", name)}
    if unit := unit_in_name(name):
        facts = [_in_own_unit(fact, unit) for fact in facts]
    in_percent = bool(words & {"percent", "percentage", "pct"})
    facts = [f.scaled(0.01) if f.percent and not in_percent else f for f in facts]
    fact = intersection(facts)
    within_domain(fact, tokens(name))
    return fact


def _in_own_unit(fact: Fact, unit: str) -> Fact:
    converted = in_unit(fact, unit)
    if converted is None:
        raise Refused(f"the words give its limits in {fact.unit}")
    return converted


def _kind(item: _Item, choices: Sequence[Any], known: BaseDistribution | None) -> str:
    """Return "int", "float" or "categorical": what is known, what the answer says, or by rule."""
    if isinstance(known, IntDistribution):
        return "int"
    if isinstance(known, FloatDistribution):
        return "float"
    kind = str(item.get("kind", item.get("type", ""))).lower()[:20]
    if kind in ("int", "integer"):
        return "int"
    if kind in ("float", "number", "real", "continuous"):
        return "float"
    if choices or kind in ("categorical", "choice", "bool", "boolean"):
        return "categorical"
    ends = [to_number(item.get(key))[0] for key in ("low", "high", "default")]
    return "int" if all(isinstance(end, int) for end in ends) else "float"


def _choices(value: Any) -> list[Any]:
    """Return the usable choices, each once."""
    choices: list[Any] = []
    for choice in (value if isinstance(value, list) else [])[: 4 * _MAX_CHOICES]:
        if isinstance(choice, str):
            is_good = len(choice) <= _MAX_CHOICE_CHARS and choice == printable(choice)
        elif isinstance(choice, (int, float)) and not isinstance(choice, bool):
            is_good = abs(choice) <= 2**53 and math.isfinite(choice)
        else:
            is_good = choice is None or isinstance(choice, bool)
        # Equal choices are one choice for Optuna.
        if is_good and choice not in choices:
            choices.append(choice)
    return choices[:_MAX_CHOICES]


def _stated_choices(fact: Fact, choices: Sequence[Any], kind: str) -> list[Any]:
    """Return exactly the stated choices, spelt as the model spells them."""
    spelt = {_folded(c): c for c in choices if isinstance(c, str)}
    found: list[Any] = []
    for stated in fact.choices:
        if isinstance(stated, str):
            choice: Any = spelt.get(_folded(stated), stated)
        else:
            is_whole = stated == int(stated) and abs(stated) < 2**53
            as_int = kind == "int" or any(type(c) is int for c in choices)
            choice = int(stated) if is_whole and (as_int or kind == "categorical") else stated
        if choice not in found:
            found.append(choice)
    return found


def _folded(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


# --- between the parameters -------------------------------------------------------------------


def _conditions(draft: _Draft) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Return the usable conditions."""
    conditions: dict[str, dict[str, tuple[Any, ...]]] = {}
    dropped = []
    for name, item in draft.items.items():
        condition = item.get("condition")
        if not isinstance(condition, Mapping):
            continue
        parent, values = str(condition.get("parent")), _numbers(condition.get("values"))
        kept = list(_parent_values(parent, values, draft.space)) if parent != name else []
        if not kept:
            dropped.append(repr(name))
            continue
        try:
            parents_first(draft.space, {**conditions, name: {parent: tuple(kept)}})
        except ValueError:  # a circle
            dropped.append(repr(name))
        else:
            conditions[name] = {parent: tuple(kept)}
    draft.remark("Always used, because the condition cannot be used", dropped)
    return conditions


def _parent_values(
    parent: str, values: Sequence[Any], space: Mapping[str, BaseDistribution]
) -> Iterator[Any]:
    if parent not in space:
        return
    distribution = space[parent]
    possible = parent_values(distribution)
    seen: list[Any] = []
    for value in values[:_MAX_CHOICES] if possible is not None else ():
        coerced = coerce(value, distribution)
        if (
            isinstance(coerced, Coerced)
            and coerced.repair not in ("clipped", "rounded", "snapped")
            and coerced.value not in seen
        ):
            seen.append(coerced.value)
            yield coerced.value


def _defaults(
    space: Mapping[str, BaseDistribution],
    conditions: Mapping[str, Mapping[str, tuple[Any, ...]]],
    items: Mapping[str, _Item],
    like: Like | None,
) -> dict[str, Any]:
    """Return a first configuration: the user's own values, else the model's, else the middle."""
    current = like.parameters if like is not None and like.is_config else {}
    defaults: dict[str, Any] = {}
    for name, distribution in space.items():
        if not all(
            parent in defaults and defaults[parent] in values
            for parent, values in conditions.get(name, {}).items()
        ):
            continue
        own = current[name].value if name in current else None
        if own is not None and is_legal(own, distribution):
            defaults[name] = own
        else:
            middle = natural_middle(distribution)
            defaults[name] = legal_or(middle, items[name].get("default"), distribution)
    return defaults


def _words(
    space: Mapping[str, BaseDistribution], items: Mapping[str, _Item], key: str
) -> dict[str, str]:
    found = {name: one_line(items[name].get(key), _MAX_WORDS_CHARS) for name in space}
    return {name: words for name, words in found.items() if words}
