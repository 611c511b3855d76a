"""Opt-in: full prompts and answers as Optuna artifacts, which optuna-dashboard lists."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from datetime import timezone
import json
from pathlib import Path
import tempfile
import threading
from typing import Any
from typing import TYPE_CHECKING

from optuna.artifacts import upload_artifact
from optuna.logging import get_logger

from ..errors import OptunaLLMError
from ..llms.base import Completion
from ..llms.base import LLM
from ..llms.base import Request
from ..llms.registry import resolve
from ..llms.style import Style
from ..llms.style import style_of
from .dashboard import has_advice


if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore
    from optuna.study import Study
    from optuna.trial import FrozenTrial


_logger = get_logger(f"optuna.{__name__}")


class LLMTranscripts:
    """A back end and a callback that keep what was sent and answered as artifacts of the study.

    Each answer of the model becomes one JSON file in the artifact store, named after the trial on
    which the advice lies. Nothing is kept unless this is used.

    Args:
        llm:
            As for :class:`~optuna_llm_sampler.LLMSampler`.
        artifact_store:
            One of :mod:`optuna.artifacts`. To see the files in the dashboard, give it the same
            store (``--artifact-dir``).

    Example:

        .. code-block:: python

            store = optuna.artifacts.FileSystemArtifactStore("artifacts")
            transcripts = LLMTranscripts("openai/gpt-5-mini", store)
            study = optuna.create_study(sampler=LLMSampler(transcripts))
            study.optimize(objective, n_trials=50, callbacks=[transcripts])
    """

    def __init__(self, llm: str | LLM | None, artifact_store: ArtifactStore) -> None:
        self._given = llm
        self._store = artifact_store
        resolve(llm)
        self._start_clean()

    def _start_clean(self) -> None:
        self._lock = threading.Lock()
        self._llm: LLM | None = None
        self._calls: list[dict[str, Any]] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"_given": self._given, "_store": self._store}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_clean()

    def _wrapped(self) -> LLM:
        with self._lock:
            if self._llm is None:
                self._llm = resolve(self._given)[1]()
            return self._llm

    @property
    def name(self) -> str:
        return self._wrapped().name

    @property
    def style(self) -> Style:
        return style_of(self._wrapped())

    def complete(self, request: Request) -> Completion:
        """Let the model answer, and remember what was said.

        Raises:
            OptunaLLMError: There is no usable answer.
        """
        call: dict[str, Any] = {"at": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        call["messages"] = [dict(message) for message in request.messages]
        try:
            completion = self._wrapped().complete(request)
            call.update(asdict(completion))
            return completion
        except OptunaLLMError as error:
            call["error"] = f"{error.reason}: {error}"
            raise
        finally:
            with self._lock:
                self._calls.append(call)

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Upload what was said, when a trial ends on which its result lies."""
        if not has_advice(trial):
            return
        with self._lock:
            calls, self._calls = self._calls, []
        try:
            self._upload(study, trial.number, calls)
        except Exception as error:  # a store may fail in its own ways, and the study goes on
            _logger.warning(f"The transcript of trial {trial.number} was not stored: {error!r}")

    def _upload(self, study: Study, number: int, calls: list[dict[str, Any]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            # On the study: what lies on a finished trial cannot be changed any more.
            path = Path(folder) / f"llm-trial-{number}.json"
            text = json.dumps(calls, indent=1, ensure_ascii=False)
            path.write_text(text, encoding="utf-8", errors="replace")
            upload_artifact(artifact_store=self._store, file_path=str(path), study_or_trial=study)
