"""The file of a recording: JSON Lines, one call to a model per line, only ever appended to.

::

    {"v": 1, "key": "5f0c…", "llm": "openai/gpt-5-mini", "style": "json",
     "request": {"messages": [{"role": "system", "content": "You are …"}, …], "n": 1, …},
     "completion": {"texts": ["{\\"configs\\": …"], "usage": {"input_tokens": 812, …}, …}}

Instead of ``completion`` there may be ``error``. The key decides which request a line answers. The
request itself is there to be read and compared, and may be shortened by hand. Nothing else of a
call is written: no header, no API key, no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import hashlib
import json
import os
import sys
from typing import Any, BinaryIO

from .. import errors
from ..errors import LLMError, OptunaLLMError, RecordError, TokenUsage
from .base import Completion, Request
from .style import as_style, Style, STYLES


_VERSION = 1
_CLASSES: Mapping[str, type[OptunaLLMError]] = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, OptunaLLMError)
}


@dataclass(frozen=True)
class Line:
    """One recorded call."""

    number: int  # position in the file, from 1
    key: str  # key_of the request
    # Those of the back end.
    llm: str
    style: Style
    request: Mapping[str, Any]  # as plain wrote it, perhaps shortened
    # The answer, or the entry from which error_from makes the error anew.
    outcome: Completion | Mapping[str, Any]


def plain(request: Request) -> dict[str, Any]:
    """Return what an answer depends on, as pure JSON types. The timeout is not part of it."""
    return {
        "messages": [dict(message) for message in request.messages],
        "schema": request.schema,
        "grammar": request.grammar,
        "stop": list(request.stop),
        "n": request.n,
        "max_tokens": request.max_tokens,
        "temperature": None if request.temperature is None else float(request.temperature),
        "seed": request.seed,
    }


def key_of(request: Request) -> str:
    """Return the same short text for the same request, in every process and version."""
    text = json.dumps(plain(request), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# --- writing --------------------------------------------------------------------------------


def append(
    path: str, request: Request, outcome: Completion | OptunaLLMError, *, llm: str, style: Style
) -> None:
    """Add one call to a file, also while other processes do.

    Raises:
        OSError: The file cannot be written.
    """
    entry = {
        "v": _VERSION,
        "key": key_of(request),
        "llm": llm,
        "style": str(style) if style in STYLES.values() else asdict(style),
        "request": {k: v for k, v in plain(request).items() if v not in (None, [])},
    }
    if isinstance(outcome, OptunaLLMError):
        entry["error"] = _error_entry(outcome)
    else:
        entry["completion"] = asdict(outcome)
    try:
        data = json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
        data = json.dumps(entry).encode()
    with open(path, "a+b", buffering=0) as file:
        # O_APPEND alone would do on a local disk. Network file systems do not append atomically.
        _lock(file)
        if size := file.seek(0, os.SEEK_END):
            file.seek(size - 1)
            if file.read(1) != b"\n":  # a killed writer has left a line without an end
                data = b"\n" + data
        data += b"\n"
        while data:
            data = data[file.write(data) :]


def _error_entry(error: OptunaLLMError) -> dict[str, Any]:
    return {
        "kind": next(c.__name__ for c in type(error).__mro__ if _CLASSES.get(c.__name__) is c),
        "reason": error.reason,
        "retryable": error.retryable,
        "message": str(error),
        "hint": error.hint,
        "retry_after": error.retry_after,
        "usage": asdict(error.usage),
    }


def _lock(file: BinaryIO) -> None:
    """Hold a file alone until it is closed, as far as the file system knows locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(2**30)  # a byte that is never written
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            # Not lockf, whose locks threads share and any close() of the file gives up.
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
    except OSError:
        pass


# --- reading --------------------------------------------------------------------------------


def read(path: str) -> tuple[list[Line], list[int]]:
    """Return the calls in a file, and the numbers of lines that were cut in the middle.

    Raises:
        RecordError: The file cannot be read, or is of a version that is not known.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise RecordError(f"The recording {path} cannot be read: {error.strerror}.") from None
    lines: list[Line] = []
    cut: list[int] = []
    for number, text in enumerate(content.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            entry = json.loads(text)
        except ValueError:  # UnicodeDecodeError is one, too
            cut.append(number)
        else:
            lines.append(_line(entry, number, f"{path}, line {number}"))
    return lines, cut


def error_from(entry: Mapping[str, Any]) -> OptunaLLMError:
    """Make a recorded error anew; a class of the user's own becomes one with the same reason."""
    kind = _CLASSES.get(entry["kind"], LLMError)
    traits = {name: entry[name] for name in ("reason", "retryable")}
    if any(getattr(kind, name) != value for name, value in traits.items()):
        kind = type(kind.__name__, (kind,), traits)
    error = kind.__new__(kind)
    wait = entry["retry_after"]
    # Not by the class itself, whose arguments may be others (MissingExtraError).
    OptunaLLMError.__init__(
        error,
        entry["message"],
        hint=entry["hint"],
        retry_after=None if wait is None else float(wait),
        usage=TokenUsage(**entry.get("usage", {})),
    )
    return error


def _line(entry: Any, number: int, where: str) -> Line:
    version = entry.get("v") if isinstance(entry, dict) else None
    if version != _VERSION:
        raise RecordError(
            f"{where}: this is format {version!r} of a recording; only {_VERSION} is known here.",
            hint="Read it with the version of optuna-llm-sampler that wrote it, or record anew.",
        )
    try:
        style, request = entry["style"], dict(entry["request"])
        texts = [message["content"] for message in request.get("messages", ())]
        outcome: Completion | dict[str, Any]
        if "error" in entry:
            outcome = dict(entry["error"])
            texts += [outcome[name] for name in ("kind", "reason", "message", "hint")]
            error_from(outcome)
        else:
            outcome = _completion(**entry["completion"])
            texts += outcome.texts
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a number, or an object, in the place of a text")
        return Line(
            number=number,
            key=str(entry["key"]),
            llm=str(entry["llm"]),
            style=Style(**style) if isinstance(style, dict) else as_style(style),
            request=request,
            outcome=outcome,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{where}: this is no recorded call ({error!r}).") from None


def _completion(
    texts: list[str], usage: Mapping[str, Any], model: str, finish_reason: str
) -> Completion:
    return Completion(tuple(texts), TokenUsage(**usage), str(model), str(finish_reason))
