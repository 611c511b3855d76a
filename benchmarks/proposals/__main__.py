"""Propose a space for every sentence, and check it: ``python -m benchmarks.proposals``.

A line of the sentences is a JSON object. Names of parameters are regular expressions, because
each model has its own names.

- ``id``, ``words``: the sentence. ``like``: a current configuration; optional.
- ``bounds``: what the words fix, ``{"parameter": …, "low": …, "high": …}`` or with ``choices``.
- ``max_parameters``: the largest number of parameters; optional.
- ``contradiction``: whether no space can satisfy the words; it must be named then.
- ``expert``: an expert's configuration. It is inside if every value lies inside a parameter that
  its name finds; names that find none are listed as missing.

A name such as ``alpha_over_rank`` is a ratio, which no expression finds that does not say so.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import json
from pathlib import Path
import re
import subprocess
import sys
import tempfile
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from benchmarks._help import parser as help_parser, positive
from benchmarks.regret.endpoint import Endpoint
from optuna_llm_sampler import propose_space, ProposedSpace, Recorder, Replay
from optuna_llm_sampler._study.space import is_legal
from optuna_llm_sampler.errors import ContradictionError, OptunaLLMError
from optuna_llm_sampler.llms import LLM


SENTENCES = Path(__file__).with_name("sentences.jsonl")
_NAMES_CONTRADICTION = re.compile(r"contradict|impossible|conflict|cannot both|inconsistent", re.I)
_RUN_SECONDS = 120


@dataclass(frozen=True)
class Result:
    """What came of one sentence.

    Attributes:
        id:
            Of the sentence.
        held:
            Whether all that the words fix holds, or the contradiction is named.
        inside:
            Whether the expert's configuration lies inside; :obj:`None` where there is none.
        runs:
            Whether the skeleton runs under Optuna; :obj:`None` where there is none.
        remarks:
            What is wrong, in words.
    """

    id: str
    held: bool
    inside: bool | None = None
    runs: bool | None = None
    remarks: tuple[str, ...] = ()


def main(arguments: Sequence[str] | None = None, *, llm: LLM | None = None) -> int:
    """Run the program; return 0 if every stated bound holds and every skeleton runs, else 1."""
    args = _parse(arguments)
    model_of = _models(args, llm)
    lines = args.sentences.read_text(encoding="utf-8").splitlines()
    sentences = [json.loads(line) for line in filter(str.strip, lines)]
    results = []
    with ThreadPoolExecutor(args.jobs) as threads:
        for result in threads.map(lambda s: check(s, model_of(s["id"]), args.timeout), sentences):
            results.append(result)
            _show(result)
    for what, values in (
        ("stated bounds hold or the contradiction is named", [r.held for r in results]),
        ("experts inside", [r.inside for r in results if r.inside is not None]),
        ("skeletons run", [r.runs for r in results if r.runs is not None]),
    ):
        print(f"{what}: {sum(values)} of {len(values)}")
    return 0 if all(r.held and r.runs is not False for r in results) else 1


def _models(args: argparse.Namespace, llm: LLM | None) -> Callable[[str], str | LLM | None]:
    """Return what gives the model of a sentence."""
    if args.base_url:
        endpoint = Endpoint(args.base_url, args.record, args.model_per_study)
        return lambda name: endpoint.model(args.llm.removeprefix("openai/"), name, [])
    model: str | LLM | None = llm or args.llm
    if args.replay:
        model = Replay(args.replay)
    elif args.record:
        model = Recorder(model, args.record)
    return lambda name: model


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = help_parser(
        "benchmarks.proposals",
        "Propose a search space for every sentence; count how many stated bounds hold, how many\n"
        "experts' configurations lie inside, and how many skeletons run.",
        takes="half a minute per sentence with a large model, 1 second with --replay",
    )
    add = parser.add_argument
    add("--llm", help="the model, as LLMSampler takes it; default: that of LLMSampler()")
    add("--sentences", type=Path, default=SENTENCES, help="a JSON Lines file of sentences")
    add(
        "--base-url",
        default="",
        help="endpoint of the model openai/NAME; only what --record has no answer to is asked",
    )
    add("--model-per-study", action="store_true", help="a model's name of its own per sentence")
    add("--record", type=Path, help="write every call to this file")
    add("--replay", help="answer from a file that --record wrote, without a model")
    add("--timeout", type=float, default=180.0, help="longest duration of a call, in seconds")
    add("--jobs", type=positive, default=1, help="sentences that are asked at the same time")
    args = parser.parse_args(arguments)
    if args.base_url and not (args.record and str(args.llm).startswith("openai/")):
        parser.error("--base-url needs --record FILE and --llm openai/NAME")
    return args


def check(sentence: Mapping[str, Any], llm: str | LLM | None, timeout: float = 180.0) -> Result:
    """Propose a space for a sentence, and compare it with what the sentence expects."""
    name = sentence["id"]
    is_contradiction = bool(sentence.get("contradiction"))
    try:
        found = propose_space(
            sentence["words"], llm=llm, like=sentence.get("like"), timeout=timeout
        )
    except ContradictionError as error:
        return Result(name, is_contradiction, remarks=(str(error),))
    except OptunaLLMError as error:
        return Result(name, False, remarks=(f"{type(error).__name__}: {error}",))
    if is_contradiction:
        is_named = bool(_NAMES_CONTRADICTION.search(found.note))
        return Result(name, is_named, runs=runs(found), remarks=(found.note,))
    wrong = list(_violations(sentence, found))
    expert = sentence.get("expert")
    outside, missing = _outside(expert or {}, found.space)
    remarks = (*wrong, *outside, *(f"no {each}" for each in missing))
    inside = None if expert is None else not outside and len(missing) < len(expert)
    return Result(name, not wrong, inside, runs(found), remarks)


def runs(found: ProposedSpace) -> bool:
    """Run the skeleton as a program."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "skeleton.py"
        path.write_text(found.code(), encoding="utf-8")
        command = [sys.executable, str(path)]
        done = subprocess.run(command, capture_output=True, cwd=folder, timeout=_RUN_SECONDS)
    return done.returncode == 0


