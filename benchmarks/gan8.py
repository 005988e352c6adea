"""GANs on 8 Gaussians: what each method has made of them after the same processor time.

Every method starts from the same networks and draws the same batches; methods without the gradient
penalty in their name play the game without it. Run: `python benchmarks/gan8.py --seconds 60`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro

from ocngame.games import PlayerGame
from ocngame.games.differentiable import gaussian_gan, ring
from ocngame.solvers.players import (
    DiagonalOwn,
    KrylovSolve,
    PlainStep,
    PlayerOpt,
    PlayerOptConfig,
    SweepOpt,
)
from ocngame.solvers.players.baselines import ExtraAdam, OptimisticAdam, SimultaneousAdam


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Attributes:
        seconds: Processor seconds of each run.
        seeds: Number of seeds.
        batch_size: Samples per step.
        step: Step of the coupled stage game.
        adam_lr: Step size of the Adam methods.
        sweep_lr: Step size of the sweep.
        only: Methods to measure; all if empty.
    """

    seconds: float = 20.0
    seeds: int = 5
    batch_size: int = 256
    step: float = 3e-3
    adam_lr: float = 1e-3
    sweep_lr: float = 1e-3
    only: tuple[str, ...] = ()


def coupled(game: PlayerGame, settings: Settings) -> PlayerOpt:
    config = PlayerOptConfig(
        curvature=DiagonalOwn(step=settings.step),
        solve=KrylovSolve(tolerance=0.1, max_products=2),
        step=PlainStep(),
    )
    return PlayerOpt(game, config=config)


METHODS: dict[str, tuple[Callable, float]] = {
    "SweepOpt + R1": (lambda game, s: SweepOpt(game, lr=s.sweep_lr), 1.0),
    "players + R1": (coupled, 1.0),
    "players": (coupled, 0.0),
    "Adam + R1": (lambda game, s: SimultaneousAdam(game, lr=s.adam_lr), 1.0),
    "Adam": (lambda game, s: SimultaneousAdam(game, lr=s.adam_lr), 0.0),
    "ExtraAdam": (lambda game, s: ExtraAdam(game, lr=s.adam_lr), 0.0),
    "OptimisticAdam": (lambda game, s: OptimisticAdam(game, lr=s.adam_lr), 0.0),
}


def play(name: str, seed: int, settings: Settings) -> tuple[int, int, int, int, float]:
    make, penalty = METHODS[name]
    ready = gaussian_gan(ring(), penalty=penalty, seed=seed)
    assert ready.batch is not None
    method = make(ready.game, settings)
    noise = torch.Generator().manual_seed(seed)
    steps = evaluations = products = 0
    used = 0.0
    while used < settings.seconds:
        batch = ready.batch(settings.batch_size, noise)
        before = time.process_time()
        info = method.step(*batch)
        used += time.process_time() - before
        steps += 1
        evaluations += info.evaluations
        products += info.products
    modes, quality = ready.measures["modes"](), ready.measures["quality"]()
    return steps, evaluations, products, int(modes), quality


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    print("| method | steps | modes per seed | high quality per seed | mean |")
    print("|---|---|---|---|---|")
    for name in settings.only or METHODS:
        runs = [play(name, seed, settings) for seed in range(settings.seeds)]
        modes = " ".join(str(run[3]) for run in runs)
        quality = " ".join(f"{run[4]:.2f}" for run in runs)
        mean = sum(run[4] for run in runs) / len(runs)
        print(f"| {name} | {runs[0][0]} | {modes} | {quality} | {mean:.2f} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Settings))
