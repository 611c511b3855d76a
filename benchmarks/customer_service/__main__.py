"""``python -m benchmarks.customer_service``: tune a transformer on customer-service queries."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import math
import os
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from benchmarks._help import parser as help_parser, positive

from .config import Config, DEFAULT_STUDY, DEFAULT_TIMEOUT, OBJECTIVES, UsageError


if TYPE_CHECKING:
    from optuna_llm_sampler.llms import LLM


def main(arguments: Sequence[str] | None = None, *, llm: LLM | None = None) -> int:
    """Run the main job.

    Args:
        arguments:
            Of the command line.
        llm:
            A model to use in place of ``--llm``; picklable when there is more than one worker.

    Returns:
        The exit status: 0, 1 when trials or workers died, 2 when nothing could start, 130 after
        Ctrl-C.
    """
    args = _parse(arguments)
    # Its threads would compete with torch's for the same cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    config = Config(
        storage=args.storage or str(args.out / "customer_service.journal"),
        study=args.study or DEFAULT_STUDY,
        data=args.data,
        encoder=args.encoder,
        objective=args.objective,
        llm=args.llm if llm is None else llm,
        timeout=args.timeout,
        seed=args.seed,
        data_seed=args.data_seed,
        limit=args.limit,
        max_epochs=args.max_epochs,
        threads=args.threads,
        ask=args.ask.strip(),
    )
    # Imported here: torch and the others take seconds, and --help needs none of them.
    from optuna_llm_sampler.errors import OptunaLLMError

    from .run import run

    try:
        return run(config, args)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
    except OptunaLLMError as error:
        print(f"error: {error} {error.hint}".rstrip(), file=sys.stderr)
    return 2


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = help_parser(
        "benchmarks.customer_service",
        "Fine-tune a transformer on customer-service queries, tuned by LLMSampler. Run it again,\n"
        "and the study goes on.",
        takes="under ten minutes for 20 trials with 2 workers on two cores",
    )
    add = parser.add_argument
    add("--trials", type=positive, default=20, help="more trials, of all workers together")
    add("--workers", type=positive, default=min(2, os.cpu_count() or 1), help="processes")
    add(
        "--engine",
        choices=("processes", "ray"),
        default="processes",
        help="what starts the workers: this program, on this machine, or a Ray cluster",
    )
    add("--address", help='of the Ray cluster: "auto", HOST:6379 or ray://HOST:10001')
    add(
        "--llm",
        help='as LLMSampler takes it: "local", "openai/gpt-5-mini", "local/PATH.gguf"; default: '
        "what OPTUNA_LLM names, else OpenAI's endpoint if OPENAI_API_KEY or OPENAI_BASE_URL is "
        'set, else "local"',
    )
    add(
        "--ask",
        default="",
        metavar="WORDS",
        help='what you want in words, with limits that hold exactly: "… a learning rate between '
        '1e-4 and 5e-6, an initial batch size of at least 32, …"; a large model then proposes the '
        "ranges",
    )
    add(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT,
        help="longest time that a trial waits for the model, in seconds",
    )
    add(
        "--data",
        default="corpus",
        help='"corpus" (16 intents), a folder with train.csv and test.csv (text,category), or '
        "hub:NAME",
    )
    add("--encoder", default="tiny", help='"tiny", or folder or hub id of a pretrained encoder')
    add("--objective", choices=OBJECTIVES, default=OBJECTIVES[0], help="what is optimized")
    add("--compare", action="store_true", help="also run the base sampler alone, and TPE")
    add("--seed", type=_seed, default=0, help="of the samplers")
    add("--data-seed", type=_seed, default=0, help="of the split and the trainings")
    add(
        "--storage",
        help="storage URL, a *.journal file, or embedded-postgres; "
        "default: customer_service.journal in --out",
    )
    add(
        "--study",
        help=f"name of the study; default: {DEFAULT_STUDY}, with a number if that one is about "
        "other data, another encoder or other objectives",
    )
    add("--out", type=_folder, default=Path("runs"), help="folder for plots and local storages")
    add("--limit", type=positive, help="use so many training queries at most; default: all")
    add(
        "--max-epochs",
        type=positive,
        help="upper limit of the epochs of a trial; default: fewer for more data, 25 at most",
    )
    add("--threads", type=positive, default=1, help="torch threads of a worker")
    args = parser.parse_args(arguments)
    if args.address and args.engine != "ray":
        parser.error("--address is of --engine ray")
    return args


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a finite number, 0 or more")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2**32 - 1")
    return value


def _folder(text: str) -> Path:
    try:
        Path(text).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} is no folder: {error.strerror}") from error
    return Path(text)


if __name__ == "__main__":
    sys.exit(main())
