"""Check a model's text about a study: find numbers and names that are not among the facts.

A number is accepted only if the facts contain it: an importance or a range together with its
parameter, the best value in a sentence that names no parameter. Undecidable cases are rejected,
because the reader could not decide them either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import re
from typing import TypeAlias

from .facts import Facts, ParamFacts


_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")
_PERCENT = re.compile(r"\s?(?:%|per ?cent\b)")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
# What is between code marks, and words with an underscore.
_IDENTIFIER = re.compile(r"`([^`]+)`|\b([A-Za-z]\w*_\w+)")
_OF_TRIALS = re.compile(r"\s*(?:\w+\s+)?trials?\b", re.IGNORECASE)
_AFTER_TRIALS = re.compile(r"\btrials:?\s*$", re.IGNORECASE)
_AFTER_TRIAL = re.compile(r"\btrial(?:\s+(?:number|no\.?))?\s*#?\s*$", re.IGNORECASE)
_FIRST_PLACE = re.compile(
    r"(?<!second )(?<!next )(?<!of )the most important (?:hyper)?parameter\b", re.IGNORECASE
)
# Words that a sentence with the best value may have, and words of goals that say nothing.
_CUES = {"score", "trial", "objective"}
_NO_CUES = {"maximize", "minimize", "the", "value"}
_PARAMETER = re.compile(r"parameter", re.IGNORECASE)
_IMPORTANCE, _SEARCHED, _REGION = "importance", "searched", "region"
# Words that a sentence needs to give a number of this kind.
_SPEAKS_OF = {
    _IMPORTANCE: re.compile(r"importan|share", re.IGNORECASE),
    _SEARCHED: re.compile(r"search|explor|bound|limit", re.IGNORECASE),
}


@dataclass(frozen=True)
class _Said:
    """A number in a sentence."""

    text: str  # the number as it is written
    per_cent: bool  # whether a percent sign follows
    # Its position.
    start: int
    end: int
    since: int  # where the number before it ends

    def is_(self, known: str | float) -> bool:
        """Return whether it is a known number, or that number rounded to two or more digits."""
        value, other = _value(self.text), _value(known) if isinstance(known, str) else known
        if self.per_cent:
            value /= 100
        digits = len(re.sub(r"[eE].*|\D", "", self.text).lstrip("0"))
        near = float(f"{other:.{digits}g}") if digits >= 2 else other
        return abs(value - near) <= 1e-9 * abs(near) or value == other


# A parameter that a sentence names, and the position of its name.
_Named: TypeAlias = tuple[ParamFacts, int]


def wrong_claims(paragraphs: Sequence[str], known: Facts) -> list[str]:
    """Return a short reason for each wrong claim of a text."""
    wrong: list[str] = []
    last: ParamFacts | None = None
    for paragraph in paragraphs:
        for sentence in _SENTENCE_END.split(_LIST_MARK.sub("", paragraph)):
            named, rest = _names(sentence, known)
            wrong += _strange_names(rest, known)
            subjects = {param.param: param for param, _ in named}
            if len(subjects) == 1:
                (last,) = subjects.values()
            elif subjects:
                last = None
            first = known.params[0] if known.params else None
            if _FIRST_PLACE.search(sentence) and first and first.param not in subjects:
                wrong.append(f"the most important parameter is {first.param}")
            wrong += _misplaced(rest, named, last, known)
    return list(dict.fromkeys(wrong))


def _names(sentence: str, known: Facts) -> tuple[list[_Named], str]:
    """Return the parameters that are named, and the sentence with their names blanked."""
    found = []
    for param in sorted(known.params, key=lambda p: -len(p.param)):
        words = [re.escape(word) for word in re.split(r"[\s_\-]+", param.param) if word]
        pattern = r"(?<!\w)" + r"[\s_-]*".join(words) + r"(?!\w)"
        flags = re.IGNORECASE if len(param.param) > 2 else 0
        for match in list(re.finditer(pattern, sentence, flags)) if words else ():
            found.append((param, match.start()))
            blank = " " * len(match[0])
            sentence = sentence[: match.start()] + blank + sentence[match.end() :]
    return sorted(found, key=lambda name: name[1]), sentence


def _strange_names(rest: str, known: Facts) -> list[str]:
    """Return what looks like a parameter and is none in a sentence without the real names."""
    facts = " ".join([*known.goals, *(f"{p.searched} {p.region}" for p in known.params)]).lower()
    names = (a or b for a, b in _IDENTIFIER.findall(rest))
    return [
        f"{name!r} is not a parameter"
        for name in (name.strip() for name in names)
        if name and not _NUMBER.fullmatch(name) and name.lower() not in facts
    ]


def _numbers(rest: str) -> Iterator[_Said]:
    since = 0
    for match in _NUMBER.finditer(rest):
        per_cent = _PERCENT.match(rest, match.end()) is not None
        yield _Said(match[0], per_cent, match.start(), match.end(), since)
        since = match.end()


def _misplaced(
    rest: str, named: Sequence[_Named], last: ParamFacts | None, known: Facts
) -> list[str]:
    """Return the numbers of a sentence that do not belong to what it is about."""
    numbers = [n for n in _numbers(rest) if not _is_of_the_study(n, rest, bool(named), known)]
    if not named:
        wrong = [n for n in numbers if last is None or not _belongs(n, rest, last)]
        return [_reason(n, last) for n in wrong]
    # In one sentence, either all names precede their numbers or all follow them.
    readings = []
    for before in (True, False):
        owners = [_owner(number, named, before=before) for number in numbers]
        pairs = list(zip(numbers, owners, strict=True))
        readings.append([_reason(n, p) for n, p in pairs if not _belongs(n, rest, p)])
    return min(readings, key=len)


def _owner(number: _Said, named: Sequence[_Named], *, before: bool) -> ParamFacts:
    """Return the parameter whose name is the nearest one before or after a number."""
    if before:
        return next((p for p, start in reversed(named) if start < number.start), named[0][0])
    return next((p for p, start in named if start > number.start), named[-1][0])


def _is_of_the_study(number: _Said, rest: str, has_names: bool, known: Facts) -> bool:
    """Return whether a number is the best value, its trial, or a number of trials."""
    if number.per_cent:
        return False
    if known.best is not None and _AFTER_TRIAL.search(rest, 0, number.start):
        return number.is_(known.best.number)
    if _OF_TRIALS.match(rest, number.end) or _AFTER_TRIALS.search(rest, 0, number.start):
        return any(number.is_(n) for n in (known.n_complete, known.n_good))
    if known.best is None or has_names or _PARAMETER.search(rest):
        return False
    words, cues = _words(rest), _words(*known.goals) - _NO_CUES | _CUES
    # A part of a name may stand for the name: "the best number of units is .89".
    if words & (_words(*(p.param for p in known.params)) - cues) or not words & cues:
        return False
    return any(number.is_(value) for value in known.best.values)


def _words(*texts: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", " ".join(texts).lower()))


def _belongs(number: _Said, rest: str, param: ParamFacts) -> bool:
    """Return whether a number is a fact about a parameter and the sentence says which."""
    facts = {_IMPORTANCE: param.importance, _SEARCHED: param.searched, _REGION: param.region}
    if number.per_cent or "importance" in rest[number.since : number.start].lower():
        facts = {_IMPORTANCE: param.importance}
    return any(
        any(number.is_(match[0]) for match in _NUMBER.finditer(text))
        and (kind not in _SPEAKS_OF or _SPEAKS_OF[kind].search(rest) is not None)
        for kind, text in facts.items()
    )


def _reason(number: _Said, param: ParamFacts | None) -> str:
    text = number.text + " %" * number.per_cent
    return f"{text} is not a fact about {param.param}" if param else f"{text} is not a fact"


def _value(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))
