"""The model's share follows what trials came to: up, down, and back."""

from __future__ import annotations

from collections.abc import Sequence
import json
import re
from typing import Any, Literal

from hypothesis import given, strategies as st
import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import create_trial, FrozenTrial, Trial, TrialState
import pytest

from optuna_llm_sampler import LLMSampler, usage
from optuna_llm_sampler._policy.evidence import Evidence, MAX_SHARE, MIN_SHARE, weigh
from optuna_llm_sampler._study.ranking import Result, Results
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


Direction = Literal["minimize", "maximize"]
SPACE = dict.fromkeys("wxyz", FloatDistribution(0.0, 1.0))
START = 0.75


def results(authors: str, losses: Sequence[float]) -> list[Result]:
    """Return finished trials: ``"M"`` is the model's, ``"."`` the base sampler's."""
    best, found = float("inf"), []
    for i, (author, loss) in enumerate(zip(authors, losses, strict=True)):
        found.append(Result(i, author == "M", True, (0.0, loss), loss < best))
        best = min(best, loss)
    return found


def share(authors: str, losses: Sequence[float]) -> float:
    return weigh(results(authors, losses), start=START).share


# --- the rule -------------------------------------------------------------------------------


def test_without_evidence_the_share_is_the_start() -> None:
    assert weigh([], start=START) == Evidence(share=START)
    assert share("....", [4, 3, 2, 1]) == START
    assert share("MMMM", [4, 3, 2, 1]) == START  # nothing to compare with


def test_a_better_model_gets_nearly_all_trials_and_a_worse_one_nearly_none() -> None:
    authors = ".M.M.M.M.M.M.M.M"
    better = [9, 8, 9, 7, 9, 6, 9, 5, 9, 4, 9, 3, 9, 2, 9, 1]
    assert share(authors, better) == MAX_SHARE
    worse = [8, 9, 7, 9, 6, 9, 5, 9, 4, 9, 3, 9, 2, 9, 1, 9]
    assert share(authors, worse) == MIN_SHARE


def test_every_further_win_raises_the_share_a_little() -> None:
    authors = "." * 8 + "M" * 8
    shares = [share(authors, [5.0] * 8 + [6.0] * (8 - n) + [4.0] * n) for n in range(9)]
    assert shares == sorted(shares)
    assert shares[0] == MIN_SHARE
    assert shares[-1] == MAX_SHARE
    assert max(b - a for a, b in zip(shares, shares[1:], strict=False)) < 0.35


def test_four_trials_are_enough_to_lose_half_of_the_share() -> None:
    assert share("MMM.M..M", [9, 9, 9, 5, 9, 4, 3, 9]) < START / 2


def test_who_repeats_the_best_without_improving_it_shares_with_who_improves_it() -> None:
    copies = [5, 4, 4.01, 4.01, 4.01, 3, 3.01, 3.01, 3.01, 2, 2.01, 2.01]
    authors = "..MMM.MMM.MM"
    assert share(authors, copies) < 0.6
    improves = [9, 8, 7, 6, 5, 8, 4, 3, 2, 8, 1.5, 1.2]
    assert share(authors, improves) == MAX_SHARE


def test_comparison_is_with_neighbors_in_time() -> None:
    # The base sampler got much better later on; the model's trials were good in their time.
    early = results("M." * 8, [1.0, 2.0] * 8)
    late = [Result(30 + i, False, True, (0.0, 0.1), False) for i in range(30)]
    assert weigh(early + late, start=START).beaten == 1.0


def test_old_trials_do_not_count() -> None:
    bad = [9.0, 5.0] * 8
    good = [1.0, 5.0] * 8
    assert share("M." * 16, bad + good) == MAX_SHARE
    assert share("M." * 16, good + bad) < 0.15


def misleading(authors: str, losses: Sequence[float]) -> set[int]:
    return set(weigh(results(authors, losses), start=START).misleading)


