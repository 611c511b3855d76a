"""Choose which objects in a model's text are its answer, and find the configurations in them.

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

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
import re
from typing import Any

from .text_objects import find, literal, Part, unquoted


MAX_ANSWER_CHARS = 200_000
# Of the answers in one text, and of the objects in one of them, so many are looked at.
_MAX_ANSWERS = 8
_MAX_OBJECTS = 1_000
_MAX_STRINGS_DEEP = 3
_LISTS = ("configs", "configurations", "suggestions")
_NOT_INSIDE = ("prior", "note", "why")


@dataclass(frozen=True)
class Found:
    """The objects of one answer, and how many more in it have no end and are left out."""

    values: tuple[Any, ...]
    cut: int = 0


@dataclass
class Content:
    """The configurations of an answer, or what stands in their place, and the note with them."""

    items: list[Any] = field(default_factory=list)
    note: Any = None


def read(text: str, *, prefilled: bool = False) -> list[Found]:
    """Find what can be an answer in a text, the most likely first.

    Args:
        text:
            No longer than :data:`MAX_ANSWER_CHARS`; what is beyond is not read.
        prefilled:
            Whether the text goes on from a beginning that the model was given. What it writes
            after that object is the rest of a script, no correction.
    """
    text = text[:MAX_ANSWER_CHARS]
    if text.lstrip()[:1] == '"':
        text = unquoted(text)  # the whole answer may be JSON in a JSON string
    found: list[Found] = []
    for part in _thoughts(text)[: -_MAX_ANSWERS - 1 : -1]:
        objects, rest, cut = find(part)
        groups = _grouped(part, objects)
        whole = [Found(tuple(g), cut * (g is groups[-1])) for g in groups]
        found += whole if prefilled else whole[::-1]
        if rest:
            found.append(Found((rest,)))
    return found[:_MAX_ANSWERS]


def holds_object(text: str) -> bool:
    """Tell whether anything in a text that was cut is complete, after the last thought."""
    objects, _, _ = find(_thoughts(text[:MAX_ANSWER_CHARS])[-1])
    return any(one.value for one in objects)


def is_open_thought(text: str) -> bool:
    """Tell whether a model has not come to the end of its thought, and so to no answer."""
    last = max(text.rfind(mark) for mark in ("<think>", "<thinking>", "[THINK]"))
    return last >= 0 and not _END_OF_THOUGHT.search(text, last)


def unfold(values: tuple[Any, ...], names: Set[str]) -> Content:
    """Find the configurations in objects, whatever they are wrapped into.

    A configuration is the outermost object with the name of a parameter among its keys. Objects
    around it, lists, and texts that hold an object are opened, whatever they are called.
    """
    content = Content()
    _unfold(list(values), names, content)
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
    objects = find(text)[0][::-1]
    parts, begin = [], 0
    for here, there in ends:
        while objects and objects[-1].end <= here:
            objects.pop()
        if not objects or here < objects[-1].begin:
            parts.append(text[begin:here])
            begin = there
    return [*parts, text[begin:]]


def _grouped(text: str, objects: list[Part]) -> list[list[Any]]:
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
