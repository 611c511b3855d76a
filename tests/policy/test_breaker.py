"""A failing model is left alone, by all workers together, and asked again when it may have healed.

Time is simulated; requests are counted at real HTTP servers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
import json
import logging
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.study import Study
import pytest

from optuna_llm_sampler import LLMSampler, OpenAI, Replay, usage
from optuna_llm_sampler._advice.call import Call
from optuna_llm_sampler._policy.breaker import Breaker, breaker
from optuna_llm_sampler._store.records import AdviceRecord
from optuna_llm_sampler.llms import LLM
from optuna_llm_sampler.testing import FakeLLM

from ..support.mixed import objective, POINT, SPACE
from ..support.servers import error, good, Handler, Received, Reply, serving


ANSWER = json.dumps({"configs": [{**POINT, "x": float(x), "why": "?"} for x in range(8)]})


@dataclass
class Clock:
    """Time as the test wants it."""

    now: float = 1e9
    start: float = field(default=1e9, init=False)

    def __call__(self) -> float:
        return self.now

    @property
    def passed(self) -> float:
        return self.now - self.start


class Lines(logging.Handler):
    """What is said about the breaker."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "limits" in record.name:
            self.lines.append(record.getMessage())

    def count(self, words: str) -> int:
        return sum(words in line for line in self.lines)


def sampler(llm: LLM, clock: Clock, **arguments: Any) -> LLMSampler:
    arguments = {"search_space": SPACE, "prefetch": False, **arguments}
    made = LLMSampler(llm, base_sampler=RandomSampler(seed=0), **arguments)
    made._settings = replace(made._settings, clock=clock)
    return made


def run(study: Study, clock: Clock, n_trials: int, seconds: float) -> list[str]:
    """Run trials that take so long, and say where their parameters came from."""

    def slow(trial: optuna.Trial) -> float:
        value = objective(trial)
        clock.now += seconds
        return value

    first = len(study.trials)
    study.optimize(slow, n_trials=n_trials)
    return [trial.user_attrs["llm_source"] for trial in study.trials[first:]]


# --- over HTTP --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_fails_for_ten_minutes_and_heals(status: int) -> None:
    clock = Clock()

    def respond(received: Received, handler: Handler) -> Reply:
        return error(status, "No.") if clock.passed < 600 else good(received, handler)

    lines = Lines()
    logging.getLogger("optuna").addHandler(lines)
    with serving(respond, lambda body: ANSWER) as server:
        llm = OpenAI(base_url=server.url, model="m", max_retries=0)
        study = optuna.create_study(sampler=sampler(llm, clock))
        during = run(study, clock, 120, seconds=5.0)
        asked, alone = len(server.received), lines.count("left alone")
        after = run(study, clock, 70, seconds=5.0)
    logging.getLogger("optuna").removeHandler(lines)
    assert all(source.startswith("fallback:") for source in during)
    assert asked == 8  # trials 0, 1, 2, 4, 8, 16, 32 and 64
    assert "llm" in after
    assert after.index("llm") <= 64  # never later than the longest pause
    assert after.count("llm") >= 5
    assert alone == asked - 2
    assert lines.count("answers again") >= 1


def test_retry_after_is_honoured() -> None:
    clock = Clock()
    limited = error(429, "Slow down", headers={"retry-after": "100"})

    def respond(received: Received, handler: Handler) -> Reply:
        return limited if clock.passed < 90 else good(received, handler)

    with serving(respond, lambda body: ANSWER) as server:
        llm = OpenAI(base_url=server.url, model="m", max_retries=0)
        study = optuna.create_study(sampler=sampler(llm, clock))
        sources = run(study, clock, 12, seconds=10.0)
        assert len(server.received) == 2
    assert sources == ["fallback:rate_limit"] * 10 + ["llm"] * 2


@pytest.mark.parametrize("status", [401, 404])
def test_what_does_not_heal_is_not_asked_again_but_by_a_new_sampler(status: int) -> None:
    clock = Clock()
    broken = True

    def respond(received: Received, handler: Handler) -> Reply:
        return error(status, "No.") if broken else good(received, handler)

    with serving(respond, lambda body: ANSWER) as server:
        llm = OpenAI(base_url=server.url, model="m", max_retries=0)
        study = optuna.create_study(sampler=sampler(llm, clock))
        run(study, clock, 200, seconds=60.0)
        assert len(server.received) == 1
        broken = False
        run(study, clock, 5, seconds=60.0)
        assert len(server.received) == 1
        study.sampler = sampler(llm, clock)
        assert run(study, clock, 5, seconds=60.0) == ["llm"] * 5


def test_workers_that_start_one_after_another_share_a_dead_key() -> None:
    clock = Clock()
    with serving(lambda received, handler: error(401, "No."), lambda body: ANSWER) as server:
        llm = OpenAI(base_url=server.url, model="m", max_retries=0)
        study = optuna.create_study()
        for _ in range(200):  # a process per trial, every ten seconds
            study.sampler = sampler(llm, clock)
            run(study, clock, 1, seconds=10.0)
        assert len(server.received) <= 12  # 2,000 seconds
        first = len(server.received)
        for _ in range(10):  # ten at once
            study.sampler = sampler(llm, clock)
            run(study, clock, 1, seconds=0.0)
        assert len(server.received) <= first + 1


