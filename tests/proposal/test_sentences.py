"""``python -m benchmarks.proposals``: what it counts, and that a recording replays."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.proposals.__main__ import main
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from ..support.proposals import answer, item, ITEMS
from ..support.servers import answering_server


Capture = pytest.CaptureFixture[str]
BOOSTING = (
    item("n_estimators", "int", low=50, high=2000),
    item("max_depth", "int", low=2, high=12),
    item("learning_rate", low=0.01, high=0.3, log=True),
    *(item(f"p{i}", low=0, high=1) for i in range(6)),
)


def respond(request: Request) -> str:
    is_boosting = "boosting" in request.messages[1]["content"]
    return answer(*(BOOSTING if is_boosting else ITEMS))


def test_the_sentences_here_with_a_model_that_disregards_them(
    tmp_path: Path, capsys: Capture
) -> None:
    path = str(tmp_path / "calls.jsonl")
    assert main(["--record", path], llm=FakeLLM(respond)) == 0
    out = capsys.readouterr().out
    assert "stated bounds hold or the contradiction is named: 3 of 3" in out
    assert "experts inside: 2 of 2" in out
    assert "skeletons run: 2 of 2" in out
    assert "no weight_decay; no warmup_ratio" in out
    assert main(["--replay", path]) == 0
    assert capsys.readouterr().out == out


def test_what_fails_is_counted_and_named(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "sentences.jsonl"
    path.write_text(
        '{"id": "a", "words": "Boosting.", "bounds": [{"parameter": "depth", "high": 3}],'
        ' "max_parameters": 2, "expert": {"depth": 99}}\n'
        '{"id": "b", "words": "Boosting.", "contradiction": true}\n'
    )
    llm = FakeLLM(lambda _: answer(*BOOSTING))
    assert main(["--sentences", str(path)], llm=llm) == 1
    out = capsys.readouterr().out
    assert "named: 0 of 2" in out
    assert "experts inside: 0 of 1" in out
    assert "9 parameters; max_depth: IntDistribution" in out
    assert "the expert's 99 is outside of max_depth" in out


def test_an_endpoint_is_asked_only_what_is_not_recorded(tmp_path: Path, capsys: Capture) -> None:
    record = tmp_path / "calls.jsonl"
    arguments = ["--llm", "openai/m", "--record", str(record), "--model-per-study", "--jobs", "3"]
    with answering_server(lambda body: answer(*BOOSTING, *ITEMS)) as server:
        assert main([*arguments, "--base-url", server.url]) == 0
        models = {body["model"] for body in server.bodies}
        assert len(server.bodies) == len(models)
        capsys.readouterr()
        assert main([*arguments, "--base-url", server.url]) == 0
        assert len(server.bodies) == len(models)
    out = capsys.readouterr().out
    assert main(["--replay", str(record)]) == 0
    assert capsys.readouterr().out == out


def test_a_ratio_is_not_what_it_is_a_ratio_of(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "sentences.jsonl"
    path.write_text('{"id": "a", "words": "LoRA.", "bounds": [{"parameter": "rank", "low": 8}]}\n')
    ratio = item("alpha_over_rank", low=1, high=4)
    llm = FakeLLM(lambda _: answer(item("rank", "int", low=8, high=64), ratio))
    assert main(["--sentences", str(path)], llm=llm) == 0
    llm = FakeLLM(lambda _: answer(ratio))
    assert main(["--sentences", str(path)], llm=llm) == 1
    assert "no rank" in capsys.readouterr().out
