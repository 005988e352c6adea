"""What `train selfplay` shows: a progress bar and a table of measurements."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from ocngame.agents.selfplay import SelfPlayJob, SelfPlayRow
from ocngame.cli.interrupt import between_steps
from ocngame.errors import CheckpointError
from ocngame.training.run_folder import RunFolder, default_folder
from ocngame.training.selfplay_config import SelfPlayConfig

__all__ = ["evaluate_run", "owns", "resume", "train"]


def train(config: SelfPlayConfig, out: Path | None) -> None:
    """Start a run in a new folder and finish it.

    Args:
        config: Settings.
        out: The folder; under `runs/` by world and time if None.
    """
    name = config.world.partition("(")[0].replace(":", "-")
    path = out if out is not None else default_folder(f"selfplay-{name}")
    _finish(SelfPlayJob.start(config, path), Console())


def resume(path: Path) -> None:
    """Go on with a run and finish it.

    Args:
        path: Its folder.
    """
    job = SelfPlayJob.resume(path)
    console = Console()
    console.print(
        f"{path}: going on from iteration {job.step} of {job.total_steps}", highlight=False
    )
    _finish(job, console)


def evaluate_run(path: Path) -> None:
    """Measure the policy of a run's last checkpoint.

    Args:
        path: Its folder.
    """
    job = SelfPlayJob.resume(path)
    torch.set_num_threads(job.config.threads)
    console = Console()
    console.print(_table([job.measure()]))
    if not job.finished:
        console.print(
            f"stopped at iteration {job.step} of {job.total_steps}; go on with: "
            f"ocngame resume {path}",
            highlight=False,
        )


def owns(path: Path) -> bool:
    """Say whether a folder is of a self-play run.

    Args:
        path: The folder.

    Returns:
        False also where its settings cannot be read.
    """
    try:
        return RunFolder(path).read_config().get("job") == "selfplay"
    except CheckpointError:
        return False


def _finish(job: SelfPlayJob, console: Console) -> None:
    where = job.folder.path if job.folder is not None else ""
    console.print(
        f"{job.config.world}: {job.config.copies} copies, {job.total_steps} iterations of "
        f"{job.config.copies * job.config.horizon} decisions",
        highlight=False,
    )
    try:
        shown = _show_steps(job, console)
    except KeyboardInterrupt:
        console.print(f"interrupted; go on with: ocngame resume {where}", highlight=False)
        raise
    drawn = job.draw()
    console.print(_table(shown[-5:] or [job.measure()]))
    names = ", ".join(["config.json", "metrics.jsonl", "checkpoint.pt", *drawn])
    console.print(f"{where}: {names}", highlight=False, soft_wrap=True)


def _show_steps(job: SelfPlayJob, console: Console) -> list[SelfPlayRow]:
    shown: list[SelfPlayRow] = []
    progress = Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=16),
        TimeRemainingColumn(),
        TextColumn("{task.fields[measured]}"),
        console=console,
    )
    with progress, between_steps() as asked:
        task = progress.add_task("", total=job.total_steps, completed=job.step, measured="")
        for rows in job.run():
            shown += rows
            progress.update(task, completed=job.step)
            if rows:
                progress.update(task, measured=_line(rows[-1]))
            if asked():
                raise KeyboardInterrupt
    return shown


def _line(row: SelfPlayRow) -> str:
    speed = row.decisions / max(row.cpu_seconds, 1e-9)
    if math.isfinite(row.exploitability):
        return f"exploitability {row.exploitability:.3f}  {speed:,.0f} decisions/CPU s"
    returns = "  ".join(f"{seat} {value:+.2f}" for seat, value in row.against_random.items())
    return f"against random: {returns}  {speed:,.0f} decisions/CPU s"


def _table(rows: Sequence[SelfPlayRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    seats = list(rows[0].against_random) if rows else []
    columns = ["decisions", "exploit-\nability", "of the\nreference"]
    columns += [f"{seat}\nagainst random" for seat in seats] + ["entropy", "CPU s"]
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row.decisions:,}",
            _number(row.exploitability),
            _number(row.magnet_exploitability),
            *(f"{row.against_random[seat]:+.3f}" for seat in seats),
            _number(row.entropy),
            f"{row.cpu_seconds:.1f}",
        )
    return table


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"
