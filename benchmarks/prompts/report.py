"""Answers → Markdown: a line per model and style."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import groupby
import math
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.tasks import load, table_names
from optuna_llm_sampler._advice.advice import Advice, values
from optuna_llm_sampler._advice.parse import parse
from optuna_llm_sampler._advice.prompts import build, prefill
from optuna_llm_sampler._study.distance import denormalize

from .answers import advice_of, Asked
from .boxes import is_inside
from .bump import bump_names, distance, gaussian_around_the_best
from .questions import BOXED, question, WAYS


BEST_OF = (1, 5, 8)
FAMILIES = ("hpobench", "hpolib", "nasbench201")


@cache
def advice(asked: Asked) -> Advice:
    """What the sampler makes of an answer."""
    key, way = asked.key, WAYS[asked.key.style]
    return advice_of(asked, question(key.problem, way, key.seed), way.style)


def configs(asked: Asked) -> list[dict[str, Any]]:
    """The proposals in the order in which they would be tried."""
    key = asked.key
    space = question(key.problem, WAYS[key.style], key.seed).space
    return [values(config, space) for config in advice(asked).configs]


def drawn(asked: Asked) -> list[dict[str, Any]]:
    """What the model wrote, before anything is made of it."""
    key, way = asked.key, WAYS[asked.key.style]
    asking = question(key.problem, way, key.seed)
    begin = prefill(build(asking, way.style))
    found = parse([begin + text for text in asked.texts], asking.space)
    return [values(config, asking.space) for config in found.configs]


def share_inside(asked: Asked, found: Sequence[dict[str, Any]]) -> float:
    """Share of the values that lie in an expert's box."""
    boxes = BOXED[asked.key.problem].boxes
    inside = [is_inside(c[n], box) for c in found for n, box in boxes.items() if n in c]
    return fmean(inside) if inside else 0.0


def best_of(asked: Asked, k: int) -> float:
    """Normalised regret of the best of the first proposals; too few are filled up by chance."""
    task = load(asked.key.problem)
    losses = [task.objective(c) for c in configs(asked)[:k]]
    rng = np.random.RandomState(asked.key.seed)
    while len(losses) < k:
        losses.append(task.objective(_uniform(task.search_space, rng)))
    return task.normalised_regret(min(losses))


def _uniform(space: Any, rng: np.random.RandomState) -> dict[str, Any]:
    out = {}
    for name, distribution in space.items():
        if hasattr(distribution, "choices"):
            out[name] = distribution.choices[rng.randint(len(distribution.choices))]
        else:
            number = denormalize(float(rng.uniform()), distribution)
            out[name] = distribution.to_external_repr(
                round(number) if isinstance(distribution.low, int) else number
            )
    return out


def random_regret(task_name: str, k: int, n: int = 1000) -> float:
    """The same for uniform draws."""
    task, rng = load(task_name), np.random.RandomState(0)
    losses = np.array([task.objective(_uniform(task.search_space, rng)) for _ in range(n)])
    picks = losses[rng.randint(n, size=(n, k))].min(axis=1)
    return fmean(task.normalised_regret(float(loss)) for loss in picks)


def clipped(asked: Asked) -> float:
    """Share of the values that had to be moved into the range."""
    n = sum(len(c) for c in configs(asked))
    return advice(asked).repaired.get("clipped", 0) / n if n else 0.0


def _mean(found: Iterable[Asked], measure: Callable[[Asked], float]) -> float:
    """Mean over problems of the mean over seeds."""
    by_problem: dict[str, list[float]] = defaultdict(list)
    for asked in found:
        by_problem[asked.key.problem].append(measure(asked))
    return fmean(map(fmean, by_problem.values())) if by_problem else math.nan


def _text(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:.2f}".replace("0.", ".", 1)


def markdown(answers: Sequence[Asked]) -> str:
    """Boxes, regret, distinct and clipped values, tokens; then the histories."""
    head = ["model, style", "questions", "in boxes: model's own/first tried/all tried"]
    head += [f"{family}, best of {'/'.join(map(str, BEST_OF))}" for family in FAMILIES]
    head += ["distinct", "clipped", "tokens in + out"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    start = [a for a in answers if a.key.problem not in bump_names()]
    for (model, style), found in _grouped(start):
        lines.append("| " + " | ".join([f"{model}, {style}", *_cells(found)]) + " |")
    regrets = [
        "/".join(_text(fmean(random_regret(t, k) for t in _tables(family))) for k in BEST_OF)
        for family in FAMILIES
    ]
    lines.append("| uniform draws | | .37 | " + " | ".join(regrets) + " | | | |")
    return "\n".join([*lines, "", *_histories(answers)])


def _tables(family: str) -> list[str]:
    return [name for name in table_names() if name.startswith(family)]


def _cells(found: Sequence[Asked]) -> list[str]:
    boxed = [a for a in found if a.key.problem in BOXED]
    inside = (
        _mean(boxed, lambda a: share_inside(a, drawn(a))),
        _mean(boxed, lambda a: share_inside(a, configs(a)[:1])),
        _mean(boxed, lambda a: share_inside(a, configs(a))),
    )
    cells = [str(len(found)), "/".join(map(_text, inside))]
    for family in FAMILIES:
        of_family = [a for a in found if a.key.problem.startswith(family)]
        cells.append(
            "/".join(_text(_mean(of_family, lambda a, k=k: best_of(a, k))) for k in BEST_OF)  # type: ignore[misc]
            if of_family
            else "–"
        )
    cells.append(_text(_mean(found, lambda a: advice(a).n_ideas / max(len(a.texts), 8))))
    cells.append(_text(_mean(found, clipped)))
    tokens = (fmean(a.input_tokens for a in found), fmean(a.output_tokens for a in found))
    return [*cells, " + ".join(f"{t:.0f}" for t in tokens)]


def _histories(answers: Sequence[Asked]) -> list[str]:
    found = [a for a in answers if a.key.problem in bump_names()]
    if not found:
        return []
    names = bump_names()
    lines = ["| distance to the optimum | " + " | ".join(names) + " |", "|---" * 5 + "|"]
    for (model, style), group in _grouped(found):
        cells = []
        for name in names:
            gaps = [distance(name, a.key.seed, configs(a)) for a in group if a.key.problem == name]
            cells.append(f"{fmean(gaps):.3f} ({len(gaps)})" if gaps else "–")
        lines.append("| " + " | ".join([f"{model}, {style}", *cells]) + " |")
    seeds = sorted({a.key.seed for a in found})
    cells = [
        f"{fmean(distance(n, s, gaussian_around_the_best(n, s)) for s in seeds):.3f}"
        for n in names
    ]
    lines.append("| " + " | ".join(["Gaussian around the best three", *cells]) + " |")
    return lines


def _grouped(answers: Sequence[Asked]) -> list[tuple[tuple[str, str], list[Asked]]]:
    def cell(asked: Asked) -> tuple[str, str]:
        return asked.key.model, asked.key.style

    return [(key, list(group)) for key, group in groupby(sorted(answers, key=cell), key=cell)]
