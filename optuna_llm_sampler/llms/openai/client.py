"""Models behind OpenAI, Azure OpenAI and every server that speaks their language."""

from __future__ import annotations

import os
from typing import Any, TYPE_CHECKING
from urllib.parse import urlsplit

from ...errors import AuthenticationError, BadRequestError
from ..providers import AZURE, key_hint, OPENAI, Provider
from ..style import Style
from .endpoint import Endpoint
from .profile import is_own_endpoint


if TYPE_CHECKING:
    import openai


# The SDK wants a key, even for servers that want none.
_NO_KEY = "none"

# Calls are rare, and a connection kept open would be shared by forked workers.
_HEADERS = {"Connection": "close"}


class OpenAI(Endpoint):
    """A model of OpenAI, or behind any server with an OpenAI-compatible API.

    Args:
        client:
            A client of the ``openai`` SDK. :obj:`None` makes one at the first call from
            ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL``.
        model:
            The model's name at the endpoint.
        base_url:
            Address of a compatible server, for instance ``"http://localhost:8080/v1"``. A key is
            not needed then; where ``OPENAI_API_KEY`` is set, it is sent there. Not together with
            ``client``. A password does not belong in it: the libraries that send the requests
            (httpx, openai 2) log addresses.
        use_chat_completions_api:
            Whether to use Chat Completions instead of Responses. :obj:`None`: Responses for
            OpenAI's and Azure's own endpoints (and Chat Completions when there are none after
            all), Chat Completions for any other.
        style:
            The form in which the sampler asks: ``"json"``, ``"code"``, ``"script"`` or a
            :class:`~optuna_llm_sampler.llms.Style`. :obj:`None`: as code if the model's name says
            that it has less than four billion parameters, else for JSON.
        max_retries:
            How often a passing failure (429, 5xx, connection lost) is tried again within the
            request's timeout. :obj:`None` takes the client's number, which is 2 by default.

    .. note::
        A pickled object holds neither a client nor a key. After unpickling, a client is made from
        the environment, for the same address and without a user name in it, also where one had
        been handed over before.

    Example:

        .. code-block:: python

            llm = OpenAI(model="gpt-5-mini")
            llm = OpenAI(base_url="http://localhost:8080/v1", model="qwen2.5-coder")
            llm = OpenAI(openai.OpenAI(api_key=my_vault["openai"]), model="gpt-5-mini")
    """

    def __init__(
        self,
        client: openai.OpenAI | None = None,
        *,
        model: str,
        base_url: str | None = None,
        use_chat_completions_api: bool | None = None,
        style: Style | str | None = None,
        max_retries: int | None = None,
    ) -> None:
        _check_client(client, "OpenAI")
        if client is not None and base_url is not None:
            raise ValueError("base_url must not be given together with client, which has its own.")
        if base_url is not None and not _is_http_url(base_url):
            raise ValueError(
                "base_url must begin with http:// or https://, name a host and have no query."
            )
        super().__init__(
            OPENAI,
            model,
            client=client,
            base_url=base_url,
            use_chat_completions_api=use_chat_completions_api,
            style=style,
            max_retries=max_retries,
        )

    def _build(self) -> openai.OpenAI:
        url = self._base_url or OPENAI.address() or None
        needs_key = url is None or is_own_endpoint(url)
        return _client_for(OPENAI, url, needs_key=needs_key)


class ProviderLLM(Endpoint):
    """A model of one of :data:`~optuna_llm_sampler.llms.providers.PROVIDERS`.

    The client is made at the first call, with the key from the environment.
    """

    def __repr__(self) -> str:
        return f"ProviderLLM({self.name!r})"

    def _build(self) -> openai.OpenAI:
        provider = self.provider
        return _client_for(provider, provider.address(), needs_key=provider.needs_key)


class AzureOpenAI(Endpoint):
    """A model deployed on Azure OpenAI.

    Args:
        client:
            An ``openai.AzureOpenAI``. :obj:`None` makes one at the first call from
            ``AZURE_OPENAI_ENDPOINT``, ``OPENAI_API_VERSION`` and ``AZURE_OPENAI_API_KEY`` or
            ``AZURE_OPENAI_AD_TOKEN``.
        model:
            The name of the deployment.
        use_chat_completions_api, style, max_retries:
            See :class:`OpenAI`.

    .. note::
        What :class:`OpenAI` says of pickling holds here too; the API version is kept. An endpoint
        of Azure's newer ``/openai/v1`` kind takes an ``openai.OpenAI`` client with
        :class:`OpenAI`.
    """

    def __init__(
        self,
        client: openai.AzureOpenAI | None = None,
        *,
        model: str,
        use_chat_completions_api: bool | None = None,
        style: Style | str | None = None,
        max_retries: int | None = None,
    ) -> None:
        _check_client(client, "AzureOpenAI")
        version = None if client is None else client.default_query.get("api-version")
        self._api_version = version if isinstance(version, str) else None
        super().__init__(
            AZURE,
            model,
            client=client,
            use_chat_completions_api=use_chat_completions_api,
            style=style,
            max_retries=max_retries,
        )

    def _build(self) -> openai.OpenAI:
        import openai

        token = "AZURE_OPENAI_AD_TOKEN"
        if not os.environ.get(AZURE.key_variable) and not os.environ.get(token):
            raise AuthenticationError(
                f"there is no key: neither {AZURE.key_variable} nor {token} is set",
                hint=key_hint(AZURE.key_variable),
            )
        version = self._api_version or os.environ.get("OPENAI_API_VERSION")
        url = self._base_url or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if not version or not url:
            missing = "AZURE_OPENAI_ENDPOINT" if version else "OPENAI_API_VERSION"
            raise BadRequestError(f"{missing} is not set", hint=f"Set {missing}.")
        if self._base_url is not None:
            return openai.AzureOpenAI(base_url=url, api_version=version, default_headers=_HEADERS)
        return openai.AzureOpenAI(
            azure_endpoint=url, api_version=version, default_headers=_HEADERS
        )


def _client_for(provider: Provider, url: str | None, *, needs_key: bool) -> openai.OpenAI:
    import openai

    key = provider.key()
    if not key and needs_key:
        variable = provider.key_variable
        raise AuthenticationError(
            f"there is no key: {variable} is not set", hint=key_hint(variable)
        )
    headers: dict[str, Any] = dict(_HEADERS)
    if provider is not OPENAI:  # whom OPENAI_ORG_ID and OPENAI_PROJECT_ID do not concern
        headers |= {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}
    return openai.OpenAI(api_key=key or _NO_KEY, base_url=url, default_headers=headers)


def _check_client(client: object, kind: str) -> None:
    if client is None:
        return
    import openai

    is_azure = isinstance(client, openai.AzureOpenAI)
    if not isinstance(client, openai.OpenAI) or is_azure != (kind == "AzureOpenAI"):
        raise ValueError(
            f"client must be an openai.{kind} (not an asynchronous one) or None, "
            f"but got a {type(client).__module__}.{type(client).__qualname__}."
        )


def _is_http_url(url: object) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_whole = bool(parts.hostname) and not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and is_whole
