"""What a step of the coupled stage game costs, as a ratio to a step of simultaneous Adam.

Two tanh networks of about 1e4, 1e5 and 1e6 parameters each play a GAN-like game on batches of 64;
steps of all methods alternate in one process. Run: `python benchmarks/player_cost.py`.
"""

import time

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import ocngame as og
from ocngame.solvers.players import DiagonalOwn, KrylovSolve, PlainStep
from ocngame.solvers.players.baselines import SimultaneousAdam

ROUNDS = 3
NETWORKS = {"1e4": 96, "1e5": 310, "1e6": 995}


def game(width: int) -> og.PlayerGame:
    torch.manual_seed(0)

    def network(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(),
            nn.Linear(width, outputs),
        )  # fmt: skip

    def costs(G: nn.Module, D: nn.Module, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        fake = D(G(z))
        return softplus(-fake).mean(), softplus(-D(x)).mean() + softplus(fake).mean()

    return og.PlayerGame([network(16, 2), network(2, 1)], costs)


def main() -> None:
    torch.set_num_threads(1)
    average = og.PlayerOptConfig(
        curvature=DiagonalOwn(step=1e-3),
        solve=KrylovSolve(tolerance=0.1, max_products=2),
        step=PlainStep(),
    )
    x, z = torch.randn(64, 2), torch.randn(64, 16)
    print("| parameters per player | Adam, ms | averaged diagonal / Adam | full, judged / Adam |")
    print("|---|---|---|---|")
    for name, width in NETWORKS.items():
        methods = [
            SimultaneousAdam(game(width)),
            og.PlayerOpt(game(width), config=average),
            og.PlayerOpt(game(width)),
        ]
        used = [0.0] * len(methods)
        for method in methods:
            method.step(x, z)
        for _ in range(ROUNDS):
            for i, method in enumerate(methods):
                before = time.process_time()
                method.step(x, z)
                used[i] += time.process_time() - before
        first = used[0] / ROUNDS
        ratios = " | ".join(f"{value / used[0]:.1f}" for value in used[1:])
        print(f"| {name} | {1000 * first:.1f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
