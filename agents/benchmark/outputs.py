"""Files of a benchmark: results.json, results.csv and the pictures, with the report beside them."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocngame.agents.benchmark.pictures import draw_crossplay, draw_curves, draw_profiles
from ocngame.agents.benchmark.report import report_text
from ocngame.agents.benchmark.store import plain
from ocngame.agents.benchmark.tensorboard import write_tensorboard
from ocngame.training.checkpoint import replace_file
from ocngame.training.run_folder import RunFolder

__all__ = ["write_outputs"]

_INTERVALS = (
    "drawn",
    "deterministic",
    "drawn_at_budget",
    "deterministic_at_budget",
    "exploitability",
    "exploitability_at_budget",
)


def write_outputs(out: Path, content: Mapping[str, Any], *, tensorboard: bool = False) -> None:
    """Write all files.

    Args:
        out: The folder.
        content: What `summarise` gave.
        tensorboard: Whether curves are written for TensorBoard as well.
    """
    folder = RunFolder(out)
    folder.write_json(out / "results.json", plain(content))
    exploited = {(r["world"], r["label"]): r for r in content["exploitability"]}
    with (out / "results.csv.tmp").open("w", newline="") as file:
        names = ["world", "team", "label", "runs", "frames", "cpu_seconds", "budget"]
        ends = [f"{name}_{end}" for name in _INTERVALS for end in ("value", "low", "high")]
        writer = csv.DictWriter(file, [*names, *ends, "exploitability_kind"])
        writer.writeheader()
        for row in content["rows"]:
            more = exploited.get((row["world"], row["label"]), {})
            flat = {name: row[name] for name in names}
            for name in _INTERVALS:
                found = {**row, **more}.get(name, {})
                flat |= {f"{name}_{end}": value for end, value in found.items()}
            writer.writerow(flat | {"exploitability_kind": more.get("kind", "")})
    replace_file(out / "results.csv.tmp", out / "results.csv")
    if any(r["kind"] == "training" for r in content["results"]):
        for against in ("frames", "cpu_seconds"):
            folder.draw(
                out / f"curves_{against}.png",
                lambda path, a=against: draw_curves(content["results"], path, against=a),
            )
    if content["crossplay"]:
        folder.draw(out / "crossplay.png", lambda path: draw_crossplay(content["crossplay"], path))
    if content["profiles"]:
        folder.draw(out / "profiles.png", lambda path: draw_profiles(content["profiles"], path))
    if tensorboard:
        write_tensorboard(content, out / "tensorboard")
    (out / "report.md.tmp").write_text(report_text(content))
    replace_file(out / "report.md.tmp", out / "report.md")
