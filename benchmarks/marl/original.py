"""The planner as the agent of the original worlds, against a run's adversaries."""

from pathlib import Path

from benchmarks.marl.entrants import Entrant
from benchmarks.marl.matrix import SEED
from ocngame.agents import evaluate
from ocngame.envs import make

__all__ = ["in_the_original"]


def in_the_original(world: str, run: Path, episodes: int) -> tuple[float, float, float, float]:
    """Let the planner and the run's own agent play the same starts in `mpe2`.

    Args:
        world: Name of the world, without version.
        run: A run folder.
        episodes: How many.

    Returns:
        The mean returns of the run's agent and of the planner, the mean gain of the planner, and
        half of its 95% interval over episodes.
    """
    place = make(f"mpe2.{world}_v3", batch_size=episodes, seed=0)
    trained = Entrant(label="adam", run=run)
    returns = [
        evaluate(
            place,
            [player.decider(place, "agent"), trained.decider(place, "adversary")],
            episodes=episodes,
            seed=SEED,
        )
        .by_team["agent"]
        .double()
        for player in (trained, Entrant(label="planner"))
    ]
    place.close()
    gain = returns[1] - returns[0]
    half = 1.96 * float(gain.std()) / episodes**0.5
    return float(returns[0].mean()), float(returns[1].mean()), float(gain.mean()), half
