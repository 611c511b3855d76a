"""The thin adapter between Optuna's sampler interface and a session."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import os
import threading
from typing import Any
from typing import TYPE_CHECKING
import weakref

from optuna.distributions import BaseDistribution
from optuna.logging import get_logger
from optuna.samplers import BaseSampler

from .._advice.advice import Config
from .._policy.shares import make_policy
from .._policy.shares import Policy
from .._store.calls import CallHook
from .._store.prices import Budget
from .._store.prices import check_prices
from .._store.prices import Price
from .._store.store import AdviceStore
from .._study.space import coerce
from .._study.space import Coerced
from .._study.space import Rejected
from .._study.warm_start import to_try
from ..errors import OptunaLLMError
from ..llms.registry import resolve
from ..llms.registry import turned_off
from ..llms.style import JSON
from ..llms.style import style_of
from . import settings as _arguments
from .advisor import Settings
from .default_base import DefaultBaseSampler
from .failure_filter import first_that_works
from .failure_filter import MAX_DRAWS
from .failure_filter import outcomes_of
from .own_configs import OwnConfig
from .provenance import complete
from .provenance import describe
from .session import Decision
from .session import Session


if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import TrialState

    from ..llms.base import LLM


_logger = get_logger(f"optuna.{__name__}")


@dataclass
class _Draft:
    """What is known about a trial while it asks for its parameters."""

    base_names: frozenset[str] | None = None
    decision: Decision | None = None
    from_base: list[str] = field(default_factory=list)


class LLMSampler(BaseSampler):
    """Sampler that adds a language model's knowledge to a classical sampler.

    The model proposes the first configurations. Then the model and a classical Optuna sampler
    share the trials, and who gets more follows from what the trials of both came to in this
    study: up to 95 % for a model that leads, 5 % for one that does not. The base sampler sees
    every trial. Without an answer from the model, a trial's parameters are exactly those of the
    base sampler. Where a trial's parameters came from is in its user attribute ``llm_source``.

    Args:
        llm:
            ``"openai/<model>"``, ``"azure/<deployment>"``, ``"local"``,
            ``"local/<name or path.gguf>"``, or an object with a method ``complete(request)``
            (see :class:`~optuna_llm_sampler.llms.LLM`). :obj:`None` (default): what
            ``OPTUNA_LLM`` names, else OpenAI's endpoint if ``OPENAI_API_KEY`` or
            ``OPENAI_BASE_URL`` is set, else the embedded local model. ``"off"``, or
            ``OPTUNA_LLM=off`` whatever is given here, is the same as ``llm_share=0``.
        task:
            What is tuned, on what data, in your words. It is the most valuable thing you can
            give. Sent to the model.
        param_notes:
            What the model should know about single parameters, by name. Sent to the model.
        defaults:
            A configuration you trust already. It is tried once, by the first trial that can,
            whatever the study holds before.
        search_space:
            The parameters and their distributions. With it, the very first trial can be the
            model's; without it, the model is asked as soon as one trial has shown them.
        conditions:
            With which values of which parameters others are used, for a ``search_space`` with
            branches: ``{"svm_c": {"model": ["svm"]}}``. With several parents, all must hold.
            Without it, the structure is inferred from which parameters trials had together.
        history:
            Earlier studies of a similar space. Of each, only the best few configurations and their
            values are kept. What is possible here, by name and by value, is told to the model, and
            the best three are tried first, so that the base sampler sees what they are worth here
            (a sampler cannot give another study's trials to it).
        base_sampler:
            The classical sampler. :obj:`None` (default):
            :class:`~optuna_llm_sampler.DefaultBaseSampler`, a Gaussian process that models from
            trial 6 on while parameters and constraints stay the same, the study has one objective
            and fewer than 50 finished trials, and torch and scipy are installed; otherwise
            :class:`~optuna.samplers.TPESampler`.
        llm_share:
            The model's share of the trials after its first proposals, in [0, 1]. :obj:`None`
            (default): it follows from evidence. Each of the model's last eight trials is compared
            with the base sampler's around it; the share of comparisons won and the rates at which
            both improved the best result decide, and a failed trial is a defeat. The share starts
            at 0.75 and stays between 0.05 and 0.95. Small models, which are asked as code, get
            the first trials only: they read a history no better than chance does. A number fixes
            the share; 0 turns the model off altogether.
        n_configs:
            Configurations asked for in one call, 1 to 64. :obj:`None` (default): 4 for models
            asked in JSON, so that every call knows the latest results, fewer while the share is
            small and more for many workers; 8 for small models, of which 5 are tried.
        timeout:
            Longest time that a trial waits for the model, in seconds. Default 120, enough for
            local weights to load and answer on a busy core. 0: no trial ever waits.
        prefetch:
            Whether trials wait for the first advice only, and after that no longer than about 4 %
            of the time that trials take. Advice that would be waited for longer is asked for
            ahead, in the background. :obj:`None` (default): yes, unless ``seed`` is given, because
            what is ready at a certain trial then depends on timing. :obj:`False`: each advice is
            asked for when it is needed, and trials wait for it, ``timeout`` at most.
        budget:
            What the study may spend on the model, by all workers together and across restarts:
            ``Budget(usd=1.0)``. :obj:`None` (default): no limit. A model that leads is called once
            in four trials.
        prices:
            What models cost, by name: ``{"openai/gpt-5-mini": Price(0.25, 2)}``. They go before
            the list prices of OpenAI's models that are known here. The cost of any other model
            is recorded as unknown.
        on_call:
            Is told of every call that this process made, see
            :class:`~optuna_llm_sampler.CallHook`.
        share_user_attrs:
            Names of user attributes of trials, eight at most, that the model is shown. No other
            one leaves the machine.
        redact:
            Rewrites every text before it is sent, one at a time: names of parameters, choices and
            metrics, your texts, shared attributes. Names and choices must stay distinct; they are
            put back in the answer. The model's own words keep what it was told.
        seed:
            Seed of the base sampler (unless one is given) and of the requests.

    Raises:
        ValueError: An argument is not as described; the message names it.

    Example:

        .. code-block:: python

            import optuna
            from optuna_llm_sampler import LLMSampler

            sampler = LLMSampler(task="XGBoost on 40,000 rows of credit data; AUC.")
            study = optuna.create_study(direction="maximize", sampler=sampler)
    """

    def __init__(
        self,
        llm: str | LLM | None = None,
        *,
        task: str = "",
        param_notes: Mapping[str, str] | None = None,
        defaults: Mapping[str, Any] | None = None,
        search_space: Mapping[str, BaseDistribution] | None = None,
        conditions: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
        history: Sequence[Study] | None = None,
        base_sampler: BaseSampler | None = None,
        llm_share: float | None = None,
        n_configs: int | None = None,
        timeout: float = 120.0,
        prefetch: bool | None = None,
        budget: Budget | None = None,
        prices: Mapping[str, Price] | None = None,
        on_call: CallHook | None = None,
        share_user_attrs: Sequence[str] = (),
        redact: Callable[[str], str] | None = None,
        seed: int | None = None,
    ) -> None:
        _arguments.check_text(task)
        _arguments.check_notes(param_notes)
        _arguments.check_space(search_space)
        _arguments.check_defaults(defaults, search_space)
        _arguments.check_numbers(llm_share, n_configs, timeout, seed)
        _arguments.check_base_sampler(base_sampler)
        _arguments.check_prefetch(prefetch)
        _arguments.check_budget(budget)
        check_prices(prices)
        _arguments.check_callable(on_call, "on_call")
        _arguments.check_shared(share_user_attrs)
        _arguments.check_callable(redact, "redact")
        self._given = llm
        self._why, _ = resolve(llm)
        earlier = _arguments.read_history(history)
        own = [OwnConfig("defaults", "defaults", dict(defaults))] if defaults else []
        tried = to_try(earlier, search_space)
        own += [OwnConfig("history", f"history, config {i}", p) for i, p in enumerate(tried)]
        self._base = base_sampler or DefaultBaseSampler(seed=seed)
        self._share = None if llm_share is None else float(llm_share)
        self._n_configs = n_configs
        self._arguments: dict[str, Any] = {
            "task": task,
            "param_notes": dict(param_notes or {}),
            "search_space": None if search_space is None else dict(search_space),
            "conditions": _arguments.read_conditions(conditions, search_space),
            "earlier": earlier,
            "first": tuple(own),
            "timeout": float(timeout),
            "prefetch": seed is None if prefetch is None else prefetch,
            "budget": budget,
            "prices": dict(prices or {}),
            "on_call": on_call,
            "share_user_attrs": tuple(share_user_attrs),
            "redact": redact,
            "seed": seed,
        }
        self._start_clean()

    def __repr__(self) -> str:
        return f"LLMSampler({self._why}, base_sampler={type(self._base).__name__})"

    # --- process boundaries -----------------------------------------------------------------

    def _start_clean(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._llm: LLM | None = None
        self._sessions: weakref.WeakKeyDictionary[BaseStorage, dict[int, Session]] = (
            weakref.WeakKeyDictionary()
        )
        self._drafts: weakref.WeakKeyDictionary[BaseStorage, dict[int, _Draft]] = (
            weakref.WeakKeyDictionary()
        )
        if off := turned_off(self._given):  # here, too, where a copy of the sampler is opened
            self._share = 0.0
            _logger.info(f"LLMSampler asks no language model ({off}); the base sampler goes on.")

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_given", "_why", "_base", "_share", "_n_configs", "_arguments")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_clean()

    def _get_llm(self) -> LLM:
        with self._lock:
            if self._llm is None:
                _, build = resolve(self._given)
                self._llm = build()
                _logger.info(f"LLMSampler uses {self._llm.name} ({self._why}).")
            return self._llm

    def _policy(self) -> Policy | None:
        """Return how trials are shared out; None if the model is off."""
        if self._share == 0:
            return None
        _, build = resolve(self._given)
        try:
            style = style_of(build())  # light: nothing is loaded before use
        except OptunaLLMError:
            style = JSON  # its first call will say why there is no model
        return make_policy(style, share=self._share, n_configs=self._n_configs)

    def _session(self, study: Study) -> Session:
        with self._lock:
            sessions = self._sessions.setdefault(study._storage, {})
            if study._study_id not in sessions:
                settings = Settings(llm=self._get_llm, policy=self._policy(), **self._arguments)
                # Weak: a session that held its storage would keep the dictionary's key alive.
                store = AdviceStore(weakref.proxy(study._storage), study._study_id)
                sessions[study._study_id] = Session(store, settings)
            return sessions[study._study_id]

    # --- Optuna's interface -----------------------------------------------------------------

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        # The base sampler's space and no more: the values of other parameters are given in
        # sample_independent, where the distribution is the one asked for. A relative value of
        # another kind than the objective asks for would fail the trial (Trial._is_relative_param).
        space = dict(self._base.infer_relative_search_space(study, trial))
        self._draft(study, trial).base_names = frozenset(space)
        return space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        draft = self._draft(study, trial)
        if draft.decision is None:
            # Here and not in before_trial, which runs outside the heartbeat
            # (optuna/study/_optimize.py): a worker killed there leaves a trial for ever running.
            draft.decision = self._decide(study, trial)
            describe(study._storage, trial, draft.decision)
        config = draft.decision.config
        if config is None:
            return self._from_base(study, trial, search_space)
        params = {
            name: coerced.value
            for name, distribution in search_space.items()
            if isinstance(coerced := _value(config, name, distribution), Coerced)
        }
        missing = [name for name in search_space if name not in params]
        if missing:
            base = self._base.sample_relative(study, trial, search_space)
            params.update({name: base[name] for name in missing if name in base})
            draft.from_base.extend(name for name in missing if name in base)
        return params

    def _from_base(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the base sampler's parameters, drawn anew where trials have failed."""
        params = self._base.sample_relative(study, trial, search_space)
        if self._share == 0 or (outcomes := outcomes_of(study, search_space)) is None:
            return params

        def candidates() -> Iterator[dict[str, Any]]:
            for draw in range(MAX_DRAWS):
                again = self._base.sample_relative
                relative = again(study, trial, search_space) if draw else params
                yield {
                    name: relative[name]
                    if name in relative
                    else self._base.sample_independent(study, trial, name, distribution)
                    for name, distribution in search_space.items()
                }

        return first_that_works(candidates(), outcomes)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        draft = self._drafts.get(study._storage, {}).get(trial._trial_id)
        if draft is not None and draft.decision is not None and draft.decision.config is not None:
            coerced = _value(draft.decision.config, param_name, param_distribution)
            if isinstance(coerced, Coerced):
                return coerced.value
            draft.from_base.append(param_name)
        return self._base.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._base.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        if study._storage in self._sessions and self._pid == os.getpid():
            self._session(study).finished(trial.number)
        draft = self._drafts.get(study._storage, {}).pop(trial._trial_id, None)
        decided = draft is not None and draft.decision is not None
        complete(study._storage, trial, draft.from_base if draft and decided else None)
        self._base.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self._base.reseed_rng()

    # --- one trial --------------------------------------------------------------------------

    def _draft(self, study: Study, trial: FrozenTrial) -> _Draft:
        if self._pid != os.getpid():  # a fork has neither the parent's threads nor its calls
            self._start_clean()
        drafts = self._drafts.setdefault(study._storage, {})
        return drafts.setdefault(trial._trial_id, _Draft())

    def _decide(self, study: Study, trial: FrozenTrial) -> Decision:
        if trial.system_attrs.get("fixed_params"):
            return Decision("enqueued")  # it uses up none of the model's ideas
        if self._share == 0 and not self._arguments["first"]:
            return Decision("base")
        return self._session(study).decide(trial._trial_id, trial.number)


def _value(config: Config, name: str, distribution: BaseDistribution) -> Coerced | Rejected:
    if name not in config.params:
        return Rejected("missing")
    return coerce(config.params[name], distribution)
