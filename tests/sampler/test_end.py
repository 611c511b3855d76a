"""The end of a process or of a study while a call is under way: nothing is said of it."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
import pytest

from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler._sampler import advisor
from optuna_llm_sampler.testing import FakeLLM


SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}

_SCRIPT = """
import atexit, threading, time
import optuna
from optuna.distributions import FloatDistribution
from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler.errors import CallTimeoutError
from optuna_llm_sampler.testing import FakeLLM

asked, ended = threading.Event(), threading.Event()


def answer(request):
    asked.set()
    ended.wait()
    raise {error}


@atexit.register
def end():
    # As llms/_llama.py does it: what is under way is cancelled, and its thread waited for.
    ended.set()
    time.sleep(0.5)


sampler = LLMSampler(FakeLLM(answer), search_space={{"x": FloatDistribution(0, 1)}}, timeout=0)
study = optuna.create_study(sampler=sampler)
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
asked.wait()
{last}
"""


@pytest.mark.parametrize(
    ("error", "last"),
    [
        ('CallTimeoutError("The local model did not answer in time.")', "raise KeyboardInterrupt"),
        ('RuntimeError("cannot schedule new futures after interpreter shutdown")', ""),
    ],
)
def test_a_process_that_ends_says_nothing_of_the_call_under_way(error: str, last: str) -> None:
    command = [sys.executable, "-c", _SCRIPT.format(error=error, last=last)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Trial 1 finished" in done.stderr
    assert "The language model was not used" not in done.stderr


def test_a_study_that_is_thrown_away_says_nothing_of_the_call_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thrown_away, ended = threading.Event(), threading.Event()
    question, said = advisor.Advisor.question, []

    def late(*arguments: Any) -> Any:
        thrown_away.wait(30)
        try:
            return question(*arguments)
        finally:
            ended.set()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    monkeypatch.setattr(advisor.Advisor, "question", late)
    llm = FakeLLM(lambda request: "{}")
    study = optuna.create_study(sampler=LLMSampler(llm, search_space=SPACE, timeout=0))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    calls = [t for t in threading.enumerate() if t.name.startswith("optuna-llm-sampler")]
    del study
    gc.collect()
    logging.getLogger("optuna").addHandler(listener := Listener(level=logging.WARNING))
    try:
        thrown_away.set()
        assert ended.wait(30)
        for thread in calls:
            thread.join(30)
    finally:
        logging.getLogger("optuna").removeHandler(listener)
    assert calls
    assert said == []
