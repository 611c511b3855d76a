"""Which trial is the model's: a pure function of a trial's place in the schedule.

Trial numbers are unique and atomic in every storage, so a schedule over numbers needs no lock.
The schedule starts at the *anchor*, the number of the first trial that could ask the model (0 when
the search space is given, else the first trial that starts after another has shown the space).
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
import threading

from .llms._style import Style


# The model's first guesses carry most of what it knows; after about five a classical sampler has
# something to work with (design.md §6; competition.md B: in 2410.20302 the lead lasts 5 trials).
N_FIRST = 5
# Advice is renewed as the history triples: most of the gain is in the first round (helion #2113).
_RENEWALS = (8, 24, 72, 216, 648)
_FLOOR = 0.05
# An advice is not asked for longer ahead than this many trials.
_SOON = 100
_SHARE = 0.2


@dataclass(frozen=True)
class Place:
    """Where a trial stands in the schedule.

    Attributes:
        block:
            The trials that share one advice are a block; blocks are counted from 0.
        slot:
            Index of the configuration that belongs to this trial, or :obj:`None` when the trial
            is the base sampler's.
        turn:
            How many trials before this one are the model's.
        renewal:
            Whether the next block's advice should be asked for now, ahead of time.
    """

    block: int
    slot: int | None
    turn: int = 0
    renewal: bool = False


def default_share(style: Style) -> float:
    """Return the share after the first proposals, when the user names none.

    In published ablations 10-20 % is as good as 30-50 %, and 80 % is worse than no model
    (competition.md B). Small models, which are asked for samples, know good first guesses but
    read a history no better than a Gaussian around the best three does (small-models.md §2.5): 0.
    """
    return 0.0 if style.samples else _SHARE


class Schedule:
    """First proposals, then a decaying share, cut into blocks of one advice each.

    Args:
        share:
            Share of the trials after the first proposals, in [0, 1]. It decays to a floor of 5 %
            with the square root of the number of trials. 1 gives every trial to the model, 0 none
            but the first proposals.
        n_configs:
            Configurations of one advice; a block hands out no more than these.
    """

    def __init__(self, *, share: float, n_configs: int) -> None:
        self._share = share
        self._n_configs = n_configs
        self._n_first = min(N_FIRST, n_configs) if share < 1 else n_configs
        self._places: list[Place] = []
        self._block = 0
        self._slot = 0
        self._turn = 0
        self._debt = 0.0
        self._lock = threading.Lock()

    @property
    def n_first(self) -> int:
        """Number of trials at the start that are all the model's."""
        return self._n_first

    @property
    def decays(self) -> bool:
        """Whether the model has a share of the later trials, but not all of them."""
        return 0 < self._share < 1

    def place(self, index: int) -> Place:
        """Return the place of the ``index``-th trial after the anchor (0-based)."""
        if self._share <= 0:
            slot = index if index < self._n_first else None
            return Place(0, slot, min(index, self._n_first))
        with self._lock:
            while len(self._places) <= index + 1:
                self._places.append(self._next(len(self._places)))
            here, after = self._places[index], self._places[index + 1]
        return replace(here, renewal=after.block > here.block)

    def has_turn(self, block: int, index: int) -> bool:
        """Tell whether the model soon has a turn in this block, from the ``index``-th trial on."""
        places = (self.place(i) for i in range(index, index + _SOON))
        return any(place.block == block and place.slot is not None for place in places)

    def _next(self, index: int) -> Place:
        full = self._slot >= self._n_configs
        if index and (full or (self._share < 1 and index in _RENEWALS)):
            self._block, self._slot = self._block + 1, 0
        if not self._is_models(index):
            return Place(self._block, None, self._turn)
        self._slot += 1
        self._turn += 1
        return Place(self._block, self._slot - 1, self._turn - 1)

    def _is_models(self, index: int) -> bool:
        if index < self._n_first or self._share >= 1:
            return True
        floor = min(self._share, _FLOOR)
        self._debt += max(floor, self._share * (self._n_first / index) ** 0.5)
        if self._debt < 1:
            return False
        self._debt -= 1
        return True
