"""The same request again and again: ``python -m benchmarks.prompts.again [TIMES]``.

Prints how long answers took and how much the memory grew, for a model that lives as long as a
study. Run it beside other work: what must not happen is a hang or a leak.
"""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
from statistics import median
import sys
import time

import optuna
from tqdm import tqdm

from optuna_llm_sampler import LocalLLM
from optuna_llm_sampler._prompt import build

from .questions import question
from .questions import WAYS


_PROBLEM = "hpobench/car"


def resident_mib() -> float:
    """Memory of this process (Linux)."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def main(arguments: list[str]) -> int:
    """Ask and report; 1 if memory grew by more than 5 % after the first answer."""
    times = int(arguments[0]) if arguments else 100
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    way = WAYS["code"]
    llm = LocalLLM(shared=False, unload_after=0)
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
