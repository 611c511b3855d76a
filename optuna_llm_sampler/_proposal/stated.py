"""What a task in words fixes about the parameters: bounds, choices, how many.

The words are read with patterns, without a model, in several languages. Only what is clear is
read; every other number of the text is kept in :attr:`Stated.unread`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
import math
import re
from typing import Any
import unicodedata

from .._study.numbers import exact
from .._text import plain
from ..errors import ContradictionError
from . import patterns


MAX_FACTS = 40
_MAX_TEXT_CHARS = 20_000
_MAX_UNREAD = 12
_MAX_CHOICES = 64


@dataclass(frozen=True)
class Fact:
    """One range or list of choices in the words.

    Attributes:
        words:
            The excerpt that says so.
        before, after:
            Words around it; they probably name the parameter.
        low, high:
            The bounds, included.
        above, below:
            The bounds, excluded.
        choices:
            Numbers or texts.
        percent:
            Whether the bounds are percentages.
        unit:
            The unit after the numbers, in lower case.
    """

    words: str
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    choices: tuple[float | str, ...] = ()
    percent: bool = False
    unit: str = ""

    @property
    def subject(self) -> frozenset[str]:
        return self.before or self.after

    def allows(self, value: float) -> bool:
        return self.low <= value <= self.high and self.above < value < self.below

    def scaled(self, factor: float) -> Fact:
        bounds = {n: getattr(self, n) * factor for n in ("low", "high", "above", "below")}
        return replace(self.bounded(**bounds), percent=False)

    def bounded(self, **bounds: Any) -> Fact:
        """Return this fact with other bounds."""
        return replace(self, **bounds)


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
        word = found["count"].lower()
        max_params = patterns.COUNTS.get(word) or int(found["count"])
        spans.append(found.span())
        if max_params < 1:
            raise ContradictionError(f"{plain(found[0], 80)!r} leaves no parameter to tune.")
    facts: list[Fact] = []
    position = 0
    while len(facts) < MAX_FACTS and (match := patterns.FACT.search(text, position)):
        inside = any(a < match.end() and match.start() < b for a, b in spans)
        fact, end = (None, match.end()) if inside else _fact(match)
        if fact is not None:
            units = patterns.UNIT.findall(match[0])
            fact = replace(fact, unit=units[0].lower() if units else "")
            fact = _with_subject(fact, text, (match.start(), end), spans, facts)
            facts.append(fact)
            spans.append((match.start(), end))
        position = max(end, match.start() + 1)
    for i, fact in enumerate(facts):
        same = [f for f in facts[:i] if f.subject and f.subject == fact.subject]
        within_domain(fact, fact.subject)
        intersection([*same, fact])
    return Stated(tuple(facts), max_params, tuple(_unread(text, spans)))


def intersection(facts: Sequence[Fact]) -> Fact:
    """Return the range and choices that satisfy all facts.

    Raises:
        ContradictionError: There are none.
    """
    both = Fact(
        words="; ".join(fact.words for fact in facts),
        low=max(fact.low for fact in facts),
        high=min(fact.high for fact in facts),
        above=max(fact.above for fact in facts),
        below=min(fact.below for fact in facts),
        percent=any(fact.percent for fact in facts),
    )
    lists = [fact.choices for fact in facts if fact.choices]
    common = [c for c in (lists[0] if lists else ()) if all(c in other for other in lists[1:])]
    common = [c for c in common if isinstance(c, str) or both.allows(c)]
    low, high = max(both.low, both.above), min(both.high, both.below)
    is_empty = low > high or (low == high and not both.allows(low))
    if is_empty or (lists and not common):
        raise ContradictionError(f"The words contradict themselves: {_quoted(facts)}.")
    return replace(both, choices=tuple(common))


def _quoted(facts: Sequence[Fact]) -> str:
    return " and ".join(repr(fact.words) for fact in facts)


# --- which parameter is meant ----------------------------------------------------------------


def names_meant(fact: Fact, names: Sequence[str], *, guess: bool = False) -> list[str]:
    """Return the parameters that the words around a fact name; none if that is not clear.

    Args:
        fact:
            The fact.
        names:
            All names.
        guess:
            Whether "size" alone, which may mean any of several sizes, is clear enough if there is
            one name only with it.
    """
    for subject in (fact.before, fact.after):
        by_name = {name: tokens(name) for name in names}
        equal = [name for name, own in by_name.items() if own and own == subject]
        inside = [name for name, own in by_name.items() if own and own <= subject]
        # "learning rate and dropout": the longest name is meant.
        longest = max((len(by_name[name]) for name in inside), default=0)
        inside = [name for name in inside if len(by_name[name]) == longest]
        is_clear = bool(subject if guess else subject - _GENERIC)
        around = [name for name, own in by_name.items() if is_clear and subject <= own]
        for found in (equal, inside, around):
            if found:
                return found if found is equal or len(found) == 1 else []
    return []


_GENERIC = frozenset(
    ("size", "rate", "ratio", "step", "weight", "factor", "dim", "scale", "model")
)


def tokens(text: str) -> frozenset[str]:
    """Return the words of a name or a phrase that say what is meant, in the singular."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", text).lower()
    for pattern, english in patterns.PHRASES:
        text = pattern.sub(f" {english} ", text)
    words = re.findall(r"[^\W_]+", text)
    singular = (_singular(w) for w in words)
    return frozenset(w for w in singular if w not in patterns.STOP and not w.isdigit())


