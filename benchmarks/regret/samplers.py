"""The samplers of the comparison. Controls get the same seeds and the same first point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
import hashlib
import json
from pathlib import Path
import re
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler

from benchmarks.tasks import Task
from optuna_llm_sampler import DefaultBaseSampler, LLMSampler, Replay
from optuna_llm_sampler._advice.first_proposals import middle
from optuna_llm_sampler.errors import ReplayMissError
from optuna_llm_sampler.llms import CODE, Completion, LLM, Request, Style
from optuna_llm_sampler.llms.style import style_of
from optuna_llm_sampler.testing import FakeLLM

from .endpoint import Endpoint
from .graded import answer_of, copycat, graded, misnamed, Skill, uniform


_ANSWERS = Path(__file__).parent / "answers"
# The models whose answers are recorded, by the name that a table can hold.
LOCAL = {"0.5b": "qwen2.5-coder-0.5b", "1.5b": "qwen2.5-coder-1.5b"}
# The small model, which does not see what the parameters are called.
ANONYMOUS = "anonymous"


@dataclass(frozen=True)
class Run:
    """One study of the comparison.

    Attributes:
        task:
            What is tuned.
        seed:
            Number of the repetition, from 0.
        misses:
            Requests that had no recorded answer.
        endpoint:
            Where models called ``openai/…`` are asked.
    """

    task: Task
    seed: int
    misses: list[ReplayMissError] = field(default_factory=list)
    endpoint: Endpoint = Endpoint()

    def number(self, *salt: str) -> int:
        """A seed of this run's own, so that no two samplers share a stream by accident."""
        name, _, _ = self.task.name.partition("!")  # a variant gets the same answers
        text = json.dumps([name, self.seed, *salt])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


Maker = Callable[[Run], BaseSampler]


def answers(model: str) -> Path:
    """File of a model's recorded answers."""
    return _ANSWERS / f"{model}.jsonl"


@dataclass(frozen=True)
class Recorded:
    """The recorded answers of a model, which is asked in its own way; misses are made known."""

    replay: Replay
    style: Style
    misses: list[ReplayMissError]

    @property
    def name(self) -> str:
        return self.replay.name

    def complete(self, request: Request) -> Completion:
        try:
            return self.replay.complete(request)
        except ReplayMissError as error:
            self.misses.append(error)
            raise


def recorded(model: str, style: Style) -> Callable[[Run], LLM]:
    return lambda run: Recorded(Replay(answers(LOCAL[model])), style, run.misses)


@dataclass(frozen=True)
class Swapped:
    """A model that takes each number's name for the next one's: what it knows misleads.

    It stands for names swapped in the question, which shows no bounds; that one was not asked.
    """

    llm: LLM

    @property
    def name(self) -> str:
        return self.llm.name

    @property
    def style(self) -> Style:
        return style_of(self.llm)

    def complete(self, request: Request) -> Completion:
        completion = self.llm.complete(request)
        return replace(completion, texts=tuple(map(_swapped, completion.texts)))


_NUMBER = re.compile(r"(?<==)[-+.0-9e]+(?=[,)])")


def _swapped(text: str) -> str:
    """Move every number of an answer (``lr=1e-3, width=64)``) on to the next name."""
    numbers = _NUMBER.findall(text)
    moved = iter(numbers[-1:] + numbers[:-1])
    return _NUMBER.sub(lambda _: next(moved), text)


def ask_of(run: Run, *, named: bool = True) -> dict[str, Any]:
    """What decides the requests of a study, as arguments of the sampler.

    Args:
        run:
            The study.
        named:
            Whether parameters have their names, or are called ``p1``, ``p2``, ….
    """
    numbered = {name: f"p{i}" for i, name in enumerate(run.task.search_space, 1)}
    return {
        "task": run.task.description,
        "search_space": run.task.search_space,
        "conditions": run.task.conditions,
        "documented_defaults": False,
        "timeout": 600.0,
        "prefetch": False,
        "redact": None if named else lambda text: numbered.get(text, text),
        "seed": run.number("requests"),
    }


