"""The command ``optuna-llm prompt`` prints the request that the sampler sends."""

from __future__ import annotations

from dataclasses import asdict
import json
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler.cli.main import main
from optuna_llm_sampler.testing import FakeLLM


OPERATIONS = CategoricalDistribution(["none", "skip", "conv", "pool"])
CELL: dict[str, BaseDistribution] = {f"Op{i}": OPERATIONS for i in range(6)}
SPACE: dict[str, BaseDistribution] = {
    **CELL,
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "a_" + "very_" * 20 + "long_name": FloatDistribution(0, 1),
    "kind": CategoricalDistribution(["secret", "other", None]),
}
CODE = FakeLLM(lambda request: "lr=1e-3)", style="code")
JSON = FakeLLM(lambda request: '{"configs": [{"lr": 1e-3}]}', style="json")


def redact(text: str) -> str:
    return text.replace("secret", "x1")


def sampler_of(llm: FakeLLM, space: dict[str, BaseDistribution] = SPACE) -> LLMSampler:
    return LLMSampler(
        llm,
        search_space=space,
        param_notes={"lr": "secret rate"},
        redact=redact,
        base_sampler=RandomSampler(seed=0),
        seed=0,
        timeout=100.0,
    )


def code_sampler() -> LLMSampler:
    return sampler_of(CODE)


def json_sampler() -> LLMSampler:
    return sampler_of(JSON)


def nameless_sampler() -> LLMSampler:
    return sampler_of(CODE, CELL)


def objective(trial: optuna.Trial) -> float:
    for name in CELL:
        trial.suggest_categorical(name, OPERATIONS.choices)
    trial.suggest_categorical("kind", ["secret", "other", None])
    return trial.suggest_float("lr", 1e-5, 1.0, log=True)


def study_at(url: str) -> optuna.Study:
    return optuna.create_study(
        storage=url, study_name="s", load_if_exists=True, sampler=RandomSampler(seed=0)
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


@pytest.mark.parametrize(
    ("llm", "name"), [(CODE, "code_sampler"), (JSON, "json_sampler")], ids=["code", "json"]
)
def test_the_command_prints_the_request_that_is_sent(
    url: str, llm: FakeLLM, name: str, capsys: Any
) -> None:
    llm.requests.clear()
    study = study_at(url)
    study.optimize(objective, n_trials=3)
    named = ("--storage", url, "--sampler", f"{__name__}:{name}")
    assert main(["prompt", *named, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["request"]
    study.sampler = globals()[name]()
    study.optimize(objective, n_trials=1)
    assert shown == json.loads(json.dumps(asdict(llm.requests[0])))
    text = json.dumps(shown)
    assert ("Op0" in text) == (llm is JSON)
    assert "lr" in text
    assert "secret" not in text
    assert "very_" * 10 not in text


def test_the_command_says_that_nothing_would_be_sent(url: str, capsys: Any) -> None:
    study_at(url)
    assert main(["prompt", "--storage", url, "--sampler", f"{__name__}:nameless_sampler"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "param_notes=" in err
