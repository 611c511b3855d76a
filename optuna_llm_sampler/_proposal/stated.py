"""What a task in words fixes about the parameters: bounds, choices, how many.

The words are read with patterns, without a model, in several languages. Only what is clear is
read; every other number of the text is kept in :attr:`Stated.unread`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
import math
import re
import unicodedata

from .._text import plain
from ..errors import ContradictionError
from . import patterns, units
from .domains import within_domain
from .fact import Fact, in_words, intersection
from .subjects import tokens, with_subject


MAX_FACTS = 40
_MAX_TEXT_CHARS = 20_000
_MAX_UNREAD = 12
_MAX_CHOICES = 64


@dataclass(frozen=True)
class Stated:
    """All that the words fix.

    Attributes:
        facts:
            Ranges and choices, in the order of the words.
        max_params:
            The largest number of parameters.
        unread:
            Numbers that belong to no fact, each with the next word.
    """

    facts: tuple[Fact, ...] = ()
    max_params: int | None = None
    unread: tuple[str, ...] = ()


def read_stated(task: str) -> Stated:
    """Read the bounds, choices and limits that the words name.

    Raises:
        ContradictionError: No value can satisfy what they say about one parameter.
    """
    text = _normalized(task[:_MAX_TEXT_CHARS])
    spans: list[tuple[int, int]] = []
    max_params = None
    if found := patterns.MAX_PARAMETERS.search(text):
        word = (found["count"] or found["count_first"]).lower()
        max_params = patterns.COUNTS[word] if word in patterns.COUNTS else int(word)
        spans.append(found.span())
        if max_params < 1:
            raise ContradictionError(f"{plain(found[0], 80)!r} leaves no parameter to tune.")
    facts: list[Fact] = []
    position = 0
    while len(facts) < MAX_FACTS and (match := patterns.FACT.search(text, position)):
        inside = any(a < match.end() and match.start() < b for a, b in spans)
        is_other = inside or _is_patience(match)
        fact, end = (None, match.end()) if is_other else _fact(match)
        if fact is not None:
            fact = replace(fact, unit=_unit(text, match.start(), end))
            fact = with_subject(fact, text, (match.start(), end), spans, facts)
            facts.append(fact)
            spans.append((match.start(), end))
        position = max(end, match.start() + 1)
    for i, fact in enumerate(facts):
        same = [f for f in facts[:i] if f.subject and f.subject == fact.subject]
        within_domain(fact, fact.subject)
        intersection([*same, fact])
    return Stated(tuple(facts), max_params, tuple(_unread(text, spans)))


# --- reading ----------------------------------------------------------------------------------


def _normalized(text: str) -> str:
    """Write digits of any script, powers and percent as ASCII has them."""
    text = patterns.SUPERSCRIPT.sub(lambda m: f"^{unicodedata.normalize('NFKC', m[0])}", text)
    text = unicodedata.normalize("NFKC", text.replace("²", "").replace("…", "..."))
    digits = (unicodedata.decimal(c, None) for c in text)
    text = "".join(c if d is None else str(d) for c, d in zip(text, digits, strict=True))
    text = patterns.PERCENT.sub("%", text)
    for pattern in patterns.COUNT_WORDS:
        text = pattern.sub(lambda m: f"{m['head']}{patterns.COUNTS[m['count'].lower()]}", text)
    return text


def _value(text: str) -> float:
    """Read a number as :data:`patterns.NUMBER` finds it; infinite if it is too large."""
    text = text.replace("−", "-").strip().rstrip("%").strip()
    factor = 1.0
    if found := patterns.FACTOR.search(text):
        factor, text = _factor(found[0]), text[: found.start()].strip()
    sign = -1.0 if text.startswith("-") else 1.0
    text = text.lstrip("+-").replace("(", "").replace(")", "")
    base, exponent = text, "0"
    if match := re.fullmatch(r"(\d+)\s?(?:\^|\*\*)\s?([-+]?\d+)", text):
        if match[1] != "10":
            return sign * factor * _power(int(match[1]), int(match[2]))
        base, exponent = "1", match[2]
    elif match := re.fullmatch(r"(.+?)\s?[x×*·]\s?10\s?(?:\^|\*\*)?\s?([-+]?\d+)", text):
        base, exponent = match[1], match[2]
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", base):
        base = base.replace(",", "")
    base = base.replace(",", ".")
    # One reading of the text, so that 5 × 10^-6 is the float 5e-6.
    return sign * factor * float(f"{base}e{int(exponent)}" if exponent != "0" else base)


def _factor(word: str) -> float:
    """Return what a word or letter after a number multiplies it with."""
    return next(f for f, words in patterns.FACTORS.items() if word.strip().lower() in words)


def _power(base: int, exponent: int) -> float:
    try:
        return float(base) ** exponent
    except (OverflowError, ZeroDivisionError):
        return math.inf


def _unit(text: str, begin: int, end: int) -> str:
    """Return the unit of a fact: after its first number, or after it all."""
    found = patterns.UNIT.search(text, begin, end)
    word = found[1] if found else None
    if word is None and (after := units.AFTER.match(text, end)):
        word = after[1]
    return units.unit_of(word) if word else ""


def _fact(match: re.Match[str]) -> tuple[Fact | None, int]:
    """Return the fact of a match, without its subject, and where it ends."""
    found = {k: v for k, v in match.groupdict().items() if v}
    end = match.end()
    fact = Fact(plain(match[0], 100).strip(), percent="%" in match[0])
    for low, high in (("low", "high"), ("left", "right"), ("bare_low", "bare_high")):
        if low in found:
            first, second = _value(found[low]), _value(found[high])
            factor = _unit_factor(match[0])
            if factor is None or _is_unclear(found[low], found[high]):
                return None, end
            second *= factor
            return fact.bounded(low=min(first, second), high=max(first, second)), end
    if "low_first" in found:
        ends = {
            "above" if found["op1"] == "<" else "low": _value(found["low_first"]),
            "below" if found["op2"] == "<" else "high": _value(found["high_last"]),
        }
        return replace(fact, before=tokens(found["name"])).bounded(**ends), end
    if match["or_list"] is not None or "one_of" in found or "brace" in found:
        return _choices(match)
    if "exactly" in found:
        value = _value(found["exactly"])
        return fact.bounded(low=value, high=value), end
    group = next(name for name in patterns.ONE_BOUND if name in found)
    bound = patterns.ONE_BOUND[group]
    if bound in _NEGATED and _is_negated(match):
        bound = _NEGATED[bound]
    # "12 levels or deeper"
    fact = replace(fact, before=tokens(found.get(f"{group}_what", "")))
    return fact.bounded(**{bound: _value(found[group])}), end


_NEGATED = {"above": "high", "below": "low"}


def _is_negated(match: re.Match[str]) -> bool:
    """Tell whether the words before a comparison turn it round: "I would not want more than"."""
    head = match.string[max(0, match.start() - 60) : match.start()]
    clause = patterns.CLAUSE.split(patterns.CUT.split(head)[-1])[-1]
    return bool(patterns.NEGATION.search(clause))


def _is_patience(match: re.Match[str]) -> bool:
    """Tell whether a bound says how long to wait: "no improvement for more than 5 epochs"."""
    head = match.string[max(0, match.start() - 80) : match.start()]
    after = patterns.PATIENCE_AFTER.match(match.string, match.end())
    return bool(patterns.PATIENCE_BEFORE.search(head) or after)


def _is_unclear(first: str, second: str) -> bool:
    """Tell whether the ends of a range may be of different size: "10 to 50k"."""
    return not patterns.FACTOR.search(first) and bool(patterns.FACTOR.search(second))


def _unit_factor(words: str) -> float | None:
    """Return what brings the second end of a range into the unit of the first: "1 MB to 2 GB".

    :obj:`None` if the two measure different things.
    """
    found = [units.unit_of(word) for word in patterns.UNIT.findall(words)]
    return units.ratio(found[1], found[0]) if len(set(found)) == 2 else 1.0


def _choices(match: re.Match[str]) -> tuple[Fact | None, int]:
    """Read a list of choices, all numbers or all texts."""
    text, end = match.string, match.end()
    choices: list[float | str] = []
    position = end
    while len(choices) < _MAX_CHOICES and (found := patterns.ELEMENT.match(text, position)):
        choice = _choice(found, text)
        if choice is None or (choices and type(choice) is not type(choices[0])):
            break
        choices.append(choice)
        end = found.start() + len(found[0].rstrip("."))
        separator = patterns.SEPARATOR.match(text, end)
        if separator is None:
            break
        position = separator.end()
    if match[0].rstrip().endswith(("[", "(", "{")):
        closing = patterns.CLOSING.match(text, end)
        if closing is None and match["brace"]:
            return None, match.end()
        end = closing.end() if closing else end
    if len(choices) < 2:
        return None, match.end()
    return Fact(plain(text[match.start() : end], 100), choices=tuple(choices)), end


def _choice(found: re.Match[str], text: str) -> float | str | None:
    """Return one choice; :obj:`None` where a phrase about something else begins."""
    word = found[0]
    if word[0] in "\"'":
        return word[1:-1]
    word = word.rstrip(".")
    if word.lower().split()[0] in patterns.STOP or patterns.PHRASE.match(text, found.end()):
        return None
    return _read_choice(word)


def _read_choice(word: str) -> float | str:
    try:
        number = float(word)
    except ValueError:
        return word
    return number if math.isfinite(number) else word


def _unread(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[str]:
    found = re.compile(rf"{patterns.NUMBER}(?:\s?[^\W\d_]+)?").finditer(text)
    loose = (m for m in found if not any(a < m.end() and m.start() < b for a, b in spans))
    for i, match in enumerate(loose):
        if i == _MAX_UNREAD:
            return
        yield plain(match[0], 40)


def facts_as_text(facts: Sequence[Fact]) -> Mapping[int, str]:
    """Write each fact in words, by its number from 1."""
    return {i: in_words(fact) for i, fact in enumerate(facts, start=1)}
