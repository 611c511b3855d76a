"""Thirty sentences as people write them, answered by a frontier chat model: replayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.proposals.__main__ import main


FOLDER = Path(__file__).parents[2] / "benchmarks" / "proposals"


def test_what_people_state_holds(capsys: pytest.CaptureFixture[str]) -> None:
    sentences, answers = FOLDER / "frontier_sentences.jsonl", FOLDER / "frontier.jsonl"
    main(["--sentences", str(sentences), "--replay", str(answers)])
    printed = capsys.readouterr().out
    # Eight are read in another way now, and wait for new answers.
    assert printed.count("no answer to this request") == 8
    assert "stated bounds hold or the contradiction is named: 22 of 30" in printed
    assert "experts inside: 16 of 16" in printed
    assert "skeletons run: 16 of 16" in printed
