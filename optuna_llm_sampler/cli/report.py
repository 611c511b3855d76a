"""``optuna-llm report``: what the model did in a study, what it cost, whether it helped."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..report.dashboard import save_plots
from ..report.dashboard import write_note
from ..report.html import to_html
from ..report.report import report
from ..report.text import to_text
from .common import add_parser
from .common import add_price
from .common import add_study
from .common import bold
from .common import print_json
from .common import Problem
from .common import Subparsers
from .storage import open_study


def add_report(commands: Subparsers) -> None:
    parser = add_parser(
        commands, "report", _run, "say what the model did in a study, and whether it helped"
    )
    add_study(parser)
    add_price(parser)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one HTML page to FILE")
    parser.add_argument(
        "--note", action="store_true", help="put the report into the study's dashboard note"
    )
    parser.add_argument(
        "--plots", action="store_true", help="put the plots onto the study's dashboard page"
    )


def _run(args: argparse.Namespace) -> int:
    study = open_study(args.storage, args.study)
    data = report(study, price=args.price)
    if args.html is not None:
        try:
            args.html.write_text(to_html(data), encoding="utf-8")
        except OSError as error:
            raise Problem(f"{args.html} cannot be written: {error.strerror or error}.") from error
    if args.note:
        write_note(study, price=args.price)
    if args.plots:
        save_plots(study)
    if args.json:
        print_json(data.to_json())
    elif args.html is not None:
        print(args.html)
    else:
        print(to_text(data, bold=bold), end="")
    return 0
