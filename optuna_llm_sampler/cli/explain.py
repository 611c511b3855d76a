"""``optuna-llm explain``: what was learned in a study, in numbers and in the model's words."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ..report.explain import explain
from ..report.explain import fact_lines
from ..report.facts import facts
from .common import add_model
from .common import add_parser
from .common import add_study
from .common import BAD_STUDY
from .common import print_json
from .common import Problem
from .common import Subparsers
from .storage import open_study
from .terminal import checked_llm
from .terminal import waiting


def add_explain(commands: Subparsers) -> None:
    parser = add_parser(
        commands,
        "explain",
        _run,
        "print what was learned: Optuna's numbers, then the model's words if they agree",
    )
    add_study(parser)
    add_model(parser, timeout=180)
    parser.add_argument("--task", default="", help="what is tuned, in your words; sent")
    parser.add_argument(
        "--note", action="store_true", help="put the text into the study's dashboard note"
    )
    parser.add_argument(
        "--facts", action="store_true", help="print Optuna's numbers only; nothing is sent"
    )


def _run(args: argparse.Namespace) -> int:
    study = open_study(args.storage, args.study)
    known = facts(study)
    if not known.params:
        raise Problem("The study has no complete trial yet: nothing to explain.", "", BAD_STUDY)
    if args.facts:
        if args.json:
            print_json(asdict(known))
        else:
            print("\n".join(fact_lines(known)))
        return 0
    llm = checked_llm(args.llm)
    with waiting(f"{llm.name} to explain the study", args.timeout):
        found = explain(study, llm, task=args.task, note=args.note, timeout=args.timeout)
    if args.json:
        print_json({**asdict(found), "text": found.text})
    else:
        print(found.text)
    return 0
