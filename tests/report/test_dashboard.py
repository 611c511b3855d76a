"""optuna-dashboard as it is: what lies in it, and what it costs it."""

from __future__ import annotations

from datetime import timedelta
import importlib.util
import io
import json
import multiprocessing
from pathlib import Path
import pickle
import subprocess
import sys
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import create_trial, TrialState
import pytest
from sqlalchemy import event

from optuna_llm_sampler import Price
from optuna_llm_sampler.cli.main import main
from optuna_llm_sampler.errors import MissingExtraError
from optuna_llm_sampler.report import dashboard as _dashboard
from optuna_llm_sampler.report.explain import explain
from optuna_llm_sampler.testing import FakeLLM
from optuna_llm_sampler.visualization import LLMNoteCallback, save_plots, write_note

from ..support.studies import hostile, objective, tuned, two


# Not imported here: without it, the tests that need no dashboard still run.
if importlib.util.find_spec("optuna_dashboard") is None:
    pytest.skip("optuna-dashboard is not installed", allow_module_level=True)


def note_of(study: Study) -> str:
    from optuna_dashboard import get_note

    return str(get_note(study))


def get(app: Any, path: str, query: str = "") -> bytes:
    """Ask the dashboard's server code, without a network."""
    environment = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    status: list[str] = []
    body = b"".join(app(environment, lambda line, headers, info=None: status.append(line)))
    assert status == ["200 OK"], (status, body)
    return body


def detail_of(study: Study) -> dict[str, Any]:
    from optuna_dashboard import wsgi

    out: dict[str, Any] = json.loads(get(wsgi(study._storage), f"/api/studies/{study._study_id}"))
    return out


# --- what lies in it ------------------------------------------------------------------------


def test_trials_show_source_and_why() -> None:
    detail = detail_of(tuned(40))
    attrs = [{a["key"]: a["value"] for a in t["user_attrs"]} for t in detail["trials"]]
    assert attrs[0]["llm_source"] == "llm"
    assert attrs[0]["llm_why"].startswith("A small learning rate")
    assert attrs[0]["llm_advice"] == "trial 0, block 0, config 0"
    assert {a["llm_source"] for a in attrs} >= {"llm", "base"}
    sortable = {a["key"]: a["sortable"] for a in detail["union_user_attrs"]}
    assert sortable["llm_repaired"] is True
    assert sortable["llm_source"] is False


def test_the_note_says_what_was_done() -> None:
    study = tuned(16)
    write_note(study, price=Price(0.25, 2))
    note = note_of(study)
    for words in (
        "## Language model report",
        "What the model believes",
        "language model",
        "base sampler",
        "tokens in",
        r"\$0.00",
        f"Trial {study.best_trial.number}, ",
    ):
        assert words in note
    assert detail_of(study)["note"]["body"] == note


def test_what_a_person_wrote_into_the_note_stays() -> None:
    from optuna_dashboard import save_note

    study = tuned(4, of=objective)
    save_note(study, "My own words.")
    write_note(study)
    first = note_of(study)
    assert first.startswith("My own words.\n\n[//]: # (optuna-llm-sampler: report)")
    save_note(study, first + "\nAnd more below.")
    study.optimize(objective, n_trials=1)
    write_note(study)
    second = note_of(study)
    assert second.startswith("My own words.")
    assert second.endswith("And more below.")
    assert second.count("## Language model report") == 1
    assert "5 trials" in second
    assert "4 trials" not in second


def test_a_note_whose_end_was_deleted_is_written_once() -> None:
    assert _dashboard._replaced(
        "a\n[//]: # (optuna-llm-sampler: report)\nold", "report", "new"
    ) == (
        "a\n[//]: # (optuna-llm-sampler: report)\n\nnew\n\n"
        "[//]: # (optuna-llm-sampler: end of report)"
    )


def test_the_explanation_has_its_own_place_in_the_note() -> None:
    study = tuned(12)
    write_note(study)
    for words in ("first account", "second account"):
        explain(study, FakeLLM(lambda r, words=words: words), note=True)  # type: ignore[misc]
    note = note_of(study)
    assert "first account" not in note
    assert "second account" in note
    assert "learning\\_rate: importance" in note
    assert "## Language model report" in note


def test_notes_stay_small() -> None:
    study = tuned(20, of=objective, llm=FakeLLM(hostile))
    write_note(study)
    assert len(note_of(study)) < 12_500


