"""One call to an endpoint: deadline, retries, and adapting to what the endpoint takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
import contextvars
from dataclasses import replace
import random
import threading
import time
from typing import Any, TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from optuna.logging import get_logger

from ...errors import CallTimeoutError, LLMError, OptunaLLMError, TokenUsage, TruncatedError
from ..base import Completion, joined, Request, together
from ..providers import EXTRAS, OutputMode, Provider
from ..style import as_style, JSON, Style, style_for
from .answers import body_of, completion_of, is_cut_short, is_json
from .body import parameters
from .profile import EndpointProfile, first_profile, token_limit
from .refusals import Failure, more_room, next_profile


if TYPE_CHECKING:
    import openai
    from typing_extensions import Self


_logger = get_logger(f"optuna.{__name__}")

_CONNECT_SECONDS = 5.0
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 8.0


class Endpoint:
    """What :class:`OpenAI`, :class:`AzureOpenAI` and :class:`ProviderLLM` share."""

    def __init__(
        self,
        provider: Provider,
        model: str,
        *,
        client: openai.OpenAI | None = None,
        base_url: str | None = None,
        use_chat_completions_api: bool | None = None,
        style: Style | str | None = None,
        max_retries: int | None = None,
    ) -> None:
        if not isinstance(model, str) or not model.strip():
            raise ValueError(f"model must be the name of a model, but got {model!r}.")
        if use_chat_completions_api not in (None, True, False):
            raise ValueError(
                "use_chat_completions_api must be True, False or None, "
                f"but got {use_chat_completions_api!r}."
            )
        if max_retries is not None and (not isinstance(max_retries, int) or max_retries < 0):
            raise ValueError(f"max_retries must be 0 or more, but got {max_retries!r}.")
        self.provider = provider
        self.model = model
        self.style = (style_for(model) or JSON) if style is None else as_style(style)
        self._client = client
        self._base_url = base_url if client is None else str(client.base_url)
        self._use_chat_completions_api = use_chat_completions_api
        self._max_retries = max_retries
        # By endpoint, because another process may be pointed to another one.
        self._profiles: dict[str, EndpointProfile] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return f"{self.provider.prefix}/{self.model}"

    def __repr__(self) -> str:
        url = "" if self._base_url is None else f", base_url={_public(self._base_url)!r}"
        return f"{type(self).__name__}(model={self.model!r}{url})"

    def __copy__(self) -> Self:
        return self  # A client can neither be copied nor be made anew from what it shows.

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = {k: v for k, v in self.__dict__.items() if k not in ("_client", "_lock")}
        with self._lock:
            state["_profiles"] = dict(self._profiles)
        return state | {"_base_url": self._base_url and _public(self._base_url)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._client = None
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises:
            LLMError: There is no usable answer. The subclass says why.
        """
        deadline = time.monotonic() + request.timeout
        done = [self._complete_once(request, deadline)]
        while (n := sum(len(part.texts) for part in done)) < request.n and self._gives_one():
            # Ollama and others give one answer, whatever `n` says.
            seed = None if request.seed is None else request.seed + n
            rest = replace(request, n=request.n - n, seed=seed)
            try:
                done.append(self._complete_once(rest, deadline))
            except LLMError:
                break
        return joined(done)

    def _gives_one(self) -> bool:
        """Tell whether single samples are wanted of a server of one's own."""
        with self._lock:
            known = list(self._profiles.values())
        return self.style.samples and all(p.api == "chat" and not p.own for p in known)

    def _complete_once(self, request: Request, deadline: float) -> Completion:
        client, left = self._ready_client(), deadline - time.monotonic()
        return _within(left, lambda: self._answer(client, request, deadline), self.name)

    def _build(self) -> openai.OpenAI:
        raise NotImplementedError

    def _ready_client(self) -> openai.OpenAI:
        from .errors import failure_from

        with self._lock:
            if self._client is not None:
                return self._client
            try:
                self._client = self._build()
            except OptunaLLMError as error:
                error.local = True  # nothing was sent, and another machine may have a key
                raise
            except Exception as exc:
                failure = failure_from(exc, asked=self.name)
            else:
                return self._client
        raise failure.error

    @contextmanager
    def asked_for(self, output_mode: OutputMode) -> Iterator[Callable[[], bool]]:
        """Ask in this output mode for a while, whatever has been learned before.

        Yields:
            A function that tells whether the endpoint has not kept to the mode since.
        """
        learned = dict(self._profiles)
        self._profiles = {
            url: replace(profile, output_mode=output_mode) for url, profile in learned.items()
        }
        try:
            yield lambda: any(p.output_mode != output_mode for p in self._profiles.values())
        finally:
            self._profiles = learned

    def _answer(self, client: openai.OpenAI, request: Request, deadline: float) -> Completion:
        """Adapt the form of the request until the endpoint takes it and an answer fits."""
        url = _public(str(client.base_url))
        with self._lock:
            profile = self._profiles.get(url) or first_profile(
                self.provider, url, use_chat_completions_api=self._use_chat_completions_api
            )
        cut: TruncatedError | None = None
        spent, cut_at = TokenUsage(), 0
        while True:
            body = self._send(client, request, profile, deadline)
            if isinstance(body, Failure):
                profile = self._adapted(profile, body, request)
                if cut is not None and token_limit(request, profile) <= cut_at:
                    self._learn(url, profile)
                    raise cut  # it would be cut there again
                continue
            self._learn(url, profile)
            roomy = None
            if is_cut_short(body, profile.api, request):
                roomy = more_room(profile, request)
                self._learn(url, roomy or profile)
            try:
                completion = completion_of(body, profile.api, request)
            except TruncatedError as error:
                error.usage = spent = together(spent, error.usage)
                if roomy is None or deadline - time.monotonic() < request.timeout / 4:
                    raise
                cut, cut_at, profile = error, token_limit(request, profile), roomy
                _logger.debug(f"{self.name} needs more than {cut_at} tokens")
                continue
            if _ignores_format(request, completion):
                self._learn(url, profile.lowered())  # the next question tells the schema
            usage = together(spent, completion.usage)
            return replace(completion, usage=usage, model=completion.model or self.model)

    def _adapted(
        self, profile: EndpointProfile, failure: Failure, request: Request
    ) -> EndpointProfile:
        """Return the next form to try, or raise the failure's error if there is none."""
        automatic = self._use_chat_completions_api is None
        further = next_profile(profile, failure, request, may_change_api=automatic)
        if further is None:
            raise failure.error
        _logger.debug(f"{self.name} refuses {profile}, trying {further}: {failure.text}")
        return further

    def _learn(self, url: str, profile: EndpointProfile) -> None:
        with self._lock:
            known = self._profiles.get(url)
            self._profiles[url] = profile if known is None else profile.merged(known)

    def _send(
        self, client: openai.OpenAI, request: Request, profile: EndpointProfile, deadline: float
    ) -> Mapping[str, Any] | Failure:
        """Ask, and ask again after a passing failure, as long as the deadline allows.

        The SDK's own retries know no deadline: they would sleep for two minutes when told so.
        """
        retries = client.max_retries if self._max_retries is None else self._max_retries
        for attempt in range(retries + 1):
            outcome = self._send_once(client, request, profile, deadline)
            if not isinstance(outcome, Failure) or not outcome.try_again:
                break
            wait = outcome.error.retry_after
            if wait is None:
                wait = min(_FIRST_WAIT_SECONDS * 2**attempt, _LONGEST_WAIT_SECONDS)
                wait *= random.uniform(0.75, 1.0)
            if attempt == retries or time.monotonic() + wait >= deadline:
                break
            time.sleep(wait)
        return outcome

    def _send_once(
        self, client: openai.OpenAI, request: Request, profile: EndpointProfile, deadline: float
    ) -> Mapping[str, Any] | Failure:
        import openai

        from .errors import failure_from, failure_in_body

        seconds = deadline - time.monotonic()
        if seconds <= 0:
            return Failure(CallTimeoutError(f"{self.name} did not answer in time"))
        timeout = openai.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
        arguments = parameters(request, profile)
        if extras := {name: arguments.pop(name) for name in EXTRAS if name in arguments}:
            arguments["extra_body"] = extras
        try:
            once = client.with_options(max_retries=0, timeout=timeout)
            # The raw body, because compatible servers send what the SDK's types do not foresee.
            api = once.chat.completions if profile.api == "chat" else once.responses
            raw = api.with_raw_response.create(model=self.model, **arguments)
            text = raw.http_response.text
        except Exception as exc:
            return failure_from(exc, **self._context(client))
        body = body_of(text)
        return failure_in_body(body, **self._context(client)) or body

    def _context(self, client: openai.OpenAI) -> dict[str, Any]:
        """Return what an error's message needs: who was asked, for which key, with what in it."""
        return {
            "asked": f"{self.name} at {_public(str(client.base_url))}",
            "key_variable": self.provider.key_variable,
            # Everything that a careless server may send back, keys among it.
            "headers": {**client.default_headers, **client.auth_headers},
        }


def _ignores_format(request: Request, completion: Completion) -> bool:
    """Tell whether a server has not heard of ``response_format``."""
    is_json_wanted = request.schema is not None and completion.finish_reason != "length"
    return is_json_wanted and not any(is_json(text) for text in completion.texts)


def _public(url: str) -> str:
    """The address without anything that may be secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _within(seconds: float, call: Callable[[], Completion], who: str) -> Completion:
    """Wait no longer than that for a call, whatever it is stuck in.

    The SDK's timeout counts anew with each piece that arrives, and does not cover the look-up of
    a host's name. So the call runs in a thread that is left alone when the time is over.
    """
    outcomes: list[Completion | BaseException] = []

    def run() -> None:
        try:
            outcomes.append(call())
        except BaseException as exc:
            outcomes.append(exc)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,), name="optuna-llm", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if not outcomes:
        raise CallTimeoutError(f"{who} did not answer within {seconds:g} seconds")
    outcome = outcomes[0]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
