r"""Teams: one joint move for all players, by weights that are given or bargained for.

All players' tensors are one joint control u, so that it does not matter who owns which. With costs
f^i, own curvature `M = diag(sqrt(average of c^2) + epsilon)` and a direction c:

* given weights: `c = sum_i w_i g^i`, the cooperative stage game. With ones it is Adam on the sum
  (Kingma & Ba, 1412.6980, algorithm 1), at the cost of one backward pass;
* bargaining: `c = sum_i w_i a_i / c_i`, where `c_i` is the root mean square of `|g^i|`, `a_i` the
  average of g^i, and w the Nash solution for linear costs in the ball of M
  (`ocngame.bellman.bargaining`), one backward pass per player. What each cost is counted in does
  not matter. Where no move helps everybody the team stays where it is.

Averages are bias corrected, and M that of the step before while it is bargained.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import in_range, positive
from ocngame.bellman import bargaining_weights
from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.games import PlayerGame
from ocngame.games.player_derivatives import joined, leaves_of
from ocngame.solvers.players.averaging import IterateAverage

__all__ = ["BargainingWeights", "GivenWeights", "TeamConfig", "TeamInfo", "TeamOpt", "TeamWeights"]


class TeamWeights(ABC):
    """How a team weighs its costs."""

    @abstractmethod
    def given(self, players: int) -> tuple[float, ...] | None:
        """Give weights that need no gradients, or None."""

    @abstractmethod
    def agree(self, slopes: Tensor, inner: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Give weights for gradients (N, m), None where no move helps everybody.

        `inner` gives the inner products (N, N) in the inverse own curvature.
        """


@dataclass(frozen=True, kw_only=True)
class GivenWeights(TeamWeights):
    """The same weights at every step.

    Attributes:
        values: One number per player, at least 0; all one if None.
    """

    values: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        values = self.values
        if values is not None and (
            not all(math.isfinite(w) and w >= 0 for w in values) or not sum(values) > 0
        ):
            raise InvalidInputError(
                f"values: expected numbers of at least 0, not all 0, got {values!r}"
            )

    def given(self, players: int) -> tuple[float, ...]:
        """Give the weights."""
        values = (1.0,) * players if self.values is None else self.values
        if len(values) != players:
            raise InvalidInputError(
                f"values: expected {players} weights, one per player, got {len(values)}"
            )
        return values

    def agree(self, slopes: Tensor, inner: Callable[[Tensor], Tensor]) -> Tensor:
        """Give the weights, whatever the gradients."""
        return torch.tensor(self.given(len(slopes))).to(slopes)


