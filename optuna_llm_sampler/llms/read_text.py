"""From the text of an answer to plain objects: JSON, Python's literals, ``dict`` calls, in prose.

The text is data: nothing is evaluated, and every step is linear in its length. There is one way of
reading, which takes JSON and Python alike and forgives what models get wrong: comments, missing or
trailing commas, single quotes, bare words, wrong or missing brackets at the end.

A text can hold several objects, and not all of them are the answer:

- What was said before the end of a thought (``</think>``, the final channel) is a draft.
- Objects form one answer, in their order, if nothing else stands between them than punctuation,
  fences, comments, the words before the object before (``params = dict(...)`` in each line), or
  the mark of a list (``2.``, ``- ``, ``Option 2:``).
- Any other words between two objects ("Corrected:") begin another answer. The last answer with a
  configuration that can be used counts, in a text that goes on from a beginning of ours the first.
- Objects that the text ends in the middle of count only if nothing else can be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set
from dataclasses import dataclass
from dataclasses import field
import json
import math
import re
from typing import Any

from .._study.labels import MAX_DIGITS


MAX_ANSWER_CHARS = 200_000
# Of the answers in one text, and of the objects in one of them, so many are looked at.
_MAX_ANSWERS = 8
_MAX_OBJECTS = 1_000
_MAX_DEPTH = 50
_MAX_STRINGS_DEEP = 3
_MAX_RAW = 300
_LISTS = ("configs", "configurations", "suggestions")
_NOT_INSIDE = ("prior", "note", "why")


@dataclass(frozen=True)
class Found:
    """What can be one answer.

    Attributes:
        values:
            Its objects and lists.
        cut:
            How many objects after them have no end and are left out.
    """

    values: tuple[Any, ...]
    cut: int = 0


@dataclass
class Content:
    """What :func:`unfold` finds in the objects of an answer.

    Attributes:
        items:
            The configurations, or what stands in their place.
        note:
            What stands next to them.
    """

    items: list[Any] = field(default_factory=list)
    note: Any = None


def read(text: str, *, begun: bool = False) -> list[Found]:
    """Find what can be an answer in a text, the most likely first.

    Args:
        text:
            No longer than :data:`MAX_ANSWER_CHARS`; what is beyond is not read.
        begun:
            Whether the text goes on from a beginning that the model was given. What it writes
            after that object is the rest of a script, no correction.
    """
    text = text[:MAX_ANSWER_CHARS]
    if text.lstrip()[:1] == '"':
        string = _TOKEN.match(text.strip())
        if string and string["text"] and string[0] == text.strip():
            text = _unquoted(string[0])  # the whole answer is JSON in a JSON string
    found: list[Found] = []
    for part in _thoughts(text)[: -_MAX_ANSWERS - 1 : -1]:
        objects, rest, cut = _objects(part)
        groups = _grouped(part, objects)
        whole = [Found(tuple(g), cut * (g is groups[-1])) for g in groups]
        found += whole if begun else whole[::-1]
        if rest:
            found.append(Found((rest,)))
    return found[:_MAX_ANSWERS]


def holds_object(text: str) -> bool:
    """Tell whether anything in a text that was cut is complete, after the last thought."""
    objects, _, _ = _objects(_thoughts(text[:MAX_ANSWER_CHARS])[-1])
    return any(one.value for one in objects)


def holds_end_of_thought(text: str) -> bool:
    """Tell whether a thought ends in a text."""
    return bool(_END_OF_THOUGHT.search(text))


def literal(text: str) -> Any:
    """Read a text that is one object, list or tuple and nothing else; else return the text."""
    stripped = text.strip()
    if stripped[:1] in ("{", "[", "(") and len(text) <= MAX_ANSWER_CHARS:
        reader = _Reader(stripped)
        if reader.read(0) == len(stripped) and len(reader.found) == 1:
            return reader.found[0].value
    return text


def unfold(values: tuple[Any, ...], names: Set[str]) -> Content:
    """Find the configurations in objects, whatever they are wrapped into.

    A configuration is the outermost object with the name of a parameter among its keys. Objects
    around it, lists, and texts that hold an object are opened, whatever they are called.
    """
    content = Content()
    for value in values:
        _unfold(value, names, content)
    return content


# --- which objects belong together -----------------------------------------------------------

_END_OF_THOUGHT = re.compile(
    r"</(?:think|thinking|thoughts?|reason|reasoning|analysis|reflection|scratchpad)>"
    r"|\[/THINK\]|◁/think▷|<\|channel\|>\s*final\b|\bassistantfinal(?=\W|json|dict)",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```\w*")
_REMARK = re.compile(r"(?<!#)#(?!#)[^\n]*|//[^\n]*")
_LIST_MARK = re.compile(r"[ \t]*(?:[-*•][ \t]|[#*_ \t]*(?:[^\W\d_]+[ \t]+)?\d+[*_]*[.):])")
_WORDS = re.compile(r"[^\W\d_]{2,}")


def _thoughts(text: str) -> list[str]:
    """Split a text where a thought ends, unless a string in an object says so."""
    ends = [match.span() for match in _END_OF_THOUGHT.finditer(text)]
    if not ends:
        return [text]
    objects = _objects(text)[0][::-1]
    parts, begin = [], 0
    for here, there in ends:
        while objects and objects[-1].end <= here:
            objects.pop()
        if not objects or here < objects[-1].begin:
            parts.append(text[begin:here])
            begin = there
    return [*parts, text[begin:]]


def _grouped(text: str, objects: list[_Object]) -> list[list[Any]]:
    groups: list[list[Any]] = []
    said: set[str] = set()
    position = 0
    for one in objects:
        between = _FENCE.sub(" ", text[position : one.begin])
        position = one.end
        line = between.rstrip().rpartition("\n")[2]
        words = set(_WORDS.findall(_REMARK.sub(" ", between).casefold()))
        if not groups or not (words <= said or _LIST_MARK.match(line)):
            groups.append([])
            said = set()
        if len(groups[-1]) < _MAX_OBJECTS:
            groups[-1].append(one.value)
        said |= set(_WORDS.findall(_REMARK.sub(" ", line).casefold()))
    return groups


# --- what is in them -------------------------------------------------------------------------


def _unfold(
    value: Any,
    names: Set[str],
    content: Content,
    *,
    listed: bool = False,
    why: Any = None,
    strings: int = 0,
) -> None:
    if isinstance(value, str) and strings < _MAX_STRINGS_DEEP:
        inside = _inside(value)
        if inside is not None:
            value, strings = inside, strings + 1
    if isinstance(value, list):
        for item in value:
            _unfold(item, names, content, listed=listed, why=why, strings=strings)
        return
    if not isinstance(value, Mapping):
        if listed:
            content.items.append(value)
        return
    for key in _LISTS:
        items = value.get(key)
        if isinstance(items, list) and (
            key not in names
            or any(isinstance(item, Mapping) and not names.isdisjoint(item) for item in items)
        ):
            content.note = content.note or value.get("note")
            _unfold(items, names, content, listed=True, strings=strings)
            return
    why = value.get("why", why)
    inner = [v for k, v in value.items() if k not in names and k not in _NOT_INSIDE]
    inner = [v for v in inner if isinstance(v, (list, Mapping)) or _inside(v) is not None]
    if not names.isdisjoint(value):
        more = (v.items() for v in inner if isinstance(v, Mapping))
        extra = {k: v for pairs in more for k, v in pairs if k in names and k not in value}
        content.items.append({"why": why, **value, **extra})
        content.note = content.note or (None if "note" in names else value.get("note"))
    elif inner:
        content.note = content.note or value.get("note")
        for v in inner:
            _unfold(v, names, content, why=why, strings=strings)
    else:
        content.items.append(value)


def _inside(value: Any) -> Any:
    """Return the objects that a text holds, or :obj:`None`."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return None
    inside = literal(value)
    return None if inside is value or isinstance(inside, str) else inside


