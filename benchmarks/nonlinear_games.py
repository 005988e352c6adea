"""Nonlinear games: how long a warm-started solve takes, and how it converges.

    .venv/bin/python benchmarks/nonlinear_games.py

It takes about a minute on one core and writes `nonlinear_games.md` into `docs/benchmarks/`. Times
are processor seconds of one process on one thread; a plain NumPy recursion of a linear-quadratic
game takes turns with every solve and says how fast the machine was in that minute.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from lq_games import processor
from torch import Tensor

import ocngame as og
from ocngame.equilibria import examine
from ocngame.games.zoo import intersection
from ocngame.solvers.nonlinear import NonlinearSolution

KINDS = ("feedback", "open_loop", "cooperative")
STATES, STAGES, SIZES = 12, 100, (2, 2, 2)


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        repeats: Number of turns of every solve.
        moved: Standard deviation of the perturbed initial state, in metres, radians and metres per
            second.
        steps: Number of receding-horizon steps; their median is reported.
        seed: Seed of the perturbation and of the linear-quadratic game.
        out: Folder of the report.
    """

    repeats: int = 7
    moved: float = 0.1
    steps: int = 5
    seed: int = 0
    out: Path = Path("docs/benchmarks")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        kind: Information structure.
        start: From what.
        milliseconds: Median processor time.
        reference: Median time of the NumPy recursion beside it.
        iterations: Steps taken.
        residual: Norm of the players' own gradients.
        gain: Largest deviation gain found, relative; NaN where it was not asked for.
    """

    kind: str
    start: str
    milliseconds: float
    reference: float
    iterations: int
    residual: float
    gain: float

    def __str__(self) -> str:
        """The line in Markdown."""
        gain = f"{self.gain:.0e}" if np.isfinite(self.gain) else ""
        return (
            f"| {self.kind.replace('_', ' ')} | {self.start} | {self.milliseconds:.0f} "
            f"| {self.iterations} | {self.residual:.0e} | {gain} | {self.reference:.1f} |"
        )


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    settings.out.mkdir(parents=True, exist_ok=True)
    game = random_game(settings.seed)
    plain = numpy_of(game)
    rows = [row for kind in KINDS for row in intersections(kind, settings, plain)]
    single = []
    for kind in KINDS:

        def solve(kind: str = kind) -> Any:
            return og.solve(game, information=kind)

        ours, reference = timed(solve, plain, 3 * settings.repeats)
        single.append(f"| {kind.replace('_', ' ')} | {ours:.1f} | {reference:.1f} |")
    report = "\n".join([head(settings), *map(str, rows), "", SINGLE, *single, ""])
    (settings.out / "nonlinear_games.md").write_text(report)
    print(report)


def intersections(kind: str, settings: Settings, plain: Callable[[], None]) -> list[Row]:
    """Solve the intersection from its start, warm, and along a receding horizon."""
    ready = intersection()
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(ready.x0.shape, generator=generator, dtype=ready.x0.dtype)

    def solve(x0: Tensor, initial: Any) -> NonlinearSolution:
        return og.solve(ready.game, information=kind, x0=x0, initial=initial)

    first = solve(ready.x0, ready.controls)
    rows = []
    cases = (
        ("straight driving", lambda: solve(ready.x0, ready.controls), 1),
        (
            "the solution from another initial state",
            lambda: solve(ready.x0 + settings.moved * noise, first),
            settings.repeats,
        ),
    )
    for start, work, repeats in cases:
        ours, reference = timed(work, plain, repeats)
        found = work()
        report = examine(ready.game, found, generator=generator, starts=0)
        rows.append(
            Row(
                kind=kind,
                start=start,
                milliseconds=ours,
                reference=reference,
                iterations=int(found.iterations),
                residual=float(found.residual),
                gain=float(report.relative.max()),
            )
        )
    times, references, counts, found = [], [], [], first
    for _ in range(settings.steps):

        def step(found: NonlinearSolution = found) -> NonlinearSolution:
            return solve(found.states[1], found.shifted())

        ours, reference = timed(step, plain, settings.repeats)
        times.append(ours)
        references.append(reference)
        found = step()
        counts.append(int(found.iterations))
    return [
        *rows,
        Row(
            kind=kind,
            start="the solution one stage earlier",
            milliseconds=statistics.median(times),
            reference=statistics.median(references),
            iterations=int(statistics.median(counts)),
            residual=float(found.residual),
            gain=float(examine(ready.game, found, generator=generator, starts=0).relative.max()),
        ),
    ]


def timed(work: Callable[[], Any], plain: Callable[[], None], repeats: int) -> tuple[float, float]:
    """Give the median milliseconds of some work and of the reference beside it."""
    ours, reference = [], []
    for _ in range(repeats):
        for function, times in ((work, ours), (plain, reference)):
            begin = time.process_time()
            function()
            times.append(1e3 * (time.process_time() - begin))
    return statistics.median(ours), statistics.median(reference)


def random_game(seed: int) -> og.LQGame:
    """Make a game of three players whose matrices change from stage to stage."""
    generator = torch.Generator().manual_seed(seed)
    n, m, N = STATES, sum(SIZES), len(SIZES)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    root = 0.3 * normal(N, STAGES + 1, n, n)
    R = torch.zeros(N, STAGES, m, m, dtype=torch.float64)
    slices = [slice(2 * i, 2 * i + 2) for i in range(N)]
    for i, block in enumerate(slices):
        R[i, :, block, block] = torch.eye(2, dtype=torch.float64)
    return og.LQGame(
        A=torch.eye(n, dtype=torch.float64) + 0.05 * normal(STAGES, n, n),
        B=0.3 * normal(STAGES, n, m),
        Q=root @ root.mT,
        R=R,
        q=normal(N, STAGES + 1, n),
        control_slices=slices,
    )


def numpy_of(game: og.LQGame) -> Callable[[], None]:
    """Give the plain coupled Riccati recursion, without linear terms and evidence."""
    A, B, Q, R = (part.numpy() for part in (game.A, game.B, game.Q, game.R))
    blocks = list(enumerate(game.control_slices))

    def recursion() -> None:
        P = [Q[i, -1] for i, _ in blocks]
        for t in reversed(range(len(A))):
            rows = [(B[t][:, block].T @ P[i], R[i, t][block]) for i, block in blocks]
            system = np.concatenate([own + half @ B[t] for half, own in rows])
            K = -np.linalg.solve(system, np.concatenate([half @ A[t] for half, _ in rows]))
            F = A[t] + B[t] @ K
            P = [Q[i, t] + K.T @ R[i, t] @ K + F.T @ P[i] @ F for i, _ in blocks]

    return recursion


def head(settings: Settings) -> str:
    """Write what was measured, and on what."""
    return f"""\