class Watched(LLMNoteCallback):
    """Counts its writing, each of which takes a given time, and does not wait for the end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
        super().__init__()
        self.written: list[int] = []
        self.now = 0.0

        def write(study: Study, *, price: Price | None = None) -> None:
            self.written.append(self.number)
            self.now += seconds

        monkeypatch.setattr(_dashboard, "write_note", write)
        monkeypatch.setattr(_dashboard, "_clock", lambda: self.now)

    def _write_at_the_end(self, study: Study) -> None:
        pass

    def finish(self, study: Study, value: float | None, *, seconds: float = 10.0) -> None:
        """Run a trial that takes a given time and has a result or fails."""
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        study.add_trial(create_trial(value=value, state=state))
        trial = study.trials[-1]
        assert trial.datetime_start is not None
        trial.datetime_complete = trial.datetime_start + timedelta(seconds=seconds)
        self.number = trial.number
        self(study, trial)


def test_the_note_is_rewritten_when_the_best_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    callback, study = Watched(monkeypatch, seconds=0.01), optuna.create_study()
    for value in (5.0, None, 6.0, 3.0, 3.0, 4.0, 2.0):
        callback.finish(study, value)
    assert callback.written == [0, 3, 6]


def test_the_note_is_rewritten_with_new_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    study = tuned(3, of=objective)
    callback = Watched(monkeypatch, seconds=0.0)
    first, *others = study.trials
    callback.number = 0
    callback(study, first)
    attrs = first.system_attrs
    assert any(key.startswith("llm:post:") for key in attrs)
    # A copy of the record on a retried trial is not new advice.
    study.add_trial(create_trial(value=-1.0, system_attrs=attrs))
    callback(study, study.trials[-1])
    assert callback.written == [0]


@pytest.mark.parametrize("seconds", [0.01, 1.0, 30.0])
def test_writing_takes_one_percent_of_the_trials_time(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    callback, study = Watched(monkeypatch, seconds=seconds), optuna.create_study()
    for i in range(300):
        callback.finish(study, -i)  # each is the best so far
    assert callback.written[0] == 0
    allowed = 0.01 * 300 * 10 / seconds
    assert min(allowed, 300) * 0.9 <= len(callback.written) <= allowed + 1


def test_a_trial_without_news_costs_no_statement(tmp_path: Path) -> None:
    study = tuned(6, of=objective, storage=f"sqlite:///{tmp_path}/study.db")
    callback = LLMNoteCallback()
    worst = min(study.trials[1:4], key=lambda trial: trial.values[0])
    for trial in (study.best_trial, worst):
        callback(study, trial)
    statements: list[str] = []
    engine = study._storage._backend.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    callback(study, worst)
    assert statements == []


def test_the_note_has_all_trials_when_a_notebook_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dashboard, "_QUIET", 0.0)
    callback = LLMNoteCallback()
    study = tuned(30, callbacks=[callback])
    while (waiter := callback._waiter) is not None:
        waiter.join()
    assert "30 trials" in note_of(study)


_SCRIPT = """
import multiprocessing, optuna, sys
from optuna_llm_sampler.visualization import LLMNoteCallback

def work():
    study = optuna.create_study(storage=sys.argv[1])
    study.optimize(lambda t: t.suggest_float("x", 0, 1), 12, callbacks=[LLMNoteCallback()])

if sys.argv[2] == "worker":
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
else:
    work()
"""


@pytest.mark.parametrize("place", ["script", "worker"])
def test_the_note_has_all_trials_when_a_process_ends(place: str, tmp_path: Path) -> None:
    if place == "worker" and "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no fork")
    url = f"sqlite:///{tmp_path}/study.db"
    subprocess.run([sys.executable, "-c", _SCRIPT, url, place], check=True)
    assert "12 trials" in note_of(optuna.load_study(study_name=None, storage=url))


def test_the_callback_can_be_sent_to_a_worker() -> None:
    copy = pickle.loads(pickle.dumps(LLMNoteCallback(price=Price(1, 2))))
    assert copy._price == Price(1, 2)


def test_a_note_that_cannot_be_written_ends_no_study(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(study: Study, **options: Any) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(_dashboard, "write_note", broken)
    assert len(tuned(3, of=objective, callbacks=[LLMNoteCallback()]).trials) == 3


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    for call in (write_note, save_plots):
        with pytest.raises(MissingExtraError, match=r"\[dashboard\]"):
            call(tuned(1))
    with pytest.raises(MissingExtraError, match=r"\[dashboard\]"):
        LLMNoteCallback()


@pytest.mark.parametrize("of", [objective, two])
def test_plots_are_saved_and_replaced(of: Any) -> None:
    pytest.importorskip("plotly")
    study = tuned(6, of=of)
    names = ["llm-sources", "llm-advice", "llm-usage"] + ["llm-front"] * (of is two)
    assert save_plots(study) == names
    study.optimize(of, n_trials=3)
    save_plots(study)
    shown = {p["id"]: p["graph_object"] for p in detail_of(study)["plotly_graph_objects"]}
    assert set(shown) == set(names)
    assert "Trial 8" in shown["llm-sources"]
    assert "A small learning rate" in shown["llm-sources"]
    assert all("layout" in json.loads(text) for text in shown.values())


def test_the_command_writes_into_the_dashboard(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    url = f"sqlite:///{tmp_path}/study.db"
    study = tuned(4, of=objective, storage=url)
    assert main(["report", "--storage", url, "--note", "--plots"]) == 0
    detail = detail_of(study)
    assert "## Language model report" in detail["note"]["body"]
    assert len(detail["plotly_graph_objects"]) == 3


# --- what it costs --------------------------------------------------------------------------
# Counted, not timed: times are in benchmarks/dashboard.py.


def test_our_trials_make_the_page_hardly_larger() -> None:
    ours = tuned(60, of=objective)
    plain = optuna.create_study(study_name="plain", direction="maximize")
    for trial in ours.trials:
        plain.add_trial(
            optuna.trial.create_trial(
                value=trial.value, params=trial.params, distributions=trial.distributions
            )
        )
    write_note(ours)
    assert len(json.dumps(detail_of(ours))) < 1.3 * len(json.dumps(detail_of(plain)))


def test_the_study_holds_nothing_per_trial() -> None:
    study = tuned(40, of=objective)
    storage, study_id = study._storage, study._study_id
    assert storage.get_study_system_attrs(study_id) == {}
    assert storage.get_study_user_attrs(study_id) == {}
    write_note(study)
    keys = storage.get_study_system_attrs(study_id)
    assert all(key.startswith("dashboard:note_") for key in keys)
    assert len(keys) < 8


def test_saved_plots_do_not_grow_with_the_study() -> None:
    pytest.importorskip("plotly")
    study = tuned(4, of=objective)
    for trial in study.trials * 150:
        study.add_trial(
            optuna.trial.create_trial(
                value=trial.value,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=trial.user_attrs,
            )
        )
    save_plots(study)
    attrs = study._storage.get_study_system_attrs(study._study_id)
    assert sum(len(value) for value in attrs.values()) < 150_000
