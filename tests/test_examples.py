"""Every example runs to its end; the claims it makes are its own assertions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPTIONAL = {"lightning_module": "lightning"}
"""Packages that an example needs beyond the library's, whose own warnings are no errors."""
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(example, tmp_path):
    needs = OPTIONAL.get(example.stem)
    if needs is not None:
        pytest.importorskip(needs)
    result = subprocess.run(
        [sys.executable, "-W", "default" if needs else "error", str(example)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
