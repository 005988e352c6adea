"""Files of a benchmark: results.json, results.csv, report.md and the pictures."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocngame.agents.benchmark.pictures import draw_crossplay, draw_curves
from ocngame.agents.benchmark.store import plain
from ocngame.training.checkpoint import replace_file
from ocngame.training.run_folder import RunFolder

__all__ = ["report_text", "write_outputs"]

_INTERVALS = ("drawn", "deterministic", "drawn_at_budget", "deterministic_at_budget")


def write_outputs(out: Path, content: Mapping[str, Any]) -> None:
    """Write all files.

    Args:
        out: The folder.
        content: What `summarise` gave.
    """
    folder = RunFolder(out)
    folder.write_json(out / "results.json", plain(content))
    with (out / "results.csv.tmp").open("w", newline="") as file:
        names = ["world", "team", "label", "runs", "frames", "cpu_seconds", "budget"]
        ends = [f"{name}_{end}" for name in _INTERVALS for end in ("value", "low", "high")]
        writer = csv.DictWriter(file, names + ends)
        writer.writeheader()
        for row in content["rows"]:
            flat = {name: row[name] for name in names}
            for name in _INTERVALS:
                flat |= {f"{name}_{end}": value for end, value in row.get(name, {}).items()}
            writer.writerow(flat)
    replace_file(out / "results.csv.tmp", out / "results.csv")
    if any(r["kind"] == "training" for r in content["results"]):
        for against in ("frames", "cpu_seconds"):
            folder.draw(
                out / f"curves_{against}.png",
                lambda path, a=against: draw_curves(content["results"], path, against=a),
            )
    if content["crossplay"]:
        folder.draw(out / "crossplay.png", lambda path: draw_crossplay(content["crossplay"], path))
    (out / "report.md.tmp").write_text(report_text(content))
    replace_file(out / "report.md.tmp", out / "report.md")


def report_text(content: Mapping[str, Any]) -> str:
    """Write the report.

    Args:
        content: What `summarise` gave.

    Returns:
        Markdown.
    """
    suite = content["suite"]
    share = f"{100 * suite['confidence']:g}%"
    lines = [
        f"# {suite['name']}",
        "",
        f"Inter-quartile means over seeds, with {share} bootstrap intervals over seeds; "
        f"returns per agent and episode of {suite['episodes']} episodes with fixed starts. "
        "Random play is one run, and has no interval. At equal CPU time, curves are "
        "read at the time of the fastest run of the world.",
        "",
        "| world | team | contender | runs | frames | CPU s | drawn | most probable | "
        "drawn at equal CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        budget = row.get("drawn_at_budget")
        at = f"{_text(budget)} at {row['budget']:.1f}" if budget else "-"
        lines.append(
            f"| {row['world']} | {row['team']} | {row['label']} | {row['runs']} | {row['frames']} "
            f"| {row['cpu_seconds']:.1f} | {_text(row['drawn'])} | {_text(row['deterministic'])} "
            f"| {at} |"
        )
    if content["across"]:
        lines += ["", "## Across worlds of one team", "", "| contender | worlds | score |"]
        lines += ["|---|---|---|"]
        for label, own in content["across"].items():
            lines.append(f"| {label} | {own['worlds']} | {_text(own)} |")
    for world, cross in content["crossplay"].items():
        lines += _cross_lines(world, cross)
    teams = {r["world"]: len(r["teams"]) for r in content["results"]}
    for world, count in teams.items():
        if count > 2:
            lines += ["", f"{world} has {count} teams: cross-play is of worlds of two."]
    if content["failures"]:
        lines += ["", "## Failed", ""]
        lines += [f"- {f['cell']}: {f['kind']}: {f['error']}" for f in content["failures"]]
    return "\n".join(lines) + "\n"


def _cross_lines(world: str, cross: Mapping[str, Any]) -> list[str]:
    first, second = cross["teams"]
    lines = ["", f"## Cross-play: {world}", "", f"Rows play {first}, columns {second}."]
    for team, cells in cross["returns"].items():
        lines += ["", f"| return of {team} | {' | '.join(cross['labels'])} |"]
        lines += ["|---" * (len(cross["labels"]) + 1) + "|"]
        for label, row in zip(cross["labels"], cells, strict=True):
            lines.append(f"| {label} | {' | '.join(map(_text, row))} |")
    lines += ["", "| contender | Elo |", "|---|---|"]
    lines += [
        f"| {label} | {r['value']:.0f} [{r['low']:.0f}, {r['high']:.0f}] |"
        for label, r in cross["ratings"].items()
    ]
    return lines


def _text(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"
