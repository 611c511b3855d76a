"""How a study of the main job looks in a real browser: optuna-dashboard's pages and the report."""

from __future__ import annotations

from collections.abc import Iterator
import importlib.util
from pathlib import Path
import struct
import subprocess
import threading
from typing import Any
from wsgiref.simple_server import make_server, WSGIRequestHandler

import optuna
from optuna.storages import RDBStorage
from optuna.study import Study
import pytest

from benchmarks.customer_service.__main__ import main as main_job
from optuna_llm_sampler import Price
from optuna_llm_sampler.report.html import to_html
from optuna_llm_sampler.report.report import report
from optuna_llm_sampler.testing import FakeLLM
from optuna_llm_sampler.visualization import save_plots, write_note

from ..support import chromium
from ..support.main_job import answer, SMALL
from ..support.studies import hostile, objective, tuned


if importlib.util.find_spec("optuna_dashboard") is None:
    pytest.skip("optuna-dashboard is not installed", allow_module_level=True)

BROWSER = chromium.find()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Study]]:
    """A study of the main job, and one whose model tries to do harm, in the dashboard."""
    from optuna_dashboard import wsgi

    folder = tmp_path_factory.mktemp("served")
    storage = RDBStorage(f"sqlite:///{folder}/study.db")
    arguments = ["--storage", storage.url, "--out", str(folder), "--trials", "14"]
    assert main_job([*SMALL, *arguments, "--workers", "1"], llm=FakeLLM(answer)) == 0
    study = optuna.load_study(study_name="customer-service", storage=storage)
    write_note(study, price=Price(0.25, 2))
    save_plots(study)
    nasty = tuned(4, of=objective, llm=FakeLLM(hostile), storage=storage, study_name="nasty")
    write_note(nasty)
    server = make_server("127.0.0.1", 0, wsgi(storage), handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/dashboard", study
    server.shutdown()
    thread.join()
    server.server_close()
    storage.remove_session()
    storage.engine.dispose()


_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    # Without these it looks for hosts that a closed network does not have.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--virtual-time-budget=20000",
    "--window-size=1500,2900",
    "--dump-dom",
)


def browse(url: str, folder: Path, name: str) -> str:
    """Open a page in a real browser, keep a picture of it, and return its text as HTML."""
    picture = folder / f"{name}.png"
    command = [
        str(BROWSER),
        *_FLAGS,
        f"--user-data-dir={folder}/{name}",
        f"--screenshot={picture}",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert _is_a_picture(picture)
    return done.stdout


def _is_a_picture(path: Path) -> bool:
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    # A blank page of this size takes some 10 kB.
    return data[:4] == b"\x89PNG" and (width, height) == (1500, 2900) and len(data) > 25_000


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
class TestInABrowser:
    def test_study_page(self, served: tuple[str, Study], tmp_path: Path) -> None:
        url, study = served
        page = browse(f"{url}/studies/{study._study_id}", tmp_path, "study")
        for title in ("Optimization History by Source", "Use of the Model", "Language model"):
            assert title in page

    def test_trial_page(self, served: tuple[str, Study], tmp_path: Path) -> None:
        url, study = served
        page = browse(f"{url}/studies/{study._study_id}/trials?numbers=1", tmp_path, "trial")
        why = study.trials[1].user_attrs["llm_why"]
        assert why.endswith(" is usual")
        assert why in page
        assert "llm_source llm" in page
        assert "trial 1, block 1, config 0" in page

    def test_note_page(self, served: tuple[str, Study], tmp_path: Path) -> None:
        url, study = served
        page = browse(f"{url}/studies/{study._study_id}/note", tmp_path, "note")
        assert "Language model report</h2>" in page
        assert "<table>" in page
        assert "optuna-llm-sampler: report" not in page

    def test_markup_from_outside_is_shown_as_text(
        self, served: tuple[str, Study], tmp_path: Path
    ) -> None:
        url, study = served
        page = browse(f"{url}/studies/{study._study_id + 1}/note", tmp_path, "nasty")
        assert "&lt;img src=x onerror=alert(1)&gt; **bold**" in page
        assert "[click](http" in page
        assert "<img src=" not in page.partition("Language model report")[2]
        assert 'href="http:' not in page.partition("Language model report")[2]

    def test_report_page(self, served: tuple[str, Study], tmp_path: Path) -> None:
        _, study = served
        file = tmp_path / "report.html"
        file.write_text(to_html(report(study)), encoding="utf-8")
        page = browse(file.as_uri(), tmp_path, "report")
        assert "The model's reason" in page
        assert "0.003 is usual" in page
