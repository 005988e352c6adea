"""Exact gains of deviation of deciders in worlds small enough to be listed."""

from ocngame.agents.exact.boards import board_gains
from ocngame.agents.exact.gains import exact_gains
from ocngame.agents.exact.matrices import repeated_gains

__all__ = ["board_gains", "exact_gains", "repeated_gains"]
