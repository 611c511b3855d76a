from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
from dataclasses import fields, replace
import json
import logging
import os
from pathlib import Path
import pickle
import random
import subprocess
import sys
from typing import Any

import optuna
import pytest

from optuna_llm_sampler import errors, LLMSampler, Recorder, Replay
from optuna_llm_sampler.errors import LLMError, OptunaLLMError, RecordError, ReplayMissError
from optuna_llm_sampler.llms import CODE, Completion, JSON, LLM, Message, Request, TokenUsage
from optuna_llm_sampler.llms.recording import key_of
from optuna_llm_sampler.testing import FakeLLM

from ..support import recorded
from ..support.fakes import guesser


REQUEST = Request(
    messages=(
        {"role": "system", "content": "You advise."},
        {"role": "user", "content": "Tune x.\nHistory: 0.1 {x: 1}\nAnswer."},
    ),
    schema={"type": "object", "properties": {"x": {"type": "number"}}},
    stop=("END",),
    n=2,
    temperature=0.5,
    seed=7,
)


class Scripted:
    """Answers, and errors, in a fixed order."""

    style = "code"

    def __init__(self, *outcomes: Completion | Exception) -> None:
        self._outcomes = iter(outcomes)

    @property
    def name(self) -> str:
        return "scripted/1"

    def complete(self, request: Request) -> Completion:
        outcome = next(self._outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.jsonl"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    optuna.logging.enable_propagation()
    caplog.set_level(logging.INFO)
    yield lambda: caplog.text
    optuna.logging.disable_propagation()


def record(path: Path, *outcomes: Completion | Exception, request: Request = REQUEST) -> None:
    recorder = Recorder(Scripted(*outcomes), path)
    for outcome in outcomes:
        with contextlib.suppress(OptunaLLMError):
            assert recorder.complete(request) is outcome


# --- one call -------------------------------------------------------------------------------


def test_an_answer_comes_back_as_it_was(path: Path) -> None:
    completion = Completion(("a\n", '{"x": "😀\u2028"}'), TokenUsage(5, None, 3), "gpt", "length")
    record(path, completion)
    replay = Replay(path)
    assert isinstance(replay, LLM)
    assert isinstance(Recorder(replay, path), LLM)
    assert (replay.name, replay.style, replay.unused) == ("scripted/1", CODE, 1)
    assert replay.complete(replace(REQUEST, timeout=1.0)) == completion
    assert (replay.unused, replay.misses) == (0, [])


def test_lone_surrogates_survive(path: Path) -> None:
    request = replace(REQUEST, messages=({"role": "user", "content": "\ud800 é"},))
    record(path, Completion(("\udfff",)), request=request)
    assert Replay(path).complete(request).texts == ("\udfff",)
    assert Replay(path)._lines[0].request["messages"][0]["content"] == "\ud800 é"


def test_the_form_of_a_line(path: Path) -> None:
    record(path, Completion(("é",), TokenUsage(5)), LLMError("so", retry_after=2.0))
    first, second = map(json.loads, path.read_text("utf-8").splitlines())
    assert '"é"' in path.read_text("utf-8")
    request = {
        "messages": list(REQUEST.messages),
        "schema": REQUEST.schema,
        "stop": ["END"],
        "n": 2,
        "max_tokens": 4096,
        "temperature": 0.5,
        "seed": 7,
    }
    common = {"v": 1, "key": key_of(REQUEST), "llm": "scripted/1", "style": "code"}
    usage = {"input_tokens": 5, "output_tokens": None, "cached_tokens": None}
    completion = {"texts": ["é"], "usage": usage, "model": "", "finish_reason": "stop"}
    error = {
        "kind": "LLMError",
        "reason": "llm_error",
        "retryable": True,
        "message": "so",
        "hint": LLMError.default_hint,
        "retry_after": 2.0,
        "usage": dict.fromkeys(usage),
    }
    assert first == {**common, "request": request, "completion": completion}
    assert second == {**common, "request": request, "error": error}


CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, OptunaLLMError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_raised_again(path: Path, kind: type[OptunaLLMError]) -> None:
    missing = kind is errors.MissingExtraError
    error: OptunaLLMError = (
        errors.MissingExtraError("it", "local")
        if missing
        else kind("what\nhappened", hint="do it", retry_after=1.5)
    )
    record(path, error)
    with pytest.raises(OptunaLLMError) as caught:
        Replay(path).complete(REQUEST)
    again = caught.value
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.__dict__.items() <= error.__dict__.items()


class OwnError(errors.RateLimitError):
    reason = "own"
    retryable = False


def test_an_error_of_ones_own_keeps_its_reason(path: Path) -> None:
    record(path, OwnError("mine"))
    with pytest.raises(errors.RateLimitError, match="mine") as caught:
        Replay(path).complete(REQUEST)
    assert (caught.value.reason, caught.value.retryable) == ("own", False)


def test_a_bug_of_a_back_end_is_not_recorded(path: Path) -> None:
    recorder = Recorder(Scripted(ZeroDivisionError("Bearer sk-secret")), path)
    with pytest.raises(ZeroDivisionError):
        recorder.complete(REQUEST)
    assert path.read_bytes() == b""
    assert Replay(path).unused == 0


def test_the_same_request_gets_its_answers_in_order_and_once(path: Path) -> None:
    texts = [Completion((text,)) for text in "abc"]
    record(path, texts[0], LLMError("no"), texts[1])
    record(path, texts[2])  # another process, later
    replay = Replay(path)
    assert replay.complete(REQUEST) == texts[0]
    replay = pickle.loads(pickle.dumps(replay))
    with pytest.raises(LLMError, match="no"):
        replay.complete(REQUEST)
    assert [replay.complete(REQUEST), replay.complete(REQUEST)] == texts[1:]
    with pytest.raises(ReplayMissError, match="at lines 1, 2, 3, 4, and each") as caught:
        replay.complete(REQUEST)
    assert "new Replay" in caught.value.hint
    assert replay.misses == [caught.value]


# --- the key --------------------------------------------------------------------------------

CHANGES: list[dict[str, Any]] = [
    {"messages": REQUEST.messages[:1]},
    {"messages": REQUEST.messages[::-1]},
    {"schema": None},
    {"grammar": "start: /x/"},
    {"stop": ()},
    {"n": 3},
    {"max_tokens": 5},
    {"temperature": None},
    {"seed": None},
]


def test_what_the_key_depends_on() -> None:
    keys = {key_of(replace(REQUEST, **change)) for change in CHANGES}
    assert len(keys | {key_of(REQUEST)}) == len(CHANGES) + 1
    assert {name for change in CHANGES for name in change} | {"timeout"} == {
        field.name for field in fields(Request)
    }


def test_what_the_key_does_not_depend_on() -> None:
    turned = {"properties": {"x": {"type": "number"}}, "type": "object"}
    messages = tuple({"content": m["content"], "role": m["role"]} for m in REQUEST.messages)
    same: list[dict[str, Any]] = [{"timeout": 1}, {"schema": turned}, {"messages": messages}]
    assert {key_of(replace(REQUEST, **change)) for change in same} == {key_of(REQUEST)}
    assert key_of(replace(REQUEST, temperature=1)) == key_of(replace(REQUEST, temperature=1.0))


def test_the_key_is_the_same_for_ever() -> None:
    """Recordings lie in repositories: another key for the same request would spoil them all."""
    assert key_of(REQUEST) == "c89e92542c6753c989fd35df045c8129"


# --- what is not there ----------------------------------------------------------------------


def test_a_miss_shows_the_difference_to_the_nearest_request(path: Path) -> None:
    far = replace(REQUEST, messages=({"role": "user", "content": "Something else."},), n=1)
    record(path, Completion(("far",)), request=far)
    record(path, Completion(("near",)))
    asked = "Tune x.\nHistory: 0.2 {x: 1}\x1b[31m\nAnswer."
    request = replace(
        REQUEST, messages=(REQUEST.messages[0], {"role": "user", "content": asked}), seed=8
    )
    replay = Replay(path)
    with pytest.raises(ReplayMissError) as caught:
        replay.complete(request)
    lines = str(caught.value).splitlines()
    assert lines[1:3] == ["--- recorded on line 2", "+++ asked for now"]
    changed = [line for line in lines[3:] if line[0] in "+-"]
    assert changed == [
        "-History: 0.1 {x: 1}",
        "+History: 0.2 {x: 1}�[31m",
        "-seed: 7",
        "+seed: 8",
    ]
    assert not caught.value.retryable
    assert caught.value.hint
    assert replay.unused == 2


def test_a_miss_is_bounded(path: Path) -> None:
    rng = random.Random(0)
    words = [" ".join(str(rng.random()) for _ in range(200_000 // 18)) for _ in range(2)]
    lines = ["\n".join(word.split()) for word in words]
    record(path, Completion(("x",)), request=replace(REQUEST, grammar=words[0], seed=None))
    for grammar in (words[1], lines[0], lines[1], ", ".join(words)):
        message: Message = {"role": "user", "content": grammar}
        with pytest.raises(ReplayMissError) as caught:
            Replay(path).complete(replace(REQUEST, grammar=grammar, messages=(message,)))
        assert len(str(caught.value)) < 8_000


def test_an_empty_recording_answers_nothing(path: Path) -> None:
    path.touch()
    with pytest.raises(ReplayMissError, match="It is empty"):
        Replay(path).complete(REQUEST)


def test_a_study_goes_on_after_a_miss(path: Path, log: Callable[[], str]) -> None:
    record(path, Completion(("x",)))
    replay = Replay(path)
    trials = recorded.run(replay, 2)
    assert [t["attrs"]["llm_source"] for t in trials] == ["fallback:replay_miss"] * 2
    assert len(replay.misses) == 1
    assert "The nearest one is another" in log()


# --- the file -------------------------------------------------------------------------------


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        Replay(path)
    with pytest.raises(RecordError, match="cannot be written") as caught:
        Recorder(Scripted(), path / "folder" / "file")
    assert "folder exists" in caught.value.hint


def test_an_unknown_version_is_refused(path: Path) -> None:
    record(path, Completion(("x",)))
    newer = path.read_text("utf-8").replace('"v": 1', '"v": 2')
    path.write_text(path.read_text("utf-8") + newer, "utf-8")
    with pytest.raises(RecordError, match="line 2: this is format 2") as caught:
        Replay(path)
    assert "version of optuna-llm-sampler" in caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "1",
        "{}",
        '{"v": 1}',
        '{"v": 1, "key": "k", "llm": "m", "style": "json", "request": {}}',
        '{"v": 1, "key": "k", "llm": "m", "style": "json", "request": {}, "completion": 3}',
        '{"v": 1, "key": "k", "llm": "m", "style": "json", "request": {}, "completion": '
        '{"texts": [1], "usage": {}, "model": "", "finish_reason": ""}}',
        '{"v": 1, "key": "k", "llm": "m", "style": "json", "request": {"messages": [1]}, '
        '"completion": {"texts": [], "usage": {}, "model": "", "finish_reason": ""}}',
        '{"v": 1, "key": "k", "llm": "m", "style": "json", "request": {}, "error": {"kind": []}}',
        '{"v": 1, "key": "k", "llm": "m", "style": "json", "request": {}, "error": {"kind": '
        '"os.system", "reason": "r", "retryable": true, "message": 1, "hint": "", '
        '"retry_after": null}}',
    ],
)
def test_a_line_that_is_no_call_is_refused(path: Path, line: str) -> None:
    path.write_text(line + "\n", "utf-8")
    with pytest.raises(RecordError, match=r"study\.jsonl, line 1: "):
        Replay(path)


def test_a_line_cut_by_a_killed_writer_costs_only_itself(
    path: Path, log: Callable[[], str]
) -> None:
    texts = [Completion((text,)) for text in "abc"]
    record(path, *texts)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    replay = Replay(path)
    assert "damaged at line 3" in log()
    assert [replay.complete(REQUEST), replay.complete(REQUEST)] == texts[:2]
    with pytest.raises(ReplayMissError):
        replay.complete(REQUEST)
    record(path, texts[2])  # the next writer begins a line of its own
    assert [line.number for line in Replay(path)._lines] == [1, 2, 4]
    path.write_bytes(whole[:-1])  # only the line's end is missing
    record(path, texts[0])
    assert [line.number for line in Replay(path)._lines] == [1, 2, 3, 4]


def test_a_full_disk_costs_no_answer(path: Path, log: Callable[[], str]) -> None:
    recorder = Recorder(Scripted(Completion(("a",)), Completion(("b",))), path)
    path.unlink()
    path.mkdir()
    assert recorder.complete(REQUEST).texts == ("a",)
    assert recorder.complete(REQUEST).texts == ("b",)
    assert log().count("could not be recorded") == 1


def test_names_and_copies(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="llm must be"):
        Recorder("gpt-5", path)
    recorder = Recorder("openai/gpt-5-mini", path)
    assert (recorder.name, recorder.style) == ("openai/gpt-5-mini", JSON)
    assert repr(recorder) == f"Recorder('openai/gpt-5-mini', {str(path)!r})"
    monkeypatch.chdir(path.parent)
    data = pickle.dumps(Recorder("local", path.name))
    monkeypatch.chdir(path.parent.parent)
    copy = pickle.loads(data)
    assert (copy.name, copy.style, copy.path) == ("local/qwen2.5-coder-1.5b", CODE, str(path))
    assert repr(Recorder(Scripted(), path)) == f"Recorder('scripted/1', {str(path)!r})"


WRITER = """
import sys
from optuna_llm_sampler.llms import Completion, JSON, Request
from optuna_llm_sampler.llms.recording import append
who, path = sys.argv[1:]
for i in range(60):
    text = f"{who} {i} " + who * (100_000 if i % 10 == 0 else 50)
    append(path, Request(()), Completion((text,)), llm=who, style=JSON)
"""


def test_several_processes_and_threads_write_one_file(path: Path) -> None:
    whos = "abc"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, who, str(path)], cwd=os.getcwd())
        for who in whos
    ]
    recorder = Recorder(FakeLLM(lambda request: "t" * 5_000), path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(recorder.complete, [REQUEST] * 60))
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    replay = Replay(path)
    assert replay._cut == []
    assert replay.unused == 240
    answers = [replay.complete(Request(())).texts[0].split() for _ in range(180)]
    for who in whos:  # each writer's answers in its order, none mixed with another's
        own = [(int(i), set(rest)) for name, i, rest in answers if name == who]
        assert own == [(i, {who}) for i in range(60)]