def hidden(run: Run) -> dict[str, Any]:
    """Arguments under which a model sees neither names nor choices nor what is tuned."""
    space = run.task.search_space
    known = {name: f"p{i}" for i, name in enumerate(space, 1)}
    texts = [
        choice
        for distribution in space.values()
        if isinstance(distribution, CategoricalDistribution)
        for choice in distribution.choices
        if isinstance(choice, str)
    ]
    known |= {text: f"c{i}" for i, text in enumerate(dict.fromkeys(texts), 1)}
    known[run.task.description] = "A function is minimised."
    return {"redact": lambda text: known.get(text, text)}


def nothing(run: Run) -> LLM:
    return FakeLLM(lambda request: "")


def _fake(run: Run, points: Callable[[np.random.RandomState], list[dict[str, Any]]]) -> LLM:
    rng = np.random.RandomState(run.number("points"))
    return FakeLLM(lambda request: answer_of(points(rng), run.task))


def noise(run: Run) -> LLM:
    """Uniform points: knows nothing."""
    return _fake(run, lambda rng: [uniform(run.task, rng) for _ in range(8)])


def adversary(run: Run) -> LLM:
    """The worst of 200 points: knows everything and means ill."""

    def points(rng: np.random.RandomState) -> list[dict[str, Any]]:
        found = [uniform(run.task, rng) for _ in range(200)]
        return sorted(found, key=run.task.objective, reverse=True)[:8]

    return _fake(run, points)


def parrot(run: Run) -> LLM:
    """One point again and again."""
    rng = np.random.RandomState(run.number("points"))
    answer = answer_of([uniform(run.task, rng)] * 8, run.task)
    return FakeLLM(lambda request: answer)


def skilled(skill: Skill) -> Callable[[Run], LLM]:
    return lambda run: graded(run.task, np.random.RandomState(run.number("points")), skill)


BASES: Mapping[str, Callable[[int], BaseSampler]] = {
    "auto": lambda seed: DefaultBaseSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed, n_startup_trials=5, warn_independent_sampling=False),
}
MODELS: Mapping[str, Callable[[Run], LLM]] = {
    "0.5b": recorded("0.5b", CODE),
    "1.5b": recorded("1.5b", CODE),
    ANONYMOUS: recorded("0.5b", CODE),
    # Values that are out of range are alike when they are clipped, and then the sampler asks once
    # more, which was not recorded: what it has got already is what counts.
    "swapped": lambda run: Swapped(recorded("0.5b", CODE)(Run(run.task, run.seed))),
    "nothing": nothing,
    "noise": noise,
    "adversary": adversary,
    "parrot": parrot,
    "copycat": lambda run: copycat(run.task, np.random.RandomState(run.number("points"))),
    "misnamed": lambda run: misnamed(run.task, np.random.RandomState(run.number("points"))),
    **{f"best-of-{k}": skilled(lambda n, k=k: k) for k in (1, 2, 8, 64)},  # type: ignore[misc]
    "gets-worse": skilled(lambda n: 64 if n < 25 else 1),
    "gets-better": skilled(lambda n: 1 if n < 25 else 64),
}


# ours[share=1,n=8,hidden](openai/NAME)+default: who the base sampler is, what is changed about the
# product's own settings, which model, and whether an expert's default comes first. The library's
# own defaults come first with "documented" only, and with "blind" the space is not known before
# the first trial.
_OURS = re.compile(r"ours(?:-(\w+))?(?:\[(.+)\])?\((.+)\)(\+default)?")


def ours(name: str) -> Maker:
    """Return what builds the product as it is called in a table.

    Raises:
        ValueError: There is no such sampler.
    """
    match = _OURS.fullmatch(name)
    if match is None:
        raise ValueError(f"There is no sampler {name!r}.")
    base, model, options = match[1] or "auto", match[3], (match[2] or "").split(",")
    remote = model.startswith("openai/")
    if base not in BASES or not (remote or model in MODELS):
        raise ValueError(f"There is no sampler {name!r}.")
    more = _options(filter(None, options))

    def make(run: Run) -> BaseSampler:
        arguments = ask_of(run, named=model != ANONYMOUS) | more
        if "hidden" in options:
            arguments |= hidden(run)
        if match[4]:
            # Asked while trial 0 runs: the same request as without defaults, whose answer is
            # recorded.
            arguments |= {"defaults": run.task.defaults, "prefetch": not remote}
        if remote:
            study = "-".join(filter(None, [run.task.name, str(run.seed), match[2]]))
            study = re.sub(r"[^\w.-]+", "_", study)
            llm = run.endpoint.model(model.removeprefix("openai/"), study, run.misses)
            arguments |= {"timeout": 7200.0}
        else:
            llm = MODELS[model](run)
        return LLMSampler(llm, base_sampler=BASES[base](run.number(base)), **arguments)

    return make


