"""Who moves the team: each from a game and a step size, which may be changed between steps.

The published methods are those of torchjd (0.18, with cvxpy and ecos for NashMTL and qpsolvers and
quadprog for UPGrad); they turn the costs' gradients into one direction, which Adam follows.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor

from ocngame.games import PlayerGame
from ocngame.solvers.players import (
    BargainingWeights,
    GivenWeights,
    SweepOpt,
    TeamConfig,
    TeamOpt,
    TeamWeights,
)

__all__ = ["METHODS", "alone"]


class Method(Protocol):
    """What moves a team."""

    lr: float

    def step(self, *batch: Tensor) -> Any:
        """Make one step."""
        ...


def alone(player: int) -> Callable[[PlayerGame, float], Method]:
    """Give the method that follows one player's cost only."""

    def make(game: PlayerGame, lr: float) -> Method:
        values = tuple(float(i == player) for i in range(game.player_count))
        return _team(GivenWeights(values=values))(game, lr)

    return make


def _team(weights: TeamWeights) -> Callable[[PlayerGame, float], Method]:
    return lambda game, lr: TeamOpt(game, lr=lr, config=TeamConfig(weights=weights))


class _Equalised:
    """Adam on the sum of the costs, each in units of its value in the first batch."""

    def __init__(self, game: PlayerGame, lr: float):
        self._game, self.lr = game, lr
        self._team: TeamOpt | None = None

    def step(self, *batch: Tensor) -> Any:
        if self._team is None:
            costs = self._game.evaluate(self._game.values(), *batch)
            values = tuple(1 / max(abs(float(cost)), 1e-9) for cost in costs)
            config = TeamConfig(weights=GivenWeights(values=values))
            self._team = TeamOpt(self._game, lr=self.lr, config=config)
        self._team.lr = self.lr
        return self._team.step(*batch)


class _Published:
    """An aggregator of torchjd before Adam."""

    def __init__(self, name: str, settings: dict[str, Any], game: PlayerGame, lr: float):
        aggregation: Any = import_module("torchjd.aggregation")
        if name == "NashMTL":
            settings = {"n_tasks": game.player_count, **settings}
        self._combine = getattr(aggregation, name)(**settings)
        self._game, self.lr = game, lr
        self._leaves = [p for own in game.parameters for p in own]
        self._adam = torch.optim.Adam(self._leaves, lr=lr)

    def step(self, *batch: Tensor) -> None:
        costs = self._game.evaluate([list(own) for own in self._game.parameters], *batch)
        rows = [
            torch.autograd.grad(cost, self._leaves, retain_graph=True, materialize_grads=True)
            for cost in costs
        ]
        joint = self._combine(torch.stack([torch.cat([g.flatten() for g in row]) for row in rows]))
        sizes = [leaf.numel() for leaf in self._leaves]
        for leaf, slope in zip(self._leaves, joint.split(sizes), strict=True):
            leaf.grad = slope.view_as(leaf)
        for group in self._adam.param_groups:
            group["lr"] = self.lr
        self._adam.step()


def _published(name: str, **settings: Any) -> Callable[[PlayerGame, float], Method]:
    return lambda game, lr: _Published(name, settings, game, lr)


METHODS: dict[str, Callable[[PlayerGame, float], Method]] = {
    "bargaining": _team(BargainingWeights()),
    "sum": _team(GivenWeights()),
    "equalised": _Equalised,
    "each alone": lambda game, lr: SweepOpt(game, lr=lr),
    "NashMTL": _published("NashMTL", update_weights_every=10),
    "UPGrad": _published("UPGrad"),
    "AlignedMTL": _published("AlignedMTL"),
}
