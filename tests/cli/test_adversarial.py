"""`ocngame train adversarial`: tables, folder, pictures, resume and evaluate."""

import json

import pytest

from ocngame.cli import main


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def _rows(shown):
    lines = [line.split() for line in shown.splitlines()]
    return {line[0]: line[1:] for line in lines if line and line[0] in {"players", "simultaneous"}}


def test_a_run_shows_methods_and_players_and_can_be_read_back(tmp_path, capsys):
    folder = tmp_path / "run"
    arguments = [
        "train",
        "adversarial",
        "--problem",
        "rotation",
        "--steps",
        "8",
        "--out",
        str(folder),
    ]
    assert main([*arguments, "--methods", "players", "simultaneous"]) == 0
    shown = capsys.readouterr().out
    assert "rotation: 2 players, 2 controls" in shown
    method, players = shown.split("deviation")[0], shown.split("deviation")[1]
    assert float(_rows(method)["players"][0]) < 1e-6
    assert _rows(method)["players"][1] == "3"
    assert float(_rows(method)["simultaneous"][0]) > 1
    player, _, residual, curvature, led, gain = _rows(players)["players"]
    assert player == "0"
    assert float(residual) < 1e-6
    assert float(curvature) == pytest.approx(0.1)
    # The follower answers y = 100 x, along which the leader's x^2 / 20 + 10 x y curves by 2000.1.
    assert float(led) == pytest.approx(2000.1, rel=1e-2)
    assert float(gain) < 1e-9
    names = {"config.json", "metrics.jsonl", "curves.png", "trajectories.png", "checkpoint.pt"}
    assert names <= {file.name for file in folder.iterdir()}
    assert json.loads((folder / "config.json").read_text())["job"] == "adversarial"
    assert main(["evaluate", str(folder)]) == 0
    assert _rows(capsys.readouterr().out.split("deviation")[1])["players"][0] == "0"
    assert main(["resume", str(folder)]) == 0
    assert "going on from step 8 of 8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--problem", "gan9"], "ocngame: problem: unknown name 'gan9'; did you mean 'gan8'"),
        (["--steps", "-1"], "ocngame: steps: expected an integer of at least 0, got -1"),
        (["--information", "stackelberg"], "ocngame: leader: expected the index of a player"),
    ],
)
def test_bad_usage_is_one_sentence(arguments, message, tmp_path, capsys):
    assert main(["train", "adversarial", *arguments, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_gan_shows_its_averaged_players_and_its_samples(tmp_path, capsys):
    folder = tmp_path / "run"
    arguments = ["--problem", "digits-gan", "--steps", "4", "--methods", "players", "--batch-size"]
    assert main(["train", "adversarial", *arguments, "16", "--out", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("classes", "confidence", "distance", "least own"))
    assert "as leader" not in shown
    assert "measured and examined: averaged players" in shown
    assert {"curves.png", "samples.png"} <= {file.name for file in folder.iterdir()}


def test_without_options_a_robust_classifier_is_trained(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ocngame.training.robust.has_torchattacks", lambda: False)
    folder = tmp_path / "run"
    short = ["--steps", "4", "--robust.width", "8", "--methods", "players", "fgsm"]
    assert main(["train", "adversarial", *short, "--out", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "robust-digits: 1437 samples, 360 to test, linf ball of 0.1" in shown
    assert "robust: PGD-50 x 10 (ours)" in shown
    names = {"config.json", "metrics.jsonl", "curves.png", "robustness.png", "checkpoint.pt"}
    assert names <= {file.name for file in folder.iterdir()}
    assert main(["resume", str(folder)]) == 0
    assert "going on from step 4 of 4" in capsys.readouterr().out
    assert main(["evaluate", str(folder)]) == 0
    assert "fgsm" in capsys.readouterr().out
