"""Coupled players with the networks of the multi-agent job.

Every group's policy is a player; a move is the stage game between them, one for each segment of
play. Own curvature is an averaged diagonal (`ocngame.solvers.players.DiagonalOwn`), with which the
game is solved by a few products and its move taken as it is, or all second derivatives. There are
no critics: what an action was worth is judged against the mean of the other copies at the same step
(`ocngame.agents.coupled`).
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ocngame.agents.coupled import CoupledConfig, CoupledLearner
from ocngame.agents.networks import Policy
from ocngame.envs import World
from ocngame.solvers.players import DiagonalOwn, KrylovSolve, PlainStep, PlayerOptConfig
from ocngame.training.marl_config import CoupledSettings, MarlConfig

__all__ = ["CoupledTeams"]


class CoupledTeams:
    """The policies of all groups, moved together.

    Attributes:
        policies: Per group.
    """

    def __init__(self, world: World, policies: Mapping[str, Policy], config: MarlConfig):
        """Take a world and its policies.

        Args:
            world: The world; at least two copies.
            policies: One per group.
            config: Settings.
        """
        self.policies = dict(policies)
        self._learner = CoupledLearner(
            world,
            {name: nn.Sequential(p.inputs, p.body) for name, p in self.policies.items()},
            CoupledConfig(
                steps=config.steps,
                discount=config.surrogate.discount,
                lr=config.coupled.lr,
                seed=config.seed,
                players=_stage_game(config.coupled),
            ),
        )

    def update(self, scale: float) -> dict[str, float]:
        """Play every copy anew and move.

        Args:
            scale: Of the move.

        Returns:
            Numbers of the move: discounted returns before it as `group/return`, norms of the
            groups' own gradients as `group/residual`, and the residual of the linear solve in each
            group's name.
        """
        info = self._learner.step(scale)
        found = {}
        for name, cost, residual in zip(self.policies, info.costs, info.residuals, strict=True):
            found |= {
                f"{name}/return": -cost,
                f"{name}/residual": residual,
                f"{name}/solve_residual": info.solve_residual,
            }
        return found

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return self._learner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Args:
            state: It.
        """
        self._learner.load_state_dict(state)


def _stage_game(settings: CoupledSettings) -> PlayerOptConfig:
    if settings.curvature == "full":
        return PlayerOptConfig(information=settings.information)
    return PlayerOptConfig(
        information=settings.information,
        curvature=DiagonalOwn(step=settings.step, decay=settings.decay),
        solve=KrylovSolve(max_products=settings.products),
        step=PlainStep(),
    )
