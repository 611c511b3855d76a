"""One loaded model per machine: real processes, real weights, and what must not get in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
import json
import os
from pathlib import Path
import signal
import socket
import stat
import subprocess
import sys

import pytest

from optuna_llm_sampler import LocalLLM
from optuna_llm_sampler.errors import WeightsError
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.llms.local import shared as _shared
from optuna_llm_sampler.llms.local.llama import _engines
from optuna_llm_sampler.llms.local.llama import unload
from optuna_llm_sampler.llms.local.weights import pull


pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")

SMALL = "qwen2.5-coder-0.5b"
# Asks once for every line it reads, and says what came and how many models it has loaded.
WORKER = """
import sys
from optuna_llm_sampler import LocalLLM
from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.llms._llama import _engines
llm = LocalLLM(sys.argv[1])
request = Request(messages=({"role": "user", "content": "Hi"},), max_tokens=3, n=2)
for line in sys.stdin:
    texts = llm.complete(request).texts
    print(len(texts), len(_engines), flush=True)
"""


class Worker:
    """A process that has the model or asks the one that has."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("ask\n")
        self.process.stdin.flush()

    def said(self) -> tuple[int, int]:
        assert self.process.stdout is not None
        answers, loaded = self.process.stdout.readline().split()
        return int(answers), int(loaded)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    _shared.leave()
    yield tmp_path / f"optuna-llm-{os.getuid()}"
    _shared.leave()
    unload()


@contextmanager
def worker(model: str) -> Iterator[Worker]:
    command = [sys.executable, "-c", WORKER, model]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


@pytest.mark.slow
def test_four_workers_load_the_weights_once_and_again_when_the_owner_dies(folder: Path) -> None:
    path = str(pull(SMALL))
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(path)) for _ in range(4)]
        for each in workers:
            each.ask()
        said = [each.said() for each in workers]
        assert [answers for answers, _ in said] == [2, 2, 2, 2]
        assert sorted(loaded for _, loaded in said) == [0, 0, 0, 1]

        owner = workers.pop([loaded for _, loaded in said].index(1))
        owner.process.send_signal(signal.SIGKILL)
        owner.process.wait()
        for each in workers:
            each.ask()
        said = [each.said() for each in workers]
        assert [answers for answers, _ in said] == [2, 2, 2]
        assert sorted(loaded for _, loaded in said) == [0, 0, 1]


@pytest.mark.slow
def test_only_the_user_with_the_token_is_served(folder: Path) -> None:
    path = str(pull(SMALL))
    llm = LocalLLM(path)
    request = Request(messages=({"role": "user", "content": "Hi"},), max_tokens=3)
    assert llm.complete(request).texts
    (place,) = folder.glob("*.json")
    said = json.loads(place.read_text())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    for line in (b"{}\n", b'{"token": "guessed"}\n', b"[]\n", b"\xff\n", b"GET / HTTP/1.1\n"):
        with socket.socket(socket.AF_UNIX) as intruder:
            intruder.settimeout(20.0)
            intruder.connect(said["address"])
            intruder.sendall(line)
            assert intruder.recv(100) == b""
    with worker(path) as other:
        other.ask()
        assert other.said() == (2, 0)
    assert repr(said["token"]) not in repr(vars(llm))


@pytest.mark.slow
def test_an_owner_that_does_not_answer_is_done_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(pull(SMALL))
    monkeypatch.setattr(_shared, "_ACCEPT_SECONDS", 1.0)
    request = Request(messages=({"role": "user", "content": "Hi"},), max_tokens=3)
    with worker(path) as owner:
        owner.ask()
        assert owner.said() == (2, 1)
        owner.process.send_signal(signal.SIGSTOP)
        try:
            assert LocalLLM(path).complete(request).texts
        finally:
            owner.process.send_signal(signal.SIGCONT)
    assert len(_engines) == 1


@pytest.mark.slow
def test_the_weights_are_freed_when_nobody_asks_and_read_again() -> None:
    script = WORKER.replace("LocalLLM(sys.argv[1])", "LocalLLM(shared=False, unload_after=1)")
    script = script.replace("len(_engines)", "resident()").replace("import sys", RESIDENT)
    command = [sys.executable, "-c", script]
    sizes = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for _ in range(2):
            Worker(process).ask()
            answers, size = Worker(process).said()
            assert answers == 2
            sizes.append(size)
            # The process itself waits until it has become small; it fails if it never does.
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0
    assert all(size < 300 for size in sizes)  # of about 680 MB while they are loaded


RESIDENT = """
import sys, time
def megabytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
def resident():
    assert megabytes() > 400
    for _ in range(300):
        if megabytes() < 300:
            break
        time.sleep(0.1)
    return megabytes()
"""


def test_a_folder_that_others_can_open_is_not_used(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    broken = tmp_path / "model.gguf"
    broken.write_bytes(b"GGUF")
    llm = LocalLLM(broken)
    with pytest.raises(WeightsError):
        llm.prepare()
    assert not list(folder.iterdir())
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(PermissionError):
        _shared._folder()


def test_weights_that_cannot_be_loaded_are_an_error_for_everybody(
    folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "model.gguf"
    broken.write_bytes(b"GGUF")
    settings = LocalLLM(broken)._settings()
    assert _shared._is_mine(settings)
    with pytest.raises(WeightsError, match="llama.cpp cannot load"):
        _shared._ask_owner(settings, {}, 5.0)
    assert not _engines
