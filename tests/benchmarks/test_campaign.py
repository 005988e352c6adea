"""Runs are kept and not repeated; learning rates are chosen and figures made as the report says."""

import math
from pathlib import Path

import pytest

from benchmarks.supervised import campaign as module
from benchmarks.supervised.analysis import Figure, Results, ratio
from benchmarks.supervised.campaign import Campaign
from benchmarks.supervised.report import write_report
from benchmarks.supervised.runner import run, thinned
from benchmarks.supervised.store import Run, Timing, append, newest, prune, read
from benchmarks.supervised.tasks import TASKS
from benchmarks.supervised.tuning import best, by_quality, by_speed, wider


def made(**changes: object) -> Run:
    settings = {"task": "wine", "optimizer": "adam", "lr": 0.01, "seed": 0, "tuning": True}
    return Run(**(settings | changes))  # pyright: ignore[reportArgumentType]


def test_a_killed_campaign_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    first = Campaign(path, say=lambda _: None)
    kept = first.make("adam", TASKS["wine"], 0.03, 0)
    with path.open("a") as file:
        file.write('{"kind":"run","task":"wi')  # killed while it wrote
    again = Campaign(path, say=lambda _: None).make("adam", TASKS["wine"], 0.03, 1)
    assert read(path)[0] == [kept, again]
    monkeypatch.setattr(module, "run", lambda *_args, **_more: pytest.fail("made again"))
    assert Campaign(path, say=lambda _: None).make("adam", TASKS["wine"], 0.03, 0) == kept


def test_a_run_repeats_and_a_tuning_run_differs() -> None:
    one, same = (run("adam", TASKS["wine"], lr=0.03, seed=0, tuning=False) for _ in range(2))
    tuned = run("adam", TASKS["wine"], lr=0.03, seed=0, tuning=True)
    assert one.curve == same.curve
    assert one.test == same.test
    assert one.validation is None
    assert tuned.validation is not None
    assert one.reached is not None
    assert dict(one.curve)[one.reached] <= TASKS["wine"].target


def test_a_run_to_the_target_stops_there() -> None:
    whole = run("adam", TASKS["wine"], lr=0.03, seed=0, tuning=False)
    short = run("adam", TASKS["wine"], lr=0.03, seed=0, tuning=False, only_target=True)
    assert short.reached == short.steps == whole.reached
    assert short.test is None


def test_a_run_that_blows_up_is_never_there() -> None:
    blown = run("sgd", TASKS["wine"], lr=1e6, seed=0, tuning=True)
    assert blown.reached is None
    assert blown.steps < TASKS["wine"].steps
    assert by_speed(blown)[0] == math.inf


def test_rates_are_chosen_for_quality_and_speed_and_the_grid_is_widened() -> None:
    grid = (0.01, 0.03, 0.1)
    runs = [
        made(lr=0.01, reached=None, validation=(0.99, 0.1), curve=((9, 0.5),)),
        made(lr=0.03, reached=40, validation=(0.98, 0.05), curve=((9, 0.1),)),
        made(lr=0.1, reached=60, validation=(0.98, 0.06), curve=((9, 0.2),)),
    ]
    assert best(runs, by_quality) == 0.01
    assert best(runs, by_speed) == 0.03
    assert wider(runs, grid) == pytest.approx(0.003)
    worse = made(lr=0.003, reached=None, validation=(0.5, 0.4), curve=((9, 1.0),))
    assert wider([*runs, worse], grid) is None


def test_older_runs_of_ocnopt_are_superseded(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    old, new = (made(optimizer="ocnopt", source=s, tuning=False) for s in ("a", "b"))
    other = made()
    for item in (old, other, new):
        append(item, path)
    append(Timing(task="wine", source="a", milliseconds={}, ratios={"adam": 1.0}), path)
    assert newest(read(path)[0]) == [other, new]
    prune(path)
    assert read(path)[0] == [other, new]
    assert len(read(path)[1]) == 1


def test_a_seed_that_never_arrives_makes_the_mean_never() -> None:
    figure = Figure.of([10.0, math.inf, 12.0])
    assert math.isinf(figure.mean)
    assert figure.shown() == "never (1/3)"
    assert Figure.of([10.0, 12.0]).shown() == "11 ± 1"
    assert ratio(30.0, 40.0) == 0.75
    assert ratio(30.0, math.inf) == 0.0
    assert math.isinf(ratio(math.inf, 40.0))
    assert math.isnan(ratio(math.inf, math.inf))


def test_a_thinned_curve_keeps_the_target_and_the_end() -> None:
    curve = [(step, 1.0 / step) for step in range(1, 301)]
    kept = thinned(curve, 77)
    assert len(kept) < 40
    assert kept[-1][0] == 300
    assert 77 in dict(kept)


def test_the_report_compares_with_the_best_peer_and_says_what_lost(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for name, reached, accuracy in (("adam", 40, 0.9), ("soap", 20, 0.8), ("ocnopt", 30, 0.85)):
        lr = 1.0 if name == "ocnopt" else 0.01
        common = {"optimizer": name, "lr": lr, "reached": reached, "curve": ((1, 1.0), (9, 1e-4))}
        if name != "ocnopt":
            append(made(**common, validation=(0.9, 0.1)), path)
        for seed in range(2):
            append(made(**common, seed=seed, tuning=False, test=(accuracy, 0.2)), path)
    ratios = {"adam": 1.0, "soap": 2.0, "ocnopt": 3.0}
    append(Timing(task="wine", source="", milliseconds={}, ratios=ratios), path)
    results = Results.load(path)
    found = results.best_steps("wine")
    assert found is not None
    assert found.optimizer == "soap"
    assert results.best_seconds("wine") in {"adam", "soap"}
    write_report(path, tmp_path / "out")
    text = (tmp_path / "out" / "supervised.md").read_text()
    assert "| 30 ± 0 | SOAP | 20 ± 0 | 1.50 | 2.25 |" in text
    assert "OCNOpt loses: 30 steps against 20 of SOAP" in text
    assert "5.00 points below that of Adam" in text
    assert (tmp_path / "out" / "supervised_curves.png").stat().st_size > 0
