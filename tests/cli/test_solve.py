"""`ocngame solve`: table, folder, pictures, and refusals before any work is done."""

import json

import numpy as np
import pytest
from PIL import Image

from ocngame.cli import main
from ocngame.games.zoo import READY


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def test_a_ready_game_is_solved_and_examined(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["solve", "pendulum", "--out", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "pendulum: 2 players, 2 states, 2 controls, 50 stages; feedback: solved" in shown
    rows = [line.split() for line in shown.splitlines() if line.strip()[:1] in {"0", "1"}]
    assert [row[0] for row in rows] == ["0", "1"]
    assert float(rows[0][1]) == -float(rows[1][1])
    for _, _, residual, curvature, gain, relative in rows:
        assert float(residual) < 1e-8
        assert float(curvature) > 0
        assert 0 <= float(gain) < 1e-6
        assert float(relative) < 1e-6
    names = {"config.json", "solution.npz", "trajectory.png"}
    assert {file.name for file in folder.iterdir()} == names
    assert json.loads((folder / "config.json").read_text())["game"] == "pendulum"
    with np.load(folder / "solution.npz") as file:
        assert {name: file[name].shape for name in file} == {
            "states": (51, 2),
            "controls": (50, 2),
            "feedback": (50, 2, 2),
        }


def test_bodies_in_the_plane_are_animated(tmp_path):
    folder = tmp_path / "run"
    assert main(["solve", "point_mass", "--starts", "0", "--out", str(folder)]) == 0
    with Image.open(folder / "animation.gif") as picture:
        frames = getattr(picture, "n_frames", 1)
        first = picture.convert("RGB").tobytes()
        picture.seek(frames - 1)
        assert frames > 20
        assert picture.convert("RGB").tobytes() != first


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["crossing"], 2, "ocngame: game: unknown name 'crossing'; known: duopoly, formation"),
        (["pendulum", "--seed", "-1"], 2, "ocngame: seed: expected an integer of at least 0"),
        (["pendulum", "--out", "."], 2, "ocngame: out: expected a folder that does not exist yet"),
        (["pendulum", "--information", "open_loop"], 1, "ocngame: game: no open_loop solution"),
    ],
)
def test_refusals(tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    assert main(["solve", *arguments]) == code
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_the_default_is_one_of_the_ready_games():
    from ocngame.cli.commands import Solve

    assert Solve().game in READY
