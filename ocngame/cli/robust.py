"""What `train adversarial` shows of a robust problem: a progress bar and a table of methods."""

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
from ocngame.training.adversarial_config import AdversarialConfig
from ocngame.training.robust import RobustJob

__all__ = ["evaluate_run", "resume", "train"]


def train(config: AdversarialConfig, path: Path) -> None:
    """Start a run in a new folder and finish it.

    Args:
        config: Settings of a robust problem.
        path: The folder.
    """
    _finish(RobustJob.start(config, path), Console())


def resume(path: Path) -> None:
    """Go on with a run and finish it.

    Args:
        path: Its folder.
    """
    job, console = RobustJob.resume(path), Console()
    console.print(f"{path}: going on from step {job.step} of {job.config.steps}", highlight=False)
    _finish(job, console)


def evaluate_run(path: Path) -> None:
    """Attack the networks of a run's last checkpoint.

    Args:
        path: Its folder.
    """
    job, console = RobustJob.resume(path), Console()
    torch.set_num_threads(job.config.threads)
    _show_end(job, console)
    if not job.finished:
        console.print(
            f"stopped at step {job.step} of {job.config.steps}; go on with: ocngame resume {path}",
            highlight=False,
        )


def _finish(job: RobustJob, console: Console) -> None:
    where = job.folder.path if job.folder is not None else ""
    data, ball = job.data, job.ball
    console.print(
        f"{job.config.problem}: {len(data.y_train)} samples, {len(data.y_test)} to test, "
        f"{ball.norm} ball of {ball.radius:g}",
        highlight=False,
    )
    try:
        _show_steps(job, console)
    except KeyboardInterrupt:
        console.print(f"interrupted; go on with: ocngame resume {where}", highlight=False)
        raise
    _show_end(job, console)
    names = ", ".join(["config.json", "metrics.jsonl", "checkpoint.pt", *job.draw()])
    console.print(f"{where}: {names}", highlight=False, soft_wrap=True)


def _show_steps(job: RobustJob, console: Console) -> None:
    progress = Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=16),
        TimeRemainingColumn(),
        TextColumn("robust %: {task.fields[robust]}"),
        console=console,
    )
    with progress, between_steps() as asked:
        task = progress.add_task("", total=job.config.steps, completed=job.step, robust="")
        for rows in job.run():
            progress.update(task, completed=job.step)
            if rows:
                shown = "  ".join(f"{row.method} {100 * row.robust:.0f}" for row in rows)
                progress.update(task, robust=shown)
            if asked():
                raise KeyboardInterrupt


def _show_end(job: RobustJob, console: Console) -> None:
    with console.status("attacking"):
        found = job.examine()
    attack = next(iter(found.values())).attack
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("method", no_wrap=True)
    for name in (
        "clean\n%",
        "robust\n%",
        "half\nradius",
        "twice\nradius",
        "trans-\nfer",
        "far\npoints",
        "mask-\ned",
        "re-\nfused",
        "pass-\nes",
        "CPU\ns",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for rival in job.rivals:
        report = found[rival.name]
        shares = (
            report.clean,
            report.robust,
            report.curve[0.5],
            report.curve[2.0],
            report.transferred,
            report.random,
        )
        table.add_row(
            rival.name,
            *("-" if share != share else f"{100 * share:.1f}" for share in shares),
            "yes" if report.masked else "no",
            str(rival.refused),
            str(rival.passes),
            f"{rival.cpu_seconds:.2f}",
        )
    console.print(table)
    console.print(f"robust: {attack}; the other columns: 20 ascents of ours", highlight=False)
