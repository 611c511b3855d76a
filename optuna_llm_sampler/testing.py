"""Public helpers for tests of code that uses :class:`~optuna_llm_sampler.LLMSampler`."""

from __future__ import annotations

from collections.abc import Callable
import threading

from .errors import TokenUsage
from .llms.base import Completion, Request
from .llms.style import Style


class FakeLLM:
    """A model whose words are made by a function.

    Args:
        handler:
            Gets the :class:`~optuna_llm_sampler.llms.Request` and returns the answer. What it
            raises is raised by the call.
        style:
            The form in which the sampler asks, a name or a :class:`~llms.Style`.

    Attributes:
        requests:
            Every request so far, oldest first.

    Example:

        .. code-block:: python

            llm = FakeLLM(lambda request: '{"configs": [{"x": 0.5, "why": "middle"}]}')
            study = optuna.create_study(sampler=LLMSampler(llm))
    """

    def __init__(self, handler: Callable[[Request], str], *, style: Style | str = "json") -> None:
        self.handler = handler
        self.style = style
        self.requests: list[Request] = []
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return "fake"

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Completion:
        with self._lock:
            self.requests.append(request)
        texts = tuple(self.handler(request) for _ in range(request.n))
        words = sum(len(m["content"]) for m in request.messages) // 4
        usage = TokenUsage(input_tokens=words, output_tokens=sum(len(t) for t in texts) // 4)
        return Completion(texts=texts, usage=usage, model=self.name)
