"""``optuna-llm report`` and ``explain``: what a study shows."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from ..report.dashboard import save_plots, write_note
from ..report.explain import explain, fact_lines
from ..report.facts import facts
from ..report.html import to_html
from ..report.report import report
from ..report.text import to_text
from . import common
from .storage import open_study


def add_report(commands: common.Subparsers) -> None:
    parser = common.add_parser(
        commands,
        "report",
        _report,
        "print what the model did in a study, what it cost, and whether it helped",
    )
    common.add_study(parser)
    common.add_price(parser)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one HTML page to FILE")
    parser.add_argument(
        "--note", action="store_true", help="write the report into the study's dashboard note"
    )
    parser.add_argument(
        "--plots", action="store_true", help="save the plots on the study's dashboard page"
    )


def _report(args: argparse.Namespace) -> int:
    study = open_study(args.storage, args.study)
    data = report(study, price=args.price)
    if args.html is not None:
        try:
            args.html.write_text(to_html(data), encoding="utf-8")
        except OSError as error:
            raise common.Problem(
                f"{args.html} cannot be written: {error.strerror or error}."
            ) from error
    if args.note:
        write_note(study, price=args.price)
    if args.plots:
        save_plots(study)
    if args.json:
        common.print_json(data.to_json())
    elif args.html is not None:
        print(args.html)
    else:
        print(to_text(data, bold=common.bold), end="")
    return 0


def add_explain(commands: common.Subparsers) -> None:
    parser = common.add_parser(
        commands,
        "explain",
        _explain,
        "print what was learned: Optuna's numbers, then the model's words if they agree",
    )
    common.add_study(parser)
    common.add_model(parser, timeout=180)
    parser.add_argument(
        "--task", default="", help="what is tuned, in your words; sent to the model"
    )
    parser.add_argument(
        "--note", action="store_true", help="write the text into the study's dashboard note"
    )
    parser.add_argument(
        "--facts", action="store_true", help="print Optuna's numbers only; sends nothing"
    )


def _explain(args: argparse.Namespace) -> int:
    study = open_study(args.storage, args.study)
    known = facts(study)
    if not known.params:
        raise common.StudyProblem("There is nothing to explain: no trial is complete yet.")
    if args.facts:
        found, text = asdict(known), "\n".join(fact_lines(known))
    else:
        llm = common.checked_llm(args.llm)
        with common.waiting(f"{llm.name} to explain the study", args.timeout):
            told = explain(study, llm, task=args.task, note=args.note, timeout=args.timeout)
        found, text = {**asdict(told), "text": told.text}, told.text
    if args.json:
        common.print_json(found)
    else:
        print(text)
    return 0
