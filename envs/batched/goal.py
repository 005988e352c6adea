"""Worlds in which one landmark is a goal: its position is two rows of the state."""

import torch
from torch import Tensor

from ocngame.envs.batched.bodies import Layout
from ocngame.envs.batched.physics import Physics
from ocngame.envs.batched.scenario import Draw

__all__ = ["gaps_to_goal", "start_with_goal"]


def start_with_goal(layout: Layout, batch: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """Draw all positions from [-1, 1]^2, and which landmark is the goal.

    Args:
        layout: Of the state; its first two added rows are the goal's position.
        batch: How many.
        draw: Where random numbers come from.

    Returns:
        States, shape (F, batch), and the goals' indices among the landmarks, shape (batch,).
    """
    places = 2 * layout.entities
    x = torch.zeros(layout.size, batch, dtype=draw.dtype, device=draw.device)
    goal = draw.index(batch, layout.entities - layout.agents)
    x[:places] = draw.uniform(places, batch)
    which = (layout.agents + goal).unsqueeze(0)
    for row, rows in enumerate((layout.px, layout.py)):
        x[layout.more.start + row] = x[rows].gather(0, which)[0]
    return x, goal


def gaps_to_goal(physics: Physics, x: Tensor) -> Tensor:
    """Give the agents' distances to the goal.

    Args:
        physics: Of the world.
        x: State, shape (F, ...).

    Returns:
        Shape (A, ...).
    """
    at = physics.layout
    goal = x[at.more]
    dx, dy = x[at.px][: at.agents] - goal[0], x[at.py][: at.agents] - goal[1]
    return physics.shapes.length(dx, dy)
