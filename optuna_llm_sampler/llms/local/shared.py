"""One loaded model per machine: the first process that needs it owns it, the others ask that one.

The owner holds a file lock for as long as it lives and listens on a Unix socket (where there is
none, on the loopback device), in a folder that only the user can read. A request is one line of
JSON with the token that lies there; the answer is a line that says it was accepted, and one
with the result. When the owner dies, its lock is free, and whoever asks next takes over. Whatever
else goes wrong, a process loads the weights for itself, as if there were no others.
"""

from __future__ import annotations

import atexit
from dataclasses import dataclass
import hashlib
import hmac
import json
import os
from pathlib import Path
import secrets
import selectors
import socket
import stat
import tempfile
import threading
import time
from typing import Any

import optuna

from ... import errors
from ...errors import CallTimeoutError
from ...errors import LLMError
from ...errors import OptunaLLMError
from .llama import engine_of
from .llama import Generation
from .llama import Settings
from .sources import extra
from .sources import read_json
from .sources import write_json


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

_PROTOCOL = 1
_ATTEMPTS = 4
# An owner answers from a thread of its own, but not while its process loads or is stopped.
_ACCEPT_SECONDS = 60.0
_START_SECONDS = 5.0
# Beyond the time for the answer itself: the owner may have to load the weights first.
_LOAD_SECONDS = 300.0
_MAX_LINE = 1 << 24


class _GoneError(Exception):
    """The owner has died; somebody must take over."""


class _StuckError(Exception):
    """There is an owner, but it does not answer."""


@dataclass(frozen=True)
class _Owner:
    """What makes this process the owner; both are closed when it ends."""

    lock: Any
    listener: socket.socket


_owned: dict[Settings, _Owner] = {}
_alone: set[Settings] = set()
_lock = threading.Lock()


def prepare(settings: Settings) -> None:
    """Load the weights here, unless another process has them or is about to."""
    if _is_mine(settings):
        engine_of(settings)


def generate(settings: Settings, payload: dict[str, Any], *, timeout: float) -> Generation:
    """Let the machine's one loaded model answer, loading it here if nobody has it.

    Raises:
        LLMError: As :meth:`~._llama.Engine.generate`.
        WeightsError: The weights cannot be had or cannot be loaded.
    """
    start = time.monotonic()
    for attempt in range(_ATTEMPTS):
        if _is_mine(settings):
            break
        left = timeout - (time.monotonic() - start)
        if attempt and left <= 0:
            raise CallTimeoutError("The local model did not answer in time.")
        try:
            return _ask_owner(settings, payload, left)
        except _GoneError:
            time.sleep(0.1 * attempt)
        except (_StuckError, OSError, ValueError) as error:
            _logger.warning(f"The process that has the model does not answer ({error!r}).")
            _alone.add(settings)
    else:
        _alone.add(settings)
    return engine_of(settings).generate(payload, timeout=timeout)


def _is_mine(settings: Settings) -> bool:
    """Tell whether this process has the model, or takes it over now."""
    with _lock:
        if settings in _owned or settings in _alone:
            return True
        try:
            folder = _folder()
            lock = extra("filelock").FileLock(_path(folder, settings, "lock"))
            try:
                lock.acquire(timeout=0)
            except extra("filelock").Timeout:
                return False
            _owned[settings] = _Owner(lock, _listen(folder, settings))
        except Exception as error:
            _logger.debug(f"No model is shared: {error!r}")
            _alone.add(settings)
        return True


# --- where they meet ------------------------------------------------------------------------


