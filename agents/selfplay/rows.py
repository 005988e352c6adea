"""What is measured of a self-play run, and how it is read back."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["SelfPlayRow", "read_selfplay_rows"]


@dataclass(frozen=True, kw_only=True)
class SelfPlayRow:
    """A measurement.

    Attributes:
        step: Iterations made.
        decisions: Decisions of both players together.
        exploitability: Of the learnt policy, in the game's payoffs; NaN where there is no tree.
        trained_exploitability: Of the newest iterate, without the average over iterations.
        magnet_exploitability: Of the slow reference policy.
        against_random: Mean payoff per game against the random player, by seat; actions are drawn.
        critic_loss: Mean squared error of the critic in the last iteration.
        entropy: Mean entropy of the policy in nats.
        divergence: Mean divergence of the last iteration's policy from the one before.
        from_magnet: Mean divergence of the policy from the reference.
        rates: Points per game against the league's members, by the iteration they are of.
        cpu_seconds: Processor time of all iterations so far, without these measurements.
    """

    step: int
    decisions: int
    exploitability: float
    magnet_exploitability: float
    against_random: dict[str, float]
    critic_loss: float
    entropy: float
    divergence: float
    from_magnet: float
    rates: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float
    trained_exploitability: float = math.nan


def read_selfplay_rows(path: Path) -> list[SelfPlayRow]:
    """Read the rows of a run back.

    Args:
        path: The file; a last line that was cut off is left out.

    Returns:
        The rows; numbers that were not finite are NaN.
    """
    rows = []
    for line in path.read_text().split("\n")[:-1]:
        values = json.loads(line)
        numbers = {name: math.nan for name, value in values.items() if value is None}
        rows.append(SelfPlayRow(**(values | numbers)))
    return rows
