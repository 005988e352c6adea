"""The cooperating players of one optimizer: which controls they own, and what they remember."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from ocngame.errors import InvalidInputError
from ocngame.games.alignment import parallel_players
from ocngame.games.graph import GameGraph
from ocngame.games.network_control import NetworkControl
from ocngame.linalg import Columns
from ocngame.solvers.ocnopt.cooperation import Cooperation, CooperationState, PairState

__all__ = ["Team"]


class Team:
    """Players of parallel branches who move in pairs.

    Attributes:
        pairs: The pairs.
        state: What is remembered of them.
    """

    def __init__(self, settings: Cooperation, game: GameGraph, generator: torch.Generator):
        """Find the pairs of a game.

        Args:
            settings: How they cooperate.
            game: The game, traced with an example input.
            generator: Source of a bandit's draws.

        Raises:
            InvalidInputError: if no two players act at the same stage.
        """
        self.settings = settings
        self.pairs = parallel_players(game)
        if not self.pairs:
            raise InvalidInputError(
                "cooperation: expected parallel branches with linear or convolution controls on "
                "both, and example_input=, which tells their shapes; found none"
            )
        self._operations = {stage.name: stage.operation for stage in game.control_stages}
        self._generator = generator
        self.state = settings.init(self.pairs)
        self._last_loss = math.nan

    def move(
        self,
        controls: Sequence[NetworkControl],
        moves: list[Tensor],
        gradients: Sequence[Tensor],
        columns: Sequence[Columns] | None,
        damping: float,
    ) -> list[Tensor]:
        """Let the pairs move together.

        Args:
            controls: The controls of the network.
            moves: Moves of all controls without cooperation.
            gradients: Gradients of all controls.
            columns: Columns of all controls, None where they were not measured.
            damping: lambda.

        Returns:
            The moves with those of the pairs replaced.

        Raises:
            InvalidInputError: if a control of a pair is frozen.
        """
        numbers = {control.stage: i for i, control in enumerate(controls)}
        players = []
        for pair in self.pairs:
            operations = [self._operations[name] for name in (pair.stage, *pair.places)]
            frozen = [operation for operation in operations if operation not in numbers]
            if frozen:
                raise InvalidInputError(
                    f"cooperation: expected trained controls of all pairs, got frozen {frozen}"
                )
            player, *places = (numbers[operation] for operation in operations)
            players.append((player, tuple(places)))
        moves, self.state = self.settings.move(
            self.state, players, moves, gradients, columns, damping, self._generator
        )
        return moves

    def learn(self, loss: float, decrease: float) -> None:
        """Take in what the last step achieved.

        Args:
            loss: Loss of this step's batch before the step.
            decrease: Measured decrease of a loss by the last step, NaN if it was not measured.
        """
        if math.isnan(decrease):
            decrease = self._last_loss - loss
        self._last_loss = loss
        self.state = self.settings.learned(self.state, decrease)

    def save(self) -> dict[str, Any]:
        """Give the state as plain values and tensors.

        Returns:
            The state.
        """
        return asdict(self.state) | {"last_loss": self._last_loss}

    def load(self, saved: dict[str, Any]) -> None:
        """Go on from a saved state.

        Args:
            saved: What `save` gave.
        """
        pairs = tuple(
            PairState(p["weights"], p["place"], tuple(p["factors"]), tuple(p["count"]))
            for p in saved["pairs"]
        )
        self.state = CooperationState(pairs, saved["scale"])
        self._last_loss = saved["last_loss"]