def _folder() -> Path:
    """The user's own folder of this machine, not of a home that many machines share.

    Raises:
        OSError: It cannot be made, or others can reach into it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(base) / f"optuna-llm-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid"):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"{folder} is not a folder of this user alone")
    return folder


def _path(folder: Path, settings: Settings, suffix: str) -> Path:
    text = json.dumps([_PROTOCOL, *settings])
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.{suffix}"


# --- the owner ------------------------------------------------------------------------------


def _listen(folder: Path, settings: Settings) -> socket.socket:
    token = secrets.token_hex(32)
    address: Any
    if hasattr(socket, "AF_UNIX"):
        path = _path(folder, settings, "sock")
        path.unlink(missing_ok=True)  # of an owner that was killed
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        address = str(path)
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        address = list(listener.getsockname())
    listener.listen(64)
    place = _path(folder, settings, "json")
    place.unlink(missing_ok=True)
    os.close(os.open(place.with_name(f"{place.name}.new"), os.O_CREAT | os.O_WRONLY, 0o600))
    write_json(place, {"address": address, "token": token, "pid": os.getpid()})
    threading.Thread(
        target=_accept, args=(listener, settings, token), daemon=True, name="optuna-llm-shared"
    ).start()
    return listener


def _accept(listener: socket.socket, settings: Settings, token: str) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # closed
            return
        threading.Thread(
            target=_serve, args=(connection, settings, token), daemon=True, name="optuna-llm-serve"
        ).start()


def _serve(connection: socket.socket, settings: Settings, token: str) -> None:
    with connection:
        try:
            connection.settimeout(_ACCEPT_SECONDS)
            request = _receive(connection)
            if not hmac.compare_digest(str(request.get("token")).encode(), token.encode()):
                return
            _send(connection, {"accepted": True})
            _send(connection, _answer(connection, settings, request))
        except (_GoneError, OSError, ValueError, KeyError, TypeError) as error:
            _logger.debug(f"Another process is no longer there: {error!r}")


def _answer(
    connection: socket.socket, settings: Settings, request: dict[str, Any]
) -> dict[str, Any]:
    try:
        generation = engine_of(settings).generate(
            request["payload"],
            timeout=float(request["timeout"]),
            is_wanted=lambda: _is_there(connection),
        )
    except OptunaLLMError as error:
        return {"failed": type(error).__name__, "message": str(error), "hint": error.hint}
    return generation.to_json()


def _is_there(connection: socket.socket) -> bool:
    """Tell whether the other side still waits: it has nothing more to say, so it has hung up."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return not selector.select(0)


@atexit.register
def leave() -> None:
    """Stop serving other processes; the next one that asks takes over."""
    while _owned:
        owner = _owned.popitem()[1]
        owner.listener.close()
        owner.lock.release()
    _alone.clear()


def _forget_after_fork() -> None:
    """A forked child owns nothing: neither threads nor the lock's file come along."""
    global _lock
    _lock = threading.Lock()
    for owner in _owned.values():
        owner.listener.close()
    _owned.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


# --- the others -----------------------------------------------------------------------------


def _ask_owner(settings: Settings, payload: dict[str, Any], timeout: float) -> Generation:
    place = _located(settings)
    with _connected(place["address"]) as connection:
        connection.settimeout(_ACCEPT_SECONDS)
        try:
            _send(connection, {"token": place["token"], "payload": payload, "timeout": timeout})
            _receive(connection)
        except TimeoutError as error:
            raise _StuckError("it accepts no request") from error
        connection.settimeout(timeout + _LOAD_SECONDS)
        try:
            answer = _receive(connection)
        except TimeoutError as error:
            raise CallTimeoutError("The local model did not answer in time.") from error
    if "failed" in answer:
        kind = getattr(errors, str(answer["failed"]), LLMError)
        raise kind(str(answer["message"]), hint=str(answer["hint"]))
    return Generation.from_json(answer)


def _located(settings: Settings) -> dict[str, Any]:
    deadline = time.monotonic() + _START_SECONDS
    while not (place := read_json(_path(_folder(), settings, "json"))):
        if time.monotonic() > deadline:
            raise _StuckError("it does not say where it listens")
        time.sleep(0.05)
    return place


def _connected(address: Any) -> socket.socket:
    unix = isinstance(address, str)
    connection = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    connection.settimeout(_START_SECONDS)
    try:
        connection.connect(address if unix else tuple(address))
    except TimeoutError as error:
        connection.close()
        raise _StuckError("it accepts no connection") from error
    except OSError as error:
        connection.close()
        raise _GoneError from error
    return connection


def _send(connection: socket.socket, value: dict[str, Any]) -> None:
    try:
        connection.sendall(json.dumps(value).encode() + b"\n")
    except (BrokenPipeError, ConnectionError) as error:
        raise _GoneError from error


def _receive(connection: socket.socket) -> dict[str, Any]:
    line = bytearray()
    while not line.endswith(b"\n"):
        try:
            # One line at a time: what follows belongs to the next call.
            peeked = connection.recv(1 << 16, socket.MSG_PEEK)
        except ConnectionError as error:
            raise _GoneError from error
        if not peeked or len(line) > _MAX_LINE:
            raise _GoneError
        end = peeked.find(b"\n") + 1 or len(peeked)
        line += connection.recv(end)
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("a line that is no object")
    return value
