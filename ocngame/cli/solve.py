"""What `solve` shows: what was found, a table of the players, and pictures."""

from dataclasses import asdict

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table

import ocngame as og
from ocngame._checks import one_of
from ocngame.cli.commands import Solve
from ocngame.equilibria.nonlinear import NonlinearReport, examine
from ocngame.games.draw_trajectory import animate_paths, draw_trajectory
from ocngame.games.zoo import READY, ReadyGame
from ocngame.solvers.nonlinear import IterationOptions, NonlinearSolution
from ocngame.training.run_folder import RunFolder, default_folder, require_free

__all__ = ["solve_ready"]


def solve_ready(command: Solve) -> None:
    """Solve a ready game, show what was found and keep it in a folder.

    Args:
        command: Settings.
    """
    torch.set_num_threads(command.threads)
    one_of("game", command.game, READY)
    ready = READY[command.game]()
    path = command.out if command.out is not None else default_folder(f"solve-{ready.name}")
    require_free(path)
    console = Console()
    if command.information not in ready.information:
        known = " and ".join(ready.information)
        console.print(f"note: {ready.name} is known to be solved under {known} only")
    with console.status(f"solving {ready.name}"):
        solution = og.solve(
            ready.game,
            information=command.information,
            x0=ready.x0,
            initial=ready.controls,
            options=IterationOptions(max_iterations=ready.max_iterations),
        )
    with console.status("looking for deviations"):
        report = solution.constraints
        found = examine(
            ready.game,
            solution,
            generator=torch.Generator().manual_seed(command.seed),
            starts=command.starts,
            multipliers=None if report is None else report.multipliers,
        )
    settings = asdict(command) | {"out": str(path)}
    folder = RunFolder.create(path, settings, lambda draft: _fill(draft, ready, solution))
    console.print(_headline(ready, solution), highlight=False)
    console.print(_table(solution, found))
    names = ", ".join(sorted(file.name for file in folder.path.iterdir()))
    console.print(f"{path}: {names}", highlight=False, soft_wrap=True)


def _fill(folder: RunFolder, ready: ReadyGame, solution: NonlinearSolution) -> None:
    np.savez(
        folder.path / "solution.npz",
        states=solution.states.numpy(),
        controls=solution.controls.numpy(),
        feedback=solution.feedback.numpy(),
    )
    title = f"{ready.name}, {solution.information}"
    draw_trajectory(
        solution.states,
        solution.controls,
        folder.path / "trajectory.png",
        positions=ready.positions,
        control_slices=ready.game.control_slices,
        title=title,
    )
    if ready.positions:
        animate_paths(solution.states, ready.positions, folder.path / "animation.gif", title=title)


def _headline(ready: ReadyGame, solution: NonlinearSolution) -> str:
    game = ready.game
    return (
        f"{ready.name}: {game.player_count} players, {game.state_size} states, "
        f"{game.control_size} controls, {game.horizon} stages; {solution.information}: "
        f"{solution.status} ({int(solution.iterations)} iterations, "
        f"residual {float(solution.residual):.1e})"
    )


def _table(solution: NonlinearSolution, found: NonlinearReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("player", no_wrap=True)
    for name in ("cost", "residual", "least own\ncurvature", "deviation\ngain", "relative"):
        table.add_column(name, justify="right", no_wrap=True)
    costs = solution.costs.tolist()
    deciders = found.gain.shape[-1]
    own = range(len(costs)) if deciders == len(costs) else range(0)
    for i, cost in enumerate(costs):
        numbers = _numbers(found, i) if i in own else ()
        table.add_row(str(i), f"{cost:.6g}", *numbers)
    if not own:
        table.add_row("coalition", f"{sum(costs):.6g}", *_numbers(found, 0))
    return table


def _numbers(found: NonlinearReport, i: int) -> tuple[str, ...]:
    return (
        f"{float(found.residuals[i]):.1e}",
        f"{float(found.own_curvature[i].min()):.3g}",
        f"{float(found.gain[i]):.1e}",
        f"{float(found.relative[i]):.1e}",
    )
