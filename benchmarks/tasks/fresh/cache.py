"""The buffer pool of a storage engine on a simulated trace; nothing is trained."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache

import numpy as np
from optuna.distributions import BaseDistribution, IntDistribution

from .._task import Params, Task


_PAGES, _OPERATIONS = 12_000, 14_000
# Costs in units of a hundredth of a millisecond; rent is per page and operation.
_SEEK, _NEXT, _COMPRESSED_HIT, _RENT, _COMPRESSED_RENT = 100.0, 6.0, 12.0, 0.006, 0.0021
_SYNC, _STALL = 160.0, 260.0

_SPACE: dict[str, BaseDistribution] = {
    "buffer_pages": IntDistribution(32, 8192, log=True),
    "old_sublist_percent": IntDistribution(5, 95),
    "promote_after_operations": IntDistribution(0, 2000),
    "compressed_pages": IntDistribution(0, 8192),
    "read_ahead_pages": IntDistribution(0, 256),
    "read_ahead_after_sequential": IntDistribution(1, 64),
    "max_dirty_percent": IntDistribution(1, 99),
    "flush_batch_pages": IntDistribution(1, 1024, log=True),
    "checkpoint_every_operations": IntDistribution(50, 10_000, log=True),
    "commit_group_size": IntDistribution(1, 512, log=True),
}


@cache
def _trace() -> tuple[tuple[int, bool], ...]:
    """Pages and whether they are written: hot rows that move, scans, and a growing log."""
    rng = np.random.default_rng(205_774_481)
    places = rng.permutation(_PAGES)
    trace: list[tuple[int, bool]] = []
    hot, tail = 0, 0
    while len(trace) < _OPERATIONS:
        kind = rng.choice(5, p=(0.86, 0.012, 0.008, 0.07, 0.05))
        if kind == 0:
            for rank in rng.zipf(1.18, size=12):
                page = int(places[(hot + int(min(rank, 5000)) * 3) % _PAGES])
                trace.append((page, bool(rng.random() < 0.3)))
        elif kind == 1:
            start, length = int(rng.integers(_PAGES)), int(rng.integers(80, 420))
            trace += [((start + i) % _PAGES, False) for i in range(length)]
        elif kind == 2:
            hot += int(rng.integers(20, 500))
        elif kind == 3:
            start = int(rng.integers(_PAGES))
            trace += [((start + i) % _PAGES, bool(i == 0)) for i in range(int(rng.integers(2, 9)))]
        else:
            trace.append((tail % _PAGES, True))
            tail += 1
    return tuple(trace[:_OPERATIONS])


class _Engine:
    """Two LRU lists (young and old) above a tier of compressed pages."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.size = params["buffer_pages"]
        self.young_size = self.size - max(1, self.size * params["old_sublist_percent"] // 100)
        self.young: OrderedDict[int, int] = OrderedDict()
        self.old: OrderedDict[int, int] = OrderedDict()
        self.compressed: OrderedDict[int, None] = OrderedDict()
        self.dirty: OrderedDict[int, None] = OrderedDict()
        self.cost = 0.0

    def fetch(self, page: int, now: int) -> bool:
        """Bring a page into the buffer; whether it had to be read from the disk."""
        if page in self.young:
            self.young.move_to_end(page)
            return False
        if page in self.old:
            if now - self.old[page] >= self.params["promote_after_operations"]:
                del self.old[page]
                self.young[page] = now
                if len(self.young) > self.young_size:
                    demoted, _ = self.young.popitem(last=False)
                    self.old[demoted] = now
            return False
        found = page in self.compressed
        if found:
            del self.compressed[page]
            self.cost += _COMPRESSED_HIT
        self._insert(page, now)
        return not found

    def read_ahead(self, page: int, now: int) -> None:
        """Read the pages that follow, all in one go."""
        self.cost += 0.3 * _SEEK
        for distance in range(1, 1 + self.params["read_ahead_pages"]):
            ahead = (page + distance) % _PAGES
            if ahead not in self.young and ahead not in self.old:
                self.cost += _NEXT
                self._insert(ahead, now)

    def _insert(self, page: int, now: int) -> None:
        while len(self.young) + len(self.old) >= self.size:
            victim, _ = (self.old or self.young).popitem(last=False)
            if victim in self.dirty:
                # Nobody has flushed it in time: the read waits for a write.
                del self.dirty[victim]
                self.cost += _STALL
            if self.params["compressed_pages"]:
                self.compressed[victim] = None
                if len(self.compressed) > self.params["compressed_pages"]:
                    self.compressed.popitem(last=False)
        self.compressed.pop(page, None)
        self.old[page] = now

    def flush(self, n_pages: int) -> None:
        """Write the oldest dirty pages; neighbours in one batch cost less."""
        batch = sorted(self.dirty.popitem(last=False)[0] for _ in range(n_pages))
        previous = -1000
        for page in batch:
            self.cost += _NEXT + min(0.45 * _SEEK, 0.4 * (page - previous))
            previous = page


def _run(params: Params) -> float:
    """Cost per operation in hundredths of a millisecond."""
    engine = _Engine(params)
    previous, run, uncommitted, checkpoint = -2, 0, 0, 0
    for now, (page, written) in enumerate(_trace()):
        run = run + 1 if page == previous + 1 else 0
        previous = page
        if engine.fetch(page, now):
            engine.cost += _NEXT + (0.5 if run else 1.0) * _SEEK
            if params["read_ahead_pages"] and run >= params["read_ahead_after_sequential"]:
                engine.read_ahead(page, now)
        if written:
            engine.dirty[page] = None
            engine.dirty.move_to_end(page)
            uncommitted += 1
            # Whoever writes waits until the group is full.
            engine.cost += 0.35 * (uncommitted - 1)
            if uncommitted >= params["commit_group_size"]:
                engine.cost += _SYNC
                uncommitted = 0
        if len(engine.dirty) > params["max_dirty_percent"] * engine.size / 100:
            engine.cost += 25.0
            engine.flush(min(len(engine.dirty), params["flush_batch_pages"]))
        checkpoint += 1
        if checkpoint >= params["checkpoint_every_operations"]:
            # A checkpoint holds everybody up for a while; rare ones make recovery long.
            n_dirty = len(engine.dirty)
            engine.cost += 2.0 * _SYNC + 1.5 * n_dirty + 0.002 * n_dirty**2
            engine.flush(n_dirty)
            checkpoint = 0
    recovery = 0.0012 * params["checkpoint_every_operations"]
    rent = _RENT * engine.size + _COMPRESSED_RENT * params["compressed_pages"]
    return float(engine.cost / _OPERATIONS + rent + recovery)


TASK = Task(
    name="fresh-cache",
    family="fresh-cache",
    description=(
        "A simulated storage engine (12,000 pages; a buffer pool with a young and an old list, a "
        "tier of compressed pages, read-ahead, flushing of dirty pages, checkpoints, group "
        "commits) serves a trace of hot rows that move, of scans and of writes. "
        "The cost per operation is minimised: waiting, plus a rent per page of memory (a "
        "compressed page costs about a third of one in the buffer) and a charge for slow recovery."
    ),
    search_space=_SPACE,
    objective=_run,
    optimum=32.167828,
    median_random=59.9049,
    defaults={
        "buffer_pages": 1024,
        "old_sublist_percent": 37,
        "promote_after_operations": 100,
        "compressed_pages": 0,
        "read_ahead_pages": 64,
        "read_ahead_after_sequential": 56,
        "max_dirty_percent": 75,
        "flush_batch_pages": 64,
        "checkpoint_every_operations": 2000,
        "commit_group_size": 8,
    },
)
