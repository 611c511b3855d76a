"""From a sentence to a search space that holds what the sentence says."""

from __future__ import annotations

from pathlib import Path
import pickle
import runpy
import subprocess
import sys
from typing import Any

import openai
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
import pytest

from optuna_llm_sampler import (
    LLMSampler,
    OpenAI,
    propose_space,
    ProposedSpace,
    Recorder,
    Replay,
    search_space_of,
)
from optuna_llm_sampler.errors import ContradictionError, TooSmallError, TurnedOffError
from optuna_llm_sampler.testing import FakeLLM

from ..support.proposals import answer, item, ITEMS, proposed, SENTENCE
from ..support.servers import answering_server, prompt_of


def dropout(low: float, high: float, **values: Any) -> dict[str, Any]:
    return item("dropout", low=low, high=high, **values)


def test_the_sentence_over_http_with_a_model_that_disregards_it(tmp_path: Path) -> None:
    with answering_server(lambda body: answer(*ITEMS, note="Short trainings.")) as server:
        llm = OpenAI(openai.OpenAI(api_key="k", base_url=server.url), model="m")
        found = propose_space(SENTENCE, llm=Recorder(llm, tmp_path / "calls.jsonl"))
        assert "1e-4 and 5e-6" in prompt_of(server.bodies[0])
    assert len(server.bodies) == 1
    assert found.space == {
        "learning_rate": FloatDistribution(5e-6, 1e-4, log=True),
        "batch_size": IntDistribution(32, 128),
        "epochs": IntDistribution(2, 10),
        "optimizer": CategoricalDistribution(("adamw", "sgd")),
        "momentum": FloatDistribution(0.5, 0.99),
    }
    assert found.conditions == {"momentum": {"optimizer": ("sgd",)}}
    assert found.defaults == {
        "learning_rate": 1e-4,
        "batch_size": 32,
        "epochs": 4,
        "optimizer": "adamw",
    }
    assert found.why["epochs"] == "why epochs matters"
    assert found.param_notes["epochs"] == "what epochs is"
    assert found.note == "The model says: Short trainings."
    assert found.call.requests == 1
    again = propose_space(SENTENCE, llm=Replay(tmp_path / "calls.jsonl"))
    assert again == found
    assert ProposedSpace.from_json(found.to_json()) == found
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_study_needs_no_suggestions_by_hand() -> None:
    found = proposed(SENTENCE, *ITEMS)
    sampler = LLMSampler.from_proposal(found, FakeLLM(lambda _: "{}"), seed=0)
    study = optuna.create_study(sampler=sampler)
    seen = []

    def objective(trial: optuna.Trial) -> float:
        params = found.suggest(trial)
        seen.append(params)
        return float(params["epochs"])

    study.optimize(objective, n_trials=15)
    assert seen[0] == found.defaults
    assert {params["optimizer"] for params in seen} == {"adamw", "sgd"}
    for params, trial in zip(seen, study.trials, strict=True):
        assert params == trial.params
        assert ("momentum" in params) == (params["optimizer"] == "sgd")


def test_arguments_go_before_the_proposal() -> None:
    found = proposed(SENTENCE, *ITEMS)
    sampler = LLMSampler.from_proposal(found, "off", task="another", defaults={"epochs": 3})
    assert sampler._settings.task == "another"
    assert sampler._settings.search_space == found.space
    assert sampler._settings.own_configs[0].params == {"epochs": 3}


