"""Which parameter the words around a bound name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import re

from . import patterns
from .fact import Fact


# What alone may mean any of several parameters.
_GENERIC = frozenset(
    ("size", "rate", "ratio", "step", "weight", "factor", "dim", "scale", "model")
)
# Words that make a name mean another quantity than the one it mentions: "alpha_over_rank",
# "log2_features", "learning_rate_decay".
_DERIVED = frozenset(
    ("over", "per", "ratio", "fraction", "share", "decay", "schedule", "scheduler", "multiplier")
    + ("log", "log2", "log10", "ln", "exp", "exponent", "power", "kind", "type")
)


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
        around = [
            name
            for name, own in by_name.items()
            if is_clear and subject <= own and not _DERIVED & (own - subject)
        ]
        for found in (equal, inside, around):
            if found:
                return found if found is equal or len(found) == 1 else []
    return []


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


def with_subject(
    fact: Fact,
    text: str,
    span: tuple[int, int],
    spans: Sequence[tuple[int, int]],
    facts: Sequence[Fact],
) -> Fact:
    """Return a fact with the words around it that may name its parameter.

    Args:
        fact:
            The fact; if it has a subject, that stays.
        text:
            All words.
        span:
            Where in them the fact stands.
        spans:
            Where others stand.
        facts:
            The facts before this one.
    """
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
    after = tokens(" ".join(_phrase_after(text, span[1]).split()[:5]))
    before, further = _said_before(parts[-1])
    if not before and not after:
        before = further
    if not before and not after and facts:
        return replace(fact, before=facts[-1].before, after=facts[-1].after)
    return replace(fact, before=before, after=after)


def _said_before(phrase: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return what a phrase before a fact says of it, and what it may say if nothing else does.

    A number in the phrase has its own subject: "batch size 32 took", "4500 ratings", but "beta 1".
    """
    *earlier, clause = patterns.CLAUSE.split(phrase)
    *others, last = patterns.OTHER_NUMBER.split(clause)
    found = tokens(" ".join(last.split()[-6:]))
    if not found and not others and earlier:  # "a learning rate that is at most"
        found = tokens(" ".join(earlier[-1].split()[-6:]))
    return found, tokens(" ".join(others[-1].split()[-6:])) if others else frozenset()


def _phrase_after(text: str, end: int) -> str:
    """Return what follows a fact and may be its subject: "for the learning rate", "layers"."""
    tail = patterns.CUT.split(text[end : end + 60], maxsplit=1)[0]
    head = patterns.FOR.match(tail)
    begin = head.end() if head else 0
    return tail[:begin] + patterns.OF.split(tail[begin:], maxsplit=1)[0]
