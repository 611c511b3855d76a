"""Customer-service queries and their categories: the corpus of this package, or the user's."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
import random
from typing import Any

from .config import UsageError


CORPUS = Path(__file__).parent / "corpus"
VALIDATION_SHARE = 0.2

_HUB = "hub:"
_TEXT_COLUMNS = ("text", "query", "utterance", "sentence")
_LABEL_COLUMNS = ("category", "label", "intent", "labels", "label_text")


class DataError(UsageError):
    """The data are not there or not of the form that is needed."""


@dataclass(frozen=True)
class Split:
    """Queries and the numbers of their categories."""

    texts: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Data:
    """Three parts of the data. ``test`` is looked at once, after the tuning."""

    train: Split
    validation: Split
    test: Split
    categories: tuple[str, ...]


_Rows = list[tuple[str, str]]


def load(source: str = "corpus", *, seed: int = 0, limit: int | None = None) -> Data:
    """Load data and cut a validation part from the training part.

    Args:
        source:
            ``"corpus"``, a folder with ``train.csv`` and ``test.csv`` (columns ``text`` and
            ``category``), or ``"hub:NAME"`` for a data set of the hub.
        seed:
            Seed of the split.
        limit:
            At most so many training queries, validation included, and as many for the test.

    Raises:
        DataError: The data are not there, or not as described.
    """
    try:
        train, test = _read(source)
    except DataError:
        raise
    except Exception as error:  # each format and host has errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"--data {source} cannot be read: {reason}") from error
    rng = random.Random(seed)
    train, test = (_balanced(rows, limit, rng) for rows in (train, test))
    fit, validation = _cut(train, VALIDATION_SHARE, rng)
    categories = tuple(sorted({category for _, category in train}))
    unknown = {category for _, category in test} - set(categories)
    if unknown and limit is None:
        raise DataError(f"The test part has categories without training data: {sorted(unknown)}.")
    test = [row for row in test if row[1] not in unknown]
    if not (fit and validation and test):
        raise DataError("There must be queries to train, to validate and to test.")
    numbers = {category: i for i, category in enumerate(categories)}
    return Data(
        train=_split(fit, numbers),
        validation=_split(validation, numbers),
        test=_split(test, numbers),
        categories=categories,
    )


def _read(source: str) -> tuple[_Rows, _Rows]:
    # Imported here: datasets takes seconds to import, and the parent may not need it.
    import datasets

    datasets.disable_progress_bars()
    if source.startswith(_HUB):
        parts = datasets.load_dataset(source.removeprefix(_HUB))
        missing = [name for name in ("train", "test") if name not in parts]
        if missing:
            raise DataError(f"{source} has no part {missing[0]!r}; it has {sorted(parts)}.")
        return _rows(parts["train"], source), _rows(parts["test"], source)
    folder = CORPUS if source == "corpus" else Path(source)
    rows = []
    for name in ("train.csv", "test.csv"):
        path = folder / name
        if not path.is_file():
            raise DataError(f"There is no file {path}.")
        # In memory, and its own: a cache in the home folder would be shared by all workers.
        rows.append(_rows(datasets.Dataset.from_csv(str(path), keep_in_memory=True), str(path)))
    return rows[0], rows[1]


def _rows(part: Any, source: str) -> _Rows:
    text = _column(part, _TEXT_COLUMNS, source)
    label = _column(part, _LABEL_COLUMNS, source)
    names = getattr(part.features[label], "names", None)
    categories = [str(value if names is None else names[value]) for value in part[label]]
    return list(zip(map(str, part[text]), categories, strict=True))


def _column(part: Any, known: tuple[str, ...], source: str) -> str:
    for name in known:
        if name in part.column_names:
            return name
    raise DataError(f"{source} has columns {part.column_names}; one of {known} is needed.")


def _by_category(rows: _Rows, rng: random.Random) -> list[_Rows]:
    groups: dict[str, _Rows] = defaultdict(list)
    for row in rows:
        groups[row[1]].append(row)
    for group in groups.values():
        rng.shuffle(group)
    return [groups[category] for category in sorted(groups)]


def _balanced(rows: _Rows, limit: int | None, rng: random.Random) -> _Rows:
    """Take rows from each category in turn."""
    if limit is None or limit >= len(rows):
        return rows
    groups = _by_category(rows, rng)
    longest = max(map(len, groups))
    turns = [group[i] for i in range(longest) for group in groups if i < len(group)]
    return turns[:limit]


def _cut(rows: _Rows, share: float, rng: random.Random) -> tuple[_Rows, _Rows]:
    """Cut the same share from every category; one row of it always stays for the training."""
    kept, cut = [], []
    for group in _by_category(rows, rng):
        n = min(max(round(len(group) * share), 1), len(group) - 1)
        cut += group[:n]
        kept += group[n:]
    return kept, cut


def _split(rows: _Rows, numbers: dict[str, int]) -> Split:
    return Split(tuple(text for text, _ in rows), tuple(numbers[c] for _, c in rows))
