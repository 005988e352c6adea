"""`./run` ends with one clear sentence where it cannot set up an environment."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[2]
TOOLS = [
    "awk",
    "bash",
    "cat",
    "dirname",
    "env",
    "grep",
    "head",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "tail",
    "uname",
]


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """A folder for PATH with what the script needs, but no Python and no disk report."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return folder


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(0o755)


def free_space(bin_folder: Path, megabytes: int) -> None:
    script(bin_folder / "df", f"echo 'Filesystem M U A C On'; echo '/dev/x 9 9 {megabytes} 9% /'")


def run(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "OCNGAME_"))},
        "PATH": str(tmp_path / "bin"),
        "OCNGAME_VENV": str(tmp_path / "venv"),
        **variables,
    }
    return subprocess.run(
        [str(ROOT / "run"), "train", "supervised"], env=env, capture_output=True, text=True
    )


def test_old_python(tmp_path, bin_folder):
    old = 'case "$2" in *exit*) exit 1 ;; *) echo 3.9 ;; esac'
    script(bin_folder / "python3", old)
    result = run(tmp_path)
    assert result.returncode == 3
    assert result.stderr.splitlines() == [
        "run: ocngame needs Python 3.11 or newer, found python3 = 3.9; "
        "install it, or name one with OCNGAME_PYTHON."
    ]


def test_a_newer_python_beside_an_old_one_is_found(tmp_path, bin_folder):
    script(bin_folder / "python3", 'case "$2" in *exit*) exit 1 ;; *) echo 3.9 ;; esac')
    script(bin_folder / "python3.11", f'exec {sys.executable} "$@"')
    free_space(bin_folder, 100)
    result = run(tmp_path)
    assert result.returncode == 6


def test_no_python(tmp_path, bin_folder):
    result = run(tmp_path)
    assert result.returncode == 3
    assert "found none; install it" in result.stderr


def test_no_venv_module(tmp_path, bin_folder):
    body = f'case "$2" in *ensurepip*) exit 1 ;; *) exec {sys.executable} "$@" ;; esac'
    script(bin_folder / "python3", body)
    result = run(tmp_path)
    assert result.returncode == 4
    assert "python3 has no venv module; install it" in result.stderr


def test_full_disk(tmp_path, bin_folder):
    free_space(bin_folder, 100)
    result = run(tmp_path, OCNGAME_PYTHON=sys.executable)
    assert result.returncode == 6
    assert "found 100 MB free" in result.stderr


def test_a_folder_made_by_others_is_left_alone(tmp_path, bin_folder):
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "mine").touch()
    result = run(tmp_path, OCNGAME_PYTHON=sys.executable)
    assert result.returncode == 2
    assert "was not made by this script" in result.stderr
    assert (tmp_path / "venv" / "mine").exists()


def test_unknown_torch_build(tmp_path, bin_folder):
    result = run(tmp_path, OCNGAME_PYTHON=sys.executable, OCNGAME_TORCH="tpu")
    assert result.returncode == 2
    assert result.stderr == "run: OCNGAME_TORCH: expected cpu or gpu, got 'tpu'.\n"
    assert not (tmp_path / "venv").exists()


def test_no_network(tmp_path, bin_folder):
    free_space(bin_folder, 99_999)
    # Nothing listens on port 9 of this machine: every index refuses the connection.
    nowhere = "http://127.0.0.1:9/simple"
    result = run(
        tmp_path,
        OCNGAME_PYTHON=sys.executable,
        OCNGAME_TORCH="gpu",
        PIP_INDEX_URL=nowhere,
        PIP_EXTRA_INDEX_URL=nowhere,
        PIP_FIND_LINKS=str(tmp_path),
    )
    assert result.returncode == 5
    assert "no package index could be reached for torch; check the network" in result.stderr
    assert not (tmp_path / "venv" / "ocngame-stamp").exists()


def test_torch_versions_agree_with_the_package():
    text = (ROOT / "run").read_text()
    wanted = dict(re.findall(r'^(cpu|gpu)_torch="torch(.*)"$', text, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"torch{wanted['gpu']}" in project["dependencies"]
    pinned = Version(wanted["cpu"].removeprefix("=="))
    assert pinned.local == "cpu"
    assert pinned in SpecifierSet(wanted["gpu"])
    assert f"torch{wanted['cpu']}" in (ROOT / "CONTRIBUTING.md").read_text()
