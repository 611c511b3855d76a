"""The way of an answer: parsed, coerced, written as JSON, stored, read back and displayed."""

from __future__ import annotations

from collections.abc import Mapping
import json
import time
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import create_trial

from optuna_llm_sampler._advice.advice import (
    Advice,
    Config,
    from_json,
    MAX_CONFIGS,
    MAX_NOTE_CHARS,
    to_json,
    values,
)
from optuna_llm_sampler._advice.parse import parse
from optuna_llm_sampler._store.records import AdviceRecord
from optuna_llm_sampler._store.store import AdviceStore
from optuna_llm_sampler._study import keys as _keys
from optuna_llm_sampler._study.distance import Points
from optuna_llm_sampler._study.space import SearchSpace
from optuna_llm_sampler._text import MAX_WHY_CHARS

from .hostile import Case, SPACES


# Of one answer, on one core. The worst that is known takes a quarter of it.
MAX_SECONDS = 2.0


class Pipeline:
    """Takes answers through everything.

    Args:
        storage:
            Where the studies are. :obj:`None`: in memory.
    """

    def __init__(self, storage: BaseStorage | None = None) -> None:
        self._storage = storage or InMemoryStorage()

    def run(self, case: Case) -> tuple[Advice, float]:
        """Return the advice and the seconds it took; fail if anything is wrong with it."""
        space = SPACES[case.space]
        name, first = next(iter(space.items()))
        begin = time.thread_time()
        tried = Points([{name: _low(first)}])
        advice = parse(case.texts, space, is_duplicate=lambda p: tried.has_duplicate(p, space))
        seconds = time.thread_time() - begin
        assert seconds < MAX_SECONDS, f"{seconds:.1f} s"
        _check(advice, space)
        assert from_json(_as_stored(to_json(advice))) == advice
        self._store(advice, space)
        return advice, seconds

    def _store(self, advice: Advice, space: SearchSpace) -> None:
        storage = self._storage
        study_id = storage.create_new_study([StudyDirection.MINIMIZE])
        try:
            trial_id = storage.create_new_trial(study_id)
            store = AdviceStore(storage, study_id)
            store.record(trial_id, AdviceRecord(trial=0, block=0, advice=advice))
            attrs = storage.get_trial(trial_id).system_attrs
            stored = [value for key, value in attrs.items() if key.startswith(_keys.RECORD)]
            assert len(stored) == 1
            assert len(json.dumps(_as_stored(stored[0]))) <= _keys.MAX_BYTES
            read = [record.advice for record in store.read().records]
            assert len(read) == 1
            kept = [config.params for config in read[0].configs]
            assert kept == [config.params for config in advice.configs[: len(kept)]]
            for config in advice.configs[:3]:
                self._display(trial_id, config, space)
        finally:
            storage.delete_study(study_id)

    def _display(self, trial_id: int, config: Config, space: SearchSpace) -> None:
        """Write what the sampler writes on a trial, and show it as optuna-dashboard does."""
        params = values(config, space)
        attrs = {_keys.WHY: config.why, _keys.REPAIRED: config.repaired}
        for key, value in attrs.items():
            self._storage.set_trial_user_attr(trial_id, key, value)
            _as_stored(value)
        trial = create_trial(
            value=0.0,
            params=params,
            distributions={name: space[name] for name in params},
            user_attrs=attrs,
        )
        _as_stored(serialize(trial))


def assert_optuna_keeps(value: Any, distribution: BaseDistribution) -> None:
    """Fail if Optuna would replace the value, or store another one than the trial gets."""
    internal = distribution.to_internal_repr(value)
    assert distribution._contains(internal)
    stored = distribution.to_external_repr(internal)
    assert type(stored) is type(value)
    assert stored == value or (stored != stored and value != value)


def serialize(trial: optuna.trial.FrozenTrial) -> Any:
    """Return what optuna-dashboard sends to the browser, if it is installed."""
    try:
        from optuna_dashboard._serializer import serialize_frozen_trial
    except ImportError:
        return trial.user_attrs
    return serialize_frozen_trial(0, trial, {})


def _as_stored(value: Any) -> Any:
    """Go through strict JSON and UTF-8, as databases and browsers want it."""
    return json.loads(json.dumps(value, allow_nan=False).encode())


def _low(distribution: Any) -> Any:
    return distribution.choices[0] if hasattr(distribution, "choices") else distribution.low


def _check(advice: Advice, space: SearchSpace) -> None:
    assert len(advice.configs) <= advice.n_ideas <= MAX_CONFIGS
    for config in advice.configs:
        assert config.params.keys() <= space.keys()
        assert 0 <= config.repaired <= len(space)
        _check_line(config.why, MAX_WHY_CHARS)
        legal = values(config, space)
        assert legal.keys() == config.params.keys()
        for name, value in legal.items():
            assert_optuna_keeps(value, space[name])
    _check_line(advice.note, MAX_NOTE_CHARS)
    _check_counts(advice.repaired)
    _check_counts(advice.rejected)


def _check_line(text: str, limit: int) -> None:
    assert len(text) <= limit
    assert text.isprintable()
    text.encode()


def _check_counts(counts: Mapping[str, int]) -> None:
    assert all(reason.isidentifier() and count > 0 for reason, count in counts.items())
