"""Robust digits: what min-max training makes of one network in the same processor time.

Inputs are in [0, 1], the ball is l_inf. Robust accuracy is the least over projected gradient ascent
(50 steps, 10 restarts) and, where it is installed, AutoAttack of torchattacks. Run:
`python benchmarks/robust_digits.py --seconds 20`.
"""

import copy
import importlib
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

import ocngame as og
from ocngame.games import PerturbationBall
from ocngame.solvers.players import InputAdversary
from ocngame.solvers.players.baselines import FastGradientSign, ProjectedGradient
from ocngame.training.datasets import load_data

Step = Callable[[Tensor, Tensor, torch.Generator], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Attributes:
        seconds: Processor seconds of each training.
        radius: Radius of the ball.
        seeds: Number of seeds.
        batch_size: Samples per step.
        lr: Step size of Adam.
        width: Units of the two hidden layers.
    """

    seconds: float = 20.0
    radius: float = 0.1
    seeds: int = 3
    batch_size: int = 128
    lr: float = 3e-3
    width: int = 128


def adversary_ocnopt(model: nn.Module, s: Settings, stages: int = 2) -> Step:
    adversary = InputAdversary(ball=_ball(s), stages=stages)
    loss = nn.CrossEntropyLoss()
    opt = og.OCNOpt(model, loss=loss)

    def step(x: Tensor, y: Tensor, noise: torch.Generator) -> None:
        start = _ball(s).random(x, noise)
        opt.step(x + adversary.perturb(model, loss, x, y, start=start), y)

    return step


def adversary_adam(model: nn.Module, s: Settings) -> Step:
    adversary = InputAdversary(ball=_ball(s), stages=2)
    loss = nn.CrossEntropyLoss()
    return _adam(
        model,
        s,
        lambda x, y, noise: adversary.perturb(model, loss, x, y, start=_ball(s).random(x, noise)),
    )


def pgd(model: nn.Module, s: Settings) -> Step:
    attack = ProjectedGradient(ball=_ball(s), steps=7)
    return _adam(model, s, lambda x, y, noise: attack.perturb(model, x, y, noise))


def fgsm(model: nn.Module, s: Settings) -> Step:
    attack = FastGradientSign(ball=_ball(s))
    return _adam(model, s, lambda x, y, noise: attack.perturb(model, x, y, noise))


def trades(model: nn.Module, s: Settings) -> Step:
    """Zhang et al., 1901.08573, equation 5, with 1/lambda = 6 and 7 steps."""
    opt, ball = torch.optim.Adam(model.parameters(), lr=s.lr), _ball(s)

    def step(x: Tensor, y: Tensor, noise: torch.Generator) -> None:
        with torch.no_grad():
            natural = softmax(model(x), dim=1)
        d = 1e-3 * torch.randn(x.shape, generator=noise)
        for _ in range(7):
            moved = (x + d).detach().requires_grad_()
            gap = kl_div(log_softmax(model(moved), dim=1), natural, reduction="sum")
            (slope,) = torch.autograd.grad(gap, moved)
            d = ball.project(d + ball.steepest(slope) * (2.5 / 7), x)
        clean = model(x)
        gap = kl_div(log_softmax(model(x + d), dim=1), softmax(clean, dim=1), reduction="batchmean")
        opt.zero_grad()
        (cross_entropy(clean, y) + 6 * gap).backward()
        opt.step()

    return step


def _adam(model: nn.Module, s: Settings, perturb: Callable) -> Step:
    opt = torch.optim.Adam(model.parameters(), lr=s.lr)

    def step(x: Tensor, y: Tensor, noise: torch.Generator) -> None:
        d = perturb(x, y, noise)
        opt.zero_grad()
        cross_entropy(model(x + d), y).backward()
        opt.step()

    return step


def _ball(s: Settings) -> PerturbationBall:
    return PerturbationBall(radius=s.radius, low=0.0, high=1.0)


METHODS = {
    "adversary + OCNOpt": adversary_ocnopt,
    "adversary + Adam": adversary_adam,
    "PGD-7 + Adam": pgd,
    "TRADES-7 + Adam": trades,
    "FGSM-RS + Adam": fgsm,
}


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    print("| method | steps | clean % | robust % (PGD-50 x 10) | robust % (AutoAttack) |")
    print("|---|---|---|---|---|")
    for name, make in METHODS.items():
        runs = [_run(make, seed, settings) for seed in range(settings.seeds)]
        cells = [" ".join(f"{run[k]:.1f}" for run in runs) for k in (1, 2, 3)]
        print(f"| {name} | {runs[0][0]} | {' | '.join(cells)} |", flush=True)


def _run(make: Callable, seed: int, s: Settings) -> tuple[int, float, float, float]:
    data = load_data("digits", scaling="none", test_fraction=0.2, seed=seed)
    top = float(data.x_train.max())
    x, y = data.x_train / top, data.y_train
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(64, s.width),
        nn.ReLU(),
        nn.Linear(s.width, s.width),
        nn.ReLU(),
        nn.Linear(s.width, 10),
    )
    step, noise, steps, used = make(model, s), torch.Generator().manual_seed(seed), 0, 0.0
    while used < s.seconds:
        chosen = torch.randint(len(x), (s.batch_size,), generator=noise)
        before = time.process_time()
        step(x[chosen], y[chosen], noise)
        used += time.process_time() - before
        steps += 1
    return steps, *_robust(model, data.x_test / top, data.y_test, s)


def _robust(model: nn.Module, x: Tensor, y: Tensor, s: Settings) -> tuple[float, float, float]:
    def accuracy(moved: Tensor) -> float:
        with torch.no_grad():
            return 100 * float((model(moved).argmax(1) == y).float().mean())

    attack = ProjectedGradient(ball=_ball(s), steps=50, restarts=10)
    found = attack.perturb(model, x, y, torch.Generator().manual_seed(0))
    auto = float("nan")
    if importlib.util.find_spec("torchattacks") is not None:
        torchattacks = importlib.import_module("torchattacks")
        images = nn.Sequential(nn.Flatten(), copy.deepcopy(model))
        ours = torchattacks.AutoAttack(images, norm="Linf", eps=s.radius, n_classes=10)
        auto = accuracy(ours(x.view(-1, 1, 8, 8), y).flatten(1))
    return accuracy(x), accuracy(x + found), auto


if __name__ == "__main__":
    main(tyro.cli(Settings))
