"""Styles: how a model is asked, the rule by which a style is chosen, and what it changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest

from optuna_llm_sampler import LocalLLM, OpenAI, Recorder, Replay
from optuna_llm_sampler._advice.advice import Config
from optuna_llm_sampler._advice.ask import ask
from optuna_llm_sampler._advice.first_proposals import consensus_first
from optuna_llm_sampler._advice.prompts import build, prefill
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._policy.allocation import make_policy
from optuna_llm_sampler._study.summary import StudySummary
from optuna_llm_sampler.llms import CODE, JSON, Request, SCRIPT, Style
from optuna_llm_sampler.llms.style import as_style, style_for
from optuna_llm_sampler.testing import FakeLLM


SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-6, 0.25, log=True),
    "units": IntDistribution(16, 1024, log=True),
    "act": CategoricalDistribution(["relu", None]),
}
QUESTION = Question(SPACE, StudySummary(("minimize",), ("",)), task="A network.", n_configs=2)


def user(request: Request) -> str:
    return next(m["content"] for m in request.messages if m["role"] == "user")


@pytest.mark.parametrize(
    ("model", "style"),
    [
        ("qwen2.5-coder-0.5b", CODE),
        ("Llama-3.2-3B-Instruct-Q4_K_M.gguf", CODE),
        ("gemma-3-270m-it", CODE),
        ("qwen2.5:1.5b", CODE),
        ("qwen2.5-coder:7b", JSON),
        ("Qwen3-30B-A3B", JSON),
        ("meta-llama/Llama-3.1-70B", JSON),
        ("gpt-5-mini", None),
        ("mixtral-8x7b", None),
        ("model-4bit", None),
    ],
)
def test_the_rule(model: str, style: Style | None) -> None:
    assert style_for(model) == style


def test_the_rule_at_the_back_ends(tmp_path: Path) -> None:
    (tmp_path / "llama-3.1-70b.gguf").write_bytes(b"")
    (tmp_path / "model.gguf").write_bytes(b"")
    assert LocalLLM(tmp_path / "llama-3.1-70b.gguf").style == JSON
    assert LocalLLM(tmp_path / "model.gguf").style == CODE
    assert LocalLLM(style="json").style == JSON
    assert OpenAI(model="qwen2.5:0.5b").style == CODE
    assert OpenAI(model="gpt-5-mini").style == JSON
    assert OpenAI(model="qwen2.5:0.5b", style=JSON).style == JSON
    script = LocalLLM(style=SCRIPT)
    assert (script.template, LocalLLM(style=CODE).template) == ("raw", "chat")
    assert LocalLLM(style=SCRIPT, template="chat").template == "chat"


@pytest.mark.parametrize("style", ["xml", None, 3])
def test_what_is_no_style(style: Any) -> None:
    with pytest.raises(ValueError, match="^style must be one of"):
        as_style(style)


def test_what_is_no_form() -> None:
    with pytest.raises(ValueError, match="^form must be one of"):
        Style("xml")  # type: ignore[arg-type]


ANSWER = {
    "json": '{"configs": [{"lr": 3e-5, "units": 64, "act": "relu"}]}',
    "code": "lr=3e-5, units=64, act='relu')",
    "script": "lr=3e-5, units=64, act='relu')",
}


def asked(style: Style) -> tuple[Config, ...]:
    text = ANSWER[style.form] if style.prefill or style == JSON else f"dict({ANSWER[style.form]}"
    return ask(FakeLLM(lambda request: text, style=style), QUESTION, timeout=9.0).advice.configs


@pytest.mark.parametrize("style", [CODE, SCRIPT, replace(CODE, prefill=False)])
def test_every_style_leads_to_the_same_configuration(style: Style) -> None:
    stated = asked(JSON)
    assert [config.params for config in stated] == [{"lr": 3e-5, "units": 64, "act": "relu"}]
    # A sample is moved towards the middle of the ranges, which the model has not seen.
    assert asked(style) == consensus_first(stated, QUESTION.space, QUESTION.n_configs)


def test_a_script_is_comments_and_a_beginning() -> None:
    request = build(QUESTION, "script")
    assert [m["role"] for m in request.messages] == ["user", "assistant"]
    lines = user(request).splitlines()
    assert all(line.startswith("# ") for line in lines)
    assert lines[0] == "# A network."
    assert lines[-1].endswith("`params = dict(lr=..., units=..., act='relu' | None)`.")
    assert prefill(request) == "params = dict("
    assert request.grammar == build(QUESTION, "code").grammar


def test_what_the_fields_change() -> None:
    plain = build(QUESTION, CODE)
    assert "0.25" not in user(plain)
    with_bounds = user(build(QUESTION, replace(CODE, bounds=True)))
    assert "lr=1e-06 to 0.25, units=16 to 1024" in with_bounds
    assert "0.25" in user(build(QUESTION, JSON))
    assert "0.25" not in user(build(QUESTION, replace(JSON, bounds=False)))
    assert plain.grammar is not None
    assert "e-" in plain.grammar
    assert "e-" not in str(build(QUESTION, replace(CODE, exponents=False)).grammar)
    assert not prefill(build(QUESTION, replace(CODE, prefill=False)))
    assert build(QUESTION, replace(CODE, temperature=0.3)).temperature == 0.3


def test_models_that_give_samples_have_the_start_only() -> None:
    policies = [make_policy(s, share=None, n_configs=None) for s in (JSON, CODE, SCRIPT)]
    assert [policy.share for policy in policies] == [None, 0.0, 0.0]


@pytest.mark.parametrize("style", ["code", SCRIPT, replace(CODE, bounds=True)])
def test_a_recording_is_asked_for_as_it_was_recorded(tmp_path: Path, style: Style | str) -> None:
    path = tmp_path / "answers.jsonl"
    recorded = ask(
        Recorder(FakeLLM(lambda request: ANSWER["code"], style=style), path),
        QUESTION,
        timeout=9.0,
    )
    assert Replay(path).style == as_style(style)
    assert ask(Replay(path), QUESTION, timeout=9.0).advice == recorded.advice
