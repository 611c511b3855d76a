"""What one run does, as plain data that travels to every worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args, Literal, TYPE_CHECKING


if TYPE_CHECKING:  # else the command would import Optuna before it has looked at its arguments
    from optuna_llm_sampler import ProposedSpace
    from optuna_llm_sampler.llms import LLM


SamplerName = Literal["llm", "base", "tpe"]
Objectives = Literal["accuracy", "accuracy,seconds"]
OBJECTIVES: tuple[str, ...] = get_args(Objectives)

DEFAULT_STUDY = "customer-service"
# Twice the sampler's default: local weights share their core with the trainings.
DEFAULT_TIMEOUT = 240.0


class UsageError(ValueError):
    """What the user named cannot be used; the message is all that is shown."""


@dataclass(frozen=True)
class Config:
    """Everything that a worker needs to know.

    Attributes:
        storage:
            An Optuna storage URL, or the path of a journal file (``*.journal``).
        study:
            Name of the study. It exists before a worker starts.
        data:
            ``"corpus"``, a folder with ``train.csv`` and ``test.csv``, or ``"hub:NAME"``.
        encoder:
            ``"tiny"``, or a folder or hub id of a pretrained encoder.
        objective:
            What is optimized.
        sampler:
            ``"llm"`` is :class:`~optuna_llm_sampler.LLMSampler`, ``"base"`` its base sampler
            alone, ``"tpe"`` Optuna's default.
        llm:
            As :class:`~optuna_llm_sampler.LLMSampler` takes it. An object must be picklable when
            there is more than one worker.
        timeout:
            Longest time that a trial waits for the model, in seconds.
        seed:
            Seed of the samplers.
        data_seed:
            Seed of the split and of every training. All trials share it, so that they are
            compared on the same ground and the best of them can be trained again.
        limit:
            Use at most so many training queries, validation included, and as many for the test.
        max_epochs:
            Upper limit of epochs; :obj:`None` is chosen by the size of the data.
        threads:
            torch's threads in each worker.
        ask:
            What the user asks for in words, with limits; ``""`` for the job's own space.
        proposed:
            The space that was proposed for it.
    """

    storage: str
    study: str = DEFAULT_STUDY
    data: str = "corpus"
    encoder: str = "tiny"
    objective: Objectives = "accuracy"
    sampler: SamplerName = "llm"
    llm: str | LLM | None = None
    timeout: float = DEFAULT_TIMEOUT
    seed: int = 0
    data_seed: int = 0
    limit: int | None = None
    max_epochs: int | None = None
    threads: int = 1
    ask: str = ""
    proposed: ProposedSpace | None = None

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        return ["maximize"] if self.objective == "accuracy" else ["maximize", "minimize"]

    @property
    def metrics(self) -> list[str]:
        return ["validation accuracy", "training seconds"][: len(self.directions)]

    @property
    def problem(self) -> dict[str, str | int | None]:
        """What makes values comparable: a study is continued only where all of it is the same."""
        problem: dict[str, str | int | None] = {
            "data": self.data,
            "encoder": self.encoder,
            "objective": self.objective,
            "data_seed": self.data_seed,
            "limit": self.limit,
            "max_epochs": self.max_epochs,
        }
        # Studies of earlier versions lack it.
        return {**problem, "ask": self.ask} if self.ask else problem