def test_a_model_misleads_while_all_its_trials_are_worse_than_most_of_the_base_samplers() -> None:
    assert misleading("MM...", [9, 8, 1, 2, 3]) == {0, 1}
    assert misleading("MM..", [9, 8, 1, 2]) == set()  # too little to compare with
    assert misleading("MM....", [9, 3, 1, 2, 3, 4]) == set()  # better than one of four
    assert misleading("MM....", [9, 4, 1, 2, 3, 4]) == {0, 1}
    assert misleading("MM.....", [9, 4, 1, 2, 3, 4, 4]) == {0, 1}
    assert misleading("MM......", [9, 4, 1, 2, 3, 4, 5, 6]) == set()


def test_failures_are_defeats_even_with_nothing_to_compare() -> None:
    failed = [Result(i, True, False, (3.0,), False, failed=True) for i in range(2)]
    assert weigh(failed[:1], start=START).share == START  # an accident
    assert weigh(failed, start=START).share < 0.3


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.booleans()), max_size=60),
    st.floats(0.05, 0.95),
)
def test_the_share_stays_within_its_limits(
    rows: list[tuple[bool, int, bool]], start: float
) -> None:
    found = results("".join(".M"[mine] for mine, _, _ in rows), [loss for _, loss, _ in rows])
    evidence = weigh(found, start=start)
    assert MIN_SHARE <= evidence.share <= MAX_SHARE or evidence == Evidence(share=start)
    assert 0 <= evidence.beaten <= 1
    assert evidence.n_model <= 8


# --- what trials came to --------------------------------------------------------------------


def finished(
    number: int,
    *values: float,
    source: str = "llm",
    state: TrialState = TrialState.COMPLETE,
    constraint: float | None = None,
) -> FrozenTrial:
    trial = create_trial(
        state=state,
        values=list(values) or None,
        params={"x": 0.5},
        distributions={"x": SPACE["x"]},
        user_attrs={"llm_source": source},
        intermediate_values={number + 1: values[0]} if state == TrialState.PRUNED else {},
        system_attrs=None if constraint is None else {"constraints": [constraint]},
    )
    trial.number = number
    return trial


def ranked(
    *trials: FrozenTrial, directions: Sequence[StudyDirection] | None = None
) -> list[Result]:
    found = Results(directions or [StudyDirection.MINIMIZE])
    for trial in trials:
        found.add(trial)
    return found.latest(informed_from=0)


def order(found: Sequence[Result]) -> list[int]:
    return [r.number for r in sorted(found, key=lambda r: r.rank)]


def test_feasible_before_pruned_before_infeasible_before_failed() -> None:
    found = ranked(
        finished(0, state=TrialState.FAIL),
        finished(1, 0.0, constraint=2.0),
        finished(2, 0.0, constraint=1.0),
        finished(3, 9.0, state=TrialState.PRUNED),
        finished(4, 5.0),
        finished(5, 4.0, constraint=-1.0),
    )
    assert order(found) == [5, 4, 3, 2, 1, 0]
    assert [r.improved for r in found] == [False, True, True, True, True, True]
    assert [r.failed for r in found] == [True] + [False] * 5


def test_an_infeasible_trial_improves_nothing_once_one_is_feasible() -> None:
    found = ranked(finished(0, 5.0, constraint=-1.0), finished(1, 1.0, constraint=0.5))
    assert [r.improved for r in found] == [True, False]


def test_the_pruned_trial_that_got_further_is_better() -> None:
    pruned = TrialState.PRUNED
    assert order(ranked(finished(0, 1.0, state=pruned), finished(1, 2.0, state=pruned))) == [1, 0]


def test_directions_count() -> None:
    found = ranked(finished(0, 1.0), finished(1, 2.0), directions=[StudyDirection.MAXIMIZE])
    assert order(found) == [1, 0]
    assert [r.improved for r in found] == [True, True]


def test_with_several_objectives_the_hypervolume_that_is_added_counts() -> None:
    found = ranked(
        finished(0, 1.0, 0.0),
        finished(1, 0.0, 1.0),
        finished(2, 0.1, 0.1),  # adds nearly all there is
        finished(3, 0.09, 0.11),  # adds a little
        finished(4, 0.5, 0.5),  # is dominated by two
        finished(5, 0.1, 0.5),  # is dominated by two as well
        finished(6, 2.0, 2.0),  # is dominated by all
        directions=[StudyDirection.MINIMIZE] * 2,
    )
    assert [r.improved for r in found] == [True, True, True, True, False, False, False]
    assert order(found)[-1] == 6
    assert found[2].rank < found[3].rank < found[4].rank


