"""Robust digits: what robust training makes of one network in the same processor time.

Inputs are in [0, 1]. Robust accuracy is the share of test samples that withstand PGD with 50 steps
from 10 starts and, if asked for, AutoAttack: both of torchattacks where it is installed. "averaged"
rows are the usual methods with the same weight averaging that ours has. Run:
`python benchmarks/robust_digits.py --seconds 6 --seeds 3`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import tyro
from torch import Tensor, nn

from ocngame.games import PerturbationBall
from ocngame.solvers.players import RobustConfig, RobustOpt
from ocngame.solvers.players.baselines import FastTraining, ProjectedTraining, TradesTraining
from ocngame.training.datasets import load_data
from ocngame.training.networks import build_network
from ocngame.training.robustness import (
    Attack,
    accuracy,
    auto_attack,
    has_torchattacks,
    robust_accuracy,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Attributes:
        data: digits or mnist5k.
        seconds: Processor seconds of each training.
        norm: Norm of the ball.
        radius: Radius of the ball.
        seeds: Number of seeds.
        batch_size: Samples per step.
        lr: Step size.
        width: Units of the two hidden layers.
        auto: Whether AutoAttack measures as well.
        only: Methods to measure; all if empty.
    """

    data: str = "digits"
    seconds: float = 6.0
    norm: Literal["linf", "l2"] = "linf"
    radius: float = 0.1
    seeds: int = 3
    batch_size: int = 128
    lr: float = 3e-3
    width: int = 128
    auto: bool = False
    only: tuple[str, ...] = ()


def _ours(**settings) -> Callable:
    def make(model: nn.Module, x: Tensor, ball: PerturbationBall, lr: float):
        return RobustOpt(model, x, config=RobustConfig(ball=ball, lr=lr, **settings))

    return make


def _usual(kind: Callable, **settings) -> Callable:
    return lambda model, x, ball, lr: kind(model, x, ball=ball, lr=lr, **settings)


METHODS: dict[str, Callable] = {
    "RobustOpt, 2 stages": _ours(stages=2),
    "RobustOpt, 1 stage": _ours(stages=1),
    "RobustOpt, curvature": _ours(stages=1, inner=2),
    "RobustOpt, last iterate": _ours(stages=2, memory=0.0),
    "PGD-7": _usual(ProjectedTraining),
    "PGD-7, averaged": _usual(ProjectedTraining, memory=0.995),
    "TRADES-7": _usual(TradesTraining),
    "TRADES-7, averaged": _usual(TradesTraining, memory=0.995),
    "FGSM, random start": _usual(FastTraining),
}


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    library = "torchattacks" if has_torchattacks() else "ours"
    attack = Attack(library=library)
    print(f"| training | steps | clean % | {attack.name} % | mean | AutoAttack % |")
    print("|---|---|---|---|---|---|")
    for name in settings.only or METHODS:
        runs = [_run(METHODS[name], seed, settings, attack) for seed in range(settings.seeds)]
        cells = [" ".join(f"{100 * run[k]:.1f}" for run in runs) for k in (1, 2, 3)]
        clean, robust = (100 * sum(run[k] for run in runs) / len(runs) for k in (1, 2))
        means = f"{clean:.1f} / {robust:.1f}"
        row = [name, str(runs[0][0]), cells[0], cells[1], means, cells[2]]
        print(f"| {' | '.join(row)} |", flush=True)


def _run(make: Callable, seed: int, s: Settings, attack: Attack) -> tuple[int, float, float, float]:
    data = load_data(s.data, scaling="none", test_fraction=0.2, seed=seed)
    top = float(data.x_train.max())
    x, y = data.x_train / top, data.y_train
    ball = PerturbationBall(radius=s.radius, norm=s.norm, low=0.0, high=1.0)
    model = build_network(
        "mlp",
        features=x.shape[1],
        classes=data.classes,
        width=s.width,
        depth=2,
        activation="relu",
        seed=seed,
    )
    training, noise = make(model, x, ball, s.lr), torch.Generator().manual_seed(seed)
    steps, used = 0, 0.0
    while used < s.seconds:
        rows = torch.randint(len(x), (s.batch_size,), generator=noise)
        before = time.process_time()
        training.step(rows, y[rows])
        used += time.process_time() - before
        steps += 1
    training.average(model)
    x_test, y_test = data.x_test / top, data.y_test
    auto = float("nan")
    if s.auto and has_torchattacks():
        auto = auto_attack(model, x_test, y_test, ball=ball, classes=data.classes)
    robust = robust_accuracy(model, x_test, y_test, ball=ball, attack=attack)
    return steps, accuracy(model, x_test, y_test), robust, auto


if __name__ == "__main__":
    main(tyro.cli(Settings))
