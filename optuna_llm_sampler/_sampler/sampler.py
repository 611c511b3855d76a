"""LLMSampler: Optuna's sampler interface; the decisions are made in a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
import os
import threading
from typing import Any, TYPE_CHECKING
import weakref
from weakref import WeakKeyDictionary

from optuna.distributions import BaseDistribution
from optuna.logging import get_logger
from optuna.samplers import BaseSampler

from .._advice.advice import Config
from .._policy.allocation import make_policy, Policy
from .._store.calls import CallHook
from .._store.prices import Budget, Price
from .._store.store import AdviceStore
from .._study.distance import natural_middle
from .._study.optuna_internals import (
    fixed_params,
    key_of,
    storage_of,
    study_id_of,
    trial_id_of,
    TrialKey,
    without,
)
from .._study.space import coerce, Coerced
from ..errors import OptunaLLMError
from ..llms.registry import resolve, turned_off
from ..llms.style import JSON, style_of
from .default_base import DefaultBaseSampler
from .failure_filter import away_from_failures, outcomes_of
from .own_configs import own_configs
from .provenance import write_decision, write_from_base
from .session import Decision, Session
from .settings import (
    read_defaults,
    read_history,
    read_mapping,
    read_names,
    read_search_space,
    Settings,
)


if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

    from .._proposal.proposal import ProposedSpace
    from ..llms.base import LLM


_logger = get_logger(f"optuna.{__name__}")


@dataclass
class _Draft:
    """A trial that has been decided and asks for its parameters.

    Attributes:
        from_base:
            Parameters that its configuration lacks and the base sampler gave.
    """

    decision: Decision
    from_base: list[str] = field(default_factory=list)


class LLMSampler(BaseSampler):
    """Sampler that lets a language model and a classical sampler share the trials.

    The model proposes the first configurations. After that, the results of both decide who gets
    more trials: a model that leads gets up to 95 %, one that does not lead 5 %. The base sampler
    learns from every trial; only while none of the model's is better than three quarters of its
    own does the default one learn from its own alone. Whenever the model gives no answer, a
    trial's parameters are exactly those of the base sampler. The user attribute ``llm_source`` of
    a trial says where its parameters came from.

    Args:
        llm:
            The model: ``"openai/<model>"``, ``"anthropic/<model>"`` or another provider that
            ``optuna-llm doctor`` lists, ``"azure/<deployment>"``, ``"local"``,
            ``"local/<name or path.gguf>"``, ``"hf/<hub id or folder>"``, ``"off"`` for none, or
            an object with a method ``complete(request)`` (see
            :class:`~optuna_llm_sampler.llms.LLM`). :obj:`None` (default): what the environment
            variable ``OPTUNA_LLM`` names; without it, OpenAI's endpoint if ``OPENAI_API_KEY`` or
            ``OPENAI_BASE_URL`` is set, else the embedded local model. ``OPTUNA_LLM=off`` turns
            the model off, whatever ``llm`` is.
        task:
            What is tuned and on what data, in your words. Sent to the model. No other argument
            improves its proposals as much.
        param_notes:
            Notes on single parameters, by parameter name. Sent to the model.
        defaults:
            A configuration that you trust. The first trial that can tries it, once per study.
        documented_defaults:
            Whether the library's own defaults are tried first, once per study, if neither
            ``defaults`` nor ``history`` is given. They are looked for among the estimators of
            scikit-learn, XGBoost, LightGBM, CatBoost, ``torch.optim`` and transformers that your
            program has imported by the first trial, by the names of the parameters alone: at
            least two and half of the search space, or of one of its branches, have to be
            arguments of one class, perhaps with a prefix (``svc_C``). Only values that the search
            space allows are used, the other parameters are at the middle of their range, and
            ``llm_why`` says where the values come from. Nothing is imported or sent.
            Models that are asked in JSON know the documentation: there the defaults are tried
            only if the model cannot be used. Default: :obj:`True`.
        search_space:
            The objective, or the distributions by parameter name. With it, the very first trial
            can be the model's. Without it (default), the first trial is at the middle of every
            range (the geometric one where the range is logarithmic or spans two decades) and has
            the first of all choices, and the model is asked once a trial has finished. An
            objective is read and not run, see
            :func:`~optuna_llm_sampler.search_space_of`; what cannot be read, such as bounds that
            depend on another suggestion, is left to the first trial.
        conditions:
            Which parameters are used only with certain values of others:
            ``{"svm_c": {"model": ["svm"]}}``. If several parents are named, all conditions must
            hold. Needs ``search_space``. Without it (default), conditions are read from the
            objective, if it is given as ``search_space``, and inferred from the parameters that
            finished trials have.
        history:
            Earlier studies with a similar search space. Their best configurations and values are
            shown to the model as far as this search space allows them, and the best three are
            tried first, so that the base sampler learns from them as well.
        base_sampler:
            The classical sampler. :obj:`None` (default):
            :class:`~optuna_llm_sampler.DefaultBaseSampler`, which uses a Gaussian process in the
            first 50 trials of most studies and :class:`~optuna.samplers.TPESampler` otherwise.
        llm_share:
            The model's share of the trials after its first proposals, from 0 to 1. :obj:`None`
            (default): between 0.05 and 0.95, starting at 0.75, by comparing the model's latest
            eight trials with the base sampler's trials around them; a failed trial counts as a
            defeat. Small models, which are asked for code instead of JSON, get only the first
            trials. Give a number to fix the share; 0 turns the model off.
        n_configs:
            Configurations per call, 1 to 64. :obj:`None` (default): 4 for models asked in JSON,
            fewer while their share is small and more for many workers; of a first answer that
            knew no result, one is tried for each trial that waits. 8 for small models, of which 5
            are tried. More configurations mean fewer calls that know fewer results.
        timeout:
            Longest time that a trial waits for the model, in seconds, 0 or more. Default: 120,
            enough for a local model to load and answer on a busy CPU core. With 0, no trial waits.
        prefetch:
            Whether to ask ahead in the background, so that trials wait for the first advice and
            later at most about 4 % of their own duration. :obj:`None` (default): yes, unless
            ``seed`` is given, because timing then decides which advice a trial gets.
            :obj:`False`: ask when an advice is needed; every advice then knows all results.
        budget:
            What the study may spend on the model, by all workers and across restarts:
            ``Budget(usd=1.0)``. :obj:`None` (default): no limit. A model that leads is called
            about once in four trials.
        prices:
            Prices by model name: ``{"openai/gpt-5-mini": Price(0.25, 2)}``. They take precedence
            over the built-in list prices of OpenAI's models. Needed for ``Budget(usd=...)`` with
            any other endpoint; without a price, costs are recorded as unknown.
        on_call:
            A function that gets a :class:`~optuna_llm_sampler.CallRecord` after every call that
            this process makes.
        share_user_attrs:
            Names of user attributes of trials that are sent to the model, eight at most. Default:
            none.
        redact:
            A function that rewrites every text before it is sent: names of parameters, choices
            and metrics, your texts, shared attributes. Distinct names must stay distinct. The
            original names are put back in the answer, but not in the model's own explanations.
        seed:
            Seed of the default base sampler and of the requests, from 0 to 2**32 - 1.
            :obj:`None` (default): a random one.

    Raises:
        ValueError: An argument is not as described. The message names it.

    Example:

        .. code-block:: python

            import math

            import optuna
            from optuna_llm_sampler import LLMSampler


            def objective(trial):
                rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
                depth = trial.suggest_int("max_depth", 2, 12)
                return (math.log10(rate) + 1) ** 2 + 0.1 * abs(depth - 6)


            task = "XGBoost on 40,000 rows of credit data; log loss."
            sampler = LLMSampler(task=task, search_space=objective)
            study = optuna.create_study(sampler=sampler)
            study.optimize(objective, n_trials=20)
    """

    def __init__(
        self,
        llm: str | LLM | None = None,
        *,
        task: str = "",
        param_notes: Mapping[str, str] | None = None,
        defaults: Mapping[str, Any] | None = None,
        documented_defaults: bool = True,
        search_space: Mapping[str, BaseDistribution] | Callable[..., Any] | None = None,
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
        known = read_search_space(search_space, conditions)
        prior_studies = read_history(history)
        self._settings = Settings(
            llm=llm,
            task=task,
            param_notes=read_mapping("param_notes", param_notes, str),
            search_space=known.space,
            conditions=known.conditions,
            prior_studies=prior_studies,
            own_configs=own_configs(
                read_defaults(defaults, known),
                prior_studies,
                known.space if known.is_complete else {},
            ),
            documented_defaults=documented_defaults,
            base_sampler=base_sampler,
            llm_share=llm_share,
            n_configs=n_configs,
            timeout=timeout,
            prefetch=seed is None if prefetch is None else prefetch,
            budget=budget,
            prices=read_mapping("prices", prices, Price),
            on_call=on_call,
            share_user_attrs=read_names(share_user_attrs),
            redact=redact,
            seed=seed,
        )
        self._base = base_sampler or DefaultBaseSampler(seed=seed)
        self._start_clean()

    @classmethod
    def from_proposal(
        cls, proposed: ProposedSpace, llm: str | LLM | None = None, **arguments: Any
    ) -> LLMSampler:
        """Return a sampler for a proposed space, with its conditions, defaults and notes.

        Args:
            proposed:
                What :func:`~optuna_llm_sampler.propose_space` returned.
            llm:
                The model.
            **arguments:
                Other arguments of the constructor; they take precedence over the proposal's.

        Raises:
            ValueError: An argument is not as described.
        """
        return cls(llm, **{**proposed.sampler_arguments(), **arguments})

    def __repr__(self) -> str:
        why, _ = resolve(self._settings.llm)
        return f"LLMSampler({why}, base_sampler={type(self._base).__name__})"

    # --- process boundaries -----------------------------------------------------------------

    def _start_clean(self) -> None:
        """Forget everything that belongs to another process."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._llm: LLM | None = None
        # By storage object: ids of studies and trials are unique in one storage only, and a new
        # storage can have the id() of one that was collected.
        self._sessions: WeakKeyDictionary[BaseStorage, dict[int, Session]] = WeakKeyDictionary()
        self._drafts: WeakKeyDictionary[BaseStorage, dict[TrialKey, _Draft]] = WeakKeyDictionary()
        off = turned_off(self._settings.llm)
        self._is_off = bool(off) or self._settings.llm_share == 0
        if off:
            _logger.info(f"LLMSampler asks no language model ({off}); the base sampler goes on.")

    def _renew_after_fork(self) -> None:
        if self._pid != os.getpid():  # a fork has neither the parent's threads nor its calls
            self._start_clean()

    def __getstate__(self) -> dict[str, Any]:
        return {"_settings": self._settings, "_base": self._base}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_clean()

    def _get_llm(self) -> LLM:
        with self._lock:
            if self._llm is None:
                why, build = resolve(self._settings.llm)
                self._llm = build()
                _logger.info(f"LLMSampler uses {self._llm.name} ({why}).")
            return self._llm

    def _policy(self) -> Policy | None:
        """Return how trials are allocated; :obj:`None` if the model is off."""
        if self._is_off:
            return None
        settings = self._settings
        _, build = resolve(settings.llm)
        try:
            style = style_of(build())  # nothing is loaded before the first request
        except OptunaLLMError:
            style = JSON  # the first call will say why there is no model
        return make_policy(style, share=settings.llm_share, n_configs=settings.n_configs)

    def _session(self, study: Study, number: int | None = None) -> Session:
        """Return a study's session; a new one if it has decided this trial number before.

        The study is then another one that has the id of a deleted study, as SQLite gives it.
        """
        storage, study_id = storage_of(study), study_id_of(study)
        with self._lock:
            sessions = self._sessions.setdefault(storage, {})
            if study_id not in sessions or number in sessions[study_id].decided:
                # Weak: a session that held its storage would keep the dictionary's key alive.
                store = AdviceStore(weakref.proxy(storage), study_id)
                sessions[study_id] = Session(
                    store, self._settings, llm=self._get_llm, policy=self._policy()
                )
            return sessions[study_id]

    # --- Optuna's interface -----------------------------------------------------------------

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        # The base sampler's space and no more: the values of other parameters are given in
        # sample_independent, where the distribution is the one asked for. A relative value of
        # another kind than the objective asks for would fail the trial (Trial._is_relative_param).
        return self._base.infer_relative_search_space(self._without_misleading(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        # Here and not in before_trial, which runs outside the heartbeat
        # (optuna/study/_optimize.py): a worker killed there leaves a trial running for ever.
        draft = self._draft(study, trial)
        config = draft.decision.config
        if config is None:
            return self._from_base(study, trial, search_space)
        params = {
            name: coerced.value
            for name, distribution in search_space.items()
            if (coerced := _value(config, name, distribution)) is not None
        }
        if len(params) < len(search_space):
            base = self._base.sample_relative(self._without_misleading(study), trial, search_space)
            missing = [name for name in search_space if name in base and name not in params]
            params.update({name: base[name] for name in missing})
            draft.from_base.extend(missing)
        return params

    def _from_base(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the base sampler's parameters, moved away from where trials have failed."""
        if isinstance(self._base, DefaultBaseSampler):
            promised = self._session(study).promised_params(trial.number)
            seen = self._without_misleading(study)
            params = self._base.sample_relative(seen, trial, search_space, promised=promised)
        else:
            params = self._base.sample_relative(study, trial, search_space)
        if self._is_off or (outcomes := outcomes_of(study, search_space)) is None:
            return params
        if not params:  # the base sampler draws each parameter when it is asked for
            params = {
                name: self.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
        return away_from_failures(params, outcomes)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        draft = self._drafts.get(storage_of(study), {}).get(key_of(trial))
        config = None if draft is None else draft.decision.config
        if config is not None:
            coerced = _value(config, param_name, param_distribution)
            if coerced is not None:
                return coerced.value
        if self._is_first_of_all(trial):
            return natural_middle(param_distribution)
        if draft is not None and config is not None:
            draft.from_base.append(param_name)
        seen = self._without_misleading(study)
        return self._base.sample_independent(seen, trial, param_name, param_distribution)

    def _is_first_of_all(self, trial: FrozenTrial) -> bool:
        """Tell whether the search space is unknown, so that no model could be asked.

        The middle of each range, where the default base sampler begins, is then mostly better than
        what another one draws (benchmarks/README.md, "The first trial of an unknown space").
        """
        return trial.number == 0 and not self._is_off and not self._settings.search_space

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._base.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        draft = self._drafts.get(storage_of(study), {}).pop(key_of(trial), None)
        if draft is not None:
            write_from_base(study, trial, [n for n in draft.from_base if n in trial.params])
            if self._pid == os.getpid():
                self._session(study).finished(trial.number)
        elif fixed_params(trial):  # all parameters were fixed, so none was sampled
            write_decision(study, trial, Decision("enqueued"))
        self._base.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self._base.reseed_rng()

    # --- one trial --------------------------------------------------------------------------

    def _without_misleading(self, study: Study) -> Study:
        """Return the study as the default base sampler sees it; another one sees all of it.

        That is as of the latest decision of this process.
        """
        if self._is_off or not isinstance(self._base, DefaultBaseSampler):
            return study
        self._renew_after_fork()
        return without(study, self._session(study).misleading)

    def _draft(self, study: Study, trial: FrozenTrial) -> _Draft:
        """Return a trial's draft; decide on the first call."""
        self._renew_after_fork()
        drafts, key = self._drafts.setdefault(storage_of(study), {}), key_of(trial)
        if key not in drafts:
            if fixed_params(trial):
                decision = Decision("enqueued")  # it uses up none of the model's ideas
            else:
                session = self._session(study, trial.number)
                decision = session.decide(trial_id_of(trial), trial.number)
            write_decision(study, trial, decision)
            drafts[key] = _Draft(decision)
        return drafts[key]


def _value(config: Config, name: str, distribution: BaseDistribution) -> Coerced | None:
    """Return a configuration's value as the distribution allows it, if it has one."""
    coerced = coerce(config.params[name], distribution) if name in config.params else None
    return coerced if isinstance(coerced, Coerced) else None
