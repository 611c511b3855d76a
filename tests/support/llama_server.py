"""llama.cpp's own HTTP server, with real weights, as a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import subprocess
import sys
from typing import Any


@contextmanager
def llama_server(path: str | os.PathLike[str], *, api_key: str | None = None) -> Iterator[str]:
    """Serve a ``.gguf`` file on a free port of the loopback device.

    Args:
        path:
            The weights.
        api_key:
            The key that clients must send, if any.

    Yields:
        The base URL for OpenAI's SDK; it ends in ``/v1``.
    """
    command = [sys.executable, __file__, os.fspath(path), *([api_key] if api_key else [])]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"llama.cpp's server did not start: exit code {process.wait(30)}")
        yield f"{address}/v1"
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _serve(path: str, api_key: str | None = None) -> None:
    import xllamacpp

    params: Any = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {Path(path).stem}
    params.n_ctx = 4096
    params.n_parallel = 4
    params.kv_unified = True
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib = 0
    params.ui = False
    params.verbosity = -1
    if api_key is not None:
        params.api_keys = [api_key]
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()  # Until the parent closes it, or dies.
    # The destructor waits for what is still being generated.
    os._exit(0)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
