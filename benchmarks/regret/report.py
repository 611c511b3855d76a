"""Rows → the table of mean regret and rank, as Markdown, and a plot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
import math
from pathlib import Path
from statistics import fmean, stdev

from .study import Row


MARKS = (5, 10, 20, 30, 50, 100)
# (task, seed) -> regret after n trials
Cells = dict[tuple[str, int], float]


def cells(rows: Sequence[Row]) -> dict[tuple[str, int], Cells]:
    """Return regrets by (sampler, n), each by (task, seed)."""
    out: dict[tuple[str, int], Cells] = defaultdict(dict)
    for row in rows:
        if row.n in MARKS:
            out[row.sampler, row.n][row.task, row.seed] = row.regret
    return out


def shared(rows: Sequence[Row]) -> list[Row]:
    """Leave out what not all samplers have run, task and seed, and as many trials of it."""
    runs: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    for row in rows:
        runs[row.task, row.seed][row.sampler] = row.n
    samplers = {row.sampler for row in rows}
    full = {pair: min(ns.values()) for pair, ns in runs.items() if set(ns) == samplers}
    least = min(full.values(), default=0)
    return [row for row in rows if (row.task, row.seed) in full and row.n <= least]


def by_task(values: Cells) -> dict[str, float]:
    """Average over seeds."""
    groups: dict[str, list[float]] = defaultdict(list)
    for (task, _), regret in values.items():
        groups[task].append(regret)
    return {task: fmean(regrets) for task, regrets in groups.items()}


def mean_and_error(values: Cells) -> tuple[float, float]:
    """Mean over tasks of the mean over seeds, and its standard error over tasks."""
    means = list(by_task(values).values())
    return fmean(means), stdev(means) / len(means) ** 0.5 if len(means) > 1 else 0.0


def ranks(
    found: Mapping[tuple[str, int], Cells], samplers: Sequence[str], n: int
) -> dict[str, float]:
    """Mean rank at ``n`` trials, over the (task, seed) pairs that all samplers have."""
    shared = set.intersection(*(set(found[s, n]) for s in samplers))
    total: dict[str, list[float]] = {s: [] for s in samplers}
    for pair in shared:
        scores = {s: found[s, n][pair] for s in samplers}
        for s, score in scores.items():
            below = sum(other < score for other in scores.values())
            equal = sum(other == score for other in scores.values())
            total[s].append(below + (equal + 1) / 2)
    return {s: fmean(values) if values else float("nan") for s, values in total.items()}


def markdown(rows: Sequence[Row]) -> str:
    """Return the table: mean regret ± standard error (mean rank), a line per sampler."""
    found = cells(rows)
    samplers = list(dict.fromkeys(row.sampler for row in rows))
    marks = [n for n in MARKS if any((s, n) in found for s in samplers)]
    lines = [
        "| sampler | pairs | " + " | ".join(f"n={n}" for n in marks) + " | calls | s/trial |",
        "|---" * (len(marks) + 4) + "|",
    ]
    rank = {}
    for n in marks:
        present = [s for s in samplers if (s, n) in found]
        rank[n] = ranks(found, present, n)
    for sampler in samplers:
        texts = [_cell(found, rank, sampler, n) for n in marks]
        last = {(r.task, r.seed): r for r in rows if r.sampler == sampler}
        calls = fmean(r.calls for r in last.values())
        seconds = fmean(r.sampler_seconds / r.n for r in last.values())
        lines.append(
            f"| {sampler} | {len(last)} | "
            + " | ".join(texts)
            + f" | {calls:.1f} | {seconds:.2f} |"
        )
    return "\n".join(lines)


def _cell(
    found: Mapping[tuple[str, int], Cells],
    rank: Mapping[int, Mapping[str, float]],
    sampler: str,
    n: int,
) -> str:
    if (sampler, n) not in found:
        return "–"
    mean, error = mean_and_error(found[sampler, n])
    return f"{mean:.3f} ± {error:.3f} ({rank[n][sampler]:.1f})"


# Samplers in words; others bear their names.
_WORDS = {
    "random": "random",
    "tpe": "TPE",
    "tpe+default": "TPE, an expert's default first",
    "tpe+middle": "TPE, the middle of the ranges first",
    "base": "default base sampler",
    "base+default": "default base sampler,\nan expert's default first",
    "ours(0.5b)": "LLMSampler, 0.5B model",
    "ours(1.5b)": "LLMSampler, 1.5B model",
    "ours(openai/frontier)": "LLMSampler,\na frontier chat model",
}
# Height of a line of a label, in powers of ten.
_LINE = 0.065


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw mean regret over trials, a line per sampler, on a logarithmic axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5))
    ends = []
    for sampler in dict.fromkeys(row.sampler for row in rows):
        curves: dict[int, Cells] = defaultdict(dict)
        for row in rows:
            if row.sampler == sampler:
                curves[row.n][row.task, row.seed] = row.regret
        steps = sorted(curves)
        means = [mean_and_error(curves[n])[0] for n in steps]
        is_ours = sampler.startswith("ours")
        (line,) = axes.plot(steps, means, lw=3 if is_ours else 1.8, zorder=3 if is_ours else 2)
        ends.append((math.log10(max(means[-1], 1e-4)), steps[-1], sampler, line.get_color()))
    free_from = -math.inf
    for height, last, sampler, color in sorted(ends):
        half = _LINE * (_WORDS.get(sampler, sampler).count("\n") + 1) / 2
        middle = max(height, free_from + half)
        free_from = middle + half
        axes.annotate(
            _WORDS.get(sampler, sampler),
            (last, 10**middle),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=color,
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    axes.minorticks_off()
    axes.set(xlabel="trials", ylabel="regret of the best so far (0: best known, 1: median)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
