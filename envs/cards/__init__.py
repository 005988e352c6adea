"""Card games, and any other game in extensive form, as batched worlds."""

from ocngame.envs.cards.tree_world import TreeWorld

__all__ = ["TreeWorld"]
