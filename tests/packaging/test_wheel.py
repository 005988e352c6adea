"""The sdist and the wheel hold every module, and the wheel imports on its own."""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORT_ALL = """
import importlib, json, sys
print(json.dumps({name: importlib.import_module(name).__file__ for name in sys.argv[1:]}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the sdist, so that leftovers in the checkout cannot get in."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = out.glob("*.whl")
    return path


def sources() -> set[str]:
    """Paths inside the wheel that the checkout's modules should have."""
    found = {f"ocngame/{p.relative_to(ROOT / 'ocngame')}" for p in (ROOT / "ocngame").rglob("*.py")}
    for top in ("envs", "agents"):
        found |= {f"ocngame/{p.relative_to(ROOT)}" for p in (ROOT / top).rglob("*.py")}
    return found


def test_wheel_holds_every_module_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {n for n in names if n.endswith(".py")} == sources()
    assert "ocngame/py.typed" in names
    assert any(n.endswith("licenses/LICENSE") for n in names)


def test_wheel_imports_from_an_empty_folder(wheel, tmp_path):
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "packages"
    ]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, *packages],
        cwd=empty,
        env={"PYTHONPATH": str(site), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    for name, file in json.loads(result.stdout).items():
        assert Path(file).is_relative_to(site), f"{name} came from {file}"
