"""The embedded model: its settings without weights, and the rest with real ones."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import json
import os
from pathlib import Path
import pickle
import re
import subprocess
import sys
import time
from typing import Any

import openai
import pytest

from optuna_llm_sampler import LocalLLM
from optuna_llm_sampler.errors import (
    BadRequestError,
    CallTimeoutError,
    LLMError,
    MissingExtraError,
    ServerError,
    TruncatedError,
    WeightsError,
)
from optuna_llm_sampler.llms import CODE, LLM, Message, Request, TokenUsage
from optuna_llm_sampler.llms.local.client import Template
from optuna_llm_sampler.llms.local.llama import Generation, unload
from optuna_llm_sampler.llms.local.weights import pull

from ..support.llama_server import llama_server


SMALL = "qwen2.5-coder-0.5b"
QUESTION: Message = {
    "role": "user",
    "content": "Good hyperparameters for fine-tuning BERT, as `params = dict(lr=..., n=...)`.",
}
PREFILL: Message = {"role": "assistant", "content": "params = dict("}
GRAMMAR = r"""
start: "lr=" LR ", n=" N ")"
LR: /[1-9](\.[0-9])?e-[1-8]/
N: /[1-9][0-9]{0,2}/
"""
STORY: Message = {"role": "user", "content": "Write a long story about a fox and a river."}
posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork")


def test_is_an_llm() -> None:
    llm = LocalLLM()
    assert isinstance(llm, LLM)
    assert llm.name == "local/qwen2.5-coder-1.5b"
    assert llm.style == CODE
    assert LocalLLM("qwen2.5-coder-0.5b").style == CODE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "gpt-17"),
        ("n_threads", 0),
        ("n_ctx", 10),
        ("n_parallel", 0),
        ("style", "xml"),
        ("template", "none"),
    ],
)
def test_arguments_are_checked(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{key} must be"):
        LocalLLM(**{key: value})


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There is no file"):
        LocalLLM(tmp_path / "model.gguf")


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    llm = LocalLLM(path)
    assert llm.name == "local/model"
    path.unlink()
    with pytest.raises(WeightsError, match="There is no file"):
        llm.prepare()


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + b"x" * 100)
    with pytest.raises(WeightsError, match="llama.cpp cannot load"):
        LocalLLM(path).prepare()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtraError):
        LocalLLM()


def test_pickle_carries_the_settings(tmp_path: Path) -> None:
    llm = LocalLLM(SMALL, n_threads=2, n_ctx=512, n_parallel=3, style="json", template="raw")
    assert vars(pickle.loads(pickle.dumps(llm))) == vars(llm)
    assert len(pickle.dumps(llm)) < 1000


def test_relative_paths_are_those_of_the_construction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.gguf").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert LocalLLM("model.gguf").model == str(tmp_path / "model.gguf")


def payload(start: int = 0, template: Template = "chat", **kwargs: Any) -> dict[str, Any]:
    llm = LocalLLM(n_ctx=1024, n_parallel=4, template=template)
    return llm._payload(Request(messages=(QUESTION, PREFILL), **kwargs), start)


def test_request_becomes_llama_cpps() -> None:
    assert payload(n=6)["n"] == 4
    assert payload(n=6, start=4)["n"] == 2
    assert payload(n=4, max_tokens=4096)["max_tokens"] == 256
    assert payload(temperature=None)["temperature"] == 0.8
    assert payload(temperature=0.0)["temperature"] == 0.0
    assert payload(n=9, seed=2**32 + 5, start=4)["seed"] == 10
    assert payload(stop=(")", "\n"))["stop"] == [")", "\n"]
    assert not {"seed", "grammar"} & set(payload())
    assert payload(grammar=GRAMMAR)["grammar"] == "%llguidance {}\n" + GRAMMAR
    assert payload(schema={"type": "integer", "minimum": 3, "maximum": 5})["grammar"]
    assert payload()["messages"] == [QUESTION, PREFILL]
    raw = payload(template="raw")
    assert raw["prompt"] == f"{QUESTION['content']}\n{PREFILL['content']}"
    assert "messages" not in raw


def test_what_is_finished_when_time_is_up_is_used() -> None:
    generation = Generation()
    generation.take({"choices": [{"index": 1, "text": "a whole", "finish_reason": None}]})
    generation.take({"choices": [{"index": 0, "text": "half an", "finish_reason": None}]})
    with pytest.raises(CallTimeoutError):
        generation.completion("m")
    generation.take(
        {
            "choices": [{"index": 1, "text": " answer", "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        }
    )
    completion = generation.completion("m")
    assert completion.texts == ("a whole answer",)
    assert completion.usage == TokenUsage(7, 3, None)
    assert completion.finish_reason == "stop"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": 400, "message": "Field 'n'"}, BadRequestError),
        ({"code": 400, "message": "x", "type": "exceed_context_size_error"}, BadRequestError),
        ({"code": 500, "message": "Context size has been exceeded."}, TruncatedError),
        ({"code": 500, "message": "out of memory"}, ServerError),
    ],
)
def test_errors_are_mapped(error: dict[str, Any], expected: type[LLMError]) -> None:
    generation = Generation()
    assert generation.take({"error": error})
    with pytest.raises(expected):
        generation.completion("m")


@pytest.fixture(scope="module")
def weights() -> Path:
    return pull(SMALL)


@pytest.fixture(scope="module")
def llm() -> Iterator[LocalLLM]:
    model = LocalLLM(SMALL)
    model.prepare()
    yield model
    unload()


@pytest.mark.slow
def test_grammar_prefill_and_several_answers(llm: LocalLLM) -> None:
    request = Request(messages=(QUESTION, PREFILL), grammar=GRAMMAR, n=8, max_tokens=40, seed=1)
    completion = llm.complete(request)
    # The prefill is not repeated, and the same seed does not make the answers the same.
    assert len(completion.texts) == 8
    assert all(
        re.fullmatch(r"lr=[1-9](\.[0-9])?e-[1-8], n=[1-9][0-9]{0,2}\)", text)
        for text in completion.texts
    )
    assert len(set(completion.texts)) > 1
    assert completion.finish_reason == "stop"
    assert completion.usage.input_tokens is not None
    assert completion.usage.output_tokens is not None
    assert completion.usage.input_tokens < completion.usage.output_tokens


@pytest.mark.slow
def test_schema_is_enforced_with_the_bounds_of_floats(llm: LocalLLM) -> None:
    properties = {
        "lr": {"type": "number", "minimum": 11.5, "maximum": 12.5},
        "n": {"type": "integer", "minimum": 700, "maximum": 710},
    }
    schema = {
        "type": "object",
        "properties": properties,
        "required": ["lr", "n"],
        "additionalProperties": False,
    }
    for text in llm.complete(Request(messages=(QUESTION,), schema=schema, n=4)).texts:
        answer = json.loads(text)
        assert 11.5 <= answer["lr"] <= 12.5
        assert 700 <= answer["n"] <= 710


@pytest.mark.slow
def test_raw_text_and_stop(llm: LocalLLM) -> None:
    messages: tuple[Message, ...] = (
        {"role": "system", "content": "# Counting:"},
        {"role": "user", "content": "1, 2, 3, 4,"},
    )
    request = Request(messages=messages, stop=(" 8",), max_tokens=30, temperature=0)
    # The same weights: nothing is loaded again.
    start = time.monotonic()
    assert LocalLLM(SMALL, template="raw").complete(request).texts == (" 5, 6, 7,",)
    assert time.monotonic() - start < 20


@pytest.mark.slow
def test_cut_answers_are_marked(llm: LocalLLM) -> None:
    assert llm.complete(Request(messages=(STORY,), max_tokens=4)).finish_reason == "length"


@pytest.mark.slow
def test_timeout_and_the_call_after_it(llm: LocalLLM) -> None:
    for message in (STORY, Message(role="user", content="x y " * 1500)):
        start = time.monotonic()
        with pytest.raises(CallTimeoutError):
            llm.complete(Request(messages=(message,), temperature=0.0, timeout=1.0))
        assert time.monotonic() - start < 3
    # What was left behind has been cancelled: 3,000 tokens alone would take a minute.
    start = time.monotonic()
    llm.complete(Request(messages=(QUESTION,), max_tokens=2))
    assert time.monotonic() - start < 30


@pytest.mark.slow
def test_answers_that_are_ready_in_time_are_returned(llm: LocalLLM) -> None:
    # Hundreds of groups do not fit, the first ones do.
    request = Request(messages=(QUESTION,), n=4000, max_tokens=2, timeout=4.0)
    start = time.monotonic()
    completion = llm.complete(request)
    assert time.monotonic() - start < 6
    assert 4 <= len(completion.texts) < 4000


@pytest.mark.slow
def test_prompt_that_is_too_long(llm: LocalLLM) -> None:
    with pytest.raises(BadRequestError, match="exceeds the available context") as info:
        llm.complete(Request(messages=(Message(role="user", content="x y " * 3000),)))
    assert "n_ctx" in info.value.hint


@pytest.mark.slow
def test_threads_take_turns(llm: LocalLLM) -> None:
    request = Request(
        messages=(QUESTION, PREFILL), grammar=GRAMMAR, n=8, max_tokens=40, timeout=300.0
    )
    with ThreadPoolExecutor(2) as pool:
        completions = list(pool.map(llm.complete, [request] * 2))
    assert [len(c.texts) for c in completions] == [8, 8]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_is_bounded(llm: LocalLLM) -> None:
    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def ask(i: int) -> None:
        llm.complete(Request(messages=(Message(role="user", content=f"{i}?"),), max_tokens=2, n=4))

    for i in range(3):
        ask(i)
    before = resident()
    for i in range(3, 15):
        ask(i)
    assert resident() < 1.05 * before


# Runs in a process of its own, with the file of the weights and the test's name as arguments.
SCRIPT = """
import os, signal, sys, threading, time
from optuna_llm_sampler import LocalLLM
from optuna_llm_sampler.errors import OptunaLLMError
from optuna_llm_sampler.llms import Request