def test_the_skeleton_runs_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "skeleton.py"
    path.write_text(proposed(SENTENCE, *ITEMS).code(), encoding="utf-8")
    command = [sys.executable, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "'learning_rate': 0.0001" in done.stdout
    assert "if params['optimizer'] in ('sgd',):" in path.read_text()


def test_the_skeleton_is_read_as_the_space_that_it_was_made_from(tmp_path: Path) -> None:
    made = ProposedSpace(
        task="A classifier.",
        space={
            "model": CategoricalDistribution(("svm", "network", "boosting")),
            "svm_C": FloatDistribution(1e-3, 1e3, log=True),
            "layers": IntDistribution(1, 2),
            "schedule": CategoricalDistribution((None, "cosine", "step")),
            "width": IntDistribution(8, 256, step=8),
            "every": IntDistribution(1, 9),
            "rounds": IntDistribution(10, 500),
            "depth": IntDistribution(2, 12),
            "seed": IntDistribution(0, 9),
        },
        conditions={
            "svm_C": {"model": ("svm",)},
            "layers": {"model": ("network",)},
            "schedule": {"model": ("network",)},
            "width": {"model": ("network",)},
            "every": {"schedule": ("step",)},
            "rounds": {"model": ("boosting",)},
            "depth": {"model": ("boosting",)},
        },
    )
    path = tmp_path / "skeleton.py"
    path.write_text(made.code(), encoding="utf-8")
    read = search_space_of(runpy.run_path(str(path))["objective"])
    assert read.left_out == ()
    assert dict(read.space) == made.space
    assert read.conditions == {
        name: {parent: list(values) for parent, values in parents.items()}
        for name, parents in made.conditions.items()
    }


@pytest.mark.parametrize(
    ("task", "given", "expected"),
    [
        ("dropout up to 0.3", dropout(0.0, 0.5), FloatDistribution(0.0, 0.3)),
        ("dropout below 0.3", dropout(0.0, 0.2), FloatDistribution(0.0, 0.2)),
        ("dropout of 10% to 40%", dropout(0.0, 0.9), FloatDistribution(0.1, 0.4)),
        ("dropout 0 to 0.5", dropout(0.1, 0.2, log=True), FloatDistribution(0.0, 0.5)),
        ("dropout 0 to 0.5", dropout(0, 0.9, step=0.2), FloatDistribution(0.0, 0.5)),
        ("dropout exactly 0.1", dropout(0.1, 0.5), FloatDistribution(0.1, 0.1)),
        ("dropout at least 0.6", dropout(0.1, 0.5), FloatDistribution(0.6, 1.0)),
        ("", dropout(0, 0.5, step=0.2), FloatDistribution(0.0, 0.4, step=0.2)),
        ("", item("x", low=0.001, high=1), FloatDistribution(0.001, 1.0, log=True)),
        ("", item("x", low=0.5, high=1), FloatDistribution(0.5, 1.0)),
        ("", item("lr", low=0.01, high=0.1), FloatDistribution(0.01, 0.1, log=True)),
        ("", item("x", None, low=1, high=8, default=2), IntDistribution(1, 8)),
        ("", item("x", "int", low=1, high=10, step=2), IntDistribution(1, 9, step=2)),
        ("more than 2 layers", item("layers", "int", low=1, high=8), IntDistribution(3, 8)),
        ("fewer than 8 layers", item("layers", "int", low=1, high=9), IntDistribution(1, 7)),
        (
            "batch size at least 32",
            item("batch_size", "categorical", choices=[16, 32, 64]),
            CategoricalDistribution((32, 64)),
        ),
        (
            "batch size one of 16, 32, 64",
            item("batch_size", "int", low=8, high=512),
            CategoricalDistribution((16, 32, 64)),
        ),
        (
            "optimizer one of Adam, SGD",
            item("optimizer", "categorical", choices=["lion", "adam"]),
            CategoricalDistribution(("adam", "SGD")),
        ),
    ],
)
def test_stated_limits_are_the_limits(task: str, given: Any, expected: Any) -> None:
    found = proposed(task or "anything", given)
    assert list(found.space.values()) == [expected]


def test_the_model_says_what_a_limit_is_about_where_the_words_do_not() -> None:
    found = proposed("no more than 5 passes", item("epochs", "int", low=1, high=9, stated=[1]))
    assert found.space == {"epochs": IntDistribution(1, 5)}
    # A word such as "size" may mean several parameters.
    units, batch = item("units", "int", low=8, high=99), item("batch_size", "int", low=1, high=9)
    task = "a size of 32 to 256"
    found = proposed(task, {**units, "stated": [1]}, batch)
    assert found.space == {"units": IntDistribution(32, 256), "batch_size": IntDistribution(1, 9)}
    assert proposed(task, units, batch).space["batch_size"] == IntDistribution(32, 256)
    # But not against the words.
    other = item("patience", "int", low=10, high=20, stated=[1])
    found = proposed("at most 5 epochs", other, item("epochs", "int", low=1, high=9))
    assert found.space == {"patience": IntDistribution(10, 20), "epochs": IntDistribution(1, 5)}


def test_what_cannot_be_honoured_is_named() -> None:
    found = proposed("at least 80% accuracy on 900 rows, work_mem up to 4 GB", dropout(0.0, 0.5))
    assert "tied to no parameter: 'at least 80%', 'up to 4 GB'" in found.note
    assert "not read as limits: 900 rows" in found.note
    found = proposed("a cache up to 4 GB", item("cache_ms", "int", low=1, high=99), ITEMS[2])
    assert list(found.space) == ["epochs"]
    assert "Refused: 'cache_ms' (the words give its limits in gb)" in found.note


def test_at_most_so_many_parameters() -> None:
    found = proposed(f"{SENTENCE} At most three parameters.", *reversed(ITEMS))
    assert set(found.space) == {"learning_rate", "batch_size", "momentum"}
    assert found.conditions == {}
    assert "at most 3 parameters are allowed: 'optimizer', 'epochs'" in found.note
    with pytest.raises(ContradictionError, match=r"at most 1 parameters .* for 2"):
        proposed(f"{SENTENCE} Tune only one parameter.", *ITEMS)


@pytest.mark.parametrize(
    ("task", "given"),
    [
        ("from 0.1 to 0.9 widgets", item("widgets", "int", low=1, high=5)),
        ("between 3 and 5 of it, no less than 9 there", item("x", stated=[1, 2])),
        ("a value between 1.2 and 1.5", dropout(0.1, 0.5, stated=[1])),
    ],
)
def test_contradictions_that_show_with_the_answer(task: str, given: Any) -> None:
    with pytest.raises(ContradictionError):
        proposed(task, given)


def test_a_contradiction_costs_no_call() -> None:
    llm = FakeLLM(lambda _: answer(*ITEMS))
    with pytest.raises(ContradictionError):
        propose_space("a dropout of at least 0.5 and at most 0.2", llm=llm)
    assert llm.requests == []


def test_a_small_model_is_named_and_so_is_the_alternative() -> None:
    llm = FakeLLM(lambda _: answer(*ITEMS), style="code")
    with pytest.raises(TooSmallError) as info:
        propose_space(SENTENCE, llm=llm)
    assert str(info.value) == "fake is too small to design a search space."
    assert "openai/" in info.value.hint
    assert llm.requests == []


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="task"):
        propose_space(" ", llm="off")
    with pytest.raises(ValueError, match="llm"):
        propose_space(SENTENCE, llm="gpt")
    with pytest.raises(TurnedOffError):
        propose_space(SENTENCE, llm="off")
