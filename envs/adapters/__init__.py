"""Environments of others as worlds."""

from ocngame.envs.adapters.adapted import AdaptedWorld

__all__ = ["AdaptedWorld"]
