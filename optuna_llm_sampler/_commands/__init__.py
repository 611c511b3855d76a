"""The commands of ``optuna-llm`` that look at a study or at a model."""

from __future__ import annotations

from ._common import Subparsers
from ._doctor import add_doctor
from ._explain import add_explain
from ._prompt import add_prompt
from ._report import add_report
from ._suggest import add_suggest


__all__ = ["add_commands"]


def add_commands(commands: Subparsers) -> None:
    """Add every command of this package to a parser."""
    for add in (add_doctor, add_prompt, add_suggest, add_report, add_explain):
        add(commands)
