"""One sampler on several studies: whatever it remembers of one says nothing about another."""

from __future__ import annotations

from itertools import count
import json
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import get_storage, InMemoryStorage
from optuna.study import Study
from optuna.trial import Trial
import pytest

from optuna_llm_sampler import DefaultBaseSampler, LLMSampler
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from ..support.fakes import properties


def values(trial: Trial, names: str) -> float:
    return sum(trial.suggest_float(name, 0, 1) for name in names)


def model() -> FakeLLM:
    """Return a model that never repeats itself; its first configurations have no "y"."""
    steps = count()

    def answer(request: Request) -> str:
        configs = [dict.fromkeys(properties(request), next(steps) / 50) for _ in range(4)]
        configs[0].pop("y", None)
        return json.dumps({"configs": configs})

    return FakeLLM(answer)


def sources(study: Study) -> list[str | None]:
    return [trial.user_attrs.get("llm_source") for trial in study.trials]


@pytest.mark.parametrize("base", [RandomSampler(seed=0), DefaultBaseSampler(seed=0)])
def test_two_studies_in_memory_in_turn(base: BaseSampler) -> None:
    sampler = LLMSampler(
        model(), base_sampler=base, prefetch=False, defaults={"x": 0.5}, llm_share=0.75
    )
    studies = {
        names: optuna.create_study(sampler=sampler, storage=InMemoryStorage())
        for names in ("xy", "xz")
    }
    for _ in range(9):
        # Both trials have the same number and the same id, and run at the same time.
        trials = {names: study.ask() for names, study in studies.items()}
        for trial in trials.values():
            trial.suggest_float("x", 0, 1)
        for names, trial in reversed(trials.items()):
            studies[names].tell(trial, values(trial, names))
    for names, study in studies.items():
        assert [sorted(trial.params) for trial in study.trials] == [sorted(names)] * 9
        assert sources(study) == ["defaults", *["llm"] * 4, "llm", "base", "llm", "llm"]
        advice = [t.user_attrs["llm_advice"] for t in study.trials if "llm_advice" in t.user_attrs]
        assert len(set(advice)) == len(advice) == 8
        from_base = [trial.user_attrs.get("llm_from_base") for trial in study.trials[:3]]
        assert from_base == [None, "y" if "y" in names else None, None]


def test_a_study_in_memory_after_one_that_was_collected() -> None:
    sampler = LLMSampler(
        model(), base_sampler=RandomSampler(seed=0), prefetch=False, defaults={"x": 0.5}
    )
    for _ in range(3):  # a new storage may lie where the old one was
        study = optuna.create_study(sampler=sampler, storage=InMemoryStorage())
        study.optimize(lambda trial: values(trial, "x"), n_trials=3)
        assert sources(study) == ["defaults", "llm", "llm"]
        study.ask().suggest_float("x", 0, 1)
        assert sources(study)[3] == "llm"
        del study


def test_a_study_with_the_ids_of_a_deleted_one(tmp_path: Path) -> None:
    storage = get_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
    sampler = LLMSampler(
        model(),
        base_sampler=RandomSampler(seed=0),
        prefetch=False,
        defaults={"x": 0.5},
        search_space=space,
    )
    ids = set()
    for _ in range(3):
        study = optuna.create_study(study_name="s", sampler=sampler, storage=storage)
        study.optimize(lambda trial: values(trial, "x"), n_trials=3)
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        assert sources(study) == ["defaults", "llm", "llm", "llm"]
        ids.add((study._study_id, trial._trial_id))
        optuna.delete_study(study_name="s", storage=storage)
    assert len(ids) == 1


def test_the_default_base_sampler_on_two_studies_in_memory_at_once() -> None:
    def branching(trial: Trial) -> float:
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return trial.suggest_float("x", 0, 1)
        return 1 + trial.suggest_float("y", 0, 1)

    def sampled(other: bool) -> dict[str, Any]:
        sampler = DefaultBaseSampler(seed=0)
        studies = [
            optuna.create_study(storage=InMemoryStorage(), sampler=RandomSampler(seed=0)),
            optuna.create_study(storage=InMemoryStorage(), directions=["minimize", "maximize"]),
        ]
        studies[0].optimize(branching, n_trials=8)
        studies[1].optimize(lambda trial: (branching(trial), 0.0), n_trials=8)
        for study in studies:
            study.ask()
        trials = [study.trials[-1] for study in studies]
        space = sampler.infer_relative_search_space(studies[0], trials[0])
        if other:
            sampler.infer_relative_search_space(studies[1], trials[1])
        return sampler.sample_relative(studies[0], trials[0], space)

    assert sampled(other=True) == sampled(other=False)
