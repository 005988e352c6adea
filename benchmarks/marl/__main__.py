"""Cross-play on MPE's worlds of two teams: Adam, OCNOpt, coupled players, Nash planner, random.

    python -m benchmarks.marl train            # what is missing of all runs, 300,000 frames each
    python -m benchmarks.marl play             # what is missing of all pairs
    python -m benchmarks.marl original         # the planner in mpe2's own worlds
    python -m benchmarks.marl report           # tables, and with --picture FILE the picture

Runs and pairs are kept in a folder (`--out`, default runs/marl), and what is there is not done
again. Training costs 10 to 40 processor seconds a run; of the pairs those with the planner cost 2
(simple_push) to 8 (simple_tag) each, the others a tenth of a second.
"""

import argparse
from pathlib import Path

import torch

from benchmarks.marl.entrants import CONTROL, LABELS, TRAINED, entrants, train_missing
from benchmarks.marl.matrix import play_missing
from benchmarks.marl.original import in_the_original
from benchmarks.marl.report import TEAMS, draw, gains_over, matrix_of, table


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "play", "report", "original"])
    parser.add_argument("--out", type=Path, default=Path("runs/marl"))
    parser.add_argument(
        "--worlds", nargs="+", default=["simple_tag", "simple_push", "simple_adversary"]
    )
    parser.add_argument("--optimizers", nargs="+", default=list(TRAINED))
    parser.add_argument("--labels", nargs="+", default=list(LABELS), choices=[*LABELS, CONTROL])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--picture", type=Path, help="file for the picture of a report")
    parser.add_argument("--frames", type=int, default=300_000)
    parser.add_argument("--episodes", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    {"train": _train, "play": _play, "report": _report, "original": _original}[options.what](
        options
    )


def _train(options: argparse.Namespace) -> None:
    for seed in options.seeds:
        for world in options.worlds:
            for label in options.optimizers:
                spent = train_missing(world, label, seed, options.frames, options.out)
                print(f"{world} {label} {seed}: {spent:.1f} s", flush=True)


def _play(options: argparse.Namespace) -> None:
    for world in options.worlds:
        players = entrants(world, options.seeds, options.out, options.labels)
        play_missing(world, players, options.episodes, options.out / f"{world}.json")


def _report(options: argparse.Namespace) -> None:
    matrices = {}
    for world in options.worlds:
        players = entrants(world, options.seeds, options.out, options.labels)
        path = options.out / f"{world}.json"
        matrices[world] = {team: matrix_of(path, players, team) for team in TEAMS}
        for team, cells in matrices[world].items():
            print(f"\n{world}, return of each {team}\n\n{table(cells)}")
        for team in TEAMS:
            gains = gains_over(path, players, team, "adam", "adam")
            for label, (mean, low, high) in gains.items():
                print(f"{world}: {label} as {team}, over adam: {mean:.2f} [{low:.2f}, {high:.2f}]")
    if options.picture is not None:
        draw(matrices, options.picture)


def _original(options: argparse.Namespace) -> None:
    for world in options.worlds:
        run = options.out / f"{world}-adam-{options.seeds[0]}"
        trained, planned, gain, half = in_the_original(world, run, options.episodes)
        print(f"{world}: agent {trained:.2f}, planner {planned:.2f} ({gain:+.2f} ± {half:.2f})")


if __name__ == "__main__":
    main()
