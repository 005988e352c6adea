"""What `train adversarial` shows: a progress bar, a table of methods and one of players."""

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

from ocngame.cli import robust
from ocngame.cli.interrupt import between_steps
from ocngame.training.adversarial import AdversarialJob
from ocngame.training.adversarial_config import ROBUST_DATA, AdversarialConfig
from ocngame.training.player_rows import PlayerRow
from ocngame.training.run_folder import RunFolder, default_folder

__all__ = ["evaluate_run", "resume", "train"]


def train(config: AdversarialConfig, out: Path | None) -> None:
    """Start a run in a new folder and finish it.

    Args:
        config: Settings.
        out: The folder; under `runs/` by problem and time if None.
    """
    path = out if out is not None else default_folder(f"adversarial-{config.problem}")
    if config.is_robust:
        robust.train(config, path)
        return
    _finish(AdversarialJob.start(config, path), Console())


def resume(path: Path) -> None:
    """Go on with a run and finish it.

    Args:
        path: Its folder.
    """
    if _is_robust(path):
        robust.resume(path)
        return
    job = AdversarialJob.resume(path)
    console = Console()
    console.print(f"{path}: going on from step {job.step} of {job.config.steps}", highlight=False)
    _finish(job, console)


def evaluate_run(path: Path) -> None:
    """Examine the players of a run's last checkpoint.

    Args:
        path: Its folder.
    """
    if _is_robust(path):
        robust.evaluate_run(path)
        return
    job = AdversarialJob.resume(path)
    torch.set_num_threads(job.config.threads)
    console = Console()
    _show_end(job, console)
    if not job.finished:
        console.print(
            f"stopped at step {job.step} of {job.config.steps}; go on with: ocngame resume {path}",
            highlight=False,
        )


def _is_robust(path: Path) -> bool:
    return RunFolder(path).read_config().get("problem") in ROBUST_DATA


def _finish(job: AdversarialJob, console: Console) -> None:
    where = job.folder.path if job.folder is not None else ""
    game = job.rivals[0].ready.game
    console.print(
        f"{job.config.problem}: {game.player_count} players, {game.control_size} controls",
        highlight=False,
    )
    try:
        _show_steps(job, console)
    except KeyboardInterrupt:
        console.print(f"interrupted; go on with: ocngame resume {where}", highlight=False)
        raise
    drawn = job.draw()
    _show_end(job, console)
    names = ", ".join(["config.json", "metrics.jsonl", "checkpoint.pt", *drawn])
    console.print(f"{where}: {names}", highlight=False, soft_wrap=True)


def _show_steps(job: AdversarialJob, console: Console) -> None:
    progress = Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=16),
        TimeRemainingColumn(),
        TextColumn("residual: {task.fields[residuals]}"),
        console=console,
    )
    with progress, between_steps() as asked:
        total = job.config.steps
        task = progress.add_task("", total=total, completed=job.step, residuals="")
        for rows in job.run():
            progress.update(task, completed=job.step)
            if rows:
                progress.update(task, residuals=_residuals(rows))
            if asked():
                raise KeyboardInterrupt


def _residuals(rows: Sequence[PlayerRow]) -> str:
    return "  ".join(f"{row.method} {math.hypot(*row.residuals):.1e}" for row in rows)


def _show_end(job: AdversarialJob, console: Console) -> None:
    console.print(_methods(job))
    with console.status("looking for deviations"):
        found = _players(job)
    console.print(found)
    ready = job.rivals[0].ready
    averaged = "measured and examined: averaged players, on a batch that no step has seen"
    for line in (ready.note, averaged if ready.batch is not None else ""):
        if line:
            console.print(line, highlight=False)


def _methods(job: AdversarialJob) -> Table:
    table = _table("method")
    ready = job.rivals[0].ready
    known = ready.equilibrium is not None
    target = ["error", f"steps to\n{job.config.target_error:g}"] if known else []
    for name in (*target, *ready.measures, "refused", "evaluations", "products", "CPU s"):
        table.add_column(name, justify="right", no_wrap=True)
    for rival in job.rivals:
        error = rival.ready.error(rival.start)
        with rival.judged() as ready:
            numbers = [f"{measure():.4g}" for measure in ready.measures.values()]
        table.add_row(
            rival.name,
            *([f"{error:.1e}", str(job.reached.get(rival.name, "-"))] if known else []),
            *numbers,
            str(rival.refused),
            str(rival.evaluations),
            str(rival.products),
            f"{rival.cpu_seconds:.2f}",
        )
    return table


def _players(job: AdversarialJob) -> Table:
    table = _table("method")
    leaders = job.examine_leaders()
    led = ["curvature\nas leader"] if leaders else []
    for name in ("player", "cost", "residual", "least own\ncurvature", *led, "deviation\ngain"):
        table.add_column(name, justify="right", no_wrap=True)
    for method, found in job.examine().items():
        gains = ["-"] * len(found.names) if found.gain is None else found.gain.tolist()
        for i, player in enumerate(found.names):
            table.add_row(
                method if i == 0 else "",
                player,
                f"{float(found.costs[i]):.4g}",
                f"{float(found.residuals[i]):.1e}",
                f"{float(found.own_curvature[i]):.3g}",
                *([f"{float(leaders[method][i].own_curvature[i]):.3g}"] if leaders else []),
                f"{gains[i]:.1e}",
            )
    return table


def _table(first: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table
