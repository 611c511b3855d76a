"""``optuna-llm doctor | prompt | suggest | report | explain``, as a person or a script runs it."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import sqlite3
import subprocess
import sys
import time
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.study import Study
import pytest

from optuna_llm_sampler import calls, LLMSampler
from optuna_llm_sampler._sampler import progress as _progress
from optuna_llm_sampler.cli.main import main
from optuna_llm_sampler.report.report import report
from optuna_llm_sampler.testing import FakeLLM

from ..support.fakes import guesser
from ..support.servers import answering_server, misbehaving_server, prompt_of
from ..support.studies import knowing, objective, SPACE, tuned


Capture = pytest.CaptureFixture[str]

COMMANDS = ("prompt", "suggest", "report", "explain")
# A model for ``--sampler tests.cli.test_commands:sampler``, which no --llm can name.
LLM = FakeLLM(knowing)


def sampler() -> LLMSampler:
    return LLMSampler(LLM, task="The task of the sampler", search_space=SPACE)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("storage") / "study.db"
    tuned(12, storage=f"sqlite:///{path}")
    return path


@pytest.fixture
def url(db: Path) -> str:
    return f"sqlite:///{db}"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPTUNA_LLM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPTUNA_LLM_CACHE", str(tmp_path / "no-weights"))


def fails(capsys: Capture, *argv: str, code: int = 3) -> str:
    """Run a command that ends with one line on stderr, and return that line."""
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("optuna-llm: ")
    assert "Traceback" not in err
    return err


def prints(capsys: Capture, *argv: str) -> str:
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


# --- what is wrong with the storage or the study --------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
class TestProblems:
    def test_missing_study(self, command: str, url: str, capsys: Capture) -> None:
        err = fails(capsys, command, "--storage", url, "--study", "customer")
        assert "no study 'customer'" in err
        assert "Did you mean 'customer-service'?" in err

    def test_missing_file(self, command: str, tmp_path: Path, capsys: Capture) -> None:
        path = tmp_path / "typo.db"
        for storage in (f"sqlite:///{path}", str(path)):
            assert "There is no file" in fails(capsys, command, "--storage", storage)
        assert not path.exists()

    def test_unreachable_storage(self, command: str, capsys: Capture) -> None:
        pytest.importorskip("psycopg")
        storage = "postgresql+psycopg://me:sesame@127.0.0.1:1/db?sslkey=sesame"
        err = fails(capsys, command, "--storage", storage)
        assert "postgresql+psycopg://127.0.0.1:1/db cannot be read" in err
        assert "refused" in err.lower()
        assert "sesame" not in err

    def test_no_storage_at_all(self, command: str, tmp_path: Path, capsys: Capture) -> None:
        text = tmp_path / "notes.txt"
        text.write_text("not a journal\nat all\n")
        other = tmp_path / "other.db"
        with sqlite3.connect(other) as connection:
            connection.execute("CREATE TABLE t (x)")
        assert "neither a SQLite" in fails(capsys, command, "--storage", str(text))
        assert "name of the database" in fails(capsys, command, "--storage", f"sqlite:///{other}")
        assert "cannot be read" in fails(capsys, command, "--storage", "nonsense://x")

    def test_tables_of_a_newer_optuna(self, command: str, db: Path, capsys: Capture) -> None:
        copy = db.with_name(f"newer-{command}.db")
        copy.write_bytes(db.read_bytes())
        with sqlite3.connect(copy) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0'")
        err = fails(capsys, command, "--storage", str(copy))
        assert "another version of Optuna" in err
        assert "--upgrade optuna" in err

    def test_study_of_a_newer_sampler(self, command: str, tmp_path: Path, capsys: Capture) -> None:
        url = f"sqlite:///{tmp_path}/newer.db"
        trial = optuna.create_study(storage=url).ask()
        value: Any = {"v": 2, "trial": 0, "anything": "else"}
        trial.storage.set_trial_system_attr(trial._trial_id, "llm:post:0", value)
        err = fails(capsys, command, "--storage", url)
        assert "another version of optuna-llm-sampler (format 2; this one knows 1)" in err
        assert "--upgrade" in err

    def test_several_studies(self, command: str, tmp_path: Path, capsys: Capture) -> None:
        url = f"sqlite:///{tmp_path}/two.db"
        assert optuna.create_study(storage=url, study_name="b")
        assert optuna.create_study(storage=url, study_name="a")
        err = fails(capsys, command, "--storage", url)
        assert "There are 2 studies" in err
        assert "There are: 'a', 'b'" in err

    def test_errors_are_json_too(self, command: str, url: str, capsys: Capture) -> None:
        assert main([command, "--storage", url, "--study", "x", "--json"]) == 3
        out, err = capsys.readouterr()
        assert "no study 'x'" in json.loads(out)["error"]
        assert len(err.splitlines()) == 1

    def test_nothing_to_go_on(self, command: str, tmp_path: Path, capsys: Capture) -> None:
        if command == "report":
            return  # of an empty study there is a report
        url = f"sqlite:///{tmp_path}/empty.db"
        assert optuna.create_study(storage=url)
        extra = () if command == "explain" else ("--sampler", "tests.cli.test_commands:unspaced")
        err = fails(capsys, command, "--storage", url, *extra)
        assert "trial" in err


def unspaced() -> LLMSampler:
    return LLMSampler(LLM)


def test_no_traceback_in_a_real_process(url: str) -> None:
    command = [sys.executable, "-m", "optuna_llm_sampler.cli"]
    arguments = ["report", "--storage", url, "--study", "nope"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


def test_one_study_needs_no_name_and_a_path_is_a_storage(db: Path, capsys: Capture) -> None:
    assert "Study customer-service" in prints(capsys, "report", "--storage", str(db))


def test_journal_file(tmp_path: Path, capsys: Capture) -> None:
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    tuned(4, of=objective, storage=optuna.storages.JournalStorage(backend))
    assert "4 trials" in prints(capsys, "report", "--storage", str(tmp_path / "journal.log"))


# --- what is wrong with the model -----------------------------------------------------------


@pytest.mark.parametrize("command", ["suggest", "explain"])
def test_no_key(command: str, url: str, capsys: Capture) -> None:
    err = fails(capsys, command, "--storage", url, "--llm", "openai/gpt-5-mini", code=1)
    assert "OPENAI_API_KEY" in err


@pytest.mark.parametrize("command", ["suggest", "explain"])
def test_no_weights(command: str, url: str, capsys: Capture) -> None:
    pytest.importorskip("xllamacpp")
    for llm in ([], ["--llm", "local"]):
        err = fails(capsys, command, "--storage", url, *llm, code=1)
        assert "not on this machine" in err
        assert "optuna-llm pull" in err
    err = fails(capsys, command, "--storage", url, "--llm", "local/none.gguf", code=1)
    assert "none.gguf" in err


@pytest.mark.parametrize("command", ["suggest", "explain", "prompt"])
def test_no_such_model(command: str, url: str, capsys: Capture) -> None:
    assert "nonsense" in fails(capsys, command, "--storage", url, "--llm", "nonsense", code=1)


@pytest.mark.parametrize("command", ["suggest", "prompt"])
def test_samplers_that_are_none(command: str, url: str, capsys: Capture) -> None:
    for name in ("no.such:thing", "json:dumps", "tests.support.studies:SPACE"):
        assert "--sampler" in fails(capsys, command, "--storage", url, "--sampler", name, code=1)


@pytest.mark.parametrize(
    "argv", [["report"], ["suggest", "--storage", "x", "-n", "0"], ["report", "--price", "cheap"]]
)
def test_arguments_that_make_no_sense(argv: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as info:
        main(argv)
    assert info.value.code == 2
    assert "usage: " in capsys.readouterr().err


# --- report ---------------------------------------------------------------------------------


def test_report_as_json_and_html(url: str, tmp_path: Path, capsys: Capture) -> None:
    data = json.loads(prints(capsys, "report", "--storage", url, "--json", "--price", "1,2"))
    assert data["study"] == "customer-service"
    assert data["total"]["usd"] > 0
    page = tmp_path / "report.html"
    assert str(page) in prints(capsys, "report", "--storage", url, "--html", str(page))
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    err = fails(capsys, "report", "--storage", url, "--html", f"{tmp_path}/no/x.html", code=1)
    assert "cannot be written" in err


def test_report_changes_nothing(db: Path, capsys: Capture) -> None:
    before = db.read_bytes()
    prints(capsys, "report", "--storage", str(db))
    prints(capsys, "prompt", "--storage", str(db), "--llm", "openai/m")
    assert db.read_bytes() == before


def test_no_colours_off_a_terminal(
    url: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in prints(capsys, "report", "--storage", url)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[1m" in prints(capsys, "report", "--storage", url)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in prints(capsys, "report", "--storage", url)


# --- prompt ---------------------------------------------------------------------------------


def test_prompt_is_what_the_next_call_sends(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=url, sampler=RandomSampler(seed=0))
    study.optimize(objective, n_trials=3)
    notes = tmp_path / "notes.json"
    notes.write_text('{"dropout": "of the classifier only"}')
    options = ("--task", "What is tuned", "--param-notes", str(notes))
    arguments = ("prompt", "--storage", url, "--llm", "openai/m", "--seed", "7", *options)
    shown = json.loads(prints(capsys, *arguments, "--json"))
    assert study.get_trials(states=[optuna.trial.TrialState.RUNNING]) == []

    llm = FakeLLM(guesser())
    study.sampler = LLMSampler(
        llm,
        task="What is tuned",
        param_notes={"dropout": "of the classifier only"},
        seed=7,
    )
    study.optimize(objective, n_trials=1)
    sent = llm.requests[0]
    assert shown["request"]["messages"] == [dict(m) for m in sent.messages]
    assert shown["request"]["schema"] == sent.schema
    for name in ("max_tokens", "seed", "n", "temperature"):
        assert shown["request"][name] == getattr(sent, name)
    assert shown["tokens"]["exact"] is False
    text = "".join(m["content"] for m in sent.messages) + json.dumps(sent.schema)
    assert shown["tokens"]["count"] == pytest.approx(len(text.encode()) / 3, abs=2)


def test_prompt_reads_as_text(url: str, capsys: Capture) -> None:
    text = prints(capsys, "prompt", "--storage", url, "--llm", "openai/m", "--task", "My task")
    assert "estimate: bytes / 3" in text
    assert "My task" in text
    assert "JSON schema of the answer" in text
    assert "--- user" in text


def test_prompt_of_ones_own_sampler(url: str, capsys: Capture) -> None:
    calls = len(LLM.requests)
    name = "tests.cli.test_commands:sampler"
    assert "The task of the sampler" in prints(
        capsys, "prompt", "--storage", url, "--sampler", name
    )
    assert len(LLM.requests) == calls


def test_prompt_needs_neither_model_nor_extra(
    url: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    err = fails(capsys, "prompt", "--storage", url, "--llm", "local", code=1)
    assert "--style" in err
    text = prints(capsys, "prompt", "--storage", url, "--llm", "local", "--style", "code")
    assert "params = " in text


def test_prompt_of_a_model_that_is_turned_off(
    url: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTUNA_LLM", "off")
    err = fails(capsys, "prompt", "--storage", url, "--style", "json", code=1)
    assert "turned off" in err


# --- suggest --------------------------------------------------------------------------------


SUGGEST = ("suggest", "--sampler", "tests.cli.test_commands:sampler", "--storage")


def test_suggest_adds_no_trial(db: Path, capsys: Capture) -> None:
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{db}")
    before, n_calls = study.trials, len(calls(study))
    text = prints(capsys, *SUGGEST, str(db), "-n", "3")
    assert text.count("learning_rate = ") == 3
    assert "A small learning rate" in text
    assert study.trials == before
    assert [call.purpose for call in calls(study)[n_calls:]] == ["suggest"]  # what it took


def test_suggest_as_json(url: str, capsys: Capture) -> None:
    data = json.loads(prints(capsys, *SUGGEST, url, "--json", "-n", "2"))
    assert len(data["configs"]) == 2
    assert set(data["configs"][0]["params"]) == set(SPACE)
    assert data["call"]["requests"] == 1
    assert data["enqueued"] is False


def test_suggest_keeps_the_types_of_choices(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = ("adam", 32, 0.5, False, None)
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=url)
    study.enqueue_trial({"c": "adam"})
    study.optimize(lambda trial: float(trial.suggest_categorical("c", choices) == "adam"), 1)
    answer = json.dumps({"configs": [{"c": str(choice)} for choice in choices]})
    with answering_server(lambda body: answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        data = json.loads(prints(capsys, "suggest", "--storage", url, "--json"))
    found = [config["params"]["c"] for config in data["configs"]]
    assert [repr(choice) for choice in found] == ["32", "0.5", "False", "None"]

    study.enqueue_trial({"c": 32})
    study.optimize(lambda trial: -float(trial.suggest_categorical("c", choices) == 32), 1)
    data = json.loads(prints(capsys, "report", "--storage", url, "--json"))
    assert [line["params"] for line in data["best"]] == [{"c": 32}]


def test_suggest_says_why_there_are_fewer(
    url: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"learning_rate": 1e-3, "batch_size": "64", "n_layers": 5, "dropout": 0.2}
    tried = optuna.load_study(study_name=None, storage=url).trials[0].params
    answer = json.dumps({"configs": [config, config, {"batch_size": "7"}, tried]})
    with answering_server(lambda body: answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        text = prints(capsys, "suggest", "--storage", url, "-n", "5")
        data = json.loads(prints(capsys, "suggest", "--storage", url, "-n", "5", "--json"))
        enough = prints(capsys, "suggest", "--storage", url, "-n", "1")
    line = (
        "1 of the 5 configurations requested; rejected: 1 nearly the same as another one, "
        "1 nearly the same as a trial of the study, 1 without a usable value."
    )
    assert line in text
    assert data["missing"] == line
    assert "requested" not in enough


def test_suggest_enqueues_on_request(tmp_path: Path, capsys: Capture) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = tuned(3, of=objective, storage=url)
    assert "2 waiting trials" in prints(capsys, *SUGGEST, url, "-n", "2", "--enqueue")
    study.optimize(objective, n_trials=2)
    for trial in study.trials[3:]:
        assert trial.user_attrs["llm_source"] == "enqueued"
        assert trial.user_attrs["llm_why"]
        assert trial.params == trial.system_attrs["fixed_params"]


def test_suggest_from_a_real_endpoint(
    url: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"learning_rate": 1e-3, "batch_size": "64", "n_layers": 5, "dropout": 0.2}
    answer = json.dumps({"configs": [{**config, "why": "said by the server"}]})
    with answering_server(lambda body: answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        text = prints(capsys, "suggest", "--storage", url, "--llm", "openai/m", "--task", "Mine")
        assert "Mine" in prompt_of(server.bodies[0])
    assert "said by the server" in text
    assert "batch_size = 64" in text


# --- explain --------------------------------------------------------------------------------


def test_explain(url: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "What matters: learning_rate."
    with answering_server(lambda body: words) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        text = prints(capsys, "explain", "--storage", url, "--llm", "openai/m")
        words = "What matters: learning_rate, at 7 to 8."
        data = json.loads(prints(capsys, "explain", "--storage", url, "--json"))
    assert text.startswith("Goal: maximize")
    assert "learning_rate: importance " in text
    assert text.endswith("\nWhat matters: learning_rate.\n")
    assert data["paragraphs"] == []
    assert data["left_out"][0] == "7 is not a fact about learning_rate"
    assert "is left out" in data["text"]
    assert {param["param"] for param in data["facts"]["params"]} == set(SPACE)


def test_explain_facts_asks_nobody(url: str, capsys: Capture) -> None:
    assert "learning_rate: importance " in prints(capsys, "explain", "--storage", url, "--facts")
    data = json.loads(prints(capsys, "explain", "--storage", url, "--facts", "--json"))
    assert data["n_complete"] > 5


# --- doctor ---------------------------------------------------------------------------------


def checkup(capsys: Capture, *argv: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", "--timeout", "20", *argv])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return code, {check["name"]: check for check in checks}


ANSWER = json.dumps(
    {
        "configs": [
            {"learning_rate": 2e-5, "batch_size": 32, "optimizer": "adamw", "why": "usual"}
        ],
        "ready": True,
    }
)


@pytest.fixture
def healthy() -> Iterator[str]:
    with answering_server(lambda body: ANSWER) as server:
        yield server.url


def test_doctor_of_a_healthy_endpoint(
    healthy: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", healthy)
    code, checks = checkup(capsys, "--llm", "openai/m", "--price", "1,2")
    assert code == 0
    assert all(checks[name]["ok"] for name in ("model", "text", "JSON mode", "JSON schema"))
    assert "optimizer = adamw" in checks["its best guess"]["detail"]
    assert "$" in checks["price of a call"]["detail"]
    assert main(["doctor", "--llm", "openai/m"]) == 0
    text = capsys.readouterr().out
    assert "price unknown" in text
    assert "usual" in text
    assert "\x1b" not in text


def test_doctor_of_an_old_server(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    with misbehaving_server("no_json_schema", lambda body: ANSWER) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        _, checks = checkup(capsys, "--llm", "openai/m")
    assert checks["JSON schema"]["ok"] is None
    assert "not offered" in checks["JSON schema"]["detail"]
    assert checks["JSON mode"]["ok"]


@pytest.mark.parametrize(
    ("behaviour", "word"),
    [("unauthorized", "OPENAI_API_KEY"), ("connection_refused", "server runs")],
)
def test_doctor_finds_what_is_wrong(
    behaviour: str, word: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with misbehaving_server(behaviour) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        code, checks = checkup(capsys, "--llm", "openai/m")
    assert code == 1
    assert checks["text"]["ok"] is False
    assert word in checks["text"]["hint"]
    assert "sample advice" not in checks


def test_doctor_without_a_key_or_weights(capsys: Capture) -> None:
    code, checks = checkup(capsys, "--llm", "openai/m")
    assert (code, checks["text"]["ok"]) == (1, False)
    assert "OPENAI_API_KEY" in checks["text"]["hint"]
    code, checks = checkup(capsys, "--llm", "nonsense")
    assert (code, checks["model"]["ok"]) == (1, False)
    pytest.importorskip("xllamacpp")
    code, checks = checkup(capsys)
    assert (code, checks["weights"]["ok"]) == (1, False)
    assert "optuna-llm pull" in checks["weights"]["hint"]


# --- waiting --------------------------------------------------------------------------------


def test_waiting_is_said_once_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    said: list[str] = []
    monkeypatch.setattr(_progress._logger, "info", said.append)
    before = optuna.logging.get_verbosity()
    for verbosity in (optuna.logging.INFO, optuna.logging.WARNING):
        optuna.logging.set_verbosity(verbosity)
        with _progress.waiting("the first advice", 60):
            time.sleep(0.05)
    optuna.logging.set_verbosity(before)
    assert said == ["Waiting for the first advice, 60 s at most."]


def test_waiting_ticks_on_a_terminal(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(_progress, "_TICK", 0.001)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with _progress.waiting("weights"):
        time.sleep(0.1)
    shown = capsys.readouterr().err
    assert "Waiting for weights: 0 s" in shown
    assert shown.endswith("\r")


def test_report_of_a_study_is_what_the_function_returns(url: str, capsys: Capture) -> None:
    study: Study = optuna.load_study(study_name=None, storage=url)
    data = json.loads(prints(capsys, "report", "--storage", url, "--json"))
    assert data == json.loads(json.dumps(report(study).to_json()))
