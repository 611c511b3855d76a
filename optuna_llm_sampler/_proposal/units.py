"""Units of storage and of time, in words and in names of parameters."""

from __future__ import annotations

import re


# How many of the smallest unit each has. Storage in powers of 1024, as databases count it.
_STORAGE = {"b": 1.0, "kb": 2.0**10, "mb": 2.0**20, "gb": 2.0**30, "tb": 2.0**40}
_TIME = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9, "min": 6e10, "h": 3.6e12, "day": 8.64e13}
_OTHER = {"hz": 1.0}, {"px": 1.0}
_SPELLINGS = {
    "b": "bytes? octets?",
    "kb": "kib kilobytes?",
    "mb": "mib megabytes? mo",
    "gb": "gib gigabytes? go",
    "tb": "tib terabytes?",
    "us": "µs microseconds? usec",
    "ms": "msec milliseconds? millis millisekunden? millisecondes? milisegundos? мс",
    "s": "secs? seconds? sekunden? secondes? segundos? secondi? сек",
    "min": "mins minutes? minuten? minutos? minut[oi] мин",
    "h": "hrs? hours? stunden? heures? horas? or[ae]",
    "day": "days tage? jours? días? giorn[oi]",
    "hz": "hertz",
    "px": "pixels?",
}
_UNITS = {
    unit: re.compile("|".join([unit, *_SPELLINGS.get(unit, "").split()]))
    for unit in (*_STORAGE, *_TIME, "hz", "px")
}
# Words that mean something else in a name, except at its end: "min_samples".
_ONLY_LAST = ("b", "s", "min", "h", "day", "go", "mo", "or", "ora")
AFTER = re.compile(r"\s?([^\W\d_]+)")


def unit_of(word: str) -> str:
    """Return a unit as it is spelt here; empty if the word is none."""
    word = word.lower().replace("μ", "µ")
    return next((unit for unit, pattern in _UNITS.items() if pattern.fullmatch(word)), "")


def unit_in_name(name: str) -> str:
    """Return the unit that a parameter's name tells: ``work_mem_mb``; empty if it tells none."""
    words = [word for word in re.split(r"[\W_]+", name.lower()) if word]
    found = [unit_of(word) for word in words[:-1] if word not in _ONLY_LAST]
    return next(filter(None, [*map(unit_of, words[-1:]), *found]), "")


def ratio(unit: str, other: str) -> float | None:
    """Return how many of the other unit one has; :obj:`None` if they measure different things."""
    for table in (_STORAGE, _TIME, *_OTHER):
        if unit in table and other in table:
            return table[unit] / table[other]
    return None
