"""The file of a recording: JSON Lines, one call to a model per line, only ever appended to.

::

    {"v": 1, "key": "5f0c…", "llm": "openai/gpt-5-mini", "style": "json",
     "request": {"messages": [{"role": "system", "content": "You are …"}, …], "n": 1, …},
     "completion": {"texts": ["{\\"configs\\": …"], "usage": {"input_tokens": 812, …}, …}}

Instead of ``completion`` there may be ``error``. The key decides which request a line answers; the
request itself is there to be read and compared, and may be shortened by hand. Nothing else of a
call is written: no header, no API key, no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import dataclass
import hashlib
import json
import os
import sys
from typing import Any

from .. import errors
from ..errors import LLMError
from ..errors import OptunaLLMError
from ..errors import RecordError
from ..errors import TokenUsage
from .base import Completion
from .base import Request
from .style import as_style
from .style import Style
from .style import STYLES


VERSION = 1

_CLASSES: Mapping[str, type[OptunaLLMError]] = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, OptunaLLMError)
}


@dataclass(frozen=True)
class Failure:
    """An error of the model as plain data."""

    kind: str
    reason: str
    retryable: bool
    message: str
    hint: str
    retry_after: float | None
    usage: TokenUsage = TokenUsage()

    def error(self) -> OptunaLLMError:
        """Make the error anew; a class of the user's own becomes one with the same reason."""
        kind = _CLASSES.get(self.kind, LLMError)
        traits = {"reason": self.reason, "retryable": self.retryable}
        if (kind.reason, kind.retryable) != (self.reason, self.retryable):
            kind = type(kind.__name__, (kind,), traits)
        error = kind.__new__(kind)
        # Not by the class itself, whose arguments may be others (MissingExtraError).
        more: dict[str, Any] = {
            "hint": self.hint,
            "retry_after": self.retry_after,
            "usage": self.usage,
        }
        OptunaLLMError.__init__(error, self.message, **more)
        return error


@dataclass(frozen=True)
class Line:
    """One recorded call.

    Attributes:
        number:
            Its place in the file, from 1.
        outcome:
            What the model answered, or what the back end raised.
    """

    number: int
    key: str
    llm: str
    style: Style
    request: Mapping[str, Any]
    outcome: Completion | Failure


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
    """Add one call to a file.

    Raises:
        OSError: The file cannot be written.
    """
    entry = {
        "v": VERSION,
        "key": key_of(request),
        "llm": llm,
        "style": str(style) if style in STYLES.values() else asdict(style),
        "request": {k: v for k, v in plain(request).items() if v not in (None, [])},
    }
    if isinstance(outcome, OptunaLLMError):
        entry["error"] = asdict(_failure_of(outcome))
    else:
        entry["completion"] = asdict(outcome)
    _write(path, _encoded(entry) + b"\n")


def _encoded(entry: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can carry
        return json.dumps(entry).encode()


def _failure_of(error: OptunaLLMError) -> Failure:
    known = next(c for c in type(error).__mro__ if _CLASSES.get(c.__name__) is c)
    return Failure(
        kind=known.__name__,
        reason=error.reason,
        retryable=error.retryable,
        message=str(error),
        hint=error.hint,
        retry_after=error.retry_after,
        usage=error.usage,
    )


def _write(path: str, data: bytes) -> None:
    """Append in one go, also beside other processes.

    On a local disk ``O_APPEND`` alone would do. The lock is for network file systems, which do not
    append atomically, and for the line that a killed writer left half-written: whoever comes next
    ends it, so that it cannot spoil another.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags, 0o666)
    try:
        with _locked(fd):
            size = os.lseek(fd, 0, os.SEEK_END)
            if data and size:
                os.lseek(fd, size - 1, os.SEEK_SET)
                data = data if os.read(fd, 1) == b"\n" else b"\n" + data
            while data:
                data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def touch(path: str) -> None:
    """Make sure that the file is there and can be written.

    Raises:
        OSError: It cannot.
    """
    _write(path, b"")


@contextmanager
def _locked(fd: int) -> Iterator[None]:
    """Hold the file alone, as far as the file system knows locks."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(fd, 2**30, os.SEEK_SET)  # a byte that is never written
        msvcrt.locking(fd, msvcrt.LK_LOCK, 1)
        try:
            yield
        finally:
            os.lseek(fd, 2**30, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        try:
            # Not lockf, whose locks threads share and any close() of the file gives up.
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks; there is O_APPEND still
        yield  # closing the file unlocks it


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
            continue
        lines.append(_line(entry, number, f"{path}, line {number}"))
    return lines, cut


def _line(entry: Any, number: int, where: str) -> Line:
    version = entry.get("v") if isinstance(entry, dict) else None
    if version != VERSION:
        raise RecordError(
            f"{where}: this is format {version!r} of a recording; only {VERSION} is known here.",
            hint="Read it with the version of optuna-llm-sampler that wrote it, or record anew.",
        )
    try:
        failed = "error" in entry
        outcome = _failure(**entry["error"]) if failed else _completion(**entry["completion"])
        return Line(
            number=number,
            key=str(entry["key"]),
            llm=str(entry["llm"]),
            style=_style(entry["style"]),
            request=_checked_request(entry["request"]),
            outcome=outcome,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{where}: this is no recorded call ({error!r}).") from None


def _style(entry: Any) -> Style:
    return Style(**entry) if isinstance(entry, dict) else as_style(entry)


def _completion(
    texts: list[str], usage: Mapping[str, Any], model: str, finish_reason: str
) -> Completion:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError("texts must be a list of texts")
    return Completion(tuple(texts), TokenUsage(**usage), str(model), str(finish_reason))


def _failure(**entry: Any) -> Failure:
    usage = TokenUsage(**entry.pop("usage", {}))
    failure = Failure(**entry, usage=usage)
    texts = (failure.kind, failure.reason, failure.message, failure.hint)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("kind, reason, message and hint must be texts")
    if not isinstance(failure.retry_after, (int, float, type(None))):
        raise TypeError("retry_after must be a number")
    return failure


def _checked_request(request: Mapping[str, Any]) -> dict[str, Any]:
    for message in request.get("messages", ()):
        if not isinstance(message["content"], str):
            raise TypeError("the content of a message must be a text")
    return dict(request)