# --- one pass over the text ------------------------------------------------------------------

# Where an object can begin. Whatever else is in brackets, in prose or in formulas, is none.
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


@dataclass(frozen=True)
class _Object:
    """A value in brackets, and where it stands."""

    value: Any
    begin: int
    end: int


class _Frame:
    """A bracket that is open."""

    __slots__ = (
        "atoms",
        "begin",
        "called",
        "children",
        "closer",
        "comma",
        "items",
        "key",
        "pairs",
    )

    def __init__(self, bracket: str, begin: int, *, called: bool) -> None:
        self.closer = _CLOSERS[bracket]
        self.begin = begin
        self.called = called
        self.pairs: dict[str, Any] = {}
        self.items: list[Any] = []
        self.key: str | None = None
        # What has come since the last comma or colon: kind, value, begin, end.
        self.atoms: list[tuple[str, Any, int, int]] = []
        self.comma = False
        self.children: list[_Object] = []

    def flush(self, text: str) -> None:
        """End a pair or an item."""
        atoms, self.atoms = self.atoms, []
        key, self.key = self.key, None
        if not atoms:
            if key is not None:
                self.pairs[key] = ""  # counted as no number, later
            return
        mappings = [value for _, value, _, _ in atoms if isinstance(value, Mapping)]
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
            last = atoms[-1]
            words = all(kind == "word" for kind, _, _, _ in atoms)
            self.key = _key(text, atoms[0] if words else last, last)
            self.atoms = []
        elif self.key is not None and len(atoms) > 1:  # a comma is missing
            last = atoms.pop()
            self.flush(text)
            self.key = _key(text, last, last)
        elif atoms:
            atoms.append(("mark", token[0], token.start(), token.end()))

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


