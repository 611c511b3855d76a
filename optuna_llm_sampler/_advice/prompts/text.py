"""Text from outside (users, trials, models) made safe in a prompt, and cut to fit."""

from __future__ import annotations

from collections.abc import Sequence
import json
import re
from typing import Any

from optuna.distributions import CategoricalDistribution

from ..._study.space import labels, SearchSpace
from ..._text import printable


# Marks of chat templates such as ``<|im_end|>``, also nested ones.
_MARK = re.compile(r"<+\|+|\|+>+")
_SPECIAL = re.compile(r"<(?=\|)|(?<=\|)>|`{3,}")
# Choices that are shown of one parameter, and characters of the shown choices of all parameters.
_MAX_CHOICES = 60
_MAX_CHOICE_CHARS = 3_000


def json_text(value: Any) -> str:
    """Write JSON with letters beyond ASCII as they are."""
    return escape(json.dumps(value, ensure_ascii=False))


def escape(literal: str) -> str:
    """Escape what would end a line, a fence or a turn, within a literal of JSON or Python."""
    text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in literal)
    return _SPECIAL.sub(lambda match: "".join(f"\\u{ord(c):04x}" for c in match[0]), text)


def quote(value: Any) -> str:
    """Write JSON that cannot close a tag around it."""
    return json_text(value).replace("<", "\\u003c").replace(">", "\\u003e")


def fence(text: str) -> str:
    """Keep a text from closing the tags around it."""
    return (
        printable(text, keep="\n\t").strip().replace("<", "‹").replace(">", "›").replace("```", "")
    )


def comment(text: str) -> str:
    """Write one line without code fences and marks of chat templates."""
    line = " ".join(printable(text).split())
    return _MARK.sub(lambda mark: mark.group().replace("|", ""), line).replace("```", "")


def fitted(rows: Sequence[str], max_chars: int) -> list[str]:
    """Drop rows from the first half until the others fit; the last rows are the best."""
    kept = list(rows)
    while len(kept) > 1 and sum(map(len, kept)) > max_chars:
        del kept[len(kept) // 3]
    return kept


def n_choices_shown(space: SearchSpace, *, once: bool = False) -> int:
    """Return how many choices of each parameter are shown.

    Args:
        space:
            The parameters.
        once:
            Whether choices that parameters share are written once.
    """
    choices = [labels(d) for d in space.values() if isinstance(d, CategoricalDistribution)]
    choices = list(set(choices)) if once else choices
    n = _MAX_CHOICES
    while n > 2 and sum(len(c) + 4 for names in choices for c in names[:n]) > _MAX_CHOICE_CHARS:
        n = n * 2 // 3
    return n