def _singular(word: str) -> str:
    if word.endswith(("ches", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] != "s" else word


# Parameters whose possible values are known: words, lowest, highest value, and whether the
# lowest is excluded.
_DOMAINS = (
    (frozenset({"learning", "rate"}), 0.0, math.inf, True),
    (frozenset({"dropout"}), 0.0, 1.0, False),
    (frozenset({"subsample"}), 0.0, 1.0, True),
    (frozenset({"warmup", "ratio"}), 0.0, 1.0, False),
    (frozenset({"momentum"}), 0.0, 1.0, False),
    (frozenset({"label", "smoothing"}), 0.0, 1.0, False),
    (frozenset({"weight", "decay"}), 0.0, math.inf, False),
    (frozenset({"batch", "size"}), 1.0, math.inf, False),
    (frozenset({"epoch"}), 0.0, math.inf, True),
    (frozenset({"layer"}), 0.0, math.inf, False),
    (frozenset({"tree"}), 1.0, math.inf, False),
    (frozenset({"estimator"}), 1.0, math.inf, False),
)


def within_domain(fact: Fact, subject: frozenset[str]) -> None:
    """Check bounds against what a parameter can be at all.

    Raises:
        ContradictionError: No value of the parameter lies within the bounds.
    """
    for words, low, high, excluded in _DOMAINS:
        if not words <= subject or fact.choices:
            continue
        factor = 0.01 if fact.percent else 1.0
        top = factor * min(fact.high, fact.below)
        bottom = factor * max(fact.low, fact.above)
        if top < low or (top == low and excluded) or bottom > high:
            end = f"to {exact(high)}" if high < math.inf else "upwards"
            begin = f"above {exact(low)}" if excluded else f"from {exact(low)}"
            name = " ".join(w for w in ("batch", "learning", "weight") if w in words)
            name = " ".join([name, *sorted(words - set(name.split()))]).strip()
            raise ContradictionError(f"{fact.words!r} is impossible: {name} goes {begin} {end}.")


# --- reading ----------------------------------------------------------------------------------


def _normalized(text: str) -> str:
    """Write digits of any script and full-width marks as ASCII has them."""
    text = unicodedata.normalize("NFKC", text.replace("²", "").replace("…", "..."))
    digits = (unicodedata.decimal(c, None) for c in text)
    text = "".join(c if d is None else str(d) for c, d in zip(text, digits, strict=True))
    for pattern in patterns.COUNT_WORDS:
        text = pattern.sub(lambda m: f"{m['head']}{patterns.COUNTS[m['count'].lower()]}", text)
    return text


def _value(text: str) -> float:
    text = text.replace("−", "-").strip().rstrip("%").strip()
    factor = {"k": 1e3, "K": 1e3, "M": 1e6}.get(text[-1:], 1.0)
    text = text.rstrip("kKM").strip()
    sign = -1.0 if text.startswith("-") else 1.0
    text = text.lstrip("+-").replace("(", "").replace(")", "")
    base, power = text, "0"
    if match := re.fullmatch(r"10\s?(?:\^|\*\*)\s?([-+]?\d+)", text):
        base, power = "1", match[1]
    elif match := re.fullmatch(r"(.+?)\s?[x×*·]\s?10\s?(?:\^|\*\*)?\s?([-+]?\d+)", text):
        base, power = match[1], match[2]
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", base):
        base = base.replace(",", "")
    # One reading of the text, so that 5 × 10^-6 is the float 5e-6.
    number = float(
        f"{base.replace(',', '.')}e{int(power)}" if power != "0" else base.replace(",", ".")
    )
    return sign * factor * number


def _fact(match: re.Match[str]) -> tuple[Fact | None, int]:
    """Return the fact of a match, without its subject, and where it ends."""
    found = {k: v for k, v in match.groupdict().items() if v}
    end = match.end()
    fact = Fact(plain(match[0], 100).strip(), percent="%" in match[0])
    for low, high in (("low", "high"), ("left", "right"), ("bare_low", "bare_high")):
        if low in found:
            first, second = _value(found[low]), _value(found[high])
            if _is_unclear(match[0], found[low], found[high]):
                return None, end
            return fact.bounded(low=min(first, second), high=max(first, second)), end
    if "low_first" in found:
        ends = {
            "above" if found["op1"] == "<" else "low": _value(found["low_first"]),
            "below" if found["op2"] == "<" else "high": _value(found["high_last"]),
        }
        return replace(fact, before=tokens(found["name"])).bounded(**ends), end
    if match["or_list"] is not None or "one_of" in found or "brace" in found:
        return _choices(match)
    singles = {
        "at_least": "low",
        "or_more": "low",
        "at_most": "high",
        "or_less": "high",
        "at_most_after": "high",
        "above": "above",
        "below": "below",
    }
    for group, bound in singles.items():
        if group in found:
            return fact.bounded(**{bound: _value(found[group])}), end
    value = _value(found["exactly"])
    return fact.bounded(low=value, high=value), end


def _is_unclear(words: str, first: str, second: str) -> bool:
    """Tell whether the ends of a range may be in different units: "10 to 50k", "1 MB to 2 GB"."""
    units = patterns.UNIT.findall(words)
    if len(units) == 2 and units[0] != units[1]:
        return True
    return first.strip()[-1].isdigit() and second.strip()[-1] in "kKM"


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


def _with_subject(
    fact: Fact,
    text: str,
    span: tuple[int, int],
    spans: Sequence[tuple[int, int]],
    facts: Sequence[Fact],
) -> Fact:
    if fact.before:
        return fact
    begin = max((b for _, b in spans if b <= span[0]), default=0)
    if facts and not facts[-1].before:  # the words after the fact before this one are about that
        begin += len(_phrase_after(text, begin))
    head = text[max(begin, span[0] - 120) : span[0]]
    cuts = [cut.end() for cut in patterns.CUT.finditer(head)]
    phrase = head[cuts[-1] :] if cuts else head
    # "PPO on a robot: the learning rate from"
    parts = [part for part in phrase.split(":") if part.strip()] or [""]
    before = tokens(" ".join(parts[-1].split()[-6:]))
    after = tokens(" ".join(_phrase_after(text, span[1]).split()[:5]))
    if not before and not after and facts:
        previous = facts[-1]
        return replace(fact, before=previous.before, after=previous.after)
    return replace(fact, before=before, after=after)


def _phrase_after(text: str, end: int) -> str:
    """Return what follows a fact and may be its subject: "for the learning rate", "layers"."""
    tail = patterns.CUT.split(text[end : end + 60], maxsplit=1)[0]
    head = patterns.FOR.match(tail)
    begin = head.end() if head else 0
    return tail[:begin] + patterns.OF.split(tail[begin:], maxsplit=1)[0]


def _unread(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[str]:
    found = re.compile(rf"{patterns.NUMBER}(?:\s?[^\W\d_]+)?").finditer(text)
    loose = (m for m in found if not any(a < m.end() and m.start() < b for a, b in spans))
    for i, match in enumerate(loose):
        if i == _MAX_UNREAD:
            return
        yield plain(match[0], 40)


def facts_as_text(facts: Sequence[Fact]) -> Mapping[int, str]:
    """Write each fact in words, by its number from 1."""
    return {i: _in_words(fact) for i, fact in enumerate(facts, start=1)}


def _in_words(fact: Fact) -> str:
    if fact.choices:
        return "one of " + ", ".join(c if isinstance(c, str) else exact(c) for c in fact.choices)
    unit = " %" if fact.percent else ""
    names = {"low": "at least", "high": "at most", "above": "more than", "below": "less than"}
    parts = (
        f"{words} {exact(value)}{unit}"
        for name, words in names.items()
        if math.isfinite(value := getattr(fact, name))
    )
    return ", ".join(parts)
