"""Models whose words are made up, for tests where the words do not matter."""

from __future__ import annotations

from collections.abc import Callable
import json
import random
import threading
from typing import Any

from optuna_llm_sampler.llms import Request
from optuna_llm_sampler.testing import FakeLLM


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
