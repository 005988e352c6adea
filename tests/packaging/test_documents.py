"""The README's commands exist, its example runs, links lead somewhere, and the docs build."""

import contextlib
import io
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

import ocngame as og

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_readme_starts_with_the_two_commands():
    commands = [line.split("#")[0].strip() for line in blocks("README.md", "bash")[0].splitlines()]
    assert commands == ["./run train supervised", "./run test"]


def test_readme_example_trains_and_draws(tmp_path, monkeypatch):
    example = "\n".join(blocks("README.md", "python"))
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    printed = io.StringIO()
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), names)
    assert re.findall(r"epoch (\d): loss \d\.\d+", printed.getvalue()) == ["0", "1", "2"]
    assert names["solution"].status is og.Status.SOLVED
    hits = names["model"](names["x"]).argmax(1) == names["y"]
    assert hits.double().mean() > 0.97
    assert (tmp_path / "game.png").read_bytes().startswith(b"\x89PNG")


def test_the_guide_to_games_runs():
    (example,) = blocks("docs/games.md", "python")
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(example, "docs/games.md", "exec"), names)
    assert names["solution"].status is og.Status.SOLVED
    assert float(names["gain"].relative.max()) < 1e-9


def test_the_guide_to_networks_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    example = "\n".join(blocks("docs/networks.md", "python"))
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(example, "docs/networks.md", "exec"), names)
    game = names["game"]
    assert not game.uncovered
    assert game.live_state("_0_second") == ("input_1", "relu")
    assert names["whole"].uncovered == ("1.inner.weight", "1.inner.bias")
    assert "at '1'" in names["message"]
    assert names["losses"][-1] < 0.7 * names["losses"][0]
    assert og.games.read_graph("game.graphml").nodes["_0_shortcut"]["player"] == "0.shortcut"
    assert (tmp_path / "game.png").exists()


def test_the_guide_to_the_optimizer_runs():
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for example in blocks("docs/optimizer.md", "python"):
            exec(compile(example, "docs/optimizer.md", "exec"), names)
    assert names["info"].accepted
    assert names["opt"].param_groups[0]["lr"] < 1e-6
    with torch.no_grad():
        after = names["opt"].loss(names["model"](names["x"]), names["y"])
    assert float(after) < names["info"].loss


def test_the_guide_to_equations_runs():
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for example in blocks("docs/continuous.md", "python"):
            exec(compile(example, "docs/continuous.md", "exec"), names)
    assert names["ode"].evaluations == 16
    assert names["ode"].total_evaluations == 5 * 16


def test_the_guide_to_players_runs():
    names: dict[str, Any] = {}
    printed = io.StringIO()
    for example in blocks("docs/players.md", "python"):
        with contextlib.redirect_stdout(printed):
            exec(compile(example, "docs/players.md", "exec"), names)
    assert names["report"].is_local()
    assert float(names["report"].gain.max()) < 1e-12
    assert float(printed.getvalue().splitlines()[-1]) > -1.1


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [t for t in targets if not (document.parent / t).exists()] == []


def test_every_extra_and_core_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text[text.index("## Dependencies") :]
    extras = project["optional-dependencies"].values()
    names = [*project["dependencies"], *(name for extra in extras for name in extra)]
    missing = [n for n in names if re.split(r"[\[<>=]", n)[0].removeprefix("pytest-") not in table]
    assert missing == []


def test_docs_build_without_a_warning(tmp_path):
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("ocngame", "envs", "agents"):
        (tmp_path / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (
        'id="ocngame.games.GameGraph"'
        in (tmp_path / "site" / "reference" / "games" / "index.html").read_text()
    )
