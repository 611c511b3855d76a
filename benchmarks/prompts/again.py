"""The same request again and again: ``python -m benchmarks.prompts.again [TIMES]``.

Prints how long answers took and how much the memory grew, for a model that lives as long as a
study. Run it beside other work: what must not happen is a hang or a leak.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
import json
from pathlib import Path
from statistics import median
import sys
import time

import optuna
from tqdm import tqdm

from benchmarks._help import parser as help_parser, positive
from optuna_llm_sampler import LocalLLM
from optuna_llm_sampler._advice.prompts import build

from .questions import question, WAYS


_PROBLEM = "hpobench/car"


def resident_mib() -> float:
    """Memory of this process (Linux)."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = help_parser(
        "benchmarks.prompts.again",
        "Ask the default local model the same again and again, and print how long the answers\n"
        "took and how much the memory grew (Linux). The exit status is 1 if it grew by more than\n"
        "5 % after the first answer.",
        takes="9 to 17 seconds per answer on two busy cores",
    )
    parser.add_argument(
        "times", nargs="?", type=positive, default=100, help="how often the request is made"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Ask and report; 1 if memory grew by more than 5 % after the first answer."""
    times = parse(arguments).times
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    way = WAYS["code"]
    llm = LocalLLM(unload_after=0)
    request = replace(build(question(_PROBLEM, way, 0), way.style), timeout=600.0)
    llm.prepare()
    seconds, sizes = [], []
    for _ in tqdm(range(times), unit="answer", mininterval=5.0):
        start = time.monotonic()
        texts = llm.complete(request).texts
        seconds.append(time.monotonic() - start)
        sizes.append(resident_mib())
        assert len(texts) == request.n, "answers are missing"
    growth = sizes[-1] / sizes[0] - 1
    result = {
        "model": llm.name,
        "times": times,
        "seconds": [round(f(seconds), 1) for f in (min, median, max)],
        "mib": [round(sizes[0]), round(max(sizes)), round(sizes[-1])],
        "growth": round(growth, 4),
    }
    print(json.dumps(result))
    return int(growth > 0.05)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