llm = LocalLLM(sys.argv[1], unload_after=1 if sys.argv[2] == "freed" else 300)
llm.prepare()
story = Request(messages=({"role": "user", "content": "Write a long story."},), max_tokens=2000)
short = Request(messages=({"role": "user", "content": "Hi"},), max_tokens=2)

def attempt(request):
    try:
        llm.complete(request)
    except OptunaLLMError:
        pass  # Cancelled because the process ends.

def in_background(request):
    threading.Thread(target=attempt, args=(request,), daemon=True).start()
    time.sleep(1.0)

def idle():
    sys.exit(4)

def running():
    in_background(story)
    sys.exit(4)

def interrupted():
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    try:
        llm.complete(story)
    except KeyboardInterrupt:
        sys.exit(4 if time.monotonic() - start < 3.0 else 5)

def forked():
    in_background(story)
    if (pid := os.fork()) == 0:
        sys.exit(4 if llm.complete(short).texts else 5)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

def megabytes():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

def freed():
    for _ in range(2):  # the weights are read again for the second question
        assert llm.complete(short).texts
        assert megabytes() > 400
        deadline = time.monotonic() + 30
        while megabytes() > 300:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    sys.exit(4)

globals()[sys.argv[2]]()
"""


@pytest.mark.slow
@posix
@pytest.mark.parametrize("case", ["idle", "running", "interrupted", "forked", "freed"])
def test_process_ends_in_good_order(weights: Path, case: str) -> None:
    start = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(weights), case],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 4, result.stderr
    assert "Traceback" not in result.stderr
    assert time.monotonic() - start < 60


@pytest.mark.slow
def test_real_server_for_other_tests(weights: Path) -> None:
    with (
        llama_server(weights, api_key="key") as url,
        openai.OpenAI(base_url=url, api_key="key") as client,
    ):
        assert [m.id for m in client.models.list()] == [weights.stem]
        answer = client.chat.completions.create(
            model=weights.stem, messages=[{"role": "user", "content": "Hi"}], max_tokens=3
        )
    assert answer.choices[0].message.content
