"""A key and a private attribute are planted; everything runs; then they are looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
import json
import logging
from pathlib import Path
import pickle
import traceback
from typing import Any

import openai
import optuna
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import Trial
import pytest
import sqlalchemy

from optuna_llm_sampler import (
    AzureOpenAI,
    Budget,
    CallRecord,
    calls,
    LLMSampler,
    OpenAI,
    Price,
    Recorder,
    Replay,
    usage,
)
from optuna_llm_sampler.errors import OptunaLLMError
from optuna_llm_sampler.llms import LLM, Request
from optuna_llm_sampler.report.html import to_html
from optuna_llm_sampler.report.report import report
from optuna_llm_sampler.report.text import to_markdown, to_text

from ..support.mixed import objective, POINT, SPACE
from ..support.servers import (
    BEHAVIOURS,
    Handler,
    misbehaving_server,
    Received,
    Reply,
    Server,
    serving,
)


# Not of the form of anybody's keys, so that it is found out by its value alone.
KEY = "planted.Key+b64/0123456789abcdef"
PRIVATE = "planted-private-remark-fedcba9876543210"
# They log the address as it is, openai 2 at DEBUG only; passwords do not belong there.
LOG_ADDRESSES = ("httpx", "openai") if openai.__version__.startswith("2.") else ("httpx",)
QUESTION = Request(messages=({"role": "user", "content": "Well?"},), timeout=0.5)


def _answer(body: dict[str, Any]) -> str:
    return json.dumps({"configs": [{**POINT, "why": "known"}]})


def _echo(status: int) -> Callable[[Received, Handler], Reply]:
    """An endpoint, or a proxy before it, that repeats the headers of the request."""

    def respond(received: Received, handler: Handler) -> Reply:
        body = {"error": {"message": f"Refused: {received.headers}", "code": "x"}}
        return Reply(status, body, {"retry-after-ms": "5"})

    return respond


Situation = Callable[[], AbstractContextManager[Server]]
USUAL: dict[str, Situation] = {
    name: partial(misbehaving_server, name, _answer)
    for name in BEHAVIOURS
    if name not in ("slow", "dripping")
}
ECHOES: dict[str, Situation] = {
    f"echo {status}": partial(serving, _echo(status)) for status in (400, 401, 500)
}


@dataclass
class Haystack:
    """Everything that leaves the process, by where it was found."""

    log: pytest.LogCaptureFixture
    found: dict[str, list[bytes]] = field(default_factory=dict)

    def add(self, where: str, *what: object) -> None:
        data = [w if isinstance(w, bytes) else str(w).encode("utf-8", "replace") for w in what]
        self.found.setdefault(where, []).extend(data)

    def add_object(self, where: str, what: object) -> None:
        self.add(f"{where}, repr", repr(what))
        self.add(f"{where}, pickle", pickle.dumps(what))

    def add_log(self, where: str, *, but: tuple[str, ...] = ()) -> None:
        """Take the log, without the loggers whose names begin so."""
        for record in self.log.records:
            if not record.name.startswith(but):
                self.add(f"{where}, log", record.getMessage(), record.__dict__)
        self.log.clear()

    def search(self) -> list[str]:
        """Return where a secret, or a part of one, is."""
        needles = [needle.encode() for needle in (KEY, KEY[:12], KEY[-12:], PRIVATE)]
        return [
            where
            for where, pieces in self.found.items()
            if any(needle in piece for piece in pieces for needle in needles)
        ]


@pytest.fixture
def haystack(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Haystack]:
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    yield Haystack(caplog)
    optuna.logging.set_verbosity(verbosity)
    optuna.logging.disable_propagation()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[RDBStorage, Path]]:
    path = tmp_path / "study.db"
    storage = RDBStorage(f"sqlite:///{path}")
    yield storage, path
    storage.engine.dispose()


def without_private(storage: RDBStorage, path: Path) -> bytes:
    """Return the database without what the user himself wrote there."""
    assert PRIVATE.encode() in path.read_bytes()
    with storage.engine.connect() as connection:
        for table in ("study_user_attributes", "trial_user_attributes"):
            connection.execute(sqlalchemy.text(f"DELETE FROM {table} WHERE key = 'private'"))
        connection.commit()
        connection.execute(sqlalchemy.text("VACUUM"))
    return path.read_bytes()


def private_objective(trial: Trial) -> float:
    trial.set_user_attr("private", PRIVATE)
    trial.set_user_attr("public", "for everybody")
    return objective(trial)


def run_study(llm: LLM, storage: RDBStorage, where: str, haystack: Haystack) -> None:
    told: list[CallRecord] = []
    sampler = LLMSampler(
        llm,
        search_space=SPACE,
        base_sampler=RandomSampler(seed=0),
        budget=Budget(calls=9, usd=1.0),
        prices={llm.name: Price(1, 1)},
        share_user_attrs=["public"],
        timeout=3.0,
        seed=0,
    )
    settings = sampler._settings
    sampler._settings = replace(settings, on_call=told.append)  # pickled without the list
    study = optuna.create_study(storage=storage, sampler=sampler)
    study.set_user_attr("private", PRIVATE)
    study.optimize(private_objective, n_trials=2)
    sampler._settings = settings
    haystack.add_object(f"{where}, sampler", sampler)
    haystack.add_object(f"{where}, ledger", [usage(study), *calls(study), *told])
    data = report(study)
    haystack.add(f"{where}, report", data, data.to_json())
    haystack.add(f"{where}, report", to_text(data), to_markdown(data), to_html(data))


def ask(llm: LLM, where: str, haystack: Haystack) -> None:
    """Ask directly, and keep all that an error shows."""
    try:
        haystack.add(f"{where}, completion", llm.complete(QUESTION))
    except OptunaLLMError as error:
        haystack.add_object(f"{where}, error", error)
        shown = traceback.format_exception(error)
        haystack.add(f"{where}, error", str(error), error.hint, error.__dict__, "".join(shown))


def everything(
    situation: Situation, where: str, folder: Path, storage: RDBStorage, haystack: Haystack
) -> None:
    path = folder / "study.jsonl"
    path.unlink(missing_ok=True)
    with situation() as server:
        llm = OpenAI(base_url=server.url, model="m", max_retries=0)
        recorder = Recorder(llm, path)
        run_study(recorder, storage, where, haystack)
        ask(recorder, where, haystack)
        haystack.add_object(f"{where}, back end", llm)
        haystack.add_object(f"{where}, recorder", recorder)
        haystack.add(f"{where}, requests", *server.bodies)
        for received in server.received:  # it was really sent
            assert KEY in received.headers["authorization"]
        assert llm._client is not None
        llm._client.close()  # or its sockets stay open until they are collected
    replay = Replay(path)
    for _ in range(2):
        ask(replay, f"{where}, replay", haystack)
    haystack.add_object(f"{where}, replay", replay)
    haystack.add(f"{where}, record file", path.read_bytes())
    haystack.add_log(where)


@pytest.mark.parametrize(
    "situations",
    [
        pytest.param(USUAL | ECHOES, id="all", marks=pytest.mark.slow),
        pytest.param({"echo 200": partial(serving, _echo(200))}, id="error with status 200"),
    ],
)
def test_nothing_shows_the_key_or_a_private_attribute(
    situations: dict[str, Situation],
    haystack: Haystack,
    tmp_path: Path,
    database: tuple[RDBStorage, Path],
) -> None:
    for where, situation in situations.items():
        everything(situation, where, tmp_path, database[0], haystack)
    haystack.add("database", without_private(*database))
    assert haystack.search() == []


@pytest.mark.parametrize("status", [401, 500])
def test_clients_that_hold_keys_in_other_places(status: int, haystack: Haystack) -> None:
    with serving(_echo(status)) as server, ExitStack() as opened:
        address = server.url.replace("://", f"://user:{KEY.replace('/', '')}@")
        clients = {
            "function": openai.OpenAI(api_key=lambda: KEY, base_url=server.url),
            "header": openai.OpenAI(
                api_key="x", base_url=server.url, default_headers={"X-Token": KEY}
            ),
            "address": openai.OpenAI(api_key="x", base_url=address),
            "azure": openai.AzureOpenAI(api_key=KEY, azure_endpoint=server.url, api_version="1"),
        }
        for where, client in clients.items():
            opened.enter_context(client)
            more: dict[str, Any] = {"model": "m", "max_retries": 0}
            llm: LLM = (
                AzureOpenAI(client, **more)
                if isinstance(client, openai.AzureOpenAI)
                else OpenAI(client, **more)
            )
            ask(llm, where, haystack)
            haystack.add_object(where, llm)
            haystack.add_log(where, but=LOG_ADDRESSES if where == "address" else ())
    assert haystack.search() == []


def test_a_needle_would_be_found(haystack: Haystack) -> None:
    logging.getLogger("optuna.any").debug("header %s", KEY)
    haystack.add_log("here")
    haystack.add_object("object", {"key": PRIVATE})
    haystack.add("nothing", "x")
    assert haystack.search() == ["here, log", "object, repr", "object, pickle"]
