"""The whole way with real weights: in this process, and behind llama.cpp's own HTTP server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re

import optuna
from optuna.samplers import RandomSampler
import pytest

from optuna_llm_sampler import LLMSampler, LocalLLM, OpenAI, usage
from optuna_llm_sampler.llms import Message, Request
from optuna_llm_sampler.llms.local.weights import pull

from ..support.llama_server import llama_server
from ..support.recorded import objective, SPACE


pytestmark = pytest.mark.slow

SMALL = "qwen2.5-coder-0.5b"
TASK = "BERT is fine-tuned with AdamW to classify 10,000 customer-service queries; accuracy."


@pytest.fixture(scope="module")
def weights() -> Path:
    return pull(SMALL)


@pytest.fixture(scope="module")
def url(weights: Path) -> Iterator[str]:
    with llama_server(weights) as url:
        yield url


def study_on(llm: LocalLLM | OpenAI) -> optuna.Study:
    sampler = LLMSampler(
        llm,
        task=TASK,
        search_space=SPACE,
        base_sampler=RandomSampler(seed=0),
        timeout=240.0,
        n_configs=1,
        seed=0,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=1)
    return study


def first(study: optuna.Study) -> optuna.trial.FrozenTrial:
    trial = study.trials[0]
    assert trial.user_attrs["llm_source"] == "llm", trial.user_attrs
    assert usage(study).outcomes == {"ok": 1}
    assert (usage(study).output_tokens or 0) > 0
    return trial


def test_in_this_process(weights: Path) -> None:
    trial = first(study_on(LocalLLM(weights)))
    # Asked as code and without bounds, it knows the scale of a learning rate for BERT.
    assert 1e-6 < trial.params["learning_rate"] < 1e-2


def test_behind_llama_cpps_own_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)  # such a server wants none
    first(study_on(OpenAI(base_url=url, model="anything")))


def test_llama_cpps_own_server_keeps_to_the_grammar(url: str) -> None:
    # Something that the model would never write of its own accord.
    grammar = '%llguidance {}\nstart: "zebra=" /7{3}/ ", ox=" /[1-9]e-[1-8]/ ")"\n'
    messages: tuple[Message, ...] = (
        {"role": "user", "content": "Good hyperparameters for BERT, as `params = dict(lr=...)`."},
        {"role": "assistant", "content": "params = dict("},
    )
    request = Request(messages, grammar=grammar, n=6, max_tokens=40, timeout=240.0, seed=1)
    llm = OpenAI(base_url=url, model="anything", style="code")
    texts = llm.complete(request).texts  # its four slots, and then the rest
    assert len(texts) == 6
    assert all(re.fullmatch(r"zebra=777, ox=[1-9]e-[1-8]\)", text) for text in texts)
    assert len(set(texts)) > 1


def test_as_code_behind_llama_cpps_own_server(url: str) -> None:
    llm = OpenAI(base_url=url, model="qwen2.5-coder-0.5b")
    assert str(llm.style) == "code"
    trial = first(study_on(llm))
    assert 1e-6 < trial.params["learning_rate"] < 1e-2
