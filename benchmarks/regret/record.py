"""Record the answers of a local model: ``python -m benchmarks.regret.record MODEL [TASK…]``.

Small models are asked once per study, before its first trial, so one trial per (task, seed) is
run. Seeds go round inside a task, whose prompt the engine then has read already. What has an
answer is left out, so a run can be broken off and continued.

A line of ``answers/`` keeps the hash of the request, not the request: a changed prompt finds no
answer, and the study fails rather than use one that was given to another question.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
import warnings

import optuna
from tqdm import tqdm

from benchmarks._help import parser as help_parser, positive
from benchmarks.tasks import load, names
from optuna_llm_sampler import LLMSampler, LocalLLM, Recorder, Replay
from optuna_llm_sampler.errors import ReplayMissError
from optuna_llm_sampler.llms import Completion, LLM, Request

from .samplers import answers, ask_of, Run


class Missing:
    """Answers from the file what is in it, and asks the model for the rest."""

    def __init__(self, model: str, n_threads: int) -> None:
        path = answers(model)
        self._llm = Recorder(LocalLLM(model, n_threads=n_threads, n_parallel=8), path)
        self._path = path
        self.style = self._llm.style
        self.name = self._llm.name

    def complete(self, request: Request) -> Completion:
        try:
            return Replay(self._path).complete(request)
        except ReplayMissError:
            completion = self._llm.complete(request)
            shorten(self._path)
            return completion


def shorten(path: Path) -> None:
    """Leave the requests out of a recording; their hashes say which they were."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    texts = [json.dumps({**line, "request": {}}, ensure_ascii=False) for line in lines]
    part = path.with_suffix(".part")
    part.write_text("\n".join(texts) + "\n")
    part.replace(path)


def record(llm: LLM, task: str, seed: int, *, named: bool) -> None:
    """Ask what the first trial of a study asks."""
    sampler = LLMSampler(llm, **ask_of(Run(load(task), seed), named=named))
    study = optuna.create_study(sampler=sampler)
    load(task).suggest_params(study.ask())


def main(arguments: list[str]) -> None:
    """Record what is missing."""
    parser = help_parser(
        "benchmarks.regret.record",
        "Record the answers of a local model that benchmarks.regret plays back.",
        takes="18 to 28 seconds per task and seed with qwen2.5-coder-0.5b on two busy cores, two\n"
        "and a half times as long with the 1.5B model",
    )
    parser.add_argument("model", help="a name as of LocalLLM, or a .gguf file")
    parser.add_argument("tasks", nargs="*", default=[""], help="names or their beginnings")
    parser.add_argument("--seeds", type=positive, default=10, help="seeds of each task")
    parser.add_argument("--threads", type=positive, default=1, help="no more than cores are free")
    parser.add_argument("--anonymous", action="store_true", help="parameters without names")
    args = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    llm = Missing(args.model, args.threads)
    tasks = [task for task in names() if task.startswith(tuple(args.tasks))]
    for task, seed in tqdm([(task, seed) for task in tasks for seed in range(args.seeds)]):
        record(llm, task, seed, named=not args.anonymous)


if __name__ == "__main__":
    main(sys.argv[1:])
