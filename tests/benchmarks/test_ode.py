"""Runs are kept and not repeated; figures and the report are made from them alone."""

import math
from pathlib import Path

import pytest

from benchmarks.ode import campaign
from benchmarks.ode.figures import Figures, ratio
from benchmarks.ode.report import lines, write_report
from benchmarks.ode.runner import run
from benchmarks.ode.store import Cell, Run, make, read
from benchmarks.ode.tasks import best
from benchmarks.ode.timing import Timing

CELL = Cell(task="basic_motions", optimizer="adam", lr=0.01, solver="rk4", seed=0, steps=60)


def made(curve, **changes):
    cell = Cell(**({**CELL.__dict__} | changes))
    return Run(
        cell=cell,
        curve=curve,
        test_loss=1.0,
        test_accuracy=0.5,
        state_bytes=80,
        parameters=10,
    )


def test_a_run_is_kept_and_not_made_again(tmp_path: Path):
    path = tmp_path / "results.jsonl"
    first = make(CELL, path, lambda cell: made(((2, 0.5, 64, 0.1),), lr=cell.lr))
    with path.open("a") as file:
        file.write('{"cell":{"task":"x')  # killed while it wrote
    again = make(CELL, path, lambda _: pytest.fail("made again"))
    assert first == again
    assert read(path) == [first]


def test_a_run_repeats_and_stops_at_its_target():
    cell = Cell(task="oscillations", optimizer="adam", lr=0.01, solver="rk4", seed=0, steps=8)
    whole, same = run(cell), run(cell)
    assert [p[:3] for p in whole.curve] == [p[:3] for p in same.curve]
    assert [p[0] for p in whole.curve] == [2, 4, 6, 8]
    assert [p[2] for p in whole.curve] == [64, 128, 192, 256]
    assert whole.state_bytes >= 8 * whole.parameters
    stopped = run(cell, stop=1.01 * whole.curve[1][1])
    assert stopped.curve[-1][0] <= 4


def test_a_diverging_run_ends_and_is_never_chosen():
    cell = Cell(task="oscillations", optimizer="sgd", lr=30.0, solver="rk4", seed=0, steps=12)
    wild = run(cell)
    assert wild.refused == -1
    assert len(wild.curve) < 6
    good = made(((2, 0.5, 64, 0.1), (4, 0.1, 128, 0.2)), lr=0.3)
    assert best([wild, good], 0.01) == 0.3
    fast = made(((2, 0.009, 64, 0.1),), lr=0.1)
    assert best([wild, good, fast], 0.01) == 0.1


def test_the_grid_is_tuned_on_a_seed_that_is_not_compared(tmp_path, monkeypatch):
    asked = []

    def fake(cell, stop=None):
        asked.append((cell, stop))
        return made(((4, 0.001 if cell.lr == 0.03 else 1.0, 128, 0.2),), **cell.__dict__)

    monkeypatch.setattr(campaign, "run", fake)
    campaign.compare("basic_motions", "adam", tmp_path / "results.jsonl")
    tuning, seeds = asked[:4], asked[4:]
    assert {cell.seed for cell, _ in tuning} == {100}
    assert [cell.seed for cell, _ in seeds] == [0, 1, 2]
    assert {cell.lr for cell, _ in seeds} == {0.03}


def test_figures_and_ratios():
    ours = [
        made(((k, 0.01, 32 * k, 0.1),), optimizer="ocnopt", lr=1.0, seed=s, source="b")
        for s, k in enumerate((10, 20, 30))
    ]
    older = [made(((2, 0.01, 64, 0.1),), optimizer="ocnopt", lr=1.0, seed=0, source="a")]
    adam = [made(((40, 0.01, 1280, 0.1),), seed=s) for s in range(2)]
    adam.append(made(((60, 0.5, 1920, 0.1),), seed=2))
    timing = Timing(
        task="basic_motions",
        source="b",
        seconds={"ocnopt": [3.0, 2.0, 1.0], "adam": [1.0, 1.0, 1.0]},
        evaluations={"ocnopt": 32.0, "adam": 32.0},
    )
    figures = Figures([*older, *ours, *adam][1:], {"basic_motions": timing})
    assert figures.steps("basic_motions", "ocnopt") == [10, 20, 30]
    assert figures.steps("basic_motions", "adam") == [40, 40, math.inf]
    assert figures.seconds("basic_motions", "ocnopt") == pytest.approx(10 * 3 + 10 * 2)
    assert figures.seconds("basic_motions", "adam") == pytest.approx(40)
    assert timing.to("ocnopt", 45) == pytest.approx(10 * 3 + 10 * 2 + 25 * 1)
    assert figures.pace("basic_motions", "ocnopt") == pytest.approx(2)
    assert figures.late_pace("basic_motions", "ocnopt") == pytest.approx(1.5)
    row = next(line for line in lines(figures, {}) if line.startswith("| BasicMotions | 0.02 "))
    assert row.split(" | ")[-2:] == ["0.50", "0.50 |"]
    assert ratio(3.0, math.inf) == 0
    assert math.isnan(ratio(math.inf, math.inf))


def test_a_report_can_be_written_from_nothing(tmp_path: Path):
    write_report(*[tmp_path / "none"] * 3, tmp_path)
    assert (tmp_path / "ode.md").read_text().startswith("# Continuous time")
    assert (tmp_path / "ode_curves.png").read_bytes().startswith(b"\x89PNG")
