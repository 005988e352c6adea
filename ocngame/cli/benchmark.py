"""What `benchmark` shows: progress, and the table of the report."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ocngame.agents.benchmark import load_suite, run_benchmark
from ocngame.cli.interrupt import between_steps
from ocngame.errors import OcnGameError

__all__ = ["benchmark"]


def benchmark(name: str, out: Path | None) -> None:
    """Run a suite, or what is left of it.

    Args:
        name: Suite or TOML file.
        out: The folder; under `runs/` by the suite's name if None.

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
            task = progress.add_task("random play", total=None)

            def notify(what: str, done: int, total: int) -> None:
                progress.update(task, description=what, completed=done, total=total)
                if asked():
                    raise KeyboardInterrupt  # noqa: TRY301 - stops in the middle of a cell

            content = run_benchmark(suite, path, notify=notify)
    except KeyboardInterrupt:
        console.print(
            f"interrupted; go on with: ocngame benchmark {name} --out {path}", highlight=False
        )
        raise
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("world", "team", "contender", "drawn", "most probable", "CPU s"):
        table.add_column(column)
    for row in content["rows"]:
        numbers = [
            f"{row[m]['value']:.2f} [{row[m]['low']:.2f}, {row[m]['high']:.2f}]"
            for m in ("drawn", "deterministic")
        ]
        table.add_row(
            row["world"], row["team"], row["label"], *numbers, f"{row['cpu_seconds']:.1f}"
        )
    console.print(table, markup=False)
    files = ", ".join(sorted(p.name for p in path.iterdir() if p.is_file()))
    console.print(f"{path}: {files}", highlight=False, soft_wrap=True)
    failures = content["failures"]
    if failures:
        first = failures[0]
        raise OcnGameError(
            f"{len(failures)} cells failed, the first: {first['cell']}: {first['error']}"
        )
