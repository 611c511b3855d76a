"""Lark grammars (llguidance's dialect) that let a model write only what can be used.

JSON-schema grammars with numeric bounds refuse ``3e-5`` and force ``0.00003``, a form that small
models do not know (small-models.md §2.3). These allow the forms in which people write
hyperparameters and bound the digits, so that no number runs away.
"""

from __future__ import annotations

from collections.abc import Sequence
import json
import math
import re
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from ..._study.labels import find_choice
from ..._study.labels import is_plain
from ..._study.labels import literal
from ..._study.space import labels
from ..._study.space import SearchSpace
from .variants import Variant


# An integer with no more values than this is decoded as a choice.
_MAX_ENUMERATED = 10
# A float has no more digits than this, and a number that is cut nowhere runs away.
_MAX_DIGITS = 17
# Of a chat template; nested ones, too, so that none is left.
_MARK = re.compile(r"<+\|+|\|+>+")
_SPECIAL = re.compile(r"<(?=\|)|(?<=\|)>|`{3,}")
_NO_MARKS = str.maketrans("", "", "(){}[]=:\"'\\")


def code_grammar(
    space: SearchSpace, *, braces: bool, exponents: bool = True, begun: bool = True
) -> str:
    """Return the grammar of what follows ``params = dict(`` (or ``params = {``).

    Args:
        space:
            The parameters, in the order in which they are written.
        braces:
            Whether the answer is a JSON object, for names that are no Python identifiers.
        exponents:
            Whether numbers may be written as ``3e-5``.
        begun:
            Whether the answer goes on from the bracket; else it has some words up to it first.
    """
    rules, items = [], []
    for k, (name, distribution) in enumerate(space.items()):
        key = f"{json_text(name)}: " if braces else f"{name}="
        items.append(f"{json.dumps(key)} P{k}")
        rules.append(f"P{k}: {_terminal(distribution, braces=braces, exponents=exponents)}")
    body = ' ", " '.join(items)
    close = json.dumps("}" if braces else ")")
    if not begun:
        opening = "{" if braces else "("
        body = f'/[^{opening}]{{0,80}}/ "{opening}" {body}'
    return "\n".join(["%llguidance {}", f"start: {body} {close}", *rules]) + "\n"


def list_grammar(
    space: SearchSpace, variants: Sequence[Variant], *, braces: bool, exponents: bool = True
) -> str:
    """Return the grammar of what follows ``params = [``: a configuration per variant.

    Each is complete for its branch by construction, and says its aim in a comment above.
    """
    places = {name: k for k, name in enumerate(space)}
    rules = [
        f"P{k}: {_terminal(space[n], braces=braces, exponents=exponents)}"
        for n, k in places.items()
    ]
    entries = []
    for i, variant in enumerate(variants):
        items = []
        for name in variant.names:
            terminal = f"P{places[name]}"
            if name in variant.where:
                terminal = f"W{i}_{places[name]}"
                literals = value_literals(space[name], variant.where[name], braces=braces)
                rules.append(f"{terminal}: {' | '.join(map(json.dumps, literals))}")
            key = f"{json_text(name)}: " if braces else f"{name}="
            items.append(f"{json.dumps(key)} {terminal}")
        begin, end = ("{", "}") if braces else ("dict(", ")")
        begin = json.dumps(aim_line(variant) + "    " + begin)
        body = ' ", " '.join(items)
        rules.append(f"v{i}: {begin} {body} {json.dumps(end)}")
        entries.append(f"v{i}")
    body = ' ",\\n" '.join(entries)
    return "\n".join(["%llguidance {}", f'start: {body} "\\n]"', *rules]) + "\n"


def aim_line(variant: Variant) -> str:
    """Write what stands above a configuration in a list, without marks that are read as code."""
    aim = comment(variant.aim).translate(_NO_MARKS)
    return f"    # {aim}\n" if aim else ""


def json_text(value: Any) -> str:
    """Write JSON as people do, a letter beyond ASCII as one character.

    What would end a line, a fence or a turn is escaped, so that it reads as what it is.
    """
    return _escaped(json.dumps(value, ensure_ascii=False))


def _escaped(literals: str) -> str:
    text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in literals)
    return _SPECIAL.sub(lambda match: "".join(f"\\u{ord(c):04x}" for c in match[0]), text)


