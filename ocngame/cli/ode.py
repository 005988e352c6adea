"""What `train ode` shows: a progress bar and a table."""

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

from ocngame.cli.interrupt import between_steps
from ocngame.training.curves import LABELS
from ocngame.training.ode.config import ODEConfig
from ocngame.training.ode.job import ODEJob
from ocngame.training.ode.rows import ODERow
from ocngame.training.run_folder import default_folder

__all__ = ["evaluate_run", "resume", "train"]


def train(config: ODEConfig, out: Path | None) -> None:
    """Start a run in a new folder and finish it.

    Args:
        config: Settings.
        out: The folder; under `runs/` by problem and time if None.
    """
    path = out if out is not None else default_folder(f"ode-{config.problem}")
    _finish(ODEJob.start(config, path), Console())


def resume(path: Path) -> None:
    """Go on with a run and finish it.

    Args:
        path: Its folder.
    """
    job = ODEJob.resume(path)
    console = Console()
    console.print(f"{path}: going on from step {job.step} of {job.total_steps}", highlight=False)
    _finish(job, console)


def evaluate_run(path: Path) -> None:
    """Measure the networks of a run's last checkpoint.

    Args:
        path: Its folder.
    """
    job = ODEJob.resume(path)
    torch.set_num_threads(job.config.threads)
    console = Console()
    console.print(_table(job))
    if not job.finished:
        console.print(
            f"stopped at step {job.step} of {job.total_steps}; go on with: ocngame resume {path}",
            highlight=False,
        )


def _finish(job: ODEJob, console: Console) -> None:
    where = job.folder.path if job.folder is not None else ""
    console.print(_headline(job), highlight=False)
    try:
        _show_steps(job, console)
    except KeyboardInterrupt:
        console.print(f"interrupted; go on with: ocngame resume {where}", highlight=False)
        raise
    drawn = job.draw()
    console.print(_table(job))
    names = ", ".join(["config.json", "metrics.jsonl", "checkpoint.pt", *drawn])
    console.print(f"{where}: {names}", highlight=False, soft_wrap=True)


def _headline(job: ODEJob) -> str:
    samples = job.problem.samples
    controls = sum(p.numel() for p in job.problem.network.parameters())
    return (
        f"{job.config.problem}: {len(samples.x_train)} training and {len(samples.x_test)} test "
        f"samples; {controls} parameters, solved by {job.config.solver}"
    )


def _show_steps(job: ODEJob, console: Console) -> None:
    progress = Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=16),
        TimeRemainingColumn(),
        TextColumn("loss: {task.fields[losses]}"),
        console=console,
    )
    with progress, between_steps() as asked:
        task = progress.add_task("", total=job.total_steps, completed=job.step, losses="")
        for rows in job.run():
            progress.update(task, completed=job.step)
            if rows:
                progress.update(task, losses=_losses(rows))
            if asked():
                raise KeyboardInterrupt


def _losses(rows: Sequence[ODERow]) -> str:
    return "  ".join(f"{row.optimizer} {row.train_loss:.2g}" for row in rows)


def _table(job: ODEJob) -> Table:
    refused = [
        f"{LABELS[c.name]}: {c.contender.refused} steps refused (non-finite numbers)"
        for c in job.contenders
        if c.contender.refused
    ]
    caption = "; ".join(refused) or None
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, caption=caption)
    table.add_column("optimizer", no_wrap=True)
    target = f"steps to\nloss {job.config.target:g}"
    for name in ("train\nloss", "test\nloss", "test\naccuracy", target, "evalu-\nations", "CPU s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("/ Adam", justify="right", no_wrap=True)
    adam = next((c.contender.cpu_seconds for c in job.contenders if c.name == "adam"), 0.0)
    for contender in job.contenders:
        found = job.problem.measure(contender.model)
        accuracy = found.test_accuracy
        seconds = contender.contender.cpu_seconds
        table.add_row(
            LABELS[contender.name],
            f"{found.train_loss:.3g}",
            f"{found.test_loss:.3g}",
            "-" if math.isnan(accuracy) else f"{100 * accuracy:.2f} %",
            str(job.reached.get(contender.name, "-")),
            str(contender.evaluations),
            f"{seconds:.2f}",
            f"{seconds / adam:.2f}" if adam else "-",
        )
    return table
