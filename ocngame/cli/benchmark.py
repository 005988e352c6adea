"""What `benchmark` shows: progress, and the table of the report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ocngame.agents.benchmark import load_suite, run_benchmark
from ocngame.agents.benchmark.report import interval_text
from ocngame.cli.interrupt import between_steps
from ocngame.errors import OcnGameError

__all__ = ["benchmark"]


def benchmark(name: str, out: Path | None, jobs: int = 1, tensorboard: bool = False) -> None:
    """Run a suite, or what is left of it.

    Args:
        name: Suite or TOML file.
        out: The folder; under `runs/` by the suite's name if None.
        jobs: Processes that make cells.
        tensorboard: Whether curves are written for TensorBoard as well.

    Raises:
        OcnGameError: if a cell failed; the others are finished by then.
        KeyboardInterrupt: if Ctrl-C was pressed.
    """
    suite = load_suite(name)
    path = out if out is not None else Path("runs") / f"benchmark-{suite.name}"
    console = Console()
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
        console=console,
    )
    try:
        with progress, between_steps() as asked:
            lines: dict[str, TaskID] = {}

            def notify(what: str, done: int, total: int) -> None:
                if what and what not in lines:
                    # Lines of as many cells as are made at a time; older ones are finished.
                    for old in list(lines)[: max(0, len(lines) - jobs + 1)]:
                        progress.remove_task(lines.pop(old))
                    lines[what] = progress.add_task(what, total=total)
                if what:
                    progress.update(lines[what], completed=done, total=total)
                if asked():
                    raise KeyboardInterrupt  # noqa: TRY301 - stops in the middle of a cell

            content = run_benchmark(suite, path, notify=notify, jobs=jobs, tensorboard=tensorboard)
    except KeyboardInterrupt:
        more = f" --jobs {jobs}" if jobs > 1 else ""
        console.print(
            f"interrupted; go on with: ocngame benchmark {name} --out {path}{more}",
            highlight=False,
        )
        raise
    _show(content, console)
    files = ", ".join(sorted(p.name for p in path.iterdir() if p.is_file()))
    console.print(f"{path}: {files}", highlight=False, soft_wrap=True)
    failures = content["failures"]
    if failures:
        first = failures[0]
        raise OcnGameError(
            f"{len(failures)} cells failed, the first: {first['cell']}: {first['error']}"
        )


def _show(content: Mapping[str, Any], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("world", "team", "contender", "drawn", "most probable", "CPU s"):
        table.add_column(column)
    for row in content["rows"]:
        runs = row["runs"]
        numbers = [interval_text(row[m], runs=runs) for m in ("drawn", "deterministic")]
        table.add_row(
            row["world"], row["team"], row["label"], *numbers, f"{row['cpu_seconds']:.1f}"
        )
    console.print(table, markup=False)
    if content["exploitability"]:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("world", "contender", "exploitability", "how it is known"):
            table.add_column(column)
        for row in content["exploitability"]:
            text = interval_text(row["exploitability"], 3, runs=row["runs"])
            table.add_row(row["world"], row["label"], text, row["kind"])
        console.print(table, markup=False)
