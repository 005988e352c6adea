"""`ocngame train marl`: progress, table, folder, resume and evaluate."""

import json

import pytest

from ocngame.cli import main

SMALL = ["--frames", "800", "--copies", "8", "--episodes", "8", "--evaluation-copies", "8"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def test_a_run_shows_returns_and_can_be_read_back(tmp_path, capsys):
    folder = tmp_path / "run"
    arguments = ["train", "marl", *SMALL, "--world", "simple_tag", "--out", str(folder)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "simple_tag: ippo with adam" in shown
    assert "frames/s" in shown
    assert "800/800 frames" in shown
    rows = {line.split()[0] for line in shown.splitlines() if "±" in line and line.split()}
    names = {"config.json", "metrics.jsonl", "checkpoint.pt", "curves.png"}
    assert names <= {file.name for file in folder.iterdir()}
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    teams = {row["team"] for row in metrics}
    assert len(teams) == 2
    assert teams <= rows
    assert main(["evaluate", str(folder), "--episodes", "16"]) == 0
    assert "of 16 episodes" in capsys.readouterr().out
    assert main(["resume", str(folder)]) == 0
    assert "going on from update 4 of 4" in capsys.readouterr().out
    assert main(["evaluate", str(folder), "--world", "simple_spread"]) == 2
    assert "ocngame: world: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--world", "simple_spraed"], "ocngame: world: unknown name 'simple_spraed'; did you"),
        (["--adam.lr", "0"], "ocngame: adam.lr: expected a finite number above 0, got 0.0"),
        (["--network.width", "0"], "ocngame: network.width: expected an integer of at least 1"),
    ],
)
def test_bad_usage_is_one_sentence(arguments, message, tmp_path, capsys):
    assert main(["train", "marl", *arguments, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