def comment(text: str) -> str:
    """One line, without fences and the marks of a chat template such as ``<|im_end|>``."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _MARK.sub(lambda mark: mark.group().replace("|", ""), line).replace("```", "")


def value_literals(
    distribution: BaseDistribution, values: Sequence[Any], *, braces: bool
) -> list[str]:
    """Write some values of a choice (by label) or of an integer as they stand in code."""
    if isinstance(distribution, CategoricalDistribution):
        literals = choice_literals(distribution, braces=braces)
        names = labels(distribution)
        return [literals[names.index(value)] for value in values]
    return [str(value) for value in values]


def _terminal(distribution: BaseDistribution, *, braces: bool, exponents: bool) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return " | ".join(json.dumps(c) for c in choice_literals(distribution, braces=braces))
    if isinstance(distribution, IntDistribution):
        return _int_terminal(distribution)
    assert isinstance(distribution, FloatDistribution)
    return _float_terminal(distribution, exponents=exponents)


def choice_literals(distribution: CategoricalDistribution, *, braces: bool) -> list[str]:
    """Write each choice as it stands in code: as Python's literal, in braces as JSON's.

    What has no literal, such as a function, and what would be read as another choice, is written
    as the text that is its label.
    """
    literals = []
    for i, label in enumerate(labels(distribution)):
        choice = distribution.choices[i]
        is_label = isinstance(choice, str) or not is_plain(choice)
        value = label if is_label or find_choice(choice, distribution)[0] != i else choice
        literals.append(json_text(value) if braces else _escaped(literal(value)))
    return literals


def few_values(distribution: IntDistribution, most: int) -> range | None:
    """Return the values of an integer that has no more than ``most`` of them."""
    n = (distribution.high - distribution.low) // distribution.step + 1  # may be beyond len()
    return range(distribution.low, distribution.high + 1, distribution.step) if n <= most else None


def _int_terminal(distribution: IntDistribution) -> str:
    values = few_values(distribution, _MAX_ENUMERATED)
    if values is not None:
        return " | ".join(json.dumps(str(value)) for value in values)
    low, high = distribution.low, distribution.high
    largest = max(abs(low), abs(high))
    # Three digits at least: cut short, a 128 that is out of range would become 12.
    digits = max(3, len(str(largest)))
    forms = ["0"] if low <= 0 <= high else []
    forms.append(f"[1-9][0-9]{{0,{min(digits, _MAX_DIGITS) - 1}}}")
    if digits > _MAX_DIGITS:
        decimals = len(str(100 * largest // (high - low))) - 1
        forms.append(_scientific("e", decimals, far=digits > 100))
    sign = "-?" if low < 0 else ""
    return f"/{sign}({'|'.join(forms)})/"


def _float_terminal(distribution: FloatDistribution, *, exponents: bool) -> str:
    """Allow plain numbers, and exponents where people write them or nothing else would do.

    One of the forms comes within a hundredth of the range, in its own scale, of every value.
    """
    low, high = distribution.low, distribution.high
    largest = max(abs(low), abs(high))
    smallest = low if distribution.log else largest
    if distribution.log:
        relative = (math.log(high) - math.log(low)) / 100
        finest = low * relative
    else:
        finest = high / 100 - low / 100
        relative = finest / largest
    digits, decimals = len(str(int(max(largest, 1.0)))), _places(finest)
    small = (exponents and smallest < 1e-2) or decimals > _MAX_DIGITS
    large = (exponents and largest >= 1e4) or digits > _MAX_DIGITS
    # On a logarithmic scale, what is small is written with an exponent.
    decimals = _decimals(distribution) if distribution.log and small else decimals
    decimals = min(max(decimals, _decimals(distribution)), _MAX_DIGITS)
    whole = f"(0|[1-9][0-9]{{0,{min(digits, _MAX_DIGITS) - 1}}})"
    forms = [f"{whole}\\.[0-9]{{1,{decimals}}}", whole]
    if small:
        forms.append(_scientific("e-", _places(2 * relative), far=smallest < 1e-99))
    if large:
        forms.append(_scientific("e", _places(2 * relative), far=largest >= 1e100))
    sign = "-?" if low < 0 else ""
    return f"/{sign}({'|'.join(forms)})/"


def _places(difference: float) -> int:
    """Digits after the point with which numbers as near as this are told apart."""
    return math.ceil(-math.log10(difference)) if difference > 0 else _MAX_DIGITS + 1


def _scientific(exponent: str, decimals: int, *, far: bool) -> str:
    """Allow ``3e-5`` and ``1.25e-5``; exponents of three digits only if they are needed."""
    more = "{0,2}" if far else "?"
    return f"[1-9](\\.[0-9]{{1,{min(max(decimals, 2), _MAX_DIGITS)}}})?{exponent}[1-9][0-9]{more}"


def _decimals(distribution: FloatDistribution) -> int:
    """Digits after the point that people use: four, or two of the smallest on a log scale."""
    if not distribution.log:
        return 4
    return max(1, min(8, 2 - math.floor(math.log10(distribution.low))))
