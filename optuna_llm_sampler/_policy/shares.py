"""Which trial is the model's: pure functions of shares and trial numbers.

Trial numbers are unique and atomic in every storage, so positions that follow from them need no
lock. Whoever asks the model writes the share into the advice, and with it the positions: the i-th
trial after the advice's start is the model's where ``floor(phase + i * share)`` goes up, and takes
the configuration of that index.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from .._store.records import MAX_PHASE
from ..llms.style import Style


# Configurations asked for in one call: few, so that each call knows the latest results
# (benchmarks/decisions.md, "Configurations per call").
N_CONFIGS_JSON = 4
N_CONFIGS_SAMPLES = 8
# A small model's first proposals; a classical sampler has something to work with then.
N_FIRST_SAMPLES = 5
# The model's share after its first proposals, before there is evidence.
START_SHARE = 0.75
# An advice serves about this many trials, so a small share means few configurations.
_HORIZON = 8
# No call asks for more, however many workers there are, unless ``n_configs`` does.
_MAX_WANTED = 16


@dataclass(frozen=True)
class Policy:
    """How trials are shared out.

    Attributes:
        share:
            Share of the trials after the first advice, in [0, 1]; :obj:`None`: by evidence.
        is_fixed:
            Whether that is the user's word, whatever the evidence.
        n_configs:
            Configurations of one advice.
        n_first:
            How many configurations of the first advice are tried.
    """

    share: float | None
    n_configs: int
    n_first: int
    is_fixed: bool = False

    def n_wanted(self, share: float, n_starting: int) -> int:
        """Return how many configurations to ask for.

        Args:
            share:
                The model's share of the next trials.
            n_starting:
                Trials that are about to start before another call can be answered.
        """
        several = max(1, round(_HORIZON * share))
        wanted = max(min(self.n_configs, several), math.ceil(share * n_starting))
        return min(wanted, max(_MAX_WANTED, self.n_configs))


def make_policy(style: Style, *, share: float | None, n_configs: int | None) -> Policy:
    """Complete what the user left open, by the style in which the model is asked.

    A small model, which is asked for samples, gets no more than the first trials: it reads a
    history no better than chance does.
    """
    is_fixed = share is not None
    n = n_configs or (N_CONFIGS_SAMPLES if style.samples else N_CONFIGS_JSON)
    if style.samples and share is None:
        share = 0.0
    n_first = min(N_FIRST_SAMPLES, n) if style.samples and share != 1 else n
    return Policy(share, n, n_first, is_fixed)


def count(index: int, share: float, phase: int) -> int:
    """Return how many trials before the ``index``-th after the start of an advice are the model's.

    Args:
        index:
            How many trials after the start, from 0.
        share:
            The model's share, in [0, 1]; it counts in hundredths.
        phase:
            Hundredths of a trial that the model has been given before, from 0 to 99. They go on
            from advice to advice: the base sampler gets its share between short advices, too.
    """
    return (phase + index * round(100 * share)) // 100


def position(index: int, share: float, phase: int = MAX_PHASE) -> int | None:
    """Return the position of one of the model's trials, :obj:`None` for the base sampler's."""
    before = count(index, share, phase)
    return before if count(index + 1, share, phase) > before else None
