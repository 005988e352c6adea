"""Runs with a fixed or a trained time: counts, choice of the rate, report from the file alone."""

from dataclasses import replace

from benchmarks.ode import horizon
from benchmarks.ode.horizon import RATES, TimeCell, TimeRun, cells, read_horizons, tuned_rate
from benchmarks.ode.horizon_report import draw_horizons, horizon_lines

CELL = TimeCell(rule="second_order", time=1.0, cost=0.01, lr=0.0, seed=0)


def run_of(cell, *, evaluations=8, loss=0.1):
    return TimeRun(
        cell=cell,
        curve=((5, 1.0, 80, 0.5), (10, 0.5, 140, loss)),
        evaluations=evaluations,
        total=140,
        train_loss=loss,
        test_loss=0.2,
        test_accuracy=0.95,
        seconds=1.0,
    )


def test_evaluations_of_a_run_are_counted():
    fixed = horizon.train(TimeCell(rule="fixed", time=0.5, cost=0.0, lr=0.0, seed=0, steps=10))
    assert [point[2] for point in fixed.curve] == [40, 80]
    assert (fixed.evaluations, fixed.total) == (8, 80)
    trained = horizon.train(replace(CELL, steps=15))
    assert [point[1] for point in trained.curve][:2] == [1.0, 1.0]
    assert trained.curve[-1][1] < 1.0
    assert trained.total == trained.curve[-1][2] > 15 * 12


def test_a_run_is_kept_and_the_cheapest_rate_is_chosen(tmp_path, monkeypatch):
    made = []

    def train(cell):
        made.append(cell)
        return run_of(cell, loss=abs(cell.lr - RATES[1]), evaluations=4)

    monkeypatch.setattr(horizon, "train", train)
    path = tmp_path / "horizon.jsonl"
    assert tuned_rate(path) == tuned_rate(path) == RATES[1]
    assert len(made) == len(RATES) == len(read_horizons(path))


def test_the_section_is_made_from_runs_alone(tmp_path):
    runs = [run_of(cell) for seed in (0, 1, 2) for cell in cells(0.03, seed)]
    whole = TimeCell(rule="fixed", time=1.0, cost=0.0, lr=0.0, seed=0)
    for number, run in enumerate(runs):
        if run.cell == replace(whole, seed=run.cell.seed):
            runs[number] = replace(run, evaluations=16, test_accuracy=0.96)
    text = "\n".join(horizon_lines(runs))
    assert text.count("| second order |") == text.count("| first order (Adam) |") == 3
    assert "95.0 [95.0, 95.0] %" in text
    assert "50 % fewer evaluations of a pass" in text.replace("\n  ", " ")
    assert "-1.0 points in the mean" in text.replace("\n  ", " ")
    assert horizon_lines(runs[:3]) == []
    draw_horizons(runs, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
