"""``--ask``: a sentence → the search space in which the main job tunes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.study import Study

from optuna_llm_sampler import propose_space, ProposedSpace
from optuna_llm_sampler._study.space import is_legal
from optuna_llm_sampler.errors import ContradictionError

from .config import Config


# User attribute of a study: the proposal as JSON, so that all runs tune in one space.
PROPOSAL = "customer_service:proposal"
# Parameters that no sentence can raise above what the model or the command allows.
_LIMITED = ("epochs", "n_layers", "frozen_layers")


def propose(
    config: Config, storage: BaseStorage, own: Mapping[str, BaseDistribution]
) -> ProposedSpace:
    """Return the proposal of the study, or ask for one if there is none yet.

    Args:
        config:
            The run, with a sentence.
        storage:
            Where the study is or will be.
        own:
            The main job's own space. The proposal has exactly its parameters.

    Raises:
        OptunaLLMError: There is no model, no usable answer, or the words contradict themselves.
    """
    for study in storage.get_all_studies():
        if study.study_name == config.study and PROPOSAL in study.user_attrs:
            return ProposedSpace.from_json(study.user_attrs[PROPOSAL])
    found = propose_space(config.ask, llm=config.llm, like=own, timeout=config.timeout)
    space = {name: _within(name, d, found.space.get(name, d)) for name, d in own.items()}
    defaults = {
        name: value
        for name, value in found.defaults.items()
        if name in space and is_legal(value, space[name])
    }
    others = ", ".join(name for name in found.space if name not in own)
    note = f"{found.note} This job has no {others}." if others else found.note
    # Every training needs every parameter, so there are no conditions.
    return replace(found, space=space, defaults=defaults, conditions={}, note=note.strip())


def keep(study: Study, proposed: ProposedSpace) -> ProposedSpace:
    """Write the proposal into the study, unless another run was faster; return the one there."""
    if PROPOSAL not in study.user_attrs:
        study.set_user_attr(PROPOSAL, proposed.to_json())
    return ProposedSpace.from_json(study.user_attrs[PROPOSAL])


def _within(name: str, own: BaseDistribution, found: BaseDistribution) -> BaseDistribution:
    """Return a proposed range, cut to what a limited parameter can be."""
    if name not in _LIMITED or not isinstance(own, IntDistribution):
        return found
    if isinstance(found, CategoricalDistribution):
        choices = [c for c in found.choices if isinstance(c, int) and 0 <= c <= own.high]
        if choices:
            return CategoricalDistribution(choices)
    elif isinstance(found, (IntDistribution, FloatDistribution)):
        low, high = max(int(found.low), min(own.low, 1)), min(int(found.high), own.high)
        if low <= high:
            return IntDistribution(low, high, log=found.log and low > 0)
    raise ContradictionError(
        f"{name} goes up to {own.high} here, and the sentence wants other values.",
        hint="Change the sentence, or raise --max-epochs if it is about epochs.",
    )
