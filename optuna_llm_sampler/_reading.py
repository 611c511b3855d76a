"""From the text of an answer to plain objects: JSON, JSON in prose or fences, Python's ``dict``.

The text is data: nothing is evaluated, and every step is linear in its length. Regular expressions
that search for the whole form took minutes for one hostile answer; so there is one pass that cuts
the text into tokens, and one over the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import json
import math
import re
from typing import Any

from ._choices import MAX_DIGITS


MAX_ANSWER_CHARS = 200_000
# What failed attempts to read JSON may cost in all, in characters looked at.
_MAX_WORK = 100 * MAX_ANSWER_CHARS
# What an attempt costs that ends at Python's recursion limit: a few milliseconds.
_DEEP_WORK = 1_000_000
_LISTS = ("configs", "configurations", "suggestions")


def read(text: str) -> Mapping[str, Any] | None:
    """Find what can be an answer in a text.

    Args:
        text:
            No longer than :data:`MAX_ANSWER_CHARS`; what is beyond is not read.

    Returns:
        The first JSON object with a list of configurations, else all objects as such a list, else
        :obj:`None`. Of an answer that was cut, the objects that are whole are found.
    """
    text = text[:MAX_ANSWER_CHARS]
    found: list[Mapping[str, Any]] = []
    for value in _json_values(text):
        if isinstance(value, list):
            found.extend(item for item in value if isinstance(item, Mapping) and item)
        elif _list_of(value) is not None:
            return value
        elif value:
            found.append(value)
    found = found or list(_flat_dicts(text))
    return found[0] if len(found) == 1 else {"configs": found} if found else None


def items(answer: Mapping[str, Any]) -> list[Any]:
    """Return the configurations in what :func:`read` found, of whatever types they are."""
    listed = _list_of(answer)
    return [answer] if listed is None else listed


def _list_of(answer: Mapping[str, Any]) -> list[Any] | None:
    for key in _LISTS:
        listed = answer.get(key)
        if isinstance(listed, list):
            return listed
    return None


# --- JSON -----------------------------------------------------------------------------------


def _json_values(text: str) -> Iterator[list[Any] | dict[str, Any]]:
    """Read JSON wherever it begins, outermost first, within a bounded amount of work."""
    decoder = json.JSONDecoder(parse_int=_parse_int)
    position, work = 0, 0
    while work < _MAX_WORK and (start := _BEGIN.search(text, position)):
        position = start.start()
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            # The error counts lines, from the beginning of the text to its place. The place of an
            # unterminated string is where it begins, but it was read to the end of the text.
            work += error.pos + len(text) * error.msg.startswith("Unterminated")
            position += 1
        except RecursionError:
            work += _DEEP_WORK
            position += 1
        else:
            yield value


# Whatever else is in brackets, in prose or in formulas, is not tried.
_BEGIN = re.compile(r"\{(?=\s*\")|\[(?=\s*\{)")


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


# --- Python ---------------------------------------------------------------------------------

# A backslash takes the character after it along, in a string and outside, so that no quote is
# tried as the beginning of a string twice: that would be quadratic.
_TOKEN = re.compile(
    r"""(?P<text>"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')"""
    r"""|(?P<word>(?:[^\s"'\\(){}\[\],:=]+|\\.)+)"""
    r"""|(?P<mark>[(){}\[\],:="'])"""
)
_NUMBER = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WORDS = {"None": None, "null": None, "True": True, "true": True, "False": False, "false": False}


def _flat_dicts(text: str) -> Iterator[dict[str, Any]]:
    """Read ``dict(a=1, b="x")`` and ``{'a': 1, b: True}``; of nested ones, the innermost."""
    pairs: dict[str, Any] | None = None
    key, value, armed, last = "", "", False, ""
    for token in _TOKEN.finditer(text):
        mark = token["mark"]
        if pairs is not None and value:
            pairs[_unquoted(key)] = _literal(value)
        if mark is None:
            key, value = (key, token[0]) if armed else (token[0], "")
            armed = False
        elif mark in ":=":
            armed, value = bool(key) and not value, ""
        else:
            key, value, armed = "", "", False
            if mark in "{}()":
                if pairs:
                    yield pairs
                pairs = {} if mark == "{" or (mark == "(" and last == "dict") else None
        last = token[0]
    if pairs is not None and value.endswith(("'", '"')):
        # A number at the very end of the text may be half of one: 12 of 128.
        pairs[_unquoted(key)] = _literal(value)
    if pairs:
        yield pairs


def _literal(token: str) -> Any:
    """Return what a token means. Not by :func:`ast.literal_eval`, which warns of odd escapes."""
    if token[0] in "\"'":
        return _unquoted(token)
    if token in _WORDS:
        return _WORDS[token]
    if len(token) > MAX_DIGITS or not _NUMBER.fullmatch(token):
        return token
    try:
        return int(token)
    except ValueError:
        return _float(token)


def _float(token: str) -> float | str:
    try:
        return float(token)
    except ValueError:  # underscores where none may be
        return token


def _unquoted(token: str) -> str:
    if token[0] not in "\"'":
        return token
    return _ESCAPE.sub(_unescaped, token[1:-1])


# Characters beyond the first 65,536 are two escapes in JSON, which belong together.
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\x[0-9a-fA-F]{2}|\\.")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _unescaped(match: re.Match[str]) -> str:
    escape = match[0]
    if escape[1] == "u" and len(escape) > 2:
        return str(json.loads(f'"{escape}"'))
    if escape[1] == "x" and len(escape) > 2:
        return chr(int(escape[2:], 16))
    if escape[1] in "\"'\\/":
        return escape[1]
    return _ESCAPED.get(escape[1], escape)
