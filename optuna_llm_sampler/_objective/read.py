"""Read the search space of an objective from its source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from optuna.distributions import BaseDistribution

from .conditions import combine
from .functions import RaisedError
from .path import GiveUpError, Path, TooLongError
from .source import Sources
from .statements import Follower
from .values import TRIAL


_CALL = ast.Call(ast.Name("objective", ast.Load()), [ast.Name("trial", ast.Load())], [])
_MAX_SHOWN = 8
_MAX_PATHS = 300


@dataclass(frozen=True)
class ObjectiveSpace:
    """What an objective's source says of its search space.

    Attributes:
        space:
            Distributions by parameter name. Each is certain.
        conditions:
            Which parameters are used only with certain values of others, as
            ``LLMSampler(conditions=)`` takes them. They hold in all trials that are not pruned
            and do not fail.
        left_out:
            What the objective asks for beyond that, in words; empty if nothing.
    """

    space: Mapping[str, BaseDistribution]
    conditions: Mapping[str, Mapping[str, list[Any]]]
    left_out: tuple[str, ...] = ()

    def in_words(self) -> str:
        """Return what was found and what was left out, in one line."""
        n = len(self.space)
        names = (
            f" ({', '.join(islice(self.space, _MAX_SHOWN))}{', ...' if n > _MAX_SHOWN else ''})"
        )
        found = f"{n} parameters{names if n else ''}, {len(self.conditions)} conditions."
        if not self.left_out:
            return found
        rest = len(self.left_out) - _MAX_SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        return f"{found} Left to the first trial: {'; '.join(self.left_out[:_MAX_SHOWN])}{more}."


def search_space_of(objective: Callable[..., Any]) -> ObjectiveSpace:
    """Read the search space from an objective's source. Nothing is run or imported.

    Read are ``trial.suggest_*`` calls in the objective and in the functions and classes that it
    gives the trial to, with constants, module constants and attributes of ``self`` as arguments,
    in loops over constants, and under conditions on choices and small integers. Everything else,
    such as bounds that depend on another suggestion, is left out, and ``left_out`` says so.

    Args:
        objective:
            What ``study.optimize`` takes: a function, a lambda, a method, an object with
            ``__call__`` or a :func:`functools.partial` of these.

    Returns:
        The space; empty if there is no source, as for functions made by :func:`exec`.

    Raises:
        TypeError: It is not callable.

    Example:

        .. code-block:: python

            from optuna_llm_sampler import search_space_of


            def objective(trial):
                return trial.suggest_float("x", -1.0, 1.0) ** 2


            print(search_space_of(objective).space)
    """
    if not callable(objective):
        raise TypeError(f"objective must be callable; got {type(objective).__name__}.")
    sources = Sources()
    try:
        paths = _paths(objective, sources, coarse=False) or _paths(objective, sources, coarse=True)
    except RecursionError:
        return ObjectiveSpace({}, {}, ("all: the source is nested too deeply",))
    space, conditions, left_out = combine(paths)
    return ObjectiveSpace(space, conditions, tuple(left_out.values()))


def _paths(objective: Callable[..., Any], sources: Sources, *, coarse: bool) -> list[Path]:
    """Follow all ways through an objective.

    Returns:
        The paths. If there are too many: if ``coarse``, one that is what they have in common;
        else none.
    """
    paths: list[Path] = []
    steps = count()
    scripts: list[tuple[int, ...]] = [()]
    while scripts:
        path = Path(steps, scripts.pop())
        try:
            if len(paths) == _MAX_PATHS:
                raise TooLongError
            _follow(objective, path, sources, coarse=coarse)
        except TooLongError:
            return [_common_part(paths or [path])] if coarse else []
        paths.append(path)
        scripts += path.others
    return paths


def _follow(objective: Callable[..., Any], path: Path, sources: Sources, *, coarse: bool) -> None:
    follower = Follower(path, sources, coarse=coarse)
    try:
        follower.call(follower.lift(objective), [TRIAL], {}, _CALL)
    except RaisedError:
        path.has_raised = not path.doubt  # else it may have returned before
    except GiveUpError as error:
        path.open(f"what comes after {error}")


def _common_part(paths: list[Path]) -> Path:
    """Return what comes before the first fork, on a path that is open."""
    names = list(paths[0].found)[: paths[0].n_certain]
    part = Path(count(), found={name: paths[0].found[name] for name in names})
    part.left_out = {name: words for path in paths for name, words in path.left_out.items()}
    part.open("what comes after the first branches, of which there are too many")
    return part
