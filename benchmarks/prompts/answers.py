"""What models were asked and what they said: one line of a file per question."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
import json
from pathlib import Path
from typing import Any

from optuna_llm_sampler._advice import Advice
from optuna_llm_sampler._advice import from_json
from optuna_llm_sampler._advice import to_json
from optuna_llm_sampler._ask import ask
from optuna_llm_sampler._prompt import Question
from optuna_llm_sampler.llms import Completion
from optuna_llm_sampler.llms import LLM
from optuna_llm_sampler.llms import Request


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
        advice:
            As the sampler would use it; without configurations if nothing was usable.
        texts:
            The model's own words, prefix of the answer excluded.
        outcome:
            ``"ok"``, or why there is no advice.
        seconds, requests, input_tokens, output_tokens:
            Of all requests together. The seconds are those of a machine with other work.
    """

    key: Key
    advice: Advice
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
    def style(self) -> Any:
        return getattr(self.llm, "style", "json")

    def complete(self, request: Request) -> Completion:
        completion = self.llm.complete(request)
        self.texts.extend(completion.texts)
        return completion


def ask_once(key: Key, llm: LLM, question: Question) -> Asked:
    """Ask as the sampler does."""
    listener = _Listener(llm)
    answer = ask(listener, question, timeout=900.0)
    call = answer.call
    return Asked(
        key=key,
        advice=answer.advice,
        texts=tuple(listener.texts),
        outcome=answer.outcome,
        seconds=call.seconds,
        requests=call.requests,
        input_tokens=call.input_tokens or 0,
        output_tokens=call.output_tokens or 0,
    )


def append(path: Path, asked: Asked) -> None:
    """Write one line."""
    line = {**asdict(asked), "advice": to_json(asked.advice)}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def read(path: Path) -> Iterator[Asked]:
    """Read all lines; a later one on the same cell replaces none, the caller may care."""
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            yield _asked(json.loads(line))


def _asked(data: Mapping[str, Any]) -> Asked:
    rest = {**data, "key": Key(**data["key"]), "advice": from_json(data["advice"])}
    return Asked(**{**rest, "texts": tuple(rest["texts"])})
