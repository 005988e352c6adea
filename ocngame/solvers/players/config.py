"""Settings of PlayerOpt: a class per alternative."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ocngame._checks import one_of
from ocngame.bellman import StageRule
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, PlayerGame
from ocngame.solvers.players.curvature import FullOwn, IdentityOwn, OwnCurvature
from ocngame.solvers.players.krylov_stage import KrylovSolve
from ocngame.solvers.players.matrix_stage import DenseSolve
from ocngame.solvers.players.stage import StageSolve, condition_of
from ocngame.solvers.players.steps import JudgedStep, PlainStep, PlayerStep

__all__ = ["PlayerOptConfig"]

_SMALL = 64
"""Joint controls up to this size are solved by matrices if nothing is asked for."""


@dataclass(frozen=True, kw_only=True)
class PlayerOptConfig:
    """Settings of PlayerOpt.

    Attributes:
        information: What players know of the others' move: feedback (coupled, everybody expects
            everybody's move), open_loop or own_block (nobody expects any), zero_sum (feedback for
            two), cooperative, stackelberg.
        weights: Weights of the players' costs for cooperative play; ones if None.
        leader: Index of the player that moves first, for Stackelberg play.
        curvature: Rule for the own blocks.
        solve: How the stage game is solved; None: matrices for joint controls of up to 64 numbers,
            GMRES above.
        step: Rule for length and damping.
    """

    information: InformationStructure | str = InformationStructure.FEEDBACK
    weights: tuple[float, ...] | None = None
    leader: int | None = None
    curvature: OwnCurvature = field(default_factory=FullOwn)
    solve: StageSolve | None = None
    step: PlayerStep = field(default_factory=JudgedStep)

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("information", self.information, InformationStructure)
        object.__setattr__(self, "information", InformationStructure(self.information))
        for name, kind in (("curvature", OwnCurvature), ("step", PlayerStep)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise InvalidInputError(f"{name}: expected a {kind.__name__}, got {value!r}")
        if self.curvature.needs_damping and self.step.initial == 0:
            raise InvalidInputError(
                f"step: expected a damping above 0 with {type(self.curvature).__name__}, whose "
                "blocks are singular without, got 0"
            )
        if self.solve is not None and not isinstance(self.solve, StageSolve):
            raise InvalidInputError(f"solve: expected a StageSolve or None, got {self.solve!r}")
        if (self.leader is not None) != (self.information is InformationStructure.STACKELBERG):
            raise InvalidInputError(
                f"leader: expected the index of a player for stackelberg information and None for "
                f"others, got {self.leader!r} for {self.information}"
            )
        if self.weights is not None:
            self._check_weights(self.weights)

    @classmethod
    def for_look_ahead(cls, *, step: float = 80.0) -> "PlayerOptConfig":
        """Give the settings for a game whose costs foresee the others' answers (`look_ahead`).

        The answers are in the costs: to expect the others' moves as well counts them twice. Own
        curvature is a multiple of the identity, as the way to cooperation crosses plateaus where
        only a long step along the gradient gets anywhere.

        Args:
            step: Step along every player's own gradient.

        Returns:
            The settings.
        """
        return cls(
            information=InformationStructure.OPEN_LOOP,
            curvature=IdentityOwn(step=step),
            solve=KrylovSolve(),
            step=PlainStep(),
        )

    def _check_weights(self, weights: tuple[float, ...]) -> None:
        if self.information is not InformationStructure.COOPERATIVE:
            raise InvalidInputError(
                f"weights: expected None for {self.information} information, got {weights!r}"
            )
        finite = all(math.isfinite(w) and w >= 0 for w in weights)
        if not finite or not sum(weights) > 0:
            raise InvalidInputError(
                f"weights: expected numbers of at least 0, not all 0, got {weights!r}"
            )

    def rule(self, game: PlayerGame, like: Tensor) -> StageRule:
        """Give the rule of the stage game.

        Args:
            game: The game.
            like: Dtype and device of the weights.

        Returns:
            The rule.

        Raises:
            InvalidInputError: if weights or leader do not fit the number of players.
        """
        players = game.player_count
        if self.weights is not None and len(self.weights) != players:
            raise InvalidInputError(
                f"weights: expected {players}, one per player, got {len(self.weights)}"
            )
        if self.leader is not None and not 0 <= self.leader < players:
            raise InvalidInputError(
                f"leader: expected the index of one of {players} players, got {self.leader}"
            )
        if self.information is InformationStructure.ZERO_SUM and players != 2:
            raise InvalidInputError(
                f"information: zero_sum is for two players, the game has {players}"
            )
        weights = None if self.weights is None else torch.tensor(self.weights).to(like)
        return StageRule(
            slices=game.control_slices,
            information=condition_of(InformationStructure(self.information)),
            weights=weights,
            leader=self.leader,
        )

    def solve_for(self, game: PlayerGame) -> StageSolve:
        """Give the solve for a game.

        Args:
            game: The game.

        Returns:
            The one asked for, or one by size.
        """
        if self.solve is not None:
            return self.solve
        return DenseSolve() if game.control_size <= _SMALL else KrylovSolve()
