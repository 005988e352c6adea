"""Worlds: environments that games are played in."""

from ocngame.envs.adapters import AdaptedWorld
from ocngame.envs.batched import batched_names, batched_world
from ocngame.envs.checking import check_world
from ocngame.envs.making import make
from ocngame.envs.masks import mask_parts, nothing_allowed, part_sizes
from ocngame.envs.own import is_own, own_names, own_world, turn_names
from ocngame.envs.world import Group, Moment, Picture, Transition, World

__all__ = [
    "AdaptedWorld",
    "Group",
    "Moment",
    "Picture",
    "Transition",
    "World",
    "batched_names",
    "batched_world",
    "check_world",
    "is_own",
    "make",
    "mask_parts",
    "nothing_allowed",
    "own_names",
    "own_world",
    "part_sizes",
    "turn_names",
]
