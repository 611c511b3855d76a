"""Everything that can go wrong, as one tree.

::

    OptunaLLMError
    ├── LLMError                    a call to the model did not give a usable answer
    │   ├── AuthenticationError     401, 403, no key at all
    │   ├── ModelNotFoundError      404: no such model, no such path on the server
    │   ├── RateLimitError          429
    │   ├── ServerError             5xx
    │   ├── ConnectionFailedError   nothing listens there, name not found, connection cut
    │   ├── CallTimeoutError        no answer in time
    │   ├── BadRequestError         400, 422: the endpoint refuses the request itself
    │   ├── RefusalError            the model declines to answer
    │   ├── TruncatedError          the answer was cut by the token limit
    │   ├── UnusableAnswerError     an answer, but no configuration in it that can be used
    │   └── ReplayMissError         a recording has no answer to the request
    ├── TurnedOffError              the user wants no model, and something needs one
    ├── NamelessError               a small model cannot know what the parameters are
    ├── TooSmallError               a small model is asked for what only a large one can do
    ├── ContradictionError          the words of a task allow no value of a parameter
    ├── RedactionError              the user's own function fails
    ├── RecordError                 a recording cannot be read or written
    ├── WeightsError                weights cannot be had, or are not what they should be
    └── MissingExtraError           a back end needs an extra that is not installed

Every error carries ``reason`` (a short word, stored on the trial), ``retryable`` (whether asking
again later can help), ``local`` (whether the cause lies in this process or machine, so that other
workers may fare better) and ``hint`` (what the user can do).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of one call, as the endpoint reports them (:obj:`None`: it does not say)."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None


class OptunaLLMError(Exception):
    """Base of all errors of this package.

    Args:
        message:
            What happened.
        hint:
            What the user can do about it. Defaults to the hint of the class.
        retry_after:
            Seconds after which the endpoint wants to be asked again, if it said so.
        usage:
            Tokens of an answer that could not be used: they are paid for all the same.
    """

    reason: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    local: bool = False
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        retry_after: float | None = None,
        usage: TokenUsage | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = self.default_hint if hint is None else hint
        self.retry_after = retry_after
        self.usage = usage or TokenUsage()


class LLMError(OptunaLLMError):
    """A call to the model did not give a usable answer."""

    reason = "llm_error"
    retryable = True
    default_hint = "The study goes on with the base sampler; the model is asked again later."


class AuthenticationError(LLMError):
    """The endpoint does not accept the key, or there is none."""

    reason = "authentication"
    retryable = False
    default_hint = "Set OPENAI_API_KEY, or hand over a client that has a valid key."


class ModelNotFoundError(LLMError):
    """The endpoint does not know the model or the path."""

    reason = "model_not_found"
    retryable = False
    default_hint = "Check the model's name and the base_url (most servers want it to end in /v1)."


class RateLimitError(LLMError):
    """The endpoint wants fewer requests, or the account is out of quota."""

    reason = "rate_limit"
    default_hint = "Lower llm_share, or raise the limit of the account."


class ServerError(LLMError):
    """The endpoint failed."""

    reason = "server_error"


class ConnectionFailedError(LLMError):
    """The endpoint cannot be reached."""

    reason = "connection"
    default_hint = "Check that the server runs and that base_url points to it."


class CallTimeoutError(LLMError):
    """The endpoint did not answer in time."""

    reason = "timeout"
    default_hint = "Raise timeout, or use a faster model."


class BadRequestError(LLMError):
    """The endpoint refuses the request itself."""

    reason = "bad_request"
    retryable = False
    default_hint = "The endpoint refuses a parameter of the request; see the message above."


class RefusalError(LLMError):
    """The model declines to answer."""

    reason = "refusal"
    default_hint = "Describe the task more plainly in task=, or use another model."


class TruncatedError(LLMError):
    """The answer was cut by the token limit."""

    reason = "truncated"
    default_hint = "Lower n_configs, or use a model that reasons less before it answers."


class UnusableAnswerError(LLMError):
    """The model answered, but nothing in the answer can be used."""

    reason = "unusable_answer"
    default_hint = "Use a larger model or an endpoint with structured output."


class ReplayMissError(LLMError):
    """A recording has no answer to the request."""

    reason = "replay_miss"
    retryable = False
    default_hint = "Record the study anew: the study, its arguments or the prompts have changed."


class TurnedOffError(OptunaLLMError):
    """The user has turned the model off, and something needs one."""

    reason = "off"
    default_hint = "Unset OPTUNA_LLM, or name a model."


class NamelessError(OptunaLLMError):
    """A small model cannot know what the parameters are, and is not asked."""

    reason = "nameless"
    local = True
    default_hint = "Say what they are in param_notes=, or use a larger model."


class TooSmallError(OptunaLLMError):
    """A small model is asked for what only a large one can do."""

    reason = "too_small"
    local = True
    default_hint = (
        'Name a larger model, such as llm="openai/gpt-5-mini" or --llm openai/gpt-5-mini.'
    )


class ContradictionError(OptunaLLMError):
    """The words of a task allow no value of a parameter."""

    reason = "contradiction"
    local = True
    default_hint = "Change the task's words."


class RedactionError(OptunaLLMError):
    """The function given as ``redact=`` cannot be used."""

    reason = "redaction"
    local = True
    default_hint = "Nothing was sent. Correct the function; the base sampler goes on."


class RecordError(OptunaLLMError):
    """A recording cannot be read or written."""

    reason = "recording"
    local = True
    default_hint = "Check the path, or record the study anew."


class WeightsError(OptunaLLMError):
    """Weights cannot be had, or are not what they should be."""

    reason = "weights"
    local = True
    default_hint = "Run `optuna-llm pull` on a machine with a network, or name a file: local/PATH."


class MissingExtraError(OptunaLLMError, ImportError):
    """A back end needs an extra that is not installed."""

    reason = "missing_extra"
    local = True

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra [{extra}].",
            hint=f'Run: pip install "optuna-llm-sampler[{extra}]"',
        )
        self._arguments = (what, extra)

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), self._arguments


def need(module: str, what: str, extra: str) -> Any:
    """Import a module of an optional dependency.

    Raises:
        MissingExtraError: It is not installed. The error names the extra to install.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError(what, extra) from None
