"""The guards bite: each is given what it must refuse."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str, cwd: Path = ROOT, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, input=stdin, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "line", ["import envs", "from agents import x", "import envs.a", "from envs.a import b"]
)
def test_ruff_refuses_bare_imports(line):
    result = run("ruff", "check", "--stdin-filename", "ocngame/x.py", "-", stdin=f"{line}\n")
    assert result.returncode == 1
    assert "TID251" in result.stdout or "banned-api" in result.stdout


def test_ruff_allows_the_full_names():
    code = '"""One."""\n\nimport ocngame.agents\nimport ocngame.envs\n\n'
    code += '__all__ = ["a"]\na = (ocngame.envs, ocngame.agents)\n'
    result = run("ruff", "check", "--stdin-filename", "ocngame/x.py", "-", stdin=code)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("linalg", "ocngame.games"),
        ("bellman", "ocngame.solvers"),
        ("envs", "ocngame.agents"),
        ("training", "ocngame.envs"),
        ("games", "ocngame.curvature"),
    ],
)
def test_layers_refuse_an_import_upwards(tmp_path, low, high):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = settings["contracts"]
    names = [layer.strip("() ") for line in contract["layers"] for layer in line.split("|")]
    for name in names:
        (tmp_path / "ocngame" / name).mkdir(parents=True)
        (tmp_path / "ocngame" / name / "__init__.py").touch()
    (tmp_path / "ocngame" / "__init__.py").touch()
    layers = "\n    ".join(["", *contract["layers"]])
    (tmp_path / ".importlinter").write_text(
        "[importlinter]\nroot_package = ocngame\n\n[importlinter:contract:1]\nname = layers\n"
        f"type = layers\ncontainers = ocngame\nexhaustive = true\nlayers ={layers}\n"
    )
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    good = subprocess.run([*command, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)
    assert good.returncode == 0, good.stdout + good.stderr
    (tmp_path / "ocngame" / low / "x.py").write_text(f"import {high}\n")
    bad = subprocess.run([*command, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)
    assert bad.returncode == 1
    assert f"ocngame.{low} is not allowed to import {high}" in bad.stdout


def test_layer_lint_sees_the_outside_folders():
    import grimp

    graph = grimp.build_graph("ocngame", cache_dir=None)
    for name in ("envs", "agents"):
        modules = {
            "ocngame." + ".".join(p.relative_to(ROOT).with_suffix("").parts)
            for p in (ROOT / name).rglob("*.py")
        }
        assert {m.removesuffix(".__init__") for m in modules} <= graph.modules


def test_a_wrong_type_is_caught_by_pytest_only():
    import jaxtyping

    from ocngame import _checks

    with pytest.raises(jaxtyping.TypeCheckError):
        _checks.one_of(1, "a", ["a"])  # pyright: ignore[reportArgumentType]
