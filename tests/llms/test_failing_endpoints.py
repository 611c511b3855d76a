"""Every way in which an endpoint can fail, over real HTTP: the study goes on and says why."""

from __future__ import annotations

import json

import optuna
from optuna.samplers import RandomSampler
import pytest

from optuna_llm_sampler import LLMSampler, OpenAI, usage

from ..support.mixed import objective, params, POINT, run, sources, SPACE
from ..support.servers import answering_server, BEHAVIOURS, misbehaving_server


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")


FAILING = sorted(name for name, behaviour in BEHAVIOURS.items() if behaviour.reason)


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_endpoint_costs_nothing_but_the_model(name: str) -> None:
    alone = run(RandomSampler(seed=1), 4)
    with misbehaving_server(name) as server:
        llm = OpenAI(base_url=server.url, model="m", max_retries=0)
        sampler = LLMSampler(
            llm,
            search_space=SPACE,
            base_sampler=RandomSampler(seed=1),
            timeout=1.0 if BEHAVIOURS[name].reason == "timeout" else 60.0,
            seed=0,
        )
        study = run(sampler, 4)
        asked = len(server.received)
    assert params(study) == params(alone)
    assert sources(study)[0] == f"fallback:{BEHAVIOURS[name].reason}"
    assert all(source.startswith("fallback:") for source in sources(study))
    assert "sk-test" not in str([t.user_attrs | t.system_attrs for t in study.trials])
    assert asked <= 12  # three rungs of the ladder, twice, and one question more each


def test_a_well_behaved_endpoint() -> None:
    answer = json.dumps({"configs": [POINT]})
    with answering_server(lambda body: answer) as server:
        llm = OpenAI(base_url=server.url, model="m")
        study = run(LLMSampler(llm, search_space=SPACE, seed=0), 1)
    assert sources(study) == ["llm"]
    assert usage(study).calls == 1


def test_no_key_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    study = optuna.create_study(
        sampler=LLMSampler("openai/gpt-5-mini", search_space=SPACE, seed=0)
    )
    study.optimize(objective, n_trials=1)
    assert sources(study) == ["fallback:authentication"]