def _violations(sentence: Mapping[str, Any], found: ProposedSpace) -> Iterator[str]:
    limit = sentence.get("max_parameters")
    if limit is not None and len(found.space) > limit:
        yield f"{len(found.space)} parameters"
    for bound in sentence.get("bounds", ()):
        names = _matching(bound["parameter"], found.space)
        if not names:
            yield f"no {bound['parameter']}"
        for name in names:
            if not _is_within(found.space[name], bound):
                yield f"{name}: {found.space[name]}"


def _is_within(d: BaseDistribution, bound: Mapping[str, Any]) -> bool:
    if "choices" in bound:
        allowed = {_folded(choice) for choice in bound["choices"]}
        return isinstance(d, CategoricalDistribution) and set(map(_folded, d.choices)) == allowed
    low, high = bound.get("low", -float("inf")), bound.get("high", float("inf"))
    if isinstance(d, CategoricalDistribution):
        return all(isinstance(c, (int, float)) and low <= c <= high for c in d.choices)
    assert isinstance(d, (FloatDistribution, IntDistribution))
    return bool(low <= d.low and d.high <= high)


def _folded(choice: Any) -> str:
    return re.sub(r"\W|_", "", str(choice)).casefold()


def _outside(
    expert: Mapping[str, Any], space: Mapping[str, BaseDistribution]
) -> tuple[list[str], list[str]]:
    """Return the expert's values that lie outside, and those that have no parameter."""
    outside, missing = [], []
    for pattern, value in expert.items():
        names = _matching(pattern, space)
        if not names:
            missing.append(pattern)
        elif not any(_holds(space[name], value) for name in names):
            outside.append(f"the expert's {value!r} is outside of {names[0]}: {space[names[0]]}")
    return outside, missing


def _holds(d: BaseDistribution, value: Any) -> bool:
    if isinstance(d, CategoricalDistribution):
        return _folded(value) in map(_folded, d.choices)
    if isinstance(d, (FloatDistribution, IntDistribution)) and isinstance(value, (int, float)):
        # A grid between which the expert's value lies is no exclusion.
        return bool(d.low <= value <= d.high)
    return is_legal(value, d)


def _matching(pattern: str, space: Mapping[str, BaseDistribution]) -> list[str]:
    found = [name for name in space if re.search(pattern, name, re.IGNORECASE)]
    return [name for name in found if "_over_" not in name or "over" in pattern]


def _show(result: Result) -> None:
    words = {True: "yes", False: "NO", None: "–"}
    print(
        f"{result.id:<28} bounds {words[result.held]:<4} expert {words[result.inside]:<4} "
        f"runs {words[result.runs]:<4} {'; '.join(result.remarks)[:400]}".rstrip(),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
