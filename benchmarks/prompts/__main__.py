"""Ask what has not been asked yet, and print the table.

``python -m benchmarks.prompts --models qwen2.5-coder-0.5b --styles code json --seeds 3``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys

import optuna
from tqdm import tqdm

from benchmarks._help import parser as help_parser, positive
from optuna_llm_sampler import LocalLLM

from .answers import append, ask_once, Key, read
from .questions import problem_names, question, WAYS
from .report import markdown


ANSWERS = Path(__file__).parent / "answers.jsonl"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = help_parser(
        "benchmarks.prompts",
        "Ask local models what they have not been asked yet, and print the table of all answers.\n"
        "Without --models, nothing is asked.\n\n"
        "  python -m benchmarks.prompts --models qwen2.5-coder-0.5b --styles code json",
        takes="18 to 28 seconds per question with qwen2.5-coder-0.5b on two busy cores, twice as\n"
        "long with the 1.5B model",
    )
    add = parser.add_argument
    add("--models", nargs="*", default=[], metavar="MODEL", help="names or .gguf files")
    add(
        "--styles",
        nargs="+",
        default=["code"],
        choices=WAYS,
        metavar="STYLE",
        help=f"of {', '.join(WAYS)}",
    )
    add("--problems", nargs="+", default=[""], help="names or their beginnings")
    add("--seeds", type=positive, default=3, help="how often each question is asked")
    add("--out", type=Path, default=ANSWERS, help="where the answers are kept")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    args = parse(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    done = {asked.key for asked in read(args.out)}
    problems = [n for n in problem_names() if n.startswith(tuple(args.problems))]
    todo = [
        key
        for model in args.models
        for style in args.styles
        for seed in range(args.seeds)
        for problem in problems
        if (key := Key(model, style, problem, seed)) not in done
    ]
    for key in tqdm(todo, unit="question"):
        way = WAYS[key.style]
        llm = LocalLLM(key.model, style=way.style)
        append(args.out, ask_once(key, llm, question(key.problem, way, key.seed)))
    print(markdown(list(read(args.out))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
