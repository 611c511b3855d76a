"""Many hostile answers through the whole pipeline: ``python -m tests.fuzz --n 200000``.

The answer with the number N is the same every time: ``python -m tests.fuzz --start N --n 1``.
"""

from __future__ import annotations

import argparse
from collections import Counter
import sys
import time
import traceback

import optuna

from .support.hostile import make_case
from .support.pipeline import Pipeline


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--n", type=int, default=200_000, help="how many answers")
    parser.add_argument("--start", type=int, default=0, help="number of the first")
    parser.add_argument("--show", action="store_true", help="print the answers")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    counts: Counter[str] = Counter()
    slowest: list[tuple[float, int]] = []
    failed = 0
    begin = time.monotonic()
    pipeline = Pipeline()
    for number in range(args.start, args.start + args.n):
        case = make_case(number)
        if args.show:
            print(case)
        try:
            advice, seconds = pipeline.run(case)
        except Exception:
            failed += 1
            print(f"--- answer {number}", traceback.format_exc(limit=-3), sep="\n", flush=True)
            continue
        counts.update(["configurations"] * len(advice.configs))
        counts.update({"answers": 1, "usable": bool(advice.configs), "chars": _size(case.texts)})
        counts.update({f"rejected {reason}": n for reason, n in advice.rejected.items()})
        counts.update({f"repaired {reason}": n for reason, n in advice.repaired.items()})
        slowest = sorted([*slowest, (round(seconds, 3), number)])[-5:]
    for name, count in sorted(counts.items()):
        print(f"{count:>12,} {name}")
    print(f"slowest (seconds, number): {slowest[::-1]}")
    print(f"{failed} failures, {time.monotonic() - begin:.0f} s, {_memory():.0f} MiB at most")
    return 1 if failed else 0


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    pass


def _size(texts: tuple[str, ...]) -> int:
    return sum(map(len, texts))


def _memory() -> float:
    """Peak memory of this process in MiB, or NaN where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2


if __name__ == "__main__":
    sys.exit(main())