# Nonlinear games

Written by `benchmarks/nonlinear_games.py` with torch {torch.__version__} on one thread of
{processor()} (load average {os.getloadavg()[0]:.1f}). Milliseconds are processor time, the median
of {settings.repeats} turns (one turn from straight driving, which includes looking at the game's
functions once; {settings.steps} steps of the receding horizon).

## Three unicycles at an intersection, {STAGES} stages, float64

Every solve ends with a residual below 1e-9 and the second-order check on the true Hessians. "From
another initial state": every entry of it is moved by normal noise of deviation {settings.moved:g};
the earlier solution's policies are played from there. "One stage earlier": the horizon recedes, and
the solve starts from `solution.shifted()`. Gains are the largest that a descent on a player's own
cost found, relative to the cost's terms. "NumPy" is a plain coupled Riccati recursion of the same
size, timed in turns with the solve: a yardstick for the machine's load.

| information | start | ms | iterations | residual | gain | NumPy ms |
|---|---|---|---|---|---|---|"""


SINGLE = f"""\
Feedback steps are quasi-Newton: the gains of the quadratic game change with the trajectory, and
the steps learn how from their own differences, which a warm start brings along. Open-loop and
cooperative steps are Newton's.

## One linear-quadratic game, {STATES} states, {len(SIZES)} players, {STAGES} stages, float64

With values, linear terms, trajectory-free policies and the evidence of existence; the NumPy
recursion has none of these.

| information | ms | NumPy ms |
|---|---|---|"""


if __name__ == "__main__":
    main(tyro.cli(Settings))
