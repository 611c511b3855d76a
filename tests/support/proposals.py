"""Answers of a model that is asked for a search space."""

from __future__ import annotations

import json
from typing import Any

from optuna_llm_sampler import propose_space, ProposedSpace
from optuna_llm_sampler.testing import FakeLLM


SENTENCE = (
    "Please recommend hyperparameters for this customer-service dataset with a transformer, with "
    "a learning rate between 1e-4 and 5e-6, an initial batch size of at least 32, and a number of "
    "epochs that balances accuracy and efficiency."
)


def item(name: Any, kind: Any = "float", **values: Any) -> dict[str, Any]:
    """Return one parameter of an answer, complete as the schema wants it."""
    empty = dict.fromkeys(("low", "high", "log", "step", "choices", "default", "condition"))
    words = {"stated": [], "meaning": f"what {name} is"[:99], "why": f"why {name} matters"[:99]}
    return {"name": name, "kind": kind, **empty, **words, **values}


# A model that disregards the sentence's bounds.
ITEMS = (
    item("learning_rate", low=1e-6, high=1e-2, log=True, default=3e-3),
    item("batch_size", "int", low=8, high=128, default=16),
    item("epochs", "int", low=2, high=10, default=4),
    item("optimizer", "categorical", choices=["adamw", "sgd"], default="adamw"),
    item("momentum", low=0.5, high=0.99, condition={"parent": "optimizer", "values": ["sgd"]}),
)


def answer(*items: Any, note: str = "") -> str:
    return json.dumps({"note": note, "parameters": items})


def proposed(task: str, *items: Any, like: Any = None) -> ProposedSpace:
    """Propose a space with a model that answers with these parameters."""
    return propose_space(task, llm=FakeLLM(lambda _: answer(*items)), like=like)
