"""Advice in the shared storage: who writes, who reads, which worker asks.

Study attributes are no lock (18 of 30 rounds had several winners on PostgreSQL), so everything
lies on trials, whose numbers are unique. A worker that wants to ask the model writes a *claim* on
its own trial, waits a moment, and asks unless it then sees another claim on a lower trial. The
result is a *post* on the asker's trial. Two workers that miss each other's claim cost one call too
many and nothing else: a configuration is used by the trial whose place in the schedule, counted
from the post's own anchor, is its index, and readers take the post on the lowest trial.

NOTE: design.md makes the lowest unfinished trial of a block the leader. Claims replace that,
because a trial that was asked for but samples late (ask-and-tell), or one whose worker died before
this study was resumed, would otherwise be waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
import json
from typing import Any
from typing import TYPE_CHECKING

from optuna.logging import get_logger
from optuna.trial import TrialState

from . import _keys
from ._advice import Advice
from ._advice import from_json
from ._advice import to_json


if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial


_logger = get_logger(f"optuna.{__name__}")


@dataclass(frozen=True)
class Call:
    """What one call to the model took. :obj:`None` where the endpoint does not say."""

    model: str = ""
    seconds: float = 0.0
    requests: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(frozen=True)
class Post:
    """The result of one call: an advice for a block, or the reason why there is none."""

    trial: int
    anchor: int
    block: int
    outcome: str = "ok"
    retryable: bool = True
    call: Call = Call()
    advice: Advice = Advice()


@dataclass(frozen=True)
class Claim:
    """A worker says on its own trial that it asks for a block. ``at``: seconds since the epoch."""

    trial: int
    anchor: int
    block: int
    at: float


@dataclass(frozen=True)
class View:
    """The board as it is now.

    Attributes:
        trials:
            All trials of the study, by number.
        posts:
            By trial number.
        claims:
            Those on unfinished trials, by trial number.
    """

    trials: Sequence[FrozenTrial]
    posts: Sequence[Post] = ()
    claims: Sequence[Claim] = ()

    @property
    def anchor(self) -> int | None:
        """First trial of the schedule, or :obj:`None` when nobody has asked yet."""
        marks: Sequence[Post | Claim] = self.posts or self.claims
        return min((m.anchor for m in marks), default=None)

    def undecided(self, number: int) -> bool:
        """Tell whether a trial other than this one may be about to claim a block, too."""
        return any(
            trial.number != number
            and not trial.state.is_finished()
            and _keys.SOURCE not in trial.user_attrs
            for trial in self.trials
        )


class Board:
    """The attributes of one study's trials. Thread-safe as far as the storage is."""

    def __init__(self, storage: BaseStorage, study_id: int) -> None:
        self._storage = storage
        self._study_id = study_id
        self._finished: dict[int, list[Post]] = {}

    def read(self) -> View:
        """Read the board afresh; attributes of finished trials are read only once."""
        # The storage, not the study: under Hyperband the sampler gets a study that shows only
        # the trials of one bracket (optuna/pruners/_hyperband.py, _BracketStudy).
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        posts: list[Post] = []
        claims: list[Claim] = []
        for trial in trials:
            if trial.number in self._finished:
                posts.extend(self._finished[trial.number])
                continue
            own = _marks(trial, _keys.POST, _read_post)
            posts.extend(own)
            if trial.state.is_finished():
                self._finished[trial.number] = own
            else:
                claims.extend(_marks(trial, _keys.CLAIM, _read_claim))
        return View(trials, posts, claims)

    def directions(self) -> list[StudyDirection]:
        return self._storage.get_study_directions(self._study_id)

    def metric_names(self) -> list[str] | None:
        # The key of Study.set_metric_names (optuna/study/study.py).
        attrs = self._storage.get_study_system_attrs(self._study_id)
        names = attrs.get("study:metric_names")
        return [str(name) for name in names] if isinstance(names, list) else None

    def claim(self, trial_id: int, claim: Claim) -> None:
        self._write(trial_id, f"{_keys.CLAIM}{claim.block}", asdict(claim))

    def post(self, trial_id: int, post: Post) -> None:
        self._write(trial_id, f"{_keys.POST}{post.block}", _fit(post))

    def is_running(self, trial_id: int) -> bool:
        return self._storage.get_trial(trial_id).state == TrialState.RUNNING

    def release(self) -> None:
        """Give back the connection of the calling thread, if there still is a storage."""
        try:
            self._storage.remove_session()
        except ReferenceError:
            pass

    def _write(self, trial_id: int, key: str, value: Mapping[str, Any]) -> None:
        self._storage.set_trial_system_attr(trial_id, key, {"v": _keys.VERSION, **value})


def _fit(post: Post) -> dict[str, Any]:
    """Write a post as JSON, trimmed by value until it fits into one attribute."""
    data: dict[str, Any] = asdict(post)
    advice = to_json(post.advice)
    data["advice"] = advice
    if len(json.dumps(data)) > _keys.MAX_BYTES:
        advice["configs"] = [[params, "", n] for params, _, n in advice["configs"]]
    if len(json.dumps(data)) > _keys.MAX_BYTES:
        advice["prior"], advice["note"] = {}, ""
    while len(json.dumps(data)) > _keys.MAX_BYTES and advice["configs"]:
        advice["configs"].pop()
    return data


def _marks(trial: FrozenTrial, prefix: str, read: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
    """Read the marks of one kind on a trial, leaving out copies and what is not understood."""
    found = []
    for key, value in trial.system_attrs.items():
        if not key.startswith(prefix) or not isinstance(value, Mapping):
            continue
        if value.get("v") != _keys.VERSION:
            _warn_version(str(value.get("v"))[:20])
        elif value.get("trial") == trial.number:
            try:
                found.append(read(value))
            except (KeyError, TypeError, ValueError):
                _logger.debug(f"Ignored an unreadable {prefix} on trial {trial.number}.")
    return found


_warned_versions: set[str] = set()


def _warn_version(version: str) -> None:
    if version not in _warned_versions and len(_warned_versions) < 10:
        _warned_versions.add(version)
        _logger.warning(
            f"This study holds advice of format {version!r}, which this version of "
            "optuna-llm-sampler does not know. It is ignored."
        )


def _read_post(value: Mapping[str, Any]) -> Post:
    return Post(
        trial=int(value["trial"]),
        anchor=int(value["anchor"]),
        block=int(value["block"]),
        outcome=str(value["outcome"])[:40],
        retryable=bool(value["retryable"]),
        call=Call(**{k: v for k, v in value["call"].items() if k in _CALL_FIELDS}),
        advice=from_json(value["advice"]),
    )


_CALL_FIELDS = frozenset(Call.__dataclass_fields__)


def _read_claim(value: Mapping[str, Any]) -> Claim:
    return Claim(
        int(value["trial"]), int(value["anchor"]), int(value["block"]), float(value["at"])
    )
