"""Board games with perfect information as batched worlds."""

from ocngame.envs.boards.lines import LineWorld, connect_four, tictactoe

__all__ = ["LineWorld", "connect_four", "tictactoe"]
