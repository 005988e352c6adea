"""The documented suite file is the one in examples/, it runs, and all files are written."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from ocngame.agents.benchmark import load_suite, run_benchmark

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "suite.toml"


def test_the_page_shows_the_example():
    assert f"```toml\n{EXAMPLE.read_text()}```" in (ROOT / "docs/benchmark_command.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_example_writes_all_files(tmp_path):
    suite = load_suite(str(EXAMPLE))
    content = run_benchmark(suite, tmp_path)
    assert content["failures"] == []
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {
        "cells",
        "crossplay.png",
        "curves_cpu_seconds.png",
        "curves_frames.png",
        "profiles.png",
        "report.md",
        "results.csv",
        "results.json",
        "runs",
        "videos",
    }
    contenders = {"ippo ocnopt", "coupled", "random"}
    kept = json.loads((tmp_path / "results.json").read_text())
    rows = {(r["world"], r["team"], r["label"]) for r in kept["rows"]}
    push, pennies = ("adversary", "agent"), ("player_0", "player_1")
    assert rows == {("simple_push", t, c) for t in push for c in contenders | {"greedy"}} | {
        ("matching_pennies", t, c) for t in pennies for c in contenders
    }
    with (tmp_path / "results.csv").open() as file:
        flat = list(csv.DictReader(file))
    assert {(r["world"], r["team"], r["label"]) for r in flat} == rows
    kinds = {(r["world"], r["label"]): r["kind"] for r in kept["exploitability"]}
    assert kinds == {("matching_pennies", c): "exact" for c in contenders} | {
        ("simple_push", c): "trained" for c in contenders - {"random"}
    }
    for row in kept["rows"]:
        trained = row["label"] not in {"random", "greedy"}
        assert ("drawn_at_budget" in row) == trained
        assert row["runs"] == (2 if trained else 1)
        # Copies are whole segments: a run may go beyond its frames by less than one.
        assert (row["frames"] >= 400) == trained
    report = (tmp_path / "report.md").read_text()
    for title in ("## Exploitability", "## Cross-play: simple_push", "## Videos"):
        assert title in report
    videos = sorted((tmp_path / "videos").iterdir())
    assert len(videos) == 4
    with Image.open(videos[0]) as video:
        assert 40 < video.n_frames <= 51
