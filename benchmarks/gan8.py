"""GANs on 8 or 25 Gaussians: what each method makes of them with the same means.

Every method starts from the same networks and draws the same batches; methods without the gradient
penalty in their name play the game without it. A run ends after so many processor seconds, or after
so many gradient evaluations: a pass over all costs with a backward pass per player, a second-order
product counting as another. "Settled" methods let their step size fall to zero in the second half,
and every run is judged twice: by the players as they are and by their averaged iterates.

    python benchmarks/gan8.py --tune                    # step sizes, on a seed of its own
    python benchmarks/gan8.py --seconds 12              # the table, 14 min on one core
    python benchmarks/gan8.py --evaluations 4000        # the same with equal evaluations
    python benchmarks/gan8.py --problem gan25 --seconds 30 --only sweep adam-r1-settled
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import tyro

from ocngame.games import PlayerGame
from ocngame.games.differentiable import ReadyPlayers, gaussian_gan, grid, ring
from ocngame.solvers.players import (
    DiagonalOwn,
    IterateAverage,
    KrylovSolve,
    LinearEnd,
    PlainStep,
    PlayerOpt,
    PlayerOptConfig,
    SweepOpt,
)
from ocngame.solvers.players.baselines import ExtraAdam, OptimisticAdam, SimultaneousAdam

_TUNING_SEED = 100


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Attributes:
        problem: The data.
        seconds: Processor seconds of each run.
        evaluations: Gradient evaluations of each run, in the place of seconds; 0: seconds.
        seeds: Number of seeds.
        batch_size: Samples per step.
        tune: Measure every step size of the grid on the tuning seed.
        grid: Step sizes to tune over.
        only: Methods to measure; all if empty.
    """

    problem: Literal["gan8", "gan25"] = "gan8"
    seconds: float = 12.0
    evaluations: int = 0
    seeds: int = 5
    batch_size: int = 256
    tune: bool = False
    grid: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    only: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A method as it is measured.

    Attributes:
        label: Its name in the table.
        make: Makes it, from a game and a step size.
        lr: Its tuned step size.
        penalty: Weight of the gradient penalty.
        settled: Whether the step size falls in the second half.
    """

    label: str
    make: Callable[[PlayerGame, float], Any]
    lr: float
    penalty: float = 1.0
    settled: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run came to: modes and quality of the players and of their averages."""

    steps: int
    evaluations: int
    seconds: float
    last: tuple[int, float]
    mean: tuple[int, float]


def _coupled(game: PlayerGame, lr: float) -> PlayerOpt:
    config = PlayerOptConfig(
        curvature=DiagonalOwn(step=lr),
        solve=KrylovSolve(tolerance=0.1, max_products=2),
        step=PlainStep(),
    )
    return PlayerOpt(game, config=config)


def _adam(game: PlayerGame, lr: float) -> SimultaneousAdam:
    return SimultaneousAdam(game, lr=lr)


CONTENDERS = {
    "sweep": Contender(
        label="`SweepOpt`, R1, settled",
        make=lambda game, lr: SweepOpt(game, lr=lr),
        lr=4e-3,
        settled=True,
    ),
    "sweep-constant": Contender(
        label="`SweepOpt`, R1", make=lambda game, lr: SweepOpt(game, lr=lr), lr=4e-3
    ),
    "adam-r1-settled": Contender(label="Adam, R1, settled", make=_adam, lr=4e-3, settled=True),
    "adam-r1": Contender(label="Adam, R1", make=_adam, lr=2e-3),
    "adam": Contender(label="Adam", make=_adam, lr=2e-3, penalty=0.0),
    "extra-adam": Contender(
        label="ExtraAdam", make=lambda game, lr: ExtraAdam(game, lr=lr), lr=2e-3, penalty=0.0
    ),
    "optimistic-adam": Contender(
        label="OptimisticAdam",
        make=lambda game, lr: OptimisticAdam(game, lr=lr),
        lr=1e-3,
        penalty=0.0,
    ),
    "acgd": Contender(label="ACGD-like", make=_coupled, lr=3e-3, penalty=0.0),
    "acgd-r1": Contender(label="ACGD-like, R1", make=_coupled, lr=3e-3),
}


def _ready(settings: Settings, contender: Contender, seed: int) -> ReadyPlayers:
    mixture = ring() if settings.problem == "gan8" else grid()
    return gaussian_gan(mixture, penalty=contender.penalty, seed=seed)


def play(contender: Contender, lr: float, seed: int, settings: Settings) -> Result:
    ready = _ready(settings, contender, seed)
    assert ready.batch is not None
    game = ready.game
    method = contender.make(game, lr)
    average = IterateAverage([p for own in game.parameters for p in own], memory=0.999)
    end = LinearEnd()
    noise = torch.Generator().manual_seed(seed)
    steps = evaluations = 0
    used = progress = 0.0
    while progress < 1:
        batch = ready.batch(settings.batch_size, noise)
        before = time.process_time()
        if contender.settled:
            method.lr = lr * end.factor(progress)
        info = method.step(*batch)
        average.update()
        used += time.process_time() - before
        steps += 1
        evaluations += info.evaluations + info.products
        if settings.evaluations:
            progress = evaluations / settings.evaluations
        else:
            progress = used / settings.seconds
    last = _judged(ready)
    game.assign(average.joined())
    return Result(
        steps=steps, evaluations=evaluations, seconds=used, last=last, mean=_judged(ready)
    )


def _judged(ready: ReadyPlayers) -> tuple[int, float]:
    return int(ready.measures["modes"]()), ready.measures["quality"]()


def tune(settings: Settings) -> None:
    print("| method | step size | modes, quality | averaged |")
    print("|---|---|---|---|")
    for name in settings.only or CONTENDERS:
        contender = CONTENDERS[name]
        for lr in settings.grid:
            found = play(contender, lr, _TUNING_SEED, settings)
            last, mean = (f"{part[0]}, {part[1]:.2f}" for part in (found.last, found.mean))
            print(f"| {contender.label} | {lr:g} | {last} | {mean} |", flush=True)


def table(settings: Settings) -> None:
    print(
        "| method | step size | steps | evaluations | CPU s | modes | high quality | mean | "
        "averaged: modes | high quality | mean |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name in settings.only or CONTENDERS:
        contender = CONTENDERS[name]
        runs = [play(contender, contender.lr, seed, settings) for seed in range(settings.seeds)]
        cells = []
        for ends in ([run.last for run in runs], [run.mean for run in runs]):
            cells += [
                " ".join(str(modes) for modes, _ in ends),
                " ".join(f"{quality:.2f}".lstrip("0") for _, quality in ends),
                f"{sum(quality for _, quality in ends) / len(ends):.2f}",
            ]
        spent = [
            f"{sum(values) / len(runs):.{digits}f}"
            for values, digits in (
                ([run.steps for run in runs], 0),
                ([run.evaluations for run in runs], 0),
                ([run.seconds for run in runs], 1),
            )
        ]
        shown = " | ".join([contender.label, f"{contender.lr:g}", *spent, *cells])
        print(f"| {shown} |", flush=True)


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    (tune if settings.tune else table)(settings)


if __name__ == "__main__":
    main(tyro.cli(Settings))
