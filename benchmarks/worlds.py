"""Steps per CPU second of the batched worlds next to mpe2's own, interleaved in one process.

Run with `OMP_NUM_THREADS=1 python -m benchmarks.worlds`; about half a minute of one core. Actions
are random and drawn before the clock starts; starts after an episode's end are counted.
"""

from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import process_time

import numpy as np
import torch

from ocngame.envs import batched_world

WORLDS = ("simple_spread", "simple_tag", "simple_adversary", "simple_push")
BATCH = 1024
STEPS = 50
ROUNDS = 5


def batched(name: str) -> Callable[[], float]:
    """Make a round of one of our worlds.

    Args:
        name: Of the world.

    Returns:
        A function that plays STEPS steps of BATCH copies and gives steps per CPU second.
    """
    world = batched_world(name, batch_size=BATCH, seed=0)
    generator = torch.Generator().manual_seed(0)
    actions = {
        g.name: torch.randint(5, (STEPS, BATCH, len(g.agents)), generator=generator)
        for g in world.groups
    }

    def play() -> float:
        world.reset(0)
        begin = process_time()
        with torch.no_grad():
            for t in range(STEPS):
                world.step({group: drawn[t] for group, drawn in actions.items()})
        return STEPS * BATCH / (process_time() - begin)

    return play


def original(name: str) -> Callable[[], float]:
    """Make a round of mpe2's world.

    Args:
        name: Of the world.

    Returns:
        A function that plays 10 STEPS steps and gives steps per CPU second.
    """
    env = import_module(f"mpe2.{name}_v3").parallel_env()
    drawn = np.random.default_rng(0).integers(5, size=(10 * STEPS, len(env.possible_agents)))

    def play() -> float:
        env.reset(seed=0)
        begin = process_time()
        for row in drawn:
            env.step(dict(zip(env.possible_agents, row.tolist(), strict=True)))
            if not env.agents:
                env.reset()
        return len(drawn) / (process_time() - begin)

    return play


def main() -> None:
    """Print the table: medians over rounds."""
    print(f"| world | batched ({BATCH} copies) | mpe2 | ratio |\n|---|---|---|---|")
    for name in WORLDS:
        rounds = batched(name), original(name)
        speeds = [[play() for play in rounds] for _ in range(ROUNDS)]
        ours, theirs = (median(column) for column in zip(*speeds, strict=True))
        print(f"| {name} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.0f} |")


if __name__ == "__main__":
    main()
