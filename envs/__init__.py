"""Worlds: environments that games are played in."""

from ocngame.envs.batched import batched_names, batched_world
from ocngame.envs.world import Group, Moment, Transition, World

__all__ = ["Group", "Moment", "Transition", "World", "batched_names", "batched_world"]
