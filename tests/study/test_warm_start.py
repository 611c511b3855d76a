"""Prior studies: the model is told of their best configurations, and they are tried first."""

from __future__ import annotations

import pickle
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import Trial
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler._study.warm_start import adopted, N_TRIED, remember, to_try
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


def objective(trial: Trial) -> float:
    rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    kind = trial.suggest_categorical("kind", ["adam", "sgd", None])
    return float(1 - abs(rate - 0.01)) + 0.1 * (kind == "adam")


SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "kind": CategoricalDistribution(["adam", "sgd", None]),
}


def finished(n: int = 20, name: str = "intents A", seed: int = 0) -> Study:
    study = optuna.create_study(
        study_name=name, direction="maximize", sampler=RandomSampler(seed=seed)
    )
    study.set_metric_names(["accuracy"])
    study.optimize(objective, n_trials=n)
    return study


def answer(request: Request) -> str:
    return '{"configs": [{"rate": 0.02, "kind": "sgd"}]}' if request.schema else "rate=2e-2)"


def sampler(style: str = "json", **options: Any) -> tuple[LLMSampler, FakeLLM]:
    llm = FakeLLM(answer, style=style)
    options = {"base_sampler": RandomSampler(seed=1), "seed": 0, **options}
    return LLMSampler(llm, **options), llm


def run(sampler: LLMSampler, n: int) -> Study:
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=n)
    return study


def sources(study: Study) -> list[str]:
    return [trial.user_attrs["llm_source"].partition(":")[0] for trial in study.trials]


@pytest.mark.parametrize("style", ["json", "code"])
def test_the_best_of_a_prior_study_is_tried_first_and_told(style: str) -> None:
    prior = finished()
    made, llm = sampler(style, history=[prior], search_space=SPACE)
    study = run(made, N_TRIED + 1)
    assert sources(study) == ["history"] * N_TRIED + ["llm"]
    assert study.trials[0].params == prior.best_params
    assert len({str(trial.params) for trial in study.trials[:N_TRIED]}) == N_TRIED
    text = llm.requests[0].messages[1]["content"]
    best = prior.best_params
    if style == "json":
        lines = text[text.index("<earlier>") : text.index("</earlier>")].splitlines()
        assert lines[1] == (
            'Best of the earlier study "intents A" (maximize accuracy; 20 trials), best last:'
        )
        value, _, config = lines[-1].partition(" ")
        assert float(value) == pytest.approx(prior.best_value, abs=1e-4)
        assert config == f'{{"rate": {best["rate"]:.3g}, "kind": "{best["kind"]}"}}'
    else:
        assert "best on a similar problem, intents A (maximize accuracy):" in text
        assert f'dict(rate={best["rate"]:.3g}, kind="{best["kind"]}")' in text


def test_defaults_come_before_prior_studies() -> None:
    made, _ = sampler(history=[finished()], defaults={"rate": 0.05, "kind": "sgd"})
    study = run(made, N_TRIED + 2)
    assert sources(study) == ["defaults", *["history"] * N_TRIED, "llm"]


def test_of_several_studies_the_best_of_each_comes_first() -> None:
    studies = [finished(name=f"study {i}", seed=i) for i in range(3)]
    tried = to_try([remember(study) for study in studies], SPACE)
    assert list(tried) == [study.best_params for study in studies]


def test_only_what_is_possible_here_is_taken() -> None:
    here: dict[str, BaseDistribution] = {
        "rate": FloatDistribution(1e-5, 1e-3, log=True),
        "kind": CategoricalDistribution(["sgd", "adam"]),
        "n": IntDistribution(1, 9, step=2),
        "late": FloatDistribution(0, 1),
    }
    assert adopted({"rate": 0.01, "kind": "adam", "n": 3, "other": 5}, here) == {
        "kind": "adam",
        "n": 3,
    }
    assert adopted({"rate": 1e-4, "kind": None, "n": "many"}, here) == {"rate": 1e-4}
    foreign: dict[str, BaseDistribution] = {"width": IntDistribution(1, 9)}
    assert to_try([remember(finished())], foreign) == ()


def test_a_study_without_anything_in_common_is_not_told() -> None:
    foreign: dict[str, BaseDistribution] = {
        "rate": FloatDistribution(5, 6),
        "kind": CategoricalDistribution(["x", "y"]),
    }
    made, llm = sampler(history=[finished()], search_space=foreign)
    study = optuna.create_study(sampler=made)
    study.optimize(
        lambda t: t.suggest_float("rate", 5, 6) + len(t.suggest_categorical("kind", ["x", "y"])),
        n_trials=1,
    )
    assert "<earlier>" not in llm.requests[0].messages[1]["content"]
    assert "history" not in sources(study)


def test_without_a_known_space_the_rest_is_at_the_middle() -> None:
    made, _ = sampler(history=[finished()])
    study = optuna.create_study(sampler=made)
    study.optimize(lambda t: objective(t) + t.suggest_float("new", 0, 1), n_trials=1)
    assert sources(study) == ["history"]
    assert study.trials[0].params["new"] == 0.5


def test_a_pickled_sampler_holds_no_study() -> None:
    made, _ = sampler(history=[finished(200)])
    data = pickle.dumps(made)
    assert b"InMemoryStorage" not in data
    assert b"FrozenTrial" not in data
    for one in (made, pickle.loads(data)):
        study = optuna.create_study(sampler=one)
        study.optimize(objective, n_trials=N_TRIED)
        assert sources(study) == ["history"] * N_TRIED


def test_empty_and_many_objective_studies_are_no_trouble() -> None:
    two = optuna.create_study(directions=["minimize", "maximize"])
    two.optimize(lambda t: (objective(t), -objective(t)), n_trials=5)
    made, _ = sampler(history=[optuna.create_study(), two], search_space=SPACE)
    study = optuna.create_study(sampler=made)
    study.optimize(objective, n_trials=N_TRIED + 2)
    assert 1 <= sources(study).count("history") <= N_TRIED


@pytest.mark.parametrize("history", ["study", [1], object()])
def test_history_is_checked(history: Any) -> None:
    with pytest.raises(ValueError, match="^history must"):
        sampler(history=history)
    with pytest.raises(ValueError, match="^history must be a list"):
        sampler(history=optuna.create_study())
