"""What models were asked and what they said: one line of a file per question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
import json
from pathlib import Path
from typing import Any

from optuna_llm_sampler._advice.advice import Advice
from optuna_llm_sampler._advice.ask import ask
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler.llms import Completion, LLM, Request, Style
from optuna_llm_sampler.llms.style import style_of


_TIMEOUT = 900.0


@dataclass(frozen=True)
class Key:
    """One cell of the comparison: who was asked, how, and what about."""

    model: str
    style: str
    problem: str
    seed: int


@dataclass(frozen=True)
class Asked:
    """One question and what came of it.

    Attributes:
        key:
            The cell.
        texts:
            The model's own words, prefix of the answer excluded.
        outcome:
            ``"ok"``, or why there is no advice.
        seconds, requests, input_tokens, output_tokens:
            Of all requests together. The seconds are those of a machine with other work.
    """

    key: Key
    texts: tuple[str, ...]
    outcome: str = "ok"
    seconds: float = 0.0
    requests: int = 1
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass
class _Listener:
    """Passes requests on and keeps the texts."""

    llm: LLM
    texts: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.llm.name

    @property
    def style(self) -> Style:
        return style_of(self.llm)

    def complete(self, request: Request) -> Completion:
        completion = self.llm.complete(request)
        self.texts.extend(completion.texts)
        return completion


@dataclass
class _Told:
    """Says again what was said, so many answers at a time as are asked for."""

    texts: list[str]
    style: Style
    name: str = "told"

    def complete(self, request: Request) -> Completion:
        said, self.texts = self.texts[: request.n], self.texts[request.n :]
        return Completion(tuple(said))


def ask_once(key: Key, llm: LLM, question: Question) -> Asked:
    """Ask as the sampler does."""
    listener = _Listener(llm)
    answer = ask(listener, question, timeout=_TIMEOUT)
    call = answer.call
    return Asked(
        key=key,
        texts=tuple(listener.texts),
        outcome=answer.outcome,
        seconds=call.seconds,
        requests=call.requests,
        input_tokens=call.input_tokens or 0,
        output_tokens=call.output_tokens or 0,
    )


def advice_of(asked: Asked, question: Question, style: Style) -> Advice:
    """Return what the sampler makes of an answer now; no configurations if nothing is usable."""
    told = _Told(list(asked.texts), style)
    return ask(told, question, timeout=_TIMEOUT, max_requests=asked.requests or 1).advice


def append(path: Path, asked: Asked) -> None:
    """Write one line."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(asked)) + "\n")


def read(path: Path) -> Iterator[Asked]:
    """Read all lines; a later one on the same cell replaces none, the caller may care."""
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            yield _asked(json.loads(line))


def _asked(data: Mapping[str, Any]) -> Asked:
    return Asked(**{**data, "key": Key(**data["key"]), "texts": tuple(data["texts"])})
