"""Lark grammars (llguidance's dialect) of the configurations that a model may write.

They allow the forms in which people write numbers, such as ``3e-5``, and bound the number of
digits (decisions.md, "What small models are shown").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import math

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ..._study.space import SearchSpace
from .notation import few_values, Notation
from .variants import Variant


# An integer with no more values than this is decoded as a choice.
_MAX_ENUMERATED = 10
# No float needs more digits.
_MAX_DIGITS = 17


def code_grammar(
    space: SearchSpace, notation: Notation, *, exponents: bool = True, prefilled: bool = True
) -> str:
    """Return the grammar of one configuration after its opening bracket.

    Args:
        space:
            The parameters, in the order in which they are written.
        notation:
            How a configuration is written.
        exponents:
            Whether numbers may be written as ``3e-5``.
        prefilled:
            Whether the answer continues after the bracket; else it has some words before it.
    """
    rules = _rules(space, notation, exponents=exponents)
    body = _body({name: f"P{i}" for i, name in enumerate(space)}, notation)
    if not prefilled:
        bracket = notation.start[-1]
        body = f'/[^{bracket}]{{0,80}}/ "{bracket}" {body}'
    return _grammar(f"{body} {json.dumps(notation.end)}", rules)


def list_grammar(
    space: SearchSpace,
    variants: Sequence[Variant],
    notation: Notation,
    *,
    exponents: bool = True,
) -> str:
    """Return the grammar of a list with one configuration per variant, after its bracket.

    Each configuration has all parameters of its branch, and its aim in a comment above.
    """
    rules = _rules(space, notation, exponents=exponents)
    positions = {name: i for i, name in enumerate(space)}
    for i, variant in enumerate(variants):
        terminals = {name: f"P{positions[name]}" for name in variant.names}
        for name in variant.names:
            if name in variant.where:
                terminals[name] = f"W{i}_{positions[name]}"
                allowed = notation.values(space[name], variant.where[name])
                rules.append(f"{terminals[name]}: {' | '.join(map(json.dumps, allowed))}")
        start = json.dumps(f"{variant.aim_line}    {notation.start}")
        body = _body(terminals, notation)
        rules.append(f"v{i}: {start} {body} {json.dumps(notation.end)}")
    body = ' ",\\n" '.join(f"v{i}" for i in range(len(variants)))
    return _grammar(f'{body} "\\n]"', rules)


def _grammar(start: str, rules: Sequence[str]) -> str:
    return "\n".join(["%llguidance {}", f"start: {start}", *rules]) + "\n"


def _rules(space: SearchSpace, notation: Notation, *, exponents: bool) -> list[str]:
    return [
        f"P{i}: {_terminal(distribution, notation, exponents=exponents)}"
        for i, distribution in enumerate(space.values())
    ]


def _body(terminals: Mapping[str, str], notation: Notation) -> str:
    return ' ", " '.join(
        f"{json.dumps(notation.key(name))} {terminal}" for name, terminal in terminals.items()
    )


def _terminal(distribution: BaseDistribution, notation: Notation, *, exponents: bool) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return " | ".join(map(json.dumps, notation.choices(distribution)))
    if isinstance(distribution, IntDistribution):
        return _int_terminal(distribution)
    assert isinstance(distribution, FloatDistribution)
    return _float_terminal(distribution, exponents=exponents)


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
        forms.append(_scientific("e", decimals, long_exponent=digits > 100))
    return _regex(forms, signed=low < 0)


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
    digits, decimals = len(str(int(max(largest, 1.0)))), _decimals(finest)
    small = (exponents and smallest < 1e-2) or decimals > _MAX_DIGITS
    large = (exponents and largest >= 1e4) or digits > _MAX_DIGITS
    # On a logarithmic scale, small numbers are written with an exponent.
    decimals = _usual_decimals(distribution) if distribution.log and small else decimals
    decimals = min(max(decimals, _usual_decimals(distribution)), _MAX_DIGITS)
    whole = f"(0|[1-9][0-9]{{0,{min(digits, _MAX_DIGITS) - 1}}})"
    forms = [f"{whole}\\.[0-9]{{1,{decimals}}}", whole]
    if small:
        forms.append(_scientific("e-", _decimals(2 * relative), long_exponent=smallest < 1e-99))
    if large:
        forms.append(_scientific("e", _decimals(2 * relative), long_exponent=largest >= 1e100))
    return _regex(forms, signed=low < 0)


def _regex(forms: Sequence[str], *, signed: bool) -> str:
    return f"/{'-?' if signed else ''}({'|'.join(forms)})/"


def _scientific(exponent: str, decimals: int, *, long_exponent: bool) -> str:
    """Allow ``3e-5`` and ``1.25e-5``; exponents of three digits only if they are needed."""
    more = "{0,2}" if long_exponent else "?"
    return f"[1-9](\\.[0-9]{{1,{min(max(decimals, 2), _MAX_DIGITS)}}})?{exponent}[1-9][0-9]{more}"


def _decimals(difference: float) -> int:
    """Return the digits after the point that tell apart numbers with this difference."""
    return math.ceil(-math.log10(difference)) if difference > 0 else _MAX_DIGITS + 1


def _usual_decimals(distribution: FloatDistribution) -> int:
    """Return the digits after the point that people use: four, or two of the smallest if log."""
    if not distribution.log:
        return 4
    return max(1, min(8, 2 - math.floor(math.log10(distribution.low))))
