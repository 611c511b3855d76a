"""What comes from outside is data: the model's answers here, storage content and names below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import json
from pathlib import Path
import tracemalloc
from typing import Any

from hypothesis import given, strategies as st
import optuna
from optuna.storages import RDBStorage
import pytest

from optuna_llm_sampler._advice.advice import from_json
from optuna_llm_sampler._advice.parse import parse
from optuna_llm_sampler._text import MAX_WHY_CHARS

from ..support.hostile import Case, from_parts, make_case, SPACES
from ..support.pipeline import Pipeline
from ..support.strategies import json_values


N_ANSWERS = 200  # python -m tests.fuzz takes as many as you like
_DATA = Path(__file__).parents[1] / "data" / "nasty_answers.jsonl"
NASTY = [json.loads(line) for line in _DATA.read_text("utf-8").splitlines()]
CHARACTERS = "{}[]():=,\"'\\ \nadict1.e-NTF"


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """Thousands of studies need not be announced."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


@pytest.mark.parametrize("entry", NASTY, ids=lambda entry: entry["why"][:60])
def test_answers_that_once_did_harm(entry: Mapping[str, Any]) -> None:
    case = Case(entry["space"], tuple(map(from_parts, entry["texts"])))
    advice, _ = Pipeline().run(case)
    assert len(advice.configs) == entry["configs"]
    if "params" in entry:
        assert [config.params for config in advice.configs] == entry["params"]


@pytest.mark.parametrize("unit", ["{x:1}", "{},", "[{", '{"a":[],"b":1},', "a=1,"])
def test_memory_is_bounded(unit: str) -> None:
    texts = [start + unit * (50_000 // len(unit)) for start in ("", "[", "dict(")]
    tracemalloc.start()
    try:
        parse(texts, SPACES["usual"])
        assert tracemalloc.get_traced_memory()[1] < 12 * 2**20
    finally:
        tracemalloc.stop()


def test_many_answers() -> None:
    pipeline = Pipeline()
    usable = 0
    for number in range(N_ANSWERS):
        try:
            usable += bool(pipeline.run(make_case(number))[0].configs)
        except Exception as error:
            raise AssertionError(f"python -m tests.fuzz --start {number} --n 1") from error
    assert usable > N_ANSWERS / 3  # else the answers are too bad to say anything


def test_a_database_takes_what_memory_takes(tmp_path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    pipeline = Pipeline(storage)
    for number in range(3):
        pipeline.run(make_case(number))
    storage.engine.dispose()


@given(st.sampled_from(list(SPACES)), st.text(CHARACTERS, max_size=60))
def test_any_sequence_of_the_characters_that_matter(space: str, text: str) -> None:
    Pipeline().run(Case(space, (text,)))


# --- advice in the storage ------------------------------------------------------------------

GOOD = {
    "configs": [[{"lr": 0.01}, "why", 0]],
    "note": "note",
    "n_ideas": 1,
    "repaired": {"clipped": 1},
    "rejected": {},
}
HUGE = 10**400


@pytest.mark.parametrize(
    "change",
    [
        {"configs": 3},
        {"configs": "abc"},
        {"configs": {"a": 1}},
        {"configs": [[{"lr": [1]}, "", 0]]},
        {"configs": [[{"lr": {}}, "", 0]]},
        {"configs": [["lr", "", 0]]},
        {"configs": [[{}, ""]]},
        {"configs": [[{}, "", float("inf")]]},
        {"configs": [[{}, "", HUGE]]},
        {"configs": [[{}, "", -1]]},
        {"configs": [[{}, "", True]]},
        {"n_ideas": float("inf")},
        {"n_ideas": float("nan")},
        {"n_ideas": HUGE},
        {"n_ideas": "1"},
        {"n_ideas": None},
        {"repaired": {"clipped": float("inf")}},
        {"repaired": [1]},
        {"rejected": None},
    ],
)
def test_what_is_no_advice_is_refused_in_one_way(change: dict[str, Any]) -> None:
    assert from_json(GOOD).n_ideas == 1
    with pytest.raises(ValueError, match="^not a"):
        from_json({**GOOD, **change})


def test_stored_advice_is_bounded_and_printable() -> None:
    config = [{"lr": 0.01}, "<b>\x1b[31m" + "x" * 10**6, 0]
    data = {
        **GOOD,
        "configs": [config] * 10_000,
        "note": "\x00\u202e" * 10**6,
        "rejected": {f"\r{i}" * 100: 1 for i in range(1000)},
    }
    advice = from_json(data)
    assert len(advice.configs) == 64
    assert len(advice.configs[0].why) == MAX_WHY_CHARS
    assert advice.note == ""
    assert len(advice.rejected) == 64
    assert all(len(reason) <= 40 and reason.isprintable() for reason in advice.rejected)


@given(st.fixed_dictionaries({key: json_values() | st.just(good) for key, good in GOOD.items()}))
def test_any_stored_content(data: dict[str, Any]) -> None:
    with contextlib.suppress(ValueError):
        from_json(data)


def test_python_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    parse([r'dict(lr=0.01, why="\d", act=1if 0x1for)'], SPACES["usual"])
    assert not recwarn.list
