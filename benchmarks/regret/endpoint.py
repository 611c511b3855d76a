"""A model behind an OpenAI-compatible endpoint: asked live, recorded, and replayed without it.

A recording keeps the hash of each request and the answer, so a study is replayed as long as its
requests are the same. Anything else is asked anew, or makes the study fail where there is no
endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
import lzma
from pathlib import Path
import tempfile
from zlib import crc32

from optuna_llm_sampler import OpenAI, Recorder, Replay
from optuna_llm_sampler.errors import ReplayMissError
from optuna_llm_sampler.llms import Completion, JSON, LLM, Request


ANSWERS = Path(__file__).parent / "answers"


@dataclass(frozen=True)
class Endpoint:
    """Where a model is asked and where its answers are kept.

    Attributes:
        base_url:
            The endpoint; ``""``: only recorded answers.
        record:
            The file of the answers. :obj:`None`: the one of this repository.
        per_study:
            Whether each study asks a model of its own name, so that whoever answers can keep
            studies apart.
    """

    base_url: str = ""
    record: Path | None = None
    per_study: bool = False

    def model(self, name: str, study: str, misses: list[ReplayMissError]) -> LLM:
        """Return the model for one study.

        Args:
            name:
                The model's name.
            study:
                What tells this study from others.
            misses:
                Takes in the requests that nobody can answer.
        """
        live: LLM | None = None
        if self.base_url:
            # The name must not say what the study tunes.
            asked = f"{name}-{crc32(study.encode()):08x}" if self.per_study else name
            live = OpenAI(base_url=self.base_url, model=asked, style=JSON)
        path = self.record or ANSWERS / f"{name}.jsonl.xz"
        return _Answers(f"openai/{name}", path, live, misses)


class _Answers:
    """Recorded answers first, then the endpoint's, if there is one."""

    style = JSON

    def __init__(
        self, name: str, path: Path, live: LLM | None, misses: list[ReplayMissError]
    ) -> None:
        self.name = name
        self._replay = Replay(unpacked(path)) if path.exists() else None
        self._live = None if live is None else Recorder(live, path)
        self._misses = misses

    def complete(self, request: Request) -> Completion:
        try:
            if self._replay is None:
                raise ReplayMissError("Nothing has been recorded.")
            return self._replay.complete(request)
        except ReplayMissError as error:
            if self._live is not None:
                return self._live.complete(request)
            self._misses.append(error)
            raise


def unpacked(path: Path) -> Path:
    """Return a recording as a file that can be read, unpacked if it is compressed."""
    return _unpacked(path) if path.suffix == ".xz" else path


@cache
def _unpacked(path: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="optuna-llm-"))
    plain = folder / path.stem
    plain.write_bytes(lzma.decompress(path.read_bytes()))
    return plain
