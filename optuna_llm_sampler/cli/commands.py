"""The commands of ``optuna-llm`` that look at a study or at a model."""

from __future__ import annotations

from .common import Subparsers
from .doctor import add_doctor
from .explain import add_explain
from .prompt import add_prompt
from .report import add_report
from .suggest import add_suggest


__all__ = ["add_commands"]


def add_commands(commands: Subparsers) -> None:
    """Add every command of this package to a parser."""
    for add in (add_doctor, add_prompt, add_suggest, add_report, add_explain):
        add(commands)
