"""`ocngame train ode`: the default, its table and folder, resume and evaluate."""

import json
from dataclasses import replace

import pytest

from ocngame.cli import main
from ocngame.cli.parser import parse
from ocngame.training.ode.config import ODEConfig

OPTIMIZERS = {"OCNOpt", "Adam", "SGD+momentum"}


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def _rows(shown):
    lines = [line.split() for line in shown.splitlines()]
    return {line[0]: line[1:] for line in lines if line and line[0] in OPTIMIZERS}


def test_options_have_the_defaults_of_the_job():
    """Settings within settings: the job's learning rates are not those of the digits."""
    command = parse(["train", "ode", "--sgd.momentum", "0.5"])
    assert command.config.adam == ODEConfig().adam
    assert command.config.sgd == replace(ODEConfig().sgd, momentum=0.5)


def test_a_run_of_the_default_problem_can_be_read_back(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["train", "ode", "--steps", "4", "--out", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "japanese_vowels: 270 training and 370 test samples" in shown
    assert set(_rows(shown)) == OPTIMIZERS
    assert _rows(shown)["Adam"][-3:-1][0] == str(4 * 8 * 4)
    names = {"config.json", "metrics.jsonl", "checkpoint.pt", "curves.png", "phase_portrait.png"}
    assert names <= {file.name for file in folder.iterdir()}
    assert json.loads((folder / "config.json").read_text())["job"] == "ode"
    assert main(["evaluate", str(folder)]) == 0
    again = _rows(capsys.readouterr().out)
    assert {name: row[:3] for name, row in again.items()} == {
        name: row[:3] for name, row in _rows(shown).items()
    }
    assert main(["resume", str(folder)]) == 0
    assert "going on from step 4 of 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--problem", "moon"], "ocngame: problem: unknown name 'moon'; did you mean 'moons'"),
        (["--steps", "0"], "ocngame: steps: expected an integer of at least 1, got 0"),
        (["--adam.lr", "-1"], "ocngame: adam.lr: expected a finite number above 0, got -1.0"),
    ],
)
def test_bad_usage_is_one_sentence(arguments, message, tmp_path, capsys):
    assert main(["train", "ode", *arguments, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
