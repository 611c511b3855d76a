"""Clean text from outside (models, users, other workers) for the place where it is shown."""

from __future__ import annotations

import math
import re


# Markdown's markup within a line, and at its beginning.
_INLINE = re.compile(r"([\\`*_\[\]<>|~$&])")
_OPENING = re.compile(r"^(#+|[+\-]|-+|=+|\d+[.)])(?=\s|$)")
# GFM turns bare addresses into links, even where their punctuation is escaped.
_LINK = re.compile(r"(\w:(?=//)|www(?=\.)|\w(?=@))", re.IGNORECASE)
# A zero-width space.
_BREAK = "\u200b"
# Stands for a value that is missing.
NOTHING = "–"
MAX_WHY_CHARS = 140  # optuna-dashboard's trial page does not wrap


def printable(text: str, keep: str = "") -> str:
    """Replace each character that cannot be printed by a space, except those in ``keep``."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)


def plain(text: object, limit: int = 200) -> str:
    """Return one printable line: no control characters, no terminal escapes, no line breaks.

    Args:
        text:
            Any object; it is converted to a string.
        limit:
            Most characters of the result.
    """
    cut = str(text)[: 4 * limit].encode("utf-8", "replace").decode("utf-8")
    line = " ".join(printable(cut).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def one_line(value: object, limit: int) -> str:
    """Return a string as one printable line, and any other object as an empty one."""
    return plain(value, limit) if isinstance(value, str) else ""


def markdown(text: object, limit: int = 200) -> str:
    """Return one line without markup and links of Markdown."""
    line = _INLINE.sub(r"\\\1", plain(text, limit))
    line = _OPENING.sub(lambda m: _BREAK + m[0], line)
    return _LINK.sub(lambda m: m[0] + _BREAK, line)


def html(text: object, limit: int = 200) -> str:
    """Return one line without markup of HTML, for elements and attributes."""
    from html import escape  # with a table of entities: too much for `import optuna_llm_sampler`

    return escape(plain(text, limit), quote=True)


def hover(text: object, limit: int = 200, width: int = 60) -> str:
    """Return lines of text without markup of plotly, which reads some tags of HTML."""
    from html import escape

    words = plain(text, limit).split(" ")
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(escape(line, quote=False) for line in lines)


def number(value: float | None, digits: int = 5) -> str:
    """Write a number with a few significant digits."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{value:.{digits}g}"


def count(value: int | None) -> str:
    """Write a count; :obj:`None` is unknown, not zero."""
    return "unknown" if value is None else f"{value:,}"


def plural(n: int, word: str) -> str:
    """Write a count with its noun: ``"1 trial"``, ``"1,200 trials"``."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def seconds(value: float) -> str:
    """Write a duration: ``"0.4 s"``, ``"38 s"``, ``"4 min 10 s"``."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes:,} min {rest} s"
