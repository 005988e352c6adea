"""What `train marl` shows: live returns and frames per second, and a table of teams."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ocngame.agents.training import MarlJob, MarlRow
from ocngame.cli.interrupt import between_steps
from ocngame.training.marl_config import MarlConfig
from ocngame.training.run_folder import default_folder

__all__ = ["evaluate_run", "resume", "train"]


def train(config: MarlConfig, out: Path | None) -> None:
    """Start a run in a new folder and finish it.

    Args:
        config: Settings.
        out: The folder; under `runs/` by world and time if None.
    """
    name = config.world.replace(":", ".").replace("/", ".")
    path = out if out is not None else default_folder(f"marl-{name}")
    _finish(MarlJob.start(config, path), Console())


def resume(path: Path) -> None:
    """Go on with a run and finish it.

    Args:
        path: Its folder.
    """
    job = MarlJob.resume(path)
    console = Console()
    console.print(f"{path}: going on from update {job.step} of {job.total_steps}", highlight=False)
    _finish(job, console)


def evaluate_run(path: Path, world: str, episodes: int) -> None:
    """Measure the teams of a run's last checkpoint.

    Args:
        path: Its folder.
        world: World to play in; that of the run's settings if empty.
        episodes: Episodes; as in the run's settings if 0.
    """
    job = MarlJob.resume(path)
    torch.set_num_threads(job.config.threads)
    console = Console()
    with console.status("playing"):
        table = _table(job, world, episodes)
    console.print(table)
    if not job.finished:
        console.print(
            f"stopped at update {job.step} of {job.total_steps}; go on with: ocngame resume {path}",
            highlight=False,
        )
    job.close()


def _finish(job: MarlJob, console: Console) -> None:
    where = job.folder.path if job.folder is not None else ""
    console.print(_headline(job), highlight=False, soft_wrap=True)
    try:
        _show_steps(job, console)
    except KeyboardInterrupt:
        console.print(f"interrupted; go on with: ocngame resume {where}", highlight=False)
        raise
    finally:
        job.close()
    drawn = job.draw()
    with console.status("playing"):
        table = _table(job, "", 0)
    console.print(table)
    names = ", ".join(["config.json", "metrics.jsonl", "checkpoint.pt", *drawn])
    console.print(f"{where}: {names}", highlight=False, soft_wrap=True)


def _headline(job: MarlJob) -> str:
    config = job.config
    groups = ", ".join(
        f"{len(g.agents)} of {g.name} (observations {g.observation_size}, {g.action_space})"
        for g in job.world.groups
    )
    return f"{config.world}: {config.algorithm} with {config.optimizer}; {groups}"


def _show_steps(job: MarlJob, console: Console) -> None:
    progress = Progress(
        TextColumn("{task.completed}/{task.total} frames"),
        BarColumn(bar_width=16),
        TimeRemainingColumn(),
        TextColumn("{task.fields[speed]} frames/s  {task.fields[returns]}"),
        console=console,
    )
    per_update = job.config.frames_per_update
    with progress, between_steps() as asked:
        task = progress.add_task(
            "", total=job.total_steps * per_update, completed=job.frames, speed="-", returns=""
        )
        start, begun = time.perf_counter(), job.frames
        for rows in job.run():
            speed = (job.frames - begun) / max(time.perf_counter() - start, 1e-9)
            progress.update(task, completed=job.frames, speed=f"{speed:,.0f}")
            if rows:
                progress.update(task, returns=_returns(rows))
            if asked():
                raise KeyboardInterrupt


def _returns(rows: Sequence[MarlRow]) -> str:
    return "  ".join(f"{row.team} {row.drawn:.2f}" for row in rows)


def _table(job: MarlJob, world: str, episodes: int) -> Table:
    config = job.config
    place = job.make_world(world) if world else job.measured_world()
    count = episodes or config.episodes
    drawn = job.measure(count, deterministic=False, world=place)
    most = job.measure(count, deterministic=True, world=place)
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
        pad_edge=False,
        caption=f"{place.name}: mean return per agent of {len(drawn.lengths)} episodes, "
        "± standard error",
    )
    table.add_column("team", no_wrap=True)
    for name in ("drawn actions", "most probable", "length", "frames", "CPU s"):
        table.add_column(name, justify="right", no_wrap=True)
    for team in drawn.by_team:
        table.add_row(
            team,
            _with_error(drawn.by_team[team]),
            _with_error(most.by_team[team]),
            f"{float(drawn.lengths.double().mean()):.1f}",
            f"{job.frames:,}",
            f"{job.cpu_seconds:.1f}",
        )
    if world:
        place.close()
    return table


def _with_error(returns: torch.Tensor) -> str:
    if len(returns) < 2:
        return f"{float(returns.mean()):.3f}"
    error = float(returns.double().std()) / len(returns) ** 0.5
    return f"{float(returns.mean()):.3f} ± {error:.3f}"
