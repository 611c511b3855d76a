"""Find objects in any text: JSON, Python's literals and ``dict`` calls, also within prose.

The text is data: nothing is evaluated, and every step is linear in its length. One reader takes
JSON and Python alike and forgives what models get wrong: comments, missing or trailing commas,
single quotes, bare words, wrong or missing brackets at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import json
import math
import re
from typing import Any, NamedTuple

from .._study.labels import MAX_DIGITS


_MAX_DEPTH = 50
_MAX_RAW_CHARS = 300
_MAX_FLOAT_CHARS = 1_000

# Where an object can begin. Other brackets, in prose or in formulas, begin none.
_BEGIN = re.compile(
    r"""\{(?=\s*(?:["'{#/]|[\w.-]+\s*[:=]))"""
    r"""|\[(?=\s*(?:[{\[(#/]|dict\())"""
    r"""|(?<=\w)\((?=\s*(?:\#|[^\W\d]\w*\s*=))"""
)
# A backslash takes the character after it along, in a string and outside, so that no quote is
# tried as the beginning of a string twice: that would be quadratic. A string with line breaks
# ends only where a string can end.
_TOKEN = re.compile(
    r"""(?P<text>"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"""
    r"""|"[^"\\]*(?:\\.[^"\\]*)*"(?=\s*[,:}\])]))"""
    r"""|(?P<open>[{\[(])|(?P<close>[}\])])|(?P<comma>,)|(?P<mark>[:=])"""
    r"""|(?P<comment>//[^\n]*|\#[^\n]*|/\*.*?(?:\*/|\Z))"""
    r"""|(?P<word>(?:[^\s"'\\(){}\[\],:=\#/]+|/(?![/*])|\\.|(?<=[^\W\d_])'(?=[^\W\d_]))+)"""
    r"""|(?P<quote>["'\\])""",
    re.DOTALL,
)
_CLOSERS = {"{": "}", "[": "]", "(": ")"}
# Python's and numpy's, as in np.float64(0.1), tuple([1, 2]).
_CASTS = re.compile(r"(?:np\.|numpy\.)?(?:int|float|str|bool|tuple|list|set)_?\d*")


class Part(NamedTuple):
    """A word, a string, a mark or a bracket with all that is in it, and where it stands."""

    kind: str
    value: Any
    begin: int
    end: int


def find(text: str) -> tuple[list[Part], Any, int]:
    """Find the objects of a text.

    Returns:
        The whole objects, the value of the one that the text ends in the middle of (or
        :obj:`None`), and how many objects without an end were left out of it.
    """
    reader = _Reader(text)
    position = 0
    while start := _BEGIN.search(text, position):
        position = reader.read(start.start())
        if position < 0:
            break
    rest, cut = reader.rest()
    return reader.found, rest, cut


def literal(text: str) -> Any:
    """Read a text that is one object, list or tuple and nothing else; else return the text."""
    stripped = text.strip()
    if stripped[:1] in ("{", "[", "("):
        reader = _Reader(stripped)
        if reader.read(0) == len(stripped) and len(reader.found) == 1:
            return reader.found[0].value
    return text


def unquoted(text: str) -> str:
    """Return what a string literal means, if the text is one and nothing else."""
    string = _TOKEN.match(text.strip())
    if string and string["text"] and string[0] == text.strip():
        return _string(string[0])
    return text


@dataclass(slots=True)
class _Frame:
    """A bracket that is open."""

    closer: str
    begin: int
    called: bool  # whether a word stands right before it, as in `dict(`
    pairs: dict[str, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)
    key: str | None = None  # the key whose value is being read
    atoms: list[Part] = field(default_factory=list)  # what has come since the last comma or colon
    comma: bool = False
    # The objects in it, in case that it never ends.
    children: list[Part] = field(default_factory=list)

    def flush(self, text: str) -> None:
        """End a pair or an item."""
        atoms, self.atoms = self.atoms, []
        key, self.key = self.key, None
        if not atoms:
            if key is not None:
                self.pairs[key] = ""  # counted as no number, later
            return
        mappings = [atom.value for atom in atoms if isinstance(atom.value, Mapping)]
        if key is None:
            self.items += mappings or [_value(text, atoms)]
        elif len(mappings) > 1:
            self.pairs[key] = mappings
        else:
            self.pairs[key] = mappings[0] if mappings else _value(text, atoms)

    def mark(self, text: str, token: re.Match[str]) -> None:
        """Take a colon or an equals sign: what stands before is a key."""
        atoms = self.atoms
        if self.key is None and atoms:
            words = all(atom.kind == "word" for atom in atoms)
            self.key = _key(text, atoms[0] if words else atoms[-1], atoms[-1])
            self.atoms = []
        elif self.key is not None and len(atoms) > 1:  # a comma is missing
            last = atoms.pop()
            self.flush(text)
            self.key = _key(text, last, last)
        elif atoms:
            atoms.append(Part("mark", token[0], token.start(), token.end()))

    def value(self, text: str) -> Any:
        self.flush(text)
        if self.pairs:
            if any(isinstance(item, (Mapping, list)) for item in self.items):
                self.pairs.setdefault("", self.items)
            return self.pairs
        if self.closer == "}":
            return self.items or {}
        if self.closer == ")" and len(self.items) == 1 and not self.comma:
            return self.items[0]
        return self.items

    def drop_half(self, end: int) -> None:
        """Forget what the end of the text may have cut: 12 may be half of 128."""
        last = self.atoms[-1] if self.atoms else None
        is_half = last is None or last.kind == "mark" or (last.kind == "word" and last.end == end)
        if is_half or any(atom.kind == "quote" for atom in self.atoms):
            self.atoms, self.key = [], None


class _Reader:
    """Reads the objects of a text, one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.stack: list[_Frame] = []
        self.found: list[Part] = []

    def read(self, position: int) -> int:
        """Read one object from the bracket at a position on; return where it ends, or -1."""
        text, stack = self.text, self.stack
        previous = ("", -1)
        for token in _TOKEN.finditer(text, position):
            kind = token.lastgroup or ""
            if kind == "open":
                if len(stack) >= _MAX_DEPTH:
                    self.found += stack.pop(0).children
                called = previous == ("word", token.start())
                stack.append(_Frame(_CLOSERS[token[0]], token.start(), called))
            elif kind == "close":
                self._close(token)
                if not stack:
                    return token.end()
            elif kind == "comma":
                stack[-1].flush(text)
                stack[-1].comma = True
            elif kind == "mark":
                stack[-1].mark(text, token)
            elif kind != "comment":
                value = _string(token[0]) if kind == "text" else token[0]
                stack[-1].atoms.append(Part(kind, value, token.start(), token.end()))
            previous = (kind, token.end())
        return -1

    def _close(self, token: re.Match[str]) -> None:
        last = len(self.stack) - 1
        same = (i for i in range(last, -1, -1) if self.stack[i].closer == token[0])
        for _ in range(next(same, last), last + 1):
            self._pop(token.end())

    def _pop(self, end: int) -> None:
        frame = self.stack.pop()
        kind = "call" if frame.called else "frame"
        part = Part(kind, frame.value(self.text), frame.begin, end)
        if self.stack:
            self.stack[-1].atoms.append(part)
        if isinstance(part.value, (Mapping, list)):
            if self.stack:
                self.stack[-1].children.append(part)
            elif part.value:
                self.found.append(part)

    def rest(self) -> tuple[Any, int]:
        """Return what is in the brackets that are still open, and how many objects have no end."""
        if not self.stack:
            return None, 0
        whole = [*self.found, *(child for frame in self.stack for child in frame.children)]
        top = self.stack[-1]
        top.drop_half(len(self.text))
        cut = bool(top.pairs or top.key is not None) and len(whole) > len(self.found)
        self.found = []
        while self.stack:
            self._pop(len(self.text))
        rest = self.found[0].value if self.found else None
        self.found = whole
        return rest, int(cut)


def _key(text: str, first: Part, last: Part) -> str:
    return str(last.value) if last.kind == "text" else _raw(text, first, last)


def _raw(text: str, first: Part, last: Part) -> str:
    return text[first.begin : min(last.end, first.begin + _MAX_RAW_CHARS)]


def _value(text: str, atoms: list[Part]) -> Any:
    first, last = atoms[0], atoms[-1]
    if len(atoms) == 1:
        return _word(last.value) if last.kind == "word" else last.value
    if len(atoms) == 2 and last.kind == "call" and _CASTS.fullmatch(first.value):
        return last.value
    if all(atom.kind == "frame" for atom in atoms):
        return [atom.value for atom in atoms]
    return _raw(text, first, last)


_NUMBER = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAMED: dict[str, float | bool | None] = {
    **dict.fromkeys(("None", "null")),
    **dict.fromkeys(("True", "true"), True),
    **dict.fromkeys(("False", "false"), False),
    **dict.fromkeys(("NaN", "nan"), math.nan),
    **dict.fromkeys(("Infinity", "inf"), math.inf),
    **dict.fromkeys(("-Infinity", "-inf"), -math.inf),
}


def _word(token: str) -> Any:
    """Return what a word means. Not by :func:`ast.literal_eval`, which warns of odd escapes."""
    if token in _NAMED:
        return _NAMED[token]
    if len(token) > _MAX_FLOAT_CHARS or not _NUMBER.fullmatch(token):
        return token
    for number in (int, float) if len(token) <= MAX_DIGITS else (float,):
        try:
            return number(token)
        except ValueError:  # no integer, or underscores where none may be
            pass
    return token


def _string(token: str) -> str:
    inner = token[1:-1]
    return _ESCAPE.sub(_unescaped, inner) if "\\" in inner else inner


# Characters beyond the first 65,536 are two escapes in JSON, which belong together.
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\U[0-9a-fA-F]{8}|\\x[0-9a-fA-F]{2}|\\.", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}


def _unescaped(match: re.Match[str]) -> str:
    escape = match[0]
    if escape[1] == "u" and len(escape) > 2:
        return str(json.loads(f'"{escape}"'))
    if escape[1] in "xU" and len(escape) > 2:
        code = int(escape[2:], 16)
        return chr(code) if code < 0x110000 else escape
    if escape[1] in "\"'\\/":
        return escape[1]
    return _ESCAPED.get(escape[1], escape)
