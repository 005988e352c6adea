"""A benchmark in several processes that is killed goes on, and ends as one that never was."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from benchmark_content import without_times

SUITE = """
worlds = ["matching_pennies", "kuhn"]
algorithms = ["coupled", "selfplay"]
optimizers = ["adam"]
players = []
seeds = [0, 1]
points = 4
point_episodes = 8
episodes = 8
crossplay_episodes = 8
draws = 100
settings.evaluation_copies = 8
[coupled]
copies = 8
steps = 1
network.width = 8
evaluation_copies = 8
checkpoint_every = 1
[selfplay]
copies = 8
checkpoint_every = 1
learner.width = 16
[per_world]
matching_pennies.frames = 400
kuhn.frames = 2000
"""

PROGRAM = """
import sys
from ocngame.cli import main
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_benchmark_ends_as_one_that_never_was(tmp_path):
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "program.py").write_text(PROGRAM)

    def begin(out, jobs):
        command = [sys.executable, str(tmp_path / "program.py"), "benchmark"]
        command += [str(tmp_path / "suite.toml"), "--out", str(tmp_path / out)]
        return subprocess.Popen([*command, "--jobs", str(jobs)], stdout=subprocess.DEVNULL)

    assert begin("whole", 1).wait() == 0
    cut, cells = tmp_path / "cut", tmp_path / "cut" / "cells"
    process = begin("cut", 2)
    limit = time.monotonic() + 600
    while time.monotonic() < limit and len(list(cells.glob("*.json"))) < 2:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1)
    before = {p: p.stat().st_mtime_ns for p in cells.glob("*.json")}
    assert len(before) < len(list((tmp_path / "whole" / "cells").iterdir()))
    assert not (cut / "results.json").exists()
    assert begin("cut", 2).wait() == 0
    assert all(p.stat().st_mtime_ns == at for p, at in before.items())
    contents = [
        without_times(
            json.loads((tmp_path / n / "results.json").read_text()), "exploitability_at_budget"
        )
        for n in ("whole", "cut")
    ]
    assert contents[0] == contents[1]
