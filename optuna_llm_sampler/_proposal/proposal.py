"""A proposed search space, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import json
from typing import Any, TYPE_CHECKING

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    distribution_to_json,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from .._advice.call import Call
from .._study.conditions import Conditions
from .code import skeleton


if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class ProposedSpace:
    """A search space that a model proposed for a task, checked against the task's words.

    ``LLMSampler.from_proposal(proposed)`` tunes with it; :meth:`suggest` is all that the objective
    function needs.

    Attributes:
        task:
            The task in words.
        space:
            Optuna's distributions by parameter name; parents precede their children.
        conditions:
            Which parameters are used only with certain values of others, as
            :class:`~optuna_llm_sampler.LLMSampler` takes them.
        defaults:
            A first configuration inside the space, with the parameters that it uses.
        param_notes:
            What each parameter is, in the model's words.
        why:
            The reason for each range, in the model's words.
        note:
            What had to be changed, left out or could not be read, and the model's own remark.
        call:
            The model, and what the call took.

    Example:

        .. code-block:: python

            proposed = propose_space(
                "XGBoost on 40,000 rows of credit data; at most 500 trees.",
                llm="openai/gpt-5-mini",
            )


            def objective(trial):
                model = XGBClassifier(**proposed.suggest(trial))
                ...


            study = optuna.create_study(sampler=LLMSampler.from_proposal(proposed))
    """

    task: str
    space: Mapping[str, BaseDistribution]
    conditions: Conditions = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    param_notes: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    call: Call = field(default_factory=Call, compare=False)

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """Ask a trial for the parameters of the space that its other values use."""
        params: dict[str, Any] = {}
        for name, distribution in self.space.items():
            parents = self.conditions.get(name, {})
            if all(p in params and params[p] in values for p, values in parents.items()):
                params[name] = _suggest(trial, name, distribution)
        return params

    def sampler_arguments(self) -> dict[str, Any]:
        """Return the arguments of :class:`~optuna_llm_sampler.LLMSampler` for this space."""
        return {
            "task": self.task,
            "search_space": self.space,
            "conditions": self.conditions or None,
            "defaults": self.defaults,
            "param_notes": self.param_notes,
        }

    def code(self) -> str:
        """Return a program that tunes an empty objective function in this space."""
        return skeleton(self.space, self.conditions, self.defaults, self.why, self.task)

    def to_json(self) -> str:
        """Return the proposal as JSON, for :meth:`from_json`; without its call."""
        return json.dumps(
            {
                "task": self.task,
                "space": {n: json.loads(distribution_to_json(d)) for n, d in self.space.items()},
                "conditions": self.conditions,
                "defaults": self.defaults,
                "param_notes": self.param_notes,
                "why": self.why,
                "note": self.note,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> ProposedSpace:
        """Return the proposal that :meth:`to_json` wrote."""
        read = json.loads(text)
        space = {n: json_to_distribution(json.dumps(d)) for n, d in read.pop("space").items()}
        conditions = {
            name: {parent: tuple(values) for parent, values in parents.items()}
            for name, parents in read.pop("conditions").items()
        }
        return cls(space=space, conditions=conditions, **read)


def _suggest(trial: BaseTrial, name: str, d: BaseDistribution) -> Any:
    if isinstance(d, FloatDistribution):
        return trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
    if isinstance(d, IntDistribution):
        return trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
    assert isinstance(d, CategoricalDistribution)
    return trial.suggest_categorical(name, d.choices)
