"""Record what a model answers; replay it without the model, its packages, a network or a bill."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
import difflib
import json
import os
import re
import threading
from typing import Any

from optuna.logging import get_logger

from ..errors import OptunaLLMError, RecordError, ReplayMissError
from .base import Completion, LLM, Request
from .recording import append, error_from, key_of, Line, plain, read
from .registry import resolve
from .style import JSON, Style, style_of


_logger = get_logger(f"optuna.{__name__}")

_MAX_DIFF_LINES = 40
_MAX_LINE_CHARS = 160
_MAX_COMPARED_LINES = 3_000
_MAX_MISSES = 100


class Recorder:
    """A back end that writes every call to another one into a file, for :class:`Replay`.

    Errors of the model are recorded like answers. What is written is the request's content (the
    same that ``optuna-llm prompt`` shows) and the answer: never a header, a key or an address.
    Several processes may record one study into one file. An existing file is continued; delete it
    to record anew.

    Args:
        llm:
            Any back end, or a text as :class:`~optuna_llm_sampler.LLMSampler` takes it.
        path:
            The file, JSON Lines. Its folder must exist.

    Raises:
        RecordError: The file cannot be written.
        ValueError: ``llm`` is of no known form.

    Example:

        .. code-block:: python

            sampler = LLMSampler(Recorder("openai/gpt-5-mini", "study.jsonl"), seed=0)
            # and in CI, for free:
            sampler = LLMSampler(Replay("study.jsonl"), seed=0)
    """

    def __init__(self, llm: str | LLM | None, path: str | os.PathLike[str]) -> None:
        self._given = llm
        resolve(llm)
        # A copy in another process may have another working directory.
        self.path = os.path.abspath(os.fspath(path))
        self._start_clean()
        try:
            with open(self.path, "ab"):
                pass
        except OSError as error:
            raise RecordError(
                f"The recording {self.path} cannot be written: {error.strerror}.",
                hint="Check that its folder exists and may be written to.",
            ) from None

    def _start_clean(self) -> None:
        self._lock = threading.Lock()
        self._llm: LLM | None = None
        self._warned = False

    def __getstate__(self) -> dict[str, Any]:
        return {"_given": self._given, "path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_clean()

    def __repr__(self) -> str:
        given = self._given if isinstance(self._given, (str, type(None))) else self.name
        return f"Recorder({given!r}, {self.path!r})"

    def _wrapped(self) -> LLM:
        with self._lock:
            if self._llm is None:
                self._llm = resolve(self._given)[1]()
            return self._llm

    @property
    def name(self) -> str:
        return self._wrapped().name

    @property
    def style(self) -> Style:
        return style_of(self._wrapped())

    def complete(self, request: Request) -> Completion:
        """Have the wrapped back end answer, and write down what it does.

        Raises:
            OptunaLLMError: There is no usable answer.
        """
        llm = self._wrapped()
        try:
            completion = llm.complete(request)
        except OptunaLLMError as error:
            self._record(request, error)
            raise
        self._record(request, completion)
        return completion

    def _record(self, request: Request, outcome: Completion | OptunaLLMError) -> None:
        try:
            append(self.path, request, outcome, llm=self.name, style=self.style)
        except OSError as error:
            # A full disk must not cost the study its answer, but the recording has a gap now.
            if not self._warned:
                self._warned = True
                _logger.warning(
                    f"An answer could not be recorded in {self.path}: {error.strerror}. A replay "
                    "of this study will miss it."
                )


class Replay:
    """A back end that answers from a file that :class:`Recorder` wrote, and from nothing else.

    A request is answered if the same one (in messages, schema, grammar, stop, n, max_tokens,
    temperature and seed; the timeout does not count) is in the file; one that was recorded several
    times gets its answers in their order, once each. Recorded errors are raised again.

    A study whose sampler has ``seed=`` and that runs in one process is replayed bit by bit, if no
    trial had to go on without waiting for a slow answer when it was recorded. Each run needs a
    new object.

    Args:
        path:
            The file.

    Attributes:
        misses:
            The errors of the first hundred requests that were not in the file. Assert that it is
            empty in a test: the sampler goes on with the base sampler, as with any error of a
            model.

    Raises:
        RecordError: The file cannot be read, or is of a version that is not known.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.misses: list[ReplayMissError] = []
        self._lines, self._cut = read(self.path)
        # Not yet asked for, by key.
        self._left: dict[str, deque[Line]] = {}
        for line in self._lines:
            self._left.setdefault(line.key, deque()).append(line)
        self._lock = threading.Lock()
        if self._cut:
            _logger.warning(
                f"{self.path} is damaged at {_named(self._cut)}, as by a process that was killed "
                "while it wrote. What is left of that is not used."
            )

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            state = {k: v for k, v in self.__dict__.items() if k != "_lock"}
            left = {key: deque(lines) for key, lines in self._left.items()}
            return {**state, "misses": [], "_left": left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Replay({self.path!r})"

    @property
    def name(self) -> str:
        """The name of the model that was recorded."""
        return self._lines[0].llm if self._lines else "replay"

    @property
    def style(self) -> Style:
        return self._lines[0].style if self._lines else JSON

    @property
    def unused(self) -> int:
        """How many recorded answers nobody has asked for yet."""
        with self._lock:
            return sum(map(len, self._left.values()))

    def complete(self, request: Request) -> Completion:
        """Answer one request from the file.

        Raises:
            ReplayMissError: There is no answer, or there is none left.
            OptunaLLMError: This is what was recorded.
        """
        key = key_of(request)
        with self._lock:
            left = self._left.get(key)
            line = left.popleft() if left else None
        if line is None:
            raise self._miss(request, [line.number for line in self._lines if line.key == key])
        if isinstance(line.outcome, Completion):
            return line.outcome
        raise error_from(line.outcome)

    def _miss(self, request: Request, numbers: Sequence[int]) -> ReplayMissError:
        """Note and return the error; the numbers are of lines whose answers have been given."""
        if numbers:
            error = ReplayMissError(
                f"{self.path} answers this request at {_named(numbers)}, and each recorded answer "
                "is given once.",
                hint="Make a new Replay for each run of a study.",
            )
        else:
            error = ReplayMissError(
                f"{self.path} has no answer to this request. {self._nearest(request)}"
            )
        with self._lock:
            if len(self.misses) < _MAX_MISSES:
                self.misses.append(error)
        return error

    def _nearest(self, request: Request) -> str:
        """Say how the request differs from the recorded one that is most like it."""
        if not self._lines:
            return "It is empty."
        asked = _readable(plain(request))
        matcher = difflib.SequenceMatcher(b=asked, autojunk=False)

        def likeness(line: Line) -> float:
            matcher.set_seq1(_readable(line.request))
            return matcher.quick_ratio()

        best = max(self._lines, key=likeness)
        names = (f"recorded on line {best.number}", "asked for now")
        diff = list(difflib.unified_diff(_readable(best.request), asked, *names, n=1, lineterm=""))
        more = len(diff) - _MAX_DIFF_LINES
        shown = [line[:_MAX_LINE_CHARS] for line in diff[:_MAX_DIFF_LINES]]
        rest = [f"… and {more} lines more"] if more > 0 else []
        return "\n".join(["The nearest one is another:", *shown, *rest])


def _readable(request: Mapping[str, Any]) -> list[str]:
    """Write a request as lines that are short enough to be compared by eye."""
    lines: list[str] = []
    for name, value in request.items():
        if value in (None, []):
            continue
        if name != "messages":
            lines += [f"{name}: {part}" for part in json.dumps(value, indent=1).split("\n")]
            continue
        for message in value:
            lines.append(f"{message.get('role')}:")
            lines += [part for text in message["content"].split("\n") for part in _parts(text)]
    return ["".join(c if c.isprintable() else "�" for c in s) for s in lines[:_MAX_COMPARED_LINES]]


def _parts(line: str) -> list[str]:
    if len(line) <= _MAX_LINE_CHARS:
        return [line]
    step = _MAX_LINE_CHARS
    parts = re.split(r"(?<=[,;.]) ", line)
    return [part[i : i + step] for part in parts for i in range(0, len(part) or 1, step)]


def _named(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
    return f"line{'s' * (len(numbers) > 1)} {shown}"
