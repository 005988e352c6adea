"""The draw command as a person uses it."""

from pathlib import Path

import pytest

from ocngame.cli import main
from ocngame.games import read_graph

pytestmark = pytest.mark.usefixtures("as_user")
SUPPORT = Path(__file__).parents[1] / "support"


def run(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def test_default_draws_a_ready_network(tmp_path, capsys):
    assert run("draw") == 0
    assert (tmp_path / "game.png").stat().st_size > 1000
    assert "6 with a control (6 linear); 6 players" in capsys.readouterr().out


def test_own_network_with_files(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(SUPPORT)
    options = ["--input", "3", "8", "8", "--players", "block", "--out", "vit.svg"]
    files = ["--graphml", "vit.graphml", "--json", "vit.json"]
    assert run("draw", "networks:VisionTransformer", *options, *files) == 0
    shown = capsys.readouterr().out
    assert "no stage covers: token, position" in shown
    assert "vit.svg, vit.graphml, vit.json" in shown
    assert set(read_graph("vit.json")) == set(read_graph("vit.graphml"))
    assert run("draw", "networks:Recurrent", "--input", "6", "--tokens", "9") == 0
    assert "1 embedding" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["networks:Inception", "--input", "7"], "input: expected the shape of a sample"),
        (["--input", "0"], "input"),
        (["--json", "game.txt"], "json: expected a file ending in .json"),
        (["--out", "nowhere/game.png"], "out: expected files that can be written"),
        (["--out", "game.docx"], "out: expected files that can be written"),
        (["resnet"], "model: unknown name 'resnet'"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, capsys, monkeypatch):
    monkeypatch.syspath_prepend(SUPPORT)
    assert run("draw", *arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
