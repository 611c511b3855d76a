"""``optuna-llm suggest``: ask the model what to try next in a study."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TYPE_CHECKING

from optuna.distributions import FloatDistribution, IntDistribution

from .._advice.advice import Advice, Config, values
from .._advice.ask import ask
from .._store.calls import keep
from .._study import keys as _keys
from .._study.numbers import param_text
from .._text import plain, plural
from . import common
from .prompt import add_sampler, next_question, sampler_of
from .storage import open_study


if TYPE_CHECKING:
    from optuna.study import Study

    from .._study.space import SearchSpace


# Why a configuration or a whole answer was rejected.
_REASONS = {
    "repeated": "nearly the same as another one",
    "known": "nearly the same as a trial of the study",
    "no_parameter": "without a usable value",
    "not_an_object": "not readable",
    "no_object": "without any configuration",
}


def add_suggest(commands: common.Subparsers) -> None:
    parser = common.add_parser(
        commands,
        "suggest",
        _run,
        "ask the model what to try next; adds trials only with --enqueue",
    )
    common.add_study(parser)
    common.add_model(parser, timeout=180)
    add_sampler(parser)
    parser.add_argument(
        "-n", type=_n, default=5, help="number of configurations, 1 to 64 (default: 5)"
    )
    parser.add_argument(
        "--enqueue", action="store_true", help="add them to the study as waiting trials"
    )


def _n(text: str) -> int:
    if not 1 <= int(text) <= 64:
        raise ValueError
    return int(text)


_n.__name__ = "number"


def _run(args: argparse.Namespace) -> int:
    study = open_study(args.storage, args.study)
    sampler = sampler_of(args, args.llm)
    asked = next_question(study, sampler, args.n)
    llm = common.checked_llm(asked.llm)
    question = asked.question
    with common.waiting(f"{llm.name} to answer", args.timeout):
        answer = ask(
            llm,
            question,
            asked.is_duplicate,
            timeout=args.timeout,
            purpose="suggest",
            redact=asked.redact,
        )
    keep(study, answer.call, answer.error)
    if answer.error is not None:
        raise answer.error
    if args.enqueue:
        _enqueue(study, answer.advice.configs, question.space)
    found = {
        "configs": [
            {"params": values(c, question.space), "why": c.why, "repaired": c.repaired}
            for c in answer.advice.configs
        ],
        "missing": missing_line(answer.advice, args.n),
        "note": answer.advice.note,
        "call": asdict(answer.call),
        "enqueued": args.enqueue,
    }
    if args.json:
        common.print_json(found)
    else:
        _show(answer.advice, question.space, args)
    return 0


def _show(advice: Advice, space: SearchSpace, args: argparse.Namespace) -> None:
    for i, config in enumerate(advice.configs, start=1):
        print(f"{common.bold(f'{i}.')} {params_line(config.params, space)}")
        if config.why:
            print(f"   {config.why}")
    added = f"Added to the study as {plural(len(advice.configs), 'waiting trial')}."
    for line in (missing_line(advice, args.n), advice.note, added * args.enqueue):
        if line:
            print(f"\n{line}")


def missing_line(advice: Advice, asked: int) -> str:
    """State why there are fewer configurations than requested; empty if there are enough."""
    n = len(advice.configs)
    if n >= asked:
        return ""
    reasons = [
        f"{advice.rejected[reason]} {words}"
        for reason, words in _REASONS.items()
        if advice.rejected.get(reason)
    ]
    why = f"rejected: {', '.join(reasons)}" if reasons else "the model gave no more"
    return f"{n} of the {plural(asked, 'configuration')} requested; {why}."


def params_line(params: Mapping[str, Any], space: SearchSpace) -> str:
    def written(name: str, value: Any) -> str:
        distribution = space[name]
        if isinstance(distribution, (FloatDistribution, IntDistribution)):
            return param_text(value, distribution)
        return plain(value, 60)

    return ", ".join(f"{plain(name, 60)} = {written(name, v)}" for name, v in params.items())


def _enqueue(study: Study, configs: Sequence[Config], space: SearchSpace) -> None:
    for config in configs:
        attrs = {_keys.WHY: config.why} if config.why else {}
        study.enqueue_trial(values(config, space), user_attrs=attrs)