def test_the_users_own_trials_count_for_nobody() -> None:
    sources = ("defaults", "history", "enqueued", "", "llm", "base", "fallback:timeout")
    found = ranked(*(finished(i, 1.0, source=s) for i, s in enumerate(sources)))
    assert [(r.number, r.is_models) for r in found] == [(4, True), (5, False), (6, False)]


# --- whole studies --------------------------------------------------------------------------


class Adviser:
    """Proposes points in a box that may move, other ones at each request."""

    def __init__(self, *boxes: tuple[int, float, float]) -> None:
        self._boxes, self._n = boxes, 0

    def __call__(self, request: Request) -> str:
        found = re.search(r"^(\d+) finished trials", request.messages[1]["content"], re.MULTILINE)
        seen = int(found[1]) if found else 0
        low, high = [box[1:] for box in self._boxes if seen >= box[0]][-1]
        configs = []
        for _ in range(4):
            self._n += 1
            steps = zip("wxyz", (0.8567, 0.7339, 0.6287, 0.5386), strict=True)
            configs.append({n: low + (high - low) * (self._n * s % 1.0) for n, s in steps})
        return json.dumps({"configs": configs})


GOOD, BAD = (0.15, 0.25), (0.7, 1.0)


def objective(trial: Trial) -> float:
    return sum((trial.suggest_float(name, 0.0, 1.0) - 0.2) ** 2 for name in SPACE)


def run(direction: Direction, adviser: Adviser, n: int = 80, **arguments: Any) -> optuna.Study:
    sampler = LLMSampler(
        FakeLLM(adviser),
        search_space=SPACE,
        base_sampler=TPESampler(seed=0),
        seed=0,
        **arguments,
    )
    study = optuna.create_study(direction=direction, sampler=sampler)
    sign = 1.0 if direction == "minimize" else -1.0
    study.optimize(lambda trial: sign * objective(trial), n_trials=n)
    return study


def mine(study: optuna.Study) -> list[int]:
    return [t.number for t in study.trials if t.user_attrs["llm_source"] == "llm"]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_bad_model_loses_about_eight_trials_and_is_hardly_asked_then(
    direction: Direction,
) -> None:
    study = run(direction, Adviser((0, *BAD)))
    assert sum(n < 20 for n in mine(study)) <= 8
    assert sum(n >= 20 for n in mine(study)) <= 6
    assert usage(study).calls <= 8


def test_the_base_sampler_is_compared_with_as_soon_as_possible() -> None:
    study = run("minimize", Adviser((0, *GOOD)), n=8)
    assert [t.number for t in study.trials if t.user_attrs["llm_source"] == "base"] == [5]


def test_a_good_model_gets_nearly_all_trials() -> None:
    numbers = mine(run("minimize", Adviser((0, *GOOD)), n=50))
    assert sum(n >= 8 for n in numbers) >= 0.8 * 42


def test_the_base_sampler_keeps_its_part_between_short_advices() -> None:
    study = run("minimize", Adviser((0, *GOOD)), n=84, llm_share=0.95)
    assert len(mine(study)) == 80


def test_a_model_that_gets_better_comes_back() -> None:
    numbers = mine(run("minimize", Adviser((0, *BAD), (30, *GOOD)), n=120))
    assert sum(10 <= n < 30 for n in numbers) <= 6
    assert sum(n >= 80 for n in numbers) >= 20


def test_a_model_that_gets_worse_loses_its_share() -> None:
    numbers = mine(run("minimize", Adviser((0, *GOOD), (30, *BAD)), n=120))
    assert sum(n < 20 for n in numbers) >= 14
    assert sum(n >= 60 for n in numbers) <= 20


@pytest.mark.parametrize(("fixed", "least", "most"), [(1.0, 80, 80), (0.5, 40, 44), (0.1, 11, 13)])
def test_a_number_fixes_the_share(fixed: float, least: int, most: int) -> None:
    study = run("minimize", Adviser((0, *BAD)), llm_share=fixed)
    taken = [t for t in study.trials if t.user_attrs["llm_source"] != "base"]
    assert least <= len(taken) <= most