def _options(options: Iterable[str]) -> dict[str, Any]:
    """Read ``share=1``, ``n=8``, ``documented``, ``blind`` and ``hidden`` as arguments."""
    found: dict[str, Any] = {}
    for option in options:
        key, _, value = option.partition("=")
        if key == "share":
            found["llm_share"] = float(value)
        elif key == "n":
            found["n_configs"] = int(value)
        elif option == "documented":
            found["documented_defaults"] = True
        elif option == "blind":
            found |= {"search_space": None, "conditions": None}
        elif option != "hidden":
            raise ValueError(
                f"There is no option {option!r}; there are share=, n=, documented, blind, hidden."
            )
    return found


def maker_of(name: str) -> Maker:
    """Return what builds a sampler by its name in a table.

    Raises:
        ValueError: There is no such sampler.
    """
    return SAMPLERS[name] if name in SAMPLERS else ours(name)


def first_point(run: Run, sampler: str) -> dict[str, Any] | None:
    """What a control is given to start with: an expert's default, or the middle of the ranges.

    Floats from 0 on are at 0 in it, and choices are drawn: as in the product, without a model.
    """
    if sampler.startswith("ours"):
        return None
    if sampler.endswith("+default"):
        return dict(run.task.defaults)
    if not sampler.endswith("+middle"):
        return None
    space = run.task.search_space
    drawn = uniform(run.task, np.random.RandomState(run.number("middle")))
    off = {n: 0.0 for n, d in space.items() if isinstance(d, FloatDistribution) and d.low == 0}
    return middle({**drawn, **off}, space)


def auto_sampler(run: Run) -> BaseSampler:
    """The rule of OptunaHub's AutoSampler for these budgets: TPE with categories, else GP.

    Where it is the GP, it has the stream of "gp", and its trials are the same.
    """
    mixed = any(isinstance(d, CategoricalDistribution) for d in run.task.search_space.values())
    if mixed or run.task.suggest is not None:
        return TPESampler(seed=run.number("autosampler"), multivariate=True, group=False)
    return SAMPLERS["gp"](run)


# "+default": the expert's configuration comes first, enqueued as a user would do it; "+middle":
# the middle of all ranges does.
# "base" and "tpe" have the streams of "ours(…)" and "ours-tpe(…)": paired, and the same bit by
# bit when the model says nothing.
SAMPLERS: dict[str, Maker] = {
    "random": lambda run: RandomSampler(seed=run.number("random")),
    "tpe": lambda run: BASES["tpe"](run.number("tpe")),
    "gp": lambda run: GPSampler(seed=run.number("gp"), warn_independent_sampling=False),
    "cmaes": lambda run: CmaEsSampler(seed=run.number("cmaes"), warn_independent_sampling=False),
    "autosampler": auto_sampler,
    "base": lambda run: BASES["auto"](run.number("auto")),
    "tpe+default": lambda run: TPESampler(seed=run.number("tpe")),
    "base+default": lambda run: BASES["auto"](run.number("auto")),
    "tpe+middle": lambda run: TPESampler(seed=run.number("tpe")),
    "base+middle": lambda run: BASES["auto"](run.number("auto")),
    "gp+default": lambda run: GPSampler(seed=run.number("gp"), warn_independent_sampling=False),
    **{
        name: ours(name)
        for base in BASES
        for model in MODELS
        for first in ("", "+default")
        for name in [f"ours{'' if base == 'auto' else '-' + base}({model}){first}"]
    },
}


def asks_beside_the_default(sampler: str) -> bool:
    """Whether the model is asked in the background of the first trial."""
    is_local = "openai/" not in sampler
    return sampler.startswith("ours") and sampler.endswith("+default") and is_local


def is_numeric(task: Task) -> bool:
    """CMA-ES needs at least two numbers."""
    numbers = [d for d in task.search_space.values() if not isinstance(d, CategoricalDistribution)]
    return len(numbers) >= 2 and not all(isinstance(d, IntDistribution) for d in numbers)