class _Reader:
    """Reads the objects of a text, one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.stack: list[_Frame] = []
        self.found: list[_Object] = []

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
                stack.append(_Frame(token[0], token.start(), called=called))
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
                value = _unquoted(token[0]) if kind == "text" else token[0]
                stack[-1].atoms.append((kind, value, token.start(), token.end()))
            previous = (kind, token.end())
        return -1

    def _close(self, token: re.Match[str]) -> None:
        stack = self.stack
        same = (i for i in reversed(range(len(stack))) if stack[i].closer == token[0])
        last = next(same, len(stack) - 1)
        while len(stack) > last:
            self._pop(token.end())

    def _pop(self, end: int) -> None:
        frame = self.stack.pop()
        value = frame.value(self.text)
        one = _Object(value, frame.begin, end)
        if self.stack:
            parent = self.stack[-1]
            parent.atoms.append(("call" if frame.called else "frame", value, frame.begin, end))
            if isinstance(value, (Mapping, list)):
                parent.children.append(one)
        elif value and isinstance(value, (Mapping, list)):
            self.found.append(one)

    def rest(self) -> tuple[Any, int]:
        """Return what is in the brackets that are still open, and how many objects have no end."""
        if not self.stack:
            return None, 0
        before = len(self.found)
        for frame in self.stack:
            self.found += frame.children
        top = self.stack[-1]
        if top.atoms and not _is_whole(top.atoms, len(self.text)):
            # A number at the very end of the text may be half of one: 12 of 128.
            top.atoms, top.key = [], None
        if not top.atoms:
            top.key = None
        cut = bool(top.pairs or top.key is not None)
        whole = self.found
        self.found = []
        while self.stack:
            self._pop(len(self.text))
        rest = self.found[0].value if self.found else None
        self.found = whole
        return rest, int(cut and len(whole) > before)


def _is_whole(atoms: list[tuple[str, Any, int, int]], end: int) -> bool:
    if any(kind == "quote" for kind, _, _, _ in atoms):
        return False
    kind, _, _, last = atoms[-1]
    return kind in ("text", "frame", "call") or (kind == "word" and last < end)


def _objects(text: str) -> tuple[list[_Object], Any, int]:
    """Return the whole objects, what has no end, and how many objects in it were left out."""
    reader = _Reader(text)
    position = 0
    while start := _BEGIN.search(text, position):
        position = reader.read(start.start())
        if position < 0:
            break
    rest, cut = reader.rest()
    return reader.found, rest, cut


def _key(text: str, first: tuple[str, Any, int, int], last: tuple[str, Any, int, int]) -> str:
    return (
        str(last[1]) if last[0] == "text" else text[first[2] : min(last[3], first[2] + _MAX_RAW)]
    )


def _value(text: str, atoms: list[tuple[str, Any, int, int]]) -> Any:
    kind, value, begin, end = atoms[-1]
    if len(atoms) == 1:
        return _word(value) if kind == "word" else value
    first = atoms[0]
    if len(atoms) == 2 and kind == "call" and _CASTS.fullmatch(first[1]):
        return value
    if all(atom[0] == "frame" for atom in atoms):
        return [atom[1] for atom in atoms]
    return text[first[2] : min(end, first[2] + _MAX_RAW)]


_NUMBER = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAMED: dict[str, float | bool | None] = {
    **dict.fromkeys(("None", "null")),
    **dict.fromkeys(("True", "true"), True),
    **dict.fromkeys(("False", "false"), False),
    **dict.fromkeys(("NaN", "nan"), math.nan),
    **dict.fromkeys(("Infinity", "inf"), math.inf),
    **dict.fromkeys(("-Infinity", "-inf"), -math.inf),
}
_MAX_FLOAT_CHARS = 1_000


def _word(token: str) -> Any:
    """Return what a word means. Not by :func:`ast.literal_eval`, which warns of odd escapes."""
    if token in _NAMED:
        return _NAMED[token]
    if len(token) > _MAX_FLOAT_CHARS or not _NUMBER.fullmatch(token):
        return token
    try:
        return int(token) if len(token) <= MAX_DIGITS else float(token)
    except ValueError:
        return _float(token)


def _float(token: str) -> float | str:
    try:
        return float(token)
    except ValueError:  # underscores where none may be
        return token


def _unquoted(token: str) -> str:
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
