"""What a trial costs: SQL statements and prompt lengths, which are the same on a busy machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import json
from pathlib import Path
import random
import threading
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection
from optuna.trial import create_trial, FrozenTrial, TrialState
import pytest
import sqlalchemy

from benchmarks._rows import fill
from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler._advice.prompts import build
from optuna_llm_sampler._advice.question import Question
from optuna_llm_sampler._study.distance import normalize, SAME
from optuna_llm_sampler._study.history import History, seen_space
from optuna_llm_sampler._study.space import SearchSpace
from optuna_llm_sampler._study.summary import TrialSummary
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from ..support.mixed import objective, SPACE


def worse(trial: optuna.Trial) -> float:
    """Return more than all that was: Optuna reads a new best trial once more, to log it."""
    return 1_000 + objective(trial)


def past(n: int, directions: int = 1) -> list[FrozenTrial]:
    """Trials whose numbers are all written with as many digits."""
    rng = random.Random(0)
    return [
        create_trial(
            params={
                "x": rng.randint(11, 99) / 10,
                "y": rng.randint(11, 99) / 1e4,
                "n": rng.randint(1, 9),
                "kind": rng.choice(["a", "b"]),
            },
            distributions=SPACE,
            values=[rng.randint(1111, 9999) / 1e3 for _ in range(directions)],
        )
        for _ in range(n)
    ]


# --- SQL ------------------------------------------------------------------------------------


class Counter:
    """Counts the statements of the calling thread, and apart from them those of all others."""

    def __init__(self) -> None:
        self.here = self.elsewhere = 0
        self._thread = threading.current_thread()

    def __call__(self, *_: Any) -> None:
        if threading.current_thread() is self._thread:
            self.here += 1
        else:
            self.elsewhere += 1


@contextmanager
def counting(study: Study) -> Iterator[Counter]:
    backend = study._storage._backend  # type: ignore[attr-defined]
    counter = Counter()
    sqlalchemy.event.listen(backend.engine, "before_cursor_execute", counter)
    try:
        yield counter
    finally:
        sqlalchemy.event.remove(backend.engine, "before_cursor_execute", counter)


def statements(study: Study, sampler: BaseSampler) -> Counter:
    """Run one trial and count."""
    study.sampler = sampler
    with counting(study) as counter:
        study.optimize(worse, n_trials=1)
        for thread in threading.enumerate():
            if thread.name.startswith("optuna-llm-sampler"):
                thread.join()
    return counter


@pytest.fixture
def new_study(tmp_path: Path) -> Iterator[Callable[[int], Study]]:
    storages: list[RDBStorage] = []

    def make(n: int) -> Study:
        storage = RDBStorage(f"sqlite:///{tmp_path}/{n}-{len(storages)}.db")
        storages.append(storage)
        study = optuna.create_study(storage=storage)
        fill(storage, study._study_id, past(n))
        return study

    yield make
    for storage in storages:
        storage.remove_session()
        storage.engine.dispose()


def answer(request: Request) -> str:
    configs = [
        {"x": -9.5 + 2 * i, "y": 1e-4, "n": 5, "kind": "None", "why": "why"} for i in range(8)
    ]
    return json.dumps({"configs": configs, "note": "?"})


BASES: dict[str, tuple[Callable[[], BaseSampler], int]] = {
    # A follower's trial reads the store (7 statements) and says source, advice and why (2 each).
    # TPE would have read it once more, and published its own parameters. Of Optuna's samplers only
    # those that learn nothing do not read the trials, and there it is one above the limit of 12:
    # the advice as a column of its own is worth that.
    "tpe": (lambda: TPESampler(seed=0, multivariate=True, constant_liar=True), 4),
    "random": (lambda: RandomSampler(seed=0), 13),
}


def costs(study: Study, base: str) -> dict[str, int]:
    """Count what trials cost beyond those of the base sampler alone, by their role."""
    make, _ = BASES[base]
    alone = make()
    statements(study, alone)  # reads the history
    own = statements(study, alone).here
    sampler = LLMSampler(
        FakeLLM(answer),
        base_sampler=make(),
        search_space=SPACE,
        llm_share=0.2,
        n_configs=5,
        prefetch=False,
    )
    statements(study, RandomSampler())
    leader = statements(study, sampler)
    followers = [statements(study, sampler) for _ in range(4)]
    others = [statements(study, sampler) for _ in range(3)]
    sources = [t.user_attrs.get("llm_source") for t in study.get_trials(deepcopy=False)[-8:]]
    assert sources[:5] == ["llm"] * 5
    assert "base" in sources[5:]
    assert not any(f.elsewhere for f in followers)
    return {
        "leader": leader.here + leader.elsewhere - own,
        "follower": max(f.here for f in followers) - own,
        "base": min(o.here for o in others) - own,
    }


@pytest.mark.parametrize("base", list(BASES))
def test_statements_of_a_trial(base: str, new_study: Callable[[int], Study]) -> None:
    found = costs(new_study(100), base)
    assert found["follower"] <= BASES[base][1]
    assert found["leader"] <= 40
    # It reads the trials, which tell the model's share, and says that it is the base sampler's.
    assert found["base"] <= 9


@pytest.mark.slow
@pytest.mark.parametrize("base", list(BASES))
def test_statements_do_not_grow_with_the_study(
    base: str, new_study: Callable[[int], Study]
) -> None:
    assert costs(new_study(3_000), base) == costs(new_study(100), base)


def test_a_prefetching_trial_does_its_work_elsewhere(new_study: Callable[[int], Study]) -> None:
    study = new_study(100)
    statements(study, RandomSampler())
    own = statements(study, RandomSampler()).here
    sampler = LLMSampler(
        FakeLLM(answer), base_sampler=RandomSampler(), search_space=SPACE, timeout=0.0
    )
    leader = statements(study, sampler)
    assert leader.here - own <= 12  # one look, one claim, one word about its source
    assert leader.elsewhere <= 28


# --- what the model is shown ----------------------------------------------------------------


def prompt(n: int, directions: int) -> str:
    history = History([StudyDirection.MINIMIZE] * directions)
    for number, trial in enumerate(past(n, directions)):
        trial.number = number
        history.add(trial)
    for number in range(n, n + 40):
        failed = past(1)[0]
        failed.number, failed.state, failed.values = number, TrialState.FAIL, None
        history.add(failed)
    running = [TrialSummary(number, {"x": 1.1, "n": 5}) for number in range(n + 40, n + 104)]
    question = Question(SPACE, history.summary(running, None))
    return str(build(question, "json").messages[-1]["content"])


@pytest.mark.parametrize("directions", [1, 2])
def test_prompts_do_not_grow_with_the_study(directions: int) -> None:
    short, long = prompt(100, directions), prompt(10_000, directions)
    assert "10,000 finished trials" in long
    # "10,000" for "100", in front and on each of 80 trials, and a digit more or less of a value.
    assert len(long) <= len(short) + 2 * 80 + 33 * directions
    assert len(long.splitlines()) == len(short.splitlines()) < 130


def test_the_digest_shows_the_best_last_whatever_the_number_of_trials() -> None:
    trials = past(3_000)
    history = History([StudyDirection.MINIMIZE])
    for number, trial in enumerate(trials):
        trial.number = number
        history.add(trial)
    summary = history.summary([], None)
    values = [shown.values[0] for shown in summary.finished]
    assert values == sorted(values, reverse=True)
    assert values[-6:] == sorted((t.values[0] for t in trials), reverse=True)[-6:]
    assert values[0] == max(t.values[0] for t in trials)
    assert summary.n_finished == 3_000


def test_several_objectives_show_the_latest_of_the_front_and_of_all() -> None:
    directions = [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
    history = History(directions)
    trials = past(2_000, 2)
    for number, trial in enumerate(trials):
        trial.number = number
        history.add(trial)
    best = {
        t.number
        for t in trials
        if not any(
            o.values[0] <= t.values[0] and o.values[1] >= t.values[1] and o.values != t.values
            for o in trials
        )
    }
    shown = [s.number for s in history.summary([], None).finished]
    assert set(shown[-min(6, len(best)) :]) <= best


# --- what it remembers ----------------------------------------------------------------------


def _is_near(a: Mapping[str, Any], b: Mapping[str, Any], space: SearchSpace) -> bool:
    """Compare two configurations in the parameters that the first one has."""
    return all(
        name in b and abs(normalize(a[name], space[name]) - normalize(b[name], space[name])) < SAME
        for name in a
    )


def test_the_history_agrees_with_a_walk_over_all_trials() -> None:
    trials = past(300)
    for number, trial in enumerate(trials):
        trial.number = number
        if number % 3 == 0:
            del trial.params["y"]
            trial.distributions = {k: v for k, v in trial.distributions.items() if k != "y"}
    history = History([StudyDirection.MINIMIZE])
    for trial in trials:
        history.add(trial)
    assert history.space() == seen_space(trials)
    assert history.optional(list(SPACE), {}) == {"y"}
    rng = random.Random(1)
    known = [trial.params for trial in trials]
    found = 0
    moved = {**SPACE, "x": FloatDistribution(0, 7.5)}  # the bounds may move
    for space in (SPACE, moved):
        for _ in range(300):
            params = dict(rng.choice(known))
            params["x"] = min(max(params["x"] + rng.choice([0, 0.01, 0.3]), 0.0), 7.5)
            agreed = any(_is_near(params, other, space) for other in known)
            assert history.has_duplicate(params, space) == agreed
            found += agreed
    assert 50 < found < 550