# --- as a function ----------------------------------------------------------------------------


def record(
    trial: int, outcome: str = "server_error", at: float = 0.0, **more: Any
) -> AdviceRecord:
    call = Call(asked=more.pop("asked", "m"), at=1000.0 + at, requests=1)
    return AdviceRecord(trial, 0, 0, asked_on=trial, outcome=outcome, call=call, **more)


def judged(
    *records: AdviceRecord, n: int = 1000, now: float = 0.0, born: float = 0.0, timed: bool = True
) -> Breaker:
    return breaker(
        records, asked="m", n_trials=n, now=1000 + now, born=1000 + born, is_timed=timed
    )


def test_one_failure_may_be_chance() -> None:
    assert not judged().is_open
    assert not judged(record(0)).is_open
    assert judged(record(0), record(1)).is_open
    assert not judged(record(0), record(1), record(2, "ok")).is_open
    assert not judged(record(0), record(1, "ok"), record(2)).is_open


def test_pauses_grow_in_trials_and_in_seconds() -> None:
    failures = [record(i) for i in range(12)]
    states = [judged(*failures[:n], n=n) for n in range(2, 13)]
    assert [s.trials for s in states] == [1, 2, 4, 8, 16, 32] + [64] * 5
    assert [s.seconds for s in states] == [s.trials for s in states]
    assert not judged(*failures[:3], n=5, now=2).is_open
    assert judged(*failures[:3], n=4, now=2).is_open  # both have to pass
    assert judged(*failures[:3], n=5, now=1).is_open


def test_a_repeatable_study_counts_trials_only() -> None:
    assert judged(record(0), record(1), n=2, timed=False) == Breaker("server_error", 2, 1, 0)
    assert not judged(record(0), record(1), n=3, timed=False).is_open
    assert judged(record(0, retry_after=9), n=3, timed=False).seconds == 9


def test_a_model_that_answers_nonsense_needs_no_time() -> None:
    nonsense = replace(
        record(1, "unusable_answer"), call=Call(asked="m", at=1000, output_tokens=5)
    )
    assert judged(record(0), nonsense, n=2) == Breaker("unusable_answer", 2, 1, 0)


def test_fast_trials_do_not_hammer_a_dead_server() -> None:
    failures: list[AdviceRecord] = []
    for n in range(1, 30_000):  # a trial every 10 ms, for 300 s
        now = 0.01 * n
        if not judged(*failures, n=n, now=now).is_open:
            failures.append(record(n - 1, at=now))
    assert len(failures) <= 8 + 300 / 64


def test_another_model_is_another_matter() -> None:
    dead = record(0, "authentication", retryable=False)
    assert judged(dead).is_final
    assert not judged(record(0, "authentication", retryable=False, asked="other")).is_open
    assert judged(replace(dead, call=Call(at=1000))).is_final  # of an older version


def test_what_does_not_heal_is_final_for_those_who_were_there() -> None:
    dead = record(0, "authentication", at=50, retryable=False)
    assert judged(dead, now=1e6, born=50).is_final
    assert not judged(dead, now=1e6, born=51).is_open
    assert judged(dead, now=50.5, born=50.5) == Breaker("authentication", 1, 0, 0.5)
    again = record(1, "authentication", at=70, retryable=False)
    assert judged(dead, again, now=71, born=71).seconds == 1


def test_absurd_times_neither_open_nor_close_it_for_ever() -> None:
    for at in (-1000.0, 2.0**39):
        assert not judged(record(0, at=at), record(1, at=at), now=1000).is_open
        dead = record(0, "authentication", at=at, retryable=False)
        assert not judged(dead, now=1000, born=1000).is_open
    greedy = judged(record(0, retry_after=2.0**39))
    assert greedy.seconds == 3600


def test_redundant_answers_say_nothing() -> None:
    assert judged(record(0), record(1), record(2, "redundant")).failures == 2


# --- causes in this process only --------------------------------------------------------------


def test_what_is_missing_here_may_be_there_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    clock = Clock()
    study = optuna.create_study(sampler=sampler(OpenAI(model="m"), clock))
    assert run(study, clock, 20, seconds=60.0) == ["fallback:authentication"] * 20
    assert usage(study).calls == 1
    keyed = FakeLLM(lambda request: ANSWER)
    study.sampler = sampler(keyed, clock)
    assert run(study, clock, 3, seconds=0.0) == ["llm"] * 3


def test_a_replay_without_the_answer_ends_the_use_of_the_model(tmp_path: Any) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    replay = Replay(tmp_path / "empty.jsonl")
    clock = Clock()
    study = optuna.create_study(sampler=sampler(replay, clock, seed=0))
    assert set(run(study, clock, 40, seconds=60.0)) == {"fallback:replay_miss"}
    assert len(replay.misses) == 1
