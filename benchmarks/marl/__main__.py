"""Cross-play on simple_tag and simple_push: Adam, OCNOpt, coupled players, Nash planner, random.

    python -m benchmarks.marl train            # what is missing of all runs, 300,000 frames each
    python -m benchmarks.marl play             # what is missing of all pairs
    python -m benchmarks.marl report           # tables to the terminal, the picture into docs/

Runs and pairs are kept in a folder (`--out`, default runs/marl), and what is there is not done
again. Training costs 10 to 40 processor seconds a run; of the pairs those with the planner cost 2
(simple_push) to 8 (simple_tag) each, the others a tenth of a second.
"""

import argparse
from pathlib import Path

import torch

from benchmarks.marl.entrants import TRAINED, entrants, train_missing
from benchmarks.marl.matrix import play_missing
from benchmarks.marl.report import TEAMS, draw, gains_over, matrix_of, table

PICTURE = Path("docs/benchmarks/marl_crossplay.png")


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "play", "report"])
    parser.add_argument("--out", type=Path, default=Path("runs/marl"))
    parser.add_argument("--worlds", nargs="+", default=["simple_tag", "simple_push"])
    parser.add_argument("--optimizers", nargs="+", default=list(TRAINED))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--frames", type=int, default=300_000)
    parser.add_argument("--episodes", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    seeds = tuple(options.seeds)
    if options.what == "train":
        for seed in seeds:
            for world in options.worlds:
                for label in options.optimizers:
                    spent = train_missing(world, label, seed, options.frames, options.out)
                    print(f"{world} {label} {seed}: {spent:.1f} s", flush=True)
        return
    matrices = {}
    for world in options.worlds:
        players, path = entrants(world, seeds, options.out), options.out / f"{world}.json"
        if options.what == "play":
            play_missing(world, players, options.episodes, path)
            continue
        matrices[world] = {team: matrix_of(path, players, team) for team in TEAMS}
        for team, cells in matrices[world].items():
            print(f"\n{world}, return of each {team}\n\n{table(cells)}")
        for team in TEAMS:
            gains = gains_over(path, players, team, "adam", "adam")
            for label, (mean, low, high) in gains.items():
                print(f"{world}: {label} as {team}, over adam: {mean:.2f} [{low:.2f}, {high:.2f}]")
    if matrices:
        draw(matrices, PICTURE)


if __name__ == "__main__":
    main()
