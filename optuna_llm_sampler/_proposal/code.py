"""A search space as the text of a program that runs as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from .._study.conditions import Conditions, grouped
from .._text import plain


_COMMENT_CHARS = 90
_END = """    return params


def objective(trial: optuna.Trial) -> float:
    params = suggest(trial)
    # Train and evaluate with params here; return the value to optimize.
    return 0.0


if __name__ == "__main__":
    study = optuna.create_study(direction="maximize")  # or "minimize"
    study.enqueue_trial({defaults})
    study.optimize(objective, n_trials=20)
    print(study.best_params)
"""


def skeleton(
    space: Mapping[str, BaseDistribution],
    conditions: Conditions,
    defaults: Mapping[str, Any],
    why: Mapping[str, str],
    task: str,
) -> str:
    """Return the program. Names and values are literals; words stand in comments only.

    Args:
        space:
            Parents precede their children.
        conditions:
            As in :class:`~optuna_llm_sampler.ProposedSpace`.
        defaults:
            The first configuration.
        why:
            A reason by parameter.
        task:
            The task in words.
    """
    lines = [
        *_comment(task, ""),
        "import optuna",
        "",
        "",
        "def suggest(trial: optuna.Trial) -> dict:",
        "    params = {}",
    ]
    for parents, names in grouped(space, lambda name: conditions.get(name, {})):
        indent = "    "
        if parents:
            lines.append(f"    if {_condition(parents, conditions)}:")
            indent *= 2
        for name in names:
            lines += _comment(why.get(name, ""), indent)
            lines.append(f"{indent}params[{name!r}] = trial.{_call(name, space[name])}")
    return "\n".join(lines) + "\n" + _END.replace("{defaults}", repr(dict(defaults)))


def _comment(text: str, indent: str) -> Iterator[str]:
    if line := plain(text, 400):
        while line:
            cut = len(line) if len(line) <= _COMMENT_CHARS else line.rfind(" ", 1, _COMMENT_CHARS)
            cut = _COMMENT_CHARS if cut < 1 else cut
            yield f"{indent}# {line[:cut]}"
            line = line[cut:].lstrip()


def _condition(parents: Mapping[str, tuple[Any, ...]], conditions: Conditions) -> str:
    def one(parent: str, values: tuple[Any, ...]) -> str:
        if parent not in conditions:
            return f"params[{parent!r}] in {tuple(values)!r}"
        # It is not used itself by every configuration.
        known = f"{parent!r} in params and " if None in values else ""
        return f"{known}params.get({parent!r}) in {tuple(values)!r}"

    return " and ".join(one(parent, values) for parent, values in parents.items())


def _call(name: str, d: BaseDistribution) -> str:
    if isinstance(d, CategoricalDistribution):
        return f"suggest_categorical({name!r}, {list(d.choices)!r})"
    assert isinstance(d, (FloatDistribution, IntDistribution))
    kind = "float" if isinstance(d, FloatDistribution) else "int"
    step = d.step is not None and not (kind == "int" and d.step == 1)
    options = (f", step={d.step!r}" if step else "") + (", log=True" if d.log else "")
    return f"suggest_{kind}({name!r}, {d.low!r}, {d.high!r}{options})"
