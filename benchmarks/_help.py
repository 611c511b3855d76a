"""The ``--help`` of the programs here: what they do, how long they take, and every default."""

from __future__ import annotations

import argparse


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, except where there is none to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, [], [""]):
            return action.help
        return super()._get_help_string(action)


def parser(prog: str, what: str, *, takes: str = "") -> argparse.ArgumentParser:
    """Return a parser for ``python -m PROG``.

    Args:
        prog:
            The module's name.
        what:
            What the program does.
        takes:
            How long, and on what.
    """
    end = f"\n\nTakes {takes}." if takes else ""
    return argparse.ArgumentParser(
        prog=f"python -m {prog}", description=what + end, formatter_class=_Formatter
    )


def positive(text: str) -> int:
    """Read an integer of 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value
