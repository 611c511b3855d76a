"""``optuna-llm space``: propose a search space for a task in words, or review one."""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
import sys
from typing import Any

from .._proposal.like import in_words
from .._proposal.proposal import ProposedSpace
from .._proposal.propose import DEFAULT_TIMEOUT, large_model, propose_space, space_request
from .._proposal.review import find_facts, Review, review_request, review_space, reviewed_space
from .._store.calls import keep
from .._study.conditions import words
from .._text import plain
from ..errors import ContradictionError, TurnedOffError
from ..llms.base import Request
from . import common
from .storage import open_study


class _ArgumentProblem(common.Problem):
    """The arguments do not go together, or the words allow no space."""

    code = 2


def add_space(commands: common.Subparsers) -> None:
    parser = common.add_parser(
        commands, "space", _run, "propose a search space for a task in words, or review one"
    )
    parser.add_argument("words", nargs="?", default="", help="the task, in quotes")
    parser.add_argument(
        "--like",
        metavar="MODULE:NAME",
        help="a class, a function or a dictionary with the parameters; MODULE is imported, so it "
        "runs",
    )
    parser.add_argument("--code", action="store_true", help="print a program to start from")
    parser.add_argument(
        "--show", action="store_true", help="print what would be sent; sends nothing"
    )
    parser.add_argument(
        "--review", action="store_true", help="review the space of the study in --storage"
    )
    common.add_study(parser, required=False)
    common.add_model(parser, timeout=DEFAULT_TIMEOUT)


def _run(args: argparse.Namespace) -> int:
    if args.review:
        if args.storage is None or args.like or args.code:
            raise _ArgumentProblem(
                "--review needs --storage, and takes neither --like nor --code."
            )
        return _review(args)
    if args.storage or args.study:
        raise _ArgumentProblem("--storage and --study need --review.")
    if not args.words.strip():
        raise _ArgumentProblem('Say in words what is to be tuned: optuna-llm space "...".')
    like = common.imported("--like", args.like, _ArgumentProblem) if args.like else None
    try:
        request = space_request(args.words, like, timeout=args.timeout)
        if args.show:
            return _show(request, args)
        # Before the weights are looked for: nobody shall fetch a model that is too small.
        large_model(args.llm, "design a search space")
        llm = common.checked_llm(args.llm)
        with common.waiting(f"{llm.name} to answer", args.timeout):
            proposed = propose_space(args.words, llm=llm, like=like, timeout=args.timeout)
    except (ContradictionError, ValueError) as error:
        raise _ArgumentProblem(str(error), getattr(error, "hint", "")) from error
    if args.code:
        print(proposed.code(), end="")
    elif args.json:
        common.print_json(_as_json(proposed))
    else:
        _print(proposed)
    return 0


def _show(request: Request, args: argparse.Namespace) -> int:
    if args.json:
        common.print_json(asdict(request))
        return 0
    for message in request.messages:
        print(f"{common.bold('--- ' + message['role'])}\n{message['content']}\n")
    print(f"{common.bold('--- JSON schema of the answer')}\n{json.dumps(request.schema)}")
    return 0


# --- a proposal -------------------------------------------------------------------------------


def _as_json(proposed: ProposedSpace) -> dict[str, Any]:
    return {**json.loads(proposed.to_json()), "call": asdict(proposed.call)}


def _print(proposed: ProposedSpace) -> None:
    rows = []
    for name, distribution in proposed.space.items():
        default = proposed.defaults.get(name, "–")
        rows.append((plain(name, 40), in_words(distribution), plain(default, 30)))
    titles = ("parameter", "range", "first value")
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(3)]
    print(common.bold(_row(titles, widths)))
    for name, row in zip(proposed.space, rows, strict=True):
        print(_row(row, widths))
        if parents := proposed.conditions.get(name):
            print(f"    only with {plain(words(parents))}")
        if why := proposed.why.get(name):
            print(f"    {why}")
    if proposed.note:
        print(f"\n{proposed.note}")


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    pairs = zip(cells, widths, strict=True)
    return "  ".join(cell.ljust(width) for cell, width in pairs).rstrip()


# --- a review ---------------------------------------------------------------------------------


def _review(args: argparse.Namespace) -> int:
    study = open_study(args.storage, args.study)
    try:
        space = reviewed_space(None, study)
    except ValueError as error:
        raise common.StudyProblem(str(error)) from error
    if args.show:
        facts = find_facts(space, study)
        return _show(review_request(space, args.words, facts, timeout=args.timeout), args)
    try:
        with common.waiting("the model to answer", args.timeout):
            review = review_space(space, args.words, study, llm=args.llm, timeout=args.timeout)
    except ValueError as error:
        raise common.Problem(str(error)) from error
    if review.call.requests:
        keep(study, review.call, review.error)
    return _print_review(review, args)


def _print_review(review: Review, args: argparse.Namespace) -> int:
    if args.json:
        common.print_json(
            {
                "facts": review.facts,
                "changes": [
                    dict(zip(("parameter", "change", "why"), change, strict=True))
                    for change in review.changes
                ],
                "note": review.note,
                "error": None if review.error is None else str(review.error),
                "call": asdict(review.call),
            }
        )
    else:
        print(review)
    if review.error is None or isinstance(review.error, TurnedOffError):
        return 0
    print(f"optuna-llm: {review.error} {review.error.hint}".rstrip(), file=sys.stderr)
    return common.Problem.code
