"""The report of a benchmark, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["interval_text", "report_text"]


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
        "Players without training are one run, and have no interval. At equal CPU time, curves "
        "are read at the time of the fastest run of the world.",
        "",
        "| world | team | contender | runs | frames | CPU s | drawn | most probable | "
        "drawn at equal CPU s | most probable at equal CPU s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        runs = row["runs"]
        drawn, most = (row.get(f"{m}_at_budget") for m in ("drawn", "deterministic"))
        at = f"{interval_text(drawn, runs=runs)} at {row['budget']:.1f}" if drawn else "-"
        at += f" | {interval_text(most, runs=runs) if most else '-'}"
        lines.append(
            f"| {row['world']} | {row['team']} | {row['label']} | {row['runs']} | {row['frames']} "
            f"| {row['cpu_seconds']:.1f} | {interval_text(row['drawn'], runs=runs)} "
            f"| {interval_text(row['deterministic'], runs=runs)} | {at} |"
        )
    if content["exploitability"]:
        lines += _exploit_lines(content["exploitability"])
    if content["across"]:
        lines += ["", "## Across worlds of one team", "", "| contender | worlds | score |"]
        lines += ["|---|---|---|"]
        for label, own in content["across"].items():
            lines.append(f"| {label} | {own['worlds']} | {interval_text(own)} |")
    for world, cross in content["crossplay"].items():
        lines += _cross_lines(world, cross)
    videos = [r for r in content["results"] if r["kind"] == "video"]
    if videos:
        lines += ["", "## Videos", ""]
        lines += [f"- {r['world']}, {r['label']}: [{r['file']}]({r['file']})" for r in videos]
    teams = {r["world"]: len(r["teams"]) for r in content["results"] if "teams" in r}
    for world, count in teams.items():
        if count > 2:
            lines += ["", f"{world} has {count} teams: cross-play is of worlds of two."]
    if content["failures"]:
        lines += ["", "## Failed", ""]
        lines += [f"- {f['cell']}: {f['kind']}: {f['error']}" for f in content["failures"]]
    return "\n".join(lines) + "\n"


def interval_text(interval: Mapping[str, float], digits: int = 2, *, runs: int = 2) -> str:
    """Write a value with its interval.

    Args:
        interval: `value`, `low` and `high`.
        digits: Behind the point.
        runs: That the interval is over; of one there is none.

    Returns:
        The text.
    """
    value, low, high = (f"{interval[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]" if runs > 1 else value


def _exploit_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "",
        "## Exploitability",
        "",
        "The mean over the teams of what each would win by a best response to the others: exact, "
        "or by a trained response, which estimates it from below.",
        "",
        "| world | contender | runs | kind | exploitability | at equal CPU s | gains |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = row.get("exploitability_at_budget")
        runs = row["runs"]
        at = f"{interval_text(found, 3, runs=runs)} at {row['budget']:.1f}" if found else "-"
        gains = ", ".join(f"{team} {gain:.3f}" for team, gain in row["gains"].items())
        lines.append(
            f"| {row['world']} | {row['label']} | {row['runs']} | {row['kind']} "
            f"| {interval_text(row['exploitability'], 3, runs=runs)} | {at} | {gains} |"
        )
    return lines


def _cross_lines(world: str, cross: Mapping[str, Any]) -> list[str]:
    first, second = cross["teams"]
    lines = ["", f"## Cross-play: {world}", "", f"Rows play {first}, columns {second}."]
    for team, cells in cross["returns"].items():
        lines += ["", f"| return of {team} | {' | '.join(cross['labels'])} |"]
        lines += ["|---" * (len(cross["labels"]) + 1) + "|"]
        for label, row in zip(cross["labels"], cells, strict=True):
            lines.append(f"| {label} | {' | '.join(map(interval_text, row))} |")
    lines += ["", "| contender | Elo |", "|---|---|"]
    lines += [
        f"| {label} | {interval_text(rating, 0)} |" for label, rating in cross["ratings"].items()
    ]
    return lines
