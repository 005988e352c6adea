"""A benchmark is resumed, survives failures, and its files say what was measured."""

import csv
import json

import numpy as np
import pytest
from benchmark_content import without_times

from ocngame.agents.benchmark import CrossPlay, Entrant, Suite, load_suite, run_benchmark
from ocngame.agents.benchmark.contenders import Contender
from ocngame.agents.training.worlds import make_world
from ocngame.cli import main
from ocngame.errors import InvalidInputError, UnknownNameError

IPPO = Contender(algorithm="ippo", optimizer="adam")


def _suite(**changes):
    values = {
        "name": "small",
        "worlds": ("simple_push",),
        "seeds": (0, 1),
        "frames": 400,
        "points": 2,
        "point_episodes": 8,
        "episodes": 8,
        "crossplay_episodes": 8,
        "draws": 100,
        "videos": False,
        "settings": {"copies": 8, "evaluation_copies": 8, "checkpoint_every": 1},
    }
    return Suite(**(values | changes))


def _content(path):
    return without_times(json.loads((path / "results.json").read_text()))


def test_a_stopped_benchmark_goes_on_and_ends_alike(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    suite = _suite(seeds=(0,))
    run_benchmark(suite, whole)

    def stop(what, done, total):
        # In the middle of the second training.
        if what.startswith("3/3") and done == 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(suite, cut, notify=stop)
    before = {p: p.stat().st_mtime_ns for p in (cut / "cells").iterdir()}
    assert len(before) == 2
    assert not (cut / "results.json").exists()
    seen = []
    run_benchmark(suite, cut, notify=lambda what, done, total: seen.append((what, done)))
    assert all(p.stat().st_mtime_ns == time for p, time in before.items())
    assert [s for s in seen if "seed" in s[0]] == [("1/1 simple_push ippo ocnopt seed 0", 400)]
    assert _content(cut) == _content(whole)
    # Random play is one run, and so are the contenders here: none has an interval.
    table = (cut / "report.md").read_text().partition("## Cross-play")[0]
    assert table.count("[") == 0
    assert "simple_push | agent | random | 1" in table
    files = {"results.json", "results.csv", "report.md", "crossplay.png"}
    files |= {"curves_frames.png", "curves_cpu_seconds.png"}
    assert files <= {p.name for p in cut.iterdir()}
    with (cut / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(r["team"], r["label"]) for r in rows} == {
        (team, label)
        for team in ("adversary", "agent")
        for label in ("random", "ippo adam", "ippo ocnopt")
    }
    cross = json.loads((cut / "results.json").read_text())["crossplay"]["simple_push"]
    assert cross["labels"] == ["ippo adam", "ippo ocnopt", "random"]


def test_a_failing_cell_is_recorded_and_made_up_for_later(tmp_path):
    broken = True

    def make(name, copies, device):
        if broken and name == "simple_spread":
            raise RuntimeError("out of order")
        return make_world(name, copies, device)

    suite = _suite(worlds=("simple_spread", "simple_push"), seeds=(0,), optimizers=("ocnopt",))
    content = run_benchmark(suite, tmp_path, make=make)
    assert {f["error"] for f in content["failures"]} == {"out of order"}
    assert len(content["failures"]) == 2
    assert {r["world"] for r in content["rows"]} == {"simple_push"}
    assert "out of order" in (tmp_path / "report.md").read_text()
    broken = False
    content = run_benchmark(suite, tmp_path, make=make)
    assert content["failures"] == []
    assert not list((tmp_path / "cells").glob("*.failed.json"))
    assert {r["world"] for r in content["rows"]} == {"simple_spread", "simple_push"}


def test_cross_play_says_who_is_better():
    entrants = [Entrant(label=name, run=None) for name in ("good", "good", "bad", "bad")]
    skill = np.array([2.0, 1.8, 0.0, 0.1])
    noise = np.random.default_rng(0).normal(size=(2, 4, 4, 50))
    edge = skill[:, None, None] - skill[None, :, None]
    cross = CrossPlay(entrants, np.stack([edge, -edge]) + noise)
    good, bad = cross.ratings(seed=0, draws=100, confidence=0.95)
    assert good.low > bad.high
    first, second = cross.matrices(seed=0, draws=100, confidence=0.95)
    assert first[0][1].value == pytest.approx(1.85, abs=0.3)
    assert second[0][1].value == pytest.approx(-1.85, abs=0.3)
    assert first[0][1].low <= first[0][1].value <= first[0][1].high


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worlds = ['simple_spred']", "did you mean 'simple_spread'"),
        ("worlds = ['simple_spread']\nframe = 3", "did you mean 'frames'"),
        ("worlds = ['simple_spread']\nframes = 0", "frames: expected an integer"),
        ("worlds = ['simple_spread']\nseeds = []", "seeds: expected a list of different integers"),
        ("worlds = 3", "worlds: expected a list, got 3"),
        ("seeds = [1]", "expected an entry worlds"),
        ("worlds = [", "expected TOML"),
        ("worlds = ['simple_spread']\nsettings.adam.lrr = 1", "settings.adam: unknown name"),
        ("worlds = ['simple_spread']\nsettings.seed = 1", "settings.seed: a suite decides"),
        ("worlds = ['simple_spread']\noptimizers = ['adamm']", "did you mean 'adam'"),
    ],
)
def test_bad_suites(text, message, tmp_path):
    path = tmp_path / "suite.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=message.replace("[", r"\[")):
        load_suite(str(path))


def test_a_suite_file_is_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("worlds = ['simple_tag']\nseeds = [4]\nsettings.adam.lr = 0.01")
    suite = load_suite(str(path))
    assert (suite.name, suite.seeds) == ("mine", (4,))
    assert suite.config("simple_tag", IPPO, 4).adam.lr == 0.01
    with pytest.raises(UnknownNameError, match="did you mean 'smoke'"):
        load_suite("smok")


def test_the_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    path = tmp_path / "mine.toml"
    path.write_text(
        "worlds = ['simple_push']\nseeds = [0]\noptimizers = ['ocnopt']\nframes = 400\n"
        "point_episodes = 8\nepisodes = 8\ncrossplay_episodes = 8\ndraws = 100\n"
        "[settings]\ncopies = 8\nevaluation_copies = 8\n"
    )
    out = tmp_path / "out"
    assert main(["benchmark", str(path), "--out", str(out)]) == 0
    assert "ippo ocnopt" in capsys.readouterr().out
    (run,) = (out / "runs").iterdir()
    assert main(["play", str(run), "random", "--episodes", "8"]) == 0
    shown = capsys.readouterr().out
    assert "of 8 episodes" in shown
    assert "adversary" in shown
    assert main(["play", "random", "--world", "simple_push"]) == 2
    assert "players: expected one for each team" in capsys.readouterr().err
    assert main(["play", "random", "random"]) == 2
    assert "world: expected a name" in capsys.readouterr().err
    assert main(["benchmark", "smok", "--out", str(out)]) == 2
    assert "did you mean 'smoke'" in capsys.readouterr().err
