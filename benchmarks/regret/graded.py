"""Models of known skill, free and deterministic: they show how the policy follows what they bring.

They know the objective, read the history in the request as any model does, and propose the best of
``k`` random points, half of them near the best trials that they were shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
import re
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import RandomSampler

from benchmarks.tasks import Task
from optuna_llm_sampler._study.distance import denormalize, normalize
from optuna_llm_sampler._study.space import coerce, Coerced, to_label
from optuna_llm_sampler.llms import LLM, Request
from optuna_llm_sampler.testing import FakeLLM


Params = dict[str, Any]
# Skill by the number of finished trials that a request tells of.
Skill = Callable[[int], int]

_N_CONFIGS = 4
_SPREAD = 0.15
_N_BEST = 5
_ROW = re.compile(r"^\S+ (?:\([^)]*\) )?(\{.*?\})(?: with .*)? \[\d+.*\]$")
_N_FINISHED = re.compile(r"^(\d+) finished trials?", re.MULTILINE)


def uniform(task: Task, rng: np.random.RandomState) -> Params:
    """Draw a configuration as Optuna's own random sampler does."""
    study = optuna.create_study(sampler=RandomSampler(seed=int(rng.randint(2**31))))
    return task.suggest_params(study.ask())


def graded(task: Task, rng: np.random.RandomState, skill: Skill) -> LLM:
    """Return a model that proposes the best of ``skill(n_finished)`` random points."""

    def answer(request: Request) -> str:
        text = str(request.messages[-1]["content"])
        found = _N_FINISHED.search(text)
        k = skill(int(found[1]) if found else 0)
        best = shown(text, task)[-_N_BEST:]
        points = [
            min((_point(task, rng, best) for _ in range(k)), key=task.objective)
            for _ in range(_N_CONFIGS)
        ]
        return answer_of(points, task)

    return FakeLLM(answer)


def copycat(task: Task, rng: np.random.RandomState) -> LLM:
    """Return a model that proposes what is best already, hardly changed."""

    def answer(request: Request) -> str:
        best = shown(str(request.messages[-1]["content"]), task)[-1:]
        points = [
            _near(best[0], task, rng, spread=0.02) if best else uniform(task, rng)
            for _ in range(_N_CONFIGS)
        ]
        return answer_of(points, task)

    return FakeLLM(answer)


def misnamed(task: Task, rng: np.random.RandomState) -> LLM:
    """Return a model that knows good points, and gives each number's place to the next number."""
    names = [n for n, d in task.search_space.items() if not isinstance(d, CategoricalDistribution)]
    following = dict(zip(names, names[1:] + names[:1], strict=True))

    def moved(params: Params) -> Params:
        found = dict(params)
        for name, other in following.items():
            if name in params and other in params:
                source: Any = task.search_space[name]
                goal: Any = task.search_space[other]
                coerced = coerce(denormalize(normalize(params[name], source), goal), goal)
                if isinstance(coerced, Coerced):
                    found[other] = coerced.value
        return found

    def answer(request: Request) -> str:
        points = [
            min((_point(task, rng, []) for _ in range(8)), key=task.objective)
            for _ in range(_N_CONFIGS)
        ]
        return answer_of([moved(point) for point in points], task)

    return FakeLLM(answer)


def answer_of(points: list[Params], task: Task) -> str:
    """Write configurations as a model's answer."""
    configs = [{n: to_label(v, task.search_space[n]) for n, v in p.items()} for p in points]
    return json.dumps({"configs": configs}, default=float)


def shown(text: str, task: Task) -> list[Params]:
    """Read the trials that a request tells of, from worst to best."""
    found = []
    for line in text.splitlines():
        if (match := _ROW.match(line)) is None:
            continue
        values = json.loads(match[1])
        params = {
            name: coerced.value
            for name, value in values.items()
            if isinstance(coerced := coerce(value, task.search_space[name]), Coerced)
        }
        found.append(params)
    return found


def _point(task: Task, rng: np.random.RandomState, best: list[Params]) -> Params:
    if not best or rng.rand() < 0.5:
        return uniform(task, rng)
    return _near(best[rng.randint(len(best))], task, rng, spread=_SPREAD)


def _near(
    params: Mapping[str, Any], task: Task, rng: np.random.RandomState, *, spread: float
) -> Params:
    """Change numbers by a normal step in their own scale, and choices now and then."""
    moved: Params = {}
    for name, value in params.items():
        distribution: Any = task.search_space[name]
        moved[name] = value
        if isinstance(distribution, CategoricalDistribution):
            if rng.rand() < 2 * spread and task.conditions is None:
                moved[name] = distribution.choices[rng.randint(len(distribution.choices))]
            continue
        place = normalize(value, distribution) + rng.normal(0, spread)
        coerced = coerce(denormalize(min(max(place, 0.0), 1.0), distribution), distribution)
        if isinstance(coerced, Coerced):
            moved[name] = coerced.value
    return moved
