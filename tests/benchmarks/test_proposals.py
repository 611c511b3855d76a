"""Thirty sentences as people write them, answered by a frontier chat model: replayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.proposals.__main__ import main


FOLDER = Path(__file__).parents[2] / "benchmarks" / "proposals"


def test_what_people_state_holds(capsys: pytest.CaptureFixture[str]) -> None:
    sentences, answers = FOLDER / "frontier_sentences.jsonl", FOLDER / "frontier.jsonl"
    assert main(["--sentences", str(sentences), "--replay", str(answers)]) == 0
    printed = capsys.readouterr().out
    assert "stated bounds hold or the contradiction is named: 30 of 30" in printed
    assert "experts inside: 24 of 24" in printed
    assert "skeletons run: 24 of 24" in printed
