"""What `train supervised`, `resume` and `evaluate` show: a progress bar and tables."""

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
from ocngame.training.config import SupervisedConfig
from ocngame.training.curves import LABELS
from ocngame.training.evaluation import evaluate
from ocngame.training.metrics import MetricsRow
from ocngame.training.run_folder import default_folder
from ocngame.training.supervised import SupervisedJob

__all__ = ["evaluate_run", "resume", "train"]


def train(config: SupervisedConfig, out: Path | None) -> None:
    """Start a run in a new folder and finish it.

    Args:
        config: Settings.
        out: The folder; under `runs/` by data set and time if None.
    """
    path = out if out is not None else default_folder(f"supervised-{Path(config.data).stem}")
    _finish(SupervisedJob.start(config, path), Console())


def resume(path: Path) -> None:
    """Go on with a run and finish it.

    Args:
        path: Its folder.
    """
    job = SupervisedJob.resume(path)
    console = Console()
    console.print(f"{path}: going on from step {job.step} of {job.total_steps}", highlight=False)
    _finish(job, console)


def evaluate_run(path: Path) -> None:
    """Measure the networks of a run's last checkpoint.

    Args:
        path: Its folder.
    """
    job = SupervisedJob.resume(path)
    torch.set_num_threads(job.config.threads)
    console = Console()
    console.print(_table(job))
    if not job.finished:
        console.print(
            f"stopped at step {job.step} of {job.total_steps}; go on with: ocngame resume {path}",
            highlight=False,
        )


def _finish(job: SupervisedJob, console: Console) -> None:
    folder = job.folder
    where = folder.path if folder is not None else ""
    console.print(_headline(job), highlight=False)
    try:
        _show_steps(job, console)
    except KeyboardInterrupt:
        console.print(f"interrupted; go on with: ocngame resume {where}", highlight=False)
        raise
    job.draw_curves()
    console.print(_table(job))
    console.print(
        f"{where}: config.json, metrics.jsonl, checkpoint.pt, curves.png, game.png",
        highlight=False,
        soft_wrap=True,
    )


def _headline(job: SupervisedJob) -> str:
    data = job.data
    controls = sum(p.numel() for p in job.contenders[0].model.parameters())
    return (
        f"{job.config.data}: {len(data.x_train)} training and {len(data.x_test)} test samples, "
        f"{data.x_train.shape[1]} features, {data.classes} classes; "
        f"{len(job.game.control_stages)} stages with a control, {controls} parameters"
    )


def _show_steps(job: SupervisedJob, console: Console) -> None:
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


def _losses(rows: Sequence[MetricsRow]) -> str:
    return "  ".join(f"{row.optimizer} {row.train_loss:.1e}" for row in rows)


def _table(job: SupervisedJob) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, caption=_caption(job))
    table.add_column("optimizer", no_wrap=True)
    target = f"steps to\nloss {job.config.target_loss:g}"
    for name in ("train\nloss", "test\naccuracy", "steps", target, "/ Adam", "CPU s", "/ Adam"):
        table.add_column(name, justify="right", no_wrap=True)
    adam = next((c for c in job.contenders if c.name == "adam"), None)
    for contender in job.contenders:
        found = evaluate(contender.model, job.data)
        reached = job.reached.get(contender.name)
        table.add_row(
            LABELS[contender.name],
            f"{found.train_loss:.2g}",
            f"{100 * found.test_accuracy:.2f} %",
            str(job.step - contender.refused),
            "-" if reached is None else str(reached),
            _ratio(reached, adam and job.reached.get("adam")),
            f"{contender.cpu_seconds:.2f}",
            _ratio(contender.cpu_seconds, adam and adam.cpu_seconds),
        )
    return table


def _ratio(value: float | None, base: float | None) -> str:
    return f"{value / base:.2f}" if value and base else "-"


def _caption(job: SupervisedJob) -> str | None:
    refused = [
        f"{LABELS[c.name]}: {c.refused} steps refused (non-finite numbers)"
        for c in job.contenders
        if c.refused
    ]
    return "; ".join(refused) or None
