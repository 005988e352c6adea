"""The iterated prisoner's dilemma and matching pennies: where players end, over seeds and steps.

Players that look ahead follow `PlayerOptConfig.for_look_ahead`, the settings of
`ocngame train adversarial --problem ipd`; beside them the same players without looking ahead,
with feedback information (which expects the answers twice), and at the settings for other games.
Run: `python benchmarks/ipd.py`; `--only look-ahead` for some rows.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import tyro

import ocngame as og
from ocngame.games.differentiable import iterated_prisoners_dilemma, matching_pennies
from ocngame.solvers.players import IdentityOwn, PlainStep, look_ahead
from ocngame.solvers.players.baselines import LOLA, SimultaneousGradient

STARTS = [(1.0, -0.5), (2.0, 2.0), (-1.0, 3.0), (0.0, -2.0), (3.0, 3.0), (5.0, -5.0)]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Attributes:
        steps: Steps of every run of the dilemma.
        seeds: Number of seeds.
        rates: Step sizes.
        stages: Answers that are foreseen.
        answer: Step of an answer.
        only: Rows; all if empty.
    """

    steps: int = 60
    seeds: int = 5
    rates: tuple[float, ...] = (25.0, 80.0, 250.0)
    stages: int = 3
    answer: float = 25.0
    only: tuple[str, ...] = ()


def _ahead(game: Any, s: Settings) -> Any:
    return look_ahead(game, stages=s.stages, step=s.answer)


def _feedback(game: Any, rate: float, s: Settings) -> og.PlayerOpt:
    own = IdentityOwn(step=rate)
    return og.PlayerOpt(_ahead(game, s), config=og.PlayerOptConfig(curvature=own, step=PlainStep()))


ROWS: dict[str, Callable[[Any, float, Settings], Any]] = {
    "look-ahead": lambda game, rate, s: og.PlayerOpt(
        _ahead(game, s), config=og.PlayerOptConfig.for_look_ahead(step=rate)
    ),
    "look-ahead, feedback": _feedback,
    "LOLA": lambda game, rate, _: LOLA(game, lr=rate),
    "gradient play": lambda game, rate, _: SimultaneousGradient(game, lr=rate),
}


def main(s: Settings) -> None:
    torch.set_num_threads(1)
    print("| players | step size | mean return per seed | least | CPU s per run |")
    print("|---|---|---|---|---|")
    for name in s.only or ROWS:
        for rate in s.rates:
            ends, before = [], time.process_time()
            for seed in range(s.seeds):
                ready = iterated_prisoners_dilemma(seed=seed)
                players = ROWS[name](ready.game, rate, s)
                for _ in range(s.steps):
                    players.step()
                ends.append(ready.measures["mean return"]())
            used = (time.process_time() - before) / s.seeds
            each = " ".join(f"{end:.2f}" for end in ends)
            print(f"| {name} | {rate:g} | {each} | {min(ends):.3f} | {used:.1f} |", flush=True)
    print("\n| matching pennies from logits | distance to 50/50 after 20, 60, 200 steps |")
    print("|---|---|")
    for start in STARTS:
        ready, found = matching_pennies(start), []
        players = og.PlayerOpt(ready.game)
        for step in range(1, 201):
            players.step()
            if step in (20, 60, 200):
                found.append(ready.measures["distance to 50/50"]())
        print(f"| {start[0]:g}, {start[1]:g} | {', '.join(f'{gap:.0e}' for gap in found)} |")


if __name__ == "__main__":
    main(tyro.cli(Settings))
