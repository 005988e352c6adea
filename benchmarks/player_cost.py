"""What a step of the players' stage game costs, as a ratio to a step of simultaneous Adam.

Two tanh networks of about 1e4, 1e5 and 1e6 parameters each play a GAN-like game on batches of 64.
Steps of all methods alternate in one process over one rhythm of the curvature (20 steps: five
measure, one factorises); the judged method, whose steps take long, makes one. Memory is what the
peak of a process grows by over three steps, less what the two networks take. Run:
`python benchmarks/player_cost.py`.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import ocngame as og
from ocngame.solvers.ocnopt import Rhythm
from ocngame.solvers.players import (
    DiagonalOwn,
    GramOwn,
    KrylovSolve,
    NetworkOwn,
    PlainStep,
    SweepOpt,
)
from ocngame.solvers.players.baselines import SimultaneousAdam

ROUNDS = 20
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


def _stage(curvature: Any, information: str = "feedback") -> Callable[[og.PlayerGame], Any]:
    config = og.PlayerOptConfig(
        curvature=curvature,
        information=information,
        solve=KrylovSolve(tolerance=0.1, max_products=2),
        step=PlainStep(damping=0.1),
    )
    return lambda players: og.PlayerOpt(players, lr=0.1, config=config)


KRONECKER = NetworkOwn(rhythm=Rhythm(first=1, measure_every=4, refresh_every=20))
METHODS: dict[str, Callable[[og.PlayerGame], Any]] = {
    "Adam": SimultaneousAdam,
    "SweepOpt": SweepOpt,
    "diagonal": _stage(DiagonalOwn(step=1e-3)),
    "Kronecker": _stage(KRONECKER),
    "Kronecker, open loop": _stage(KRONECKER, "open_loop"),
    "gram": _stage(GramOwn()),
    "Hessians, judged": og.PlayerOpt,
}


def seconds(width: int, batch: tuple[Tensor, Tensor]) -> dict[str, float]:
    players = {name: make(game(width)) for name, make in METHODS.items()}
    used, steps = dict.fromkeys(players, 0.0), dict.fromkeys(players, 0)
    for name, method in players.items():
        if name != "Hessians, judged":
            method.step(*batch)
    for k in range(ROUNDS):
        for name, method in players.items():
            if name == "Hessians, judged" and k > 0:
                continue
            before = time.process_time()
            method.step(*batch)
            used[name] += time.process_time() - before
            steps[name] += 1
    return {name: used[name] / steps[name] for name in players}


def memory(width: int, batch: tuple[Tensor, Tensor], name: str) -> float:
    """Run three steps in a process of its own and give what its peak grew by, in MB."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        method = METHODS[name](game(width))
        Path("/proc/self/clear_refs").write_text("5")
        before = _kilobytes("VmRSS")
        for _ in range(1 if name == "Hessians, judged" else 3):
            method.step(*batch)
        os.write(writer, f"{(_kilobytes('VmHWM') - before) / 1024}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    return float(os.read(reader, 100))


def _kilobytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(field)).split()[1])


def main() -> None:
    torch.set_num_threads(1)
    batch = torch.randn(64, 2), torch.randn(64, 16)
    # Memory first: a process that has run a backward pass cannot be forked.
    taken = {
        size: {name: memory(width, batch, name) for name in METHODS}
        for size, width in NETWORKS.items()
    }
    others = list(METHODS)[1:]
    print(f"| parameters per player | Adam, ms | {' | '.join(others)} |")
    print("|---|---|" + "---|" * len(others))
    for size, width in NETWORKS.items():
        found = seconds(width, batch)
        ratios = " | ".join(f"{found[name] / found['Adam']:.1f}" for name in others)
        print(f"| {size} | {1000 * found['Adam']:.1f} | {ratios} |", flush=True)
    print(f"\n| parameters per player | Adam, MB | {' | '.join(others)} |")
    print("|---|---|" + "---|" * len(others))
    for size, found in taken.items():
        ratios = " | ".join(f"{found[name] / found['Adam']:.1f}" for name in others)
        print(f"| {size} | {found['Adam']:.1f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
