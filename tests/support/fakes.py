"""Models whose words are made up, for tests where the words do not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
import random
import threading
from typing import Any

import pytest

from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM

from .servers import answering_server, Body, Server


def properties(request: Request) -> dict[str, Any]:
    """Return the JSON schema of each parameter that a request asks for."""
    assert request.schema is not None
    items = request.schema["properties"]["configs"]["items"]
    found: dict[str, Any] = {}
    for branch in items.get("anyOf", [items]):
        found = {**branch["properties"], **found}
    return {name: schema for name, schema in found.items() if name != "why"}


def random_value(schema: dict[str, Any], rng: random.Random) -> Any:
    options = schema.get("anyOf", [schema])[0]
    if "enum" in options:
        return rng.choice(options["enum"])
    value = rng.uniform(-15, 15)
    return round(value) if options["type"] == "integer" else value


def guesser(seed: int = 0, n: int = 8, *, bad: float = 0.0) -> Callable[[Request], str]:
    """Return a handler that answers at random; a share ``bad`` of the answers is nonsense."""
    rng = random.Random(seed)
    lock = threading.Lock()

    def handler(request: Request) -> str:
        with lock:
            if rng.random() < bad:
                return rng.choice(_GARBAGE)
            wanted = properties(request)
            configs = [
                {name: random_value(schema, rng) for name, schema in wanted.items()}
                for _ in range(n)
            ]
            for config in configs:
                if rng.random() < bad:
                    config[rng.choice(list(wanted))] = rng.choice(_BAD_VALUES)
            return json.dumps({"configs": [{**c, "why": "a guess"} for c in configs], "note": "?"})

    return handler


_BAD_VALUES: list[Any] = [1e30, -1e30, 0.30000001, "fast", None, [], {"a": 1}, True, "NaN"]
_GARBAGE = [
    "",
    "I would start with a grid search over the learning rate.",
    '{"configs": []}',
    '{"configs": [{"x": NaN, "y": Infinity}]}',
    '{"configs": [{"x": 0.5, "y":',
    "[1, 2, 3]",
]


def fake(seed: int = 0, n: int = 8, *, bad: float = 0.0) -> FakeLLM:
    return FakeLLM(guesser(seed, n, bad=bad))


@contextmanager
def guessing_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Make the default model one that draws legal values, behind an HTTP server."""
    rng = random.Random(0)

    def answer(body: Body) -> str:
        wanted = _configs_schema(body)["items"]["properties"]
        names = [name for name in wanted if name != "why"]
        configs = [
            {"why": "a guess", **{name: random_value(wanted[name], rng) for name in names}}
            for _ in range(8)
        ]
        return json.dumps({"configs": configs, "note": "?"})

    with answering_server(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "nothing")
        monkeypatch.setenv("OPTUNA_LLM", "openai/m")
        yield server


def _configs_schema(part: Any) -> Any:
    """Find the schema of the configurations in a request of either API."""
    if isinstance(part, dict) and "configs" in part:
        return part["configs"]
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return next(filter(None, map(_configs_schema, inner)), None)