@dataclass(frozen=True, kw_only=True)
class BargainingWeights(TeamWeights):
    """The Nash solution, found anew at every step."""

    def given(self, players: int) -> None:
        """Give None: it takes gradients."""
        return

    def agree(self, slopes: Tensor, inner: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Solve the bargaining problem."""
        return bargaining_weights(inner(slopes))


@dataclass(frozen=True, kw_only=True)
class TeamConfig:
    """Settings of TeamOpt.

    Attributes:
        weights: How the costs are weighed.
        momentum: Memory of the gradients, in [0, 1).
        decay: Memory of the averages of squares, in [0, 1).
        epsilon: Added to the root.
        memory: Memory of the averaged players, in [0, 1).
    """

    weights: TeamWeights = field(default_factory=BargainingWeights)
    momentum: float = 0.9
    decay: float = 0.999
    epsilon: float = 1e-8
    memory: float = 0.999

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not isinstance(self.weights, TeamWeights):
            raise InvalidInputError(f"weights: expected TeamWeights, got {self.weights!r}")
        for name in ("momentum", "decay", "memory"):
            in_range(name, getattr(self, name), low=0.0, high=1.0, high_open=True)
        positive("epsilon", self.epsilon)


@dataclass(frozen=True, kw_only=True)
class TeamInfo:
    """What happened in one step, the costs being those before it.

    Attributes:
        costs: Every player's cost.
        weights: Its weight in the team's direction, in units of the cost; empty where none was
            agreed on.
        accepted: Whether the team moved.
        reason: Why not; empty if it did.
    """

    costs: tuple[float, ...]
    weights: tuple[float, ...] = ()
    accepted: bool = True
    reason: str = ""


class TeamOpt:
    """Moves all players of a differentiable game together.

    Attributes:
        game: The game.
        lr: Step per unit of preconditioned direction; may be changed between steps.
        config: Settings.
    """

    def __init__(self, game: PlayerGame, *, lr: float = 1e-3, config: TeamConfig | None = None):
        """Take a game.

        Args:
            game: The game; its players' tensors are moved in place.
            lr: Step per unit of preconditioned direction.
            config: Settings; bargaining weights if None.

        Raises:
            InvalidInputError: if the number of weights is not that of the players.
        """
        positive("lr", lr)
        self.game, self.lr = game, lr
        self.config = config if config is not None else TeamConfig()
        self._given = self.config.weights.given(game.player_count)
        rows = 1 if self._given is not None else game.player_count
        like = game.control
        self._state = {
            "mean": like.new_zeros(rows, len(like)),
            "square": torch.zeros_like(like),
            "size": like.new_zeros(rows),
        }
        self._count = 0
        self._average = IterateAverage(
            [p for own in game.parameters for p in own], memory=self.config.memory
        )

    def step(self, *batch: Any) -> TeamInfo:
        """Make one step.

        Args:
            *batch: Passed on to the costs.

        Returns:
            What happened. A step with non-finite numbers is refused: players and solver stay as
            they are.
        """
        costs, slopes = self._slopes(batch)
        if not bool(torch.isfinite(slopes).all() & torch.isfinite(costs).all()):
            return self._refused(costs, "costs or gradients are not finite")
        count = self._count + 1
        first, second = self.config.momentum, self.config.decay
        units = torch.ones_like(self._state["size"])
        size = self._state["size"]
        if self._given is None:
            size = second * size + (1 - second) * slopes.square().sum(1)
            units = (size / (1 - second**count)).sqrt().clamp_min(torch.finfo(size.dtype).tiny)
        scaled = slopes / units[:, None]
        mean = torch.lerp(self._state["mean"], scaled, 1 - first)
        weights = self._agree(mean)
        if weights is None:
            return self._refused(costs, "no move helps every player")
        square = second * self._state["square"] + (1 - second) * (weights @ scaled) ** 2
        root = self._root(square, count)
        self._state = {"mean": mean, "square": square, "size": size}
        self._count = count
        self.game.assign(self.game.control - self.lr / (1 - first**count) * (weights @ mean) / root)
        self._average.update()
        shown = self._given if self._given is not None else (weights / units).tolist()
        return TeamInfo(costs=tuple(costs.tolist()), weights=tuple(shown))

    def average(self) -> Tensor:
        """Give the averaged players.

        Returns:
            A joint control, shape (m,), for `game.assign`.
        """
        return self._average.joined()

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on, without the players' tensors.

        Returns:
            Plain data and tensors.
        """
        return {**self._state, "count": self._count, "average": self._average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.

        Raises:
            CheckpointError: if it belongs to another game or other weights.
        """
        shape = self._state["mean"].shape
        if state.keys() != self.state_dict().keys() or state["mean"].shape != shape:
            raise CheckpointError(
                f"state: expected the state of TeamOpt for averages of shape {tuple(shape)}, got "
                f"{sorted(state)}"
            )
        self._average.load_state_dict(state["average"])
        self._state = {name: state[name] for name in self._state}
        self._count = state["count"]

    def _agree(self, mean: Tensor) -> Tensor | None:
        if self._given is not None:
            return torch.ones(1).to(mean)
        root = self._root(self._state["square"], self._count) if self._count > 0 else None

        def inner(slopes: Tensor) -> Tensor:
            products = (slopes if root is None else slopes / root) @ slopes.mT
            return 0.5 * (products + products.mT)

        return self.config.weights.agree(mean, inner)

    def _root(self, square: Tensor, count: int) -> Tensor:
        """Give the diagonal of M from the average of squares after so many steps."""
        return (square / (1 - self.config.decay**count)).sqrt() + self.config.epsilon

    def _slopes(self, batch: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
        """Give costs (N,) and gradients over the joint control, a row each or of the sum."""
        game = self.game
        with torch.enable_grad():
            values = leaves_of(game.values())
            leaves = [leaf for own in values for leaf in own]
            costs = targets = game.evaluate(values, *batch)
            if self._given is not None:
                weighted = zip(self._given, costs, strict=True)
                targets = [torch.stack([w * cost for w, cost in weighted]).sum()]
            rows = [self._slope(i, target, leaves) for i, target in enumerate(targets)]
        return torch.stack([cost.detach() for cost in costs]), torch.stack(rows)

    def _slope(self, index: int, target: Tensor, leaves: list[Tensor]) -> Tensor:
        slopes: list[Tensor | None] = [None] * len(leaves)
        if target.requires_grad:
            slopes = list(torch.autograd.grad(target, leaves, retain_graph=True, allow_unused=True))
        if all(slope is None for slope in slopes):
            whose = "the team" if self._given is not None else f"player {self.game.names[index]!r}"
            raise InvalidInputError(
                f"costs: expected the cost of {whose} to depend on a control, but it does not"
            )
        return joined(slopes, leaves)

    def _refused(self, costs: Tensor, reason: str) -> TeamInfo:
        return TeamInfo(costs=tuple(costs.tolist()), accepted=False, reason=reason)