# --- a study --------------------------------------------------------------------------------


def replayed(path: Path, n_trials: int, **environment: str) -> dict[str, Any]:
    """Replay in a fresh process, with another order of hashes."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.recorded", str(path), str(n_trials)],
        env={**os.environ, "PYTHONHASHSEED": "123", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_study_is_replayed_bit_by_bit_in_another_process(path: Path) -> None:
    llm = FakeLLM(guesser(seed=3, bad=0.3))
    trials = recorded.run(Recorder(llm, path))
    result = replayed(path, recorded.N_TRIALS)
    assert result["trials"] == trials
    assert sum(t["attrs"]["llm_source"] == "llm" for t in trials) >= 5
    assert (result["misses"], result["unused"], result["imported"]) == ([], 0, [])
    assert len(path.read_text("utf-8").splitlines()) == len(llm.requests)


@pytest.mark.slow
def test_a_study_with_real_weights_is_replayed_without_them(path: Path, tmp_path: Path) -> None:
    from optuna_llm_sampler import LocalLLM
    from optuna_llm_sampler.llms.local.weights import pull

    pull("qwen2.5-coder-0.5b")
    trials = recorded.run(Recorder(LocalLLM("qwen2.5-coder-0.5b"), path), 4)
    assert trials[0]["attrs"]["llm_source"] == "llm"
    result = replayed(path, 4, OPTUNA_LLM_CACHE=str(tmp_path / "nothing"))
    assert result["trials"] == trials
    assert (result["misses"], result["unused"], result["imported"]) == ([], 0, [])


def test_a_sampler_with_a_recorder_can_be_pickled(path: Path) -> None:
    record(path, Completion(("x",)))
    for llm in (Recorder("local", path), Replay(path)):
        sampler = pickle.loads(pickle.dumps(LLMSampler(llm)))
        assert isinstance(sampler, LLMSampler)
