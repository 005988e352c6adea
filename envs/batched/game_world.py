r"""Games of the solver as worlds: each player is a group, a control is an action, a cost a reward.

For a game of T stages with costs l^i and phi^i (`NonlinearGame` or `LQGame`):

    observation  [x_t, (T - t) / T]      the same for all players
    action       u^i_t, a Box of the size of the player's control, within a bound
    reward       -l^i(x_t, u_t, t), and at the last step -phi^i(x_T) besides

The episode ends by the rules after T steps: nothing is paid after. The share of time that is left
is observed because the players' best policies depend on it. An episode's return is minus the cost
J^i of its trajectory. Starts are drawn from a normal law about a given state.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from ocngame._checks import integer, non_negative, positive
from ocngame._tensor_checks import shaped
from ocngame.envs.world import Group, Moment, Transition, World
from ocngame.errors import InvalidInputError, NonFiniteError
from ocngame.games import LQGame, NonlinearGame

__all__ = ["GameWorld"]


class _Rules(ABC):
    """A game's stage, for a batch."""

    @abstractmethod
    def advance(self, t: int, x: Tensor, u: Tensor) -> Tensor:
        """Give the next states, (B, n)."""

    @abstractmethod
    def running(self, t: int, x: Tensor, u: Tensor) -> Tensor:
        """Give the players' costs of a stage, (B, N)."""

    @abstractmethod
    def terminal(self, x: Tensor) -> Tensor:
        """Give the players' costs of the last state, (B, N)."""


class _Nonlinear(_Rules):
    def __init__(self, game: NonlinearGame):
        self._game = game

    def advance(self, t: int, x: Tensor, u: Tensor) -> Tensor:
        return self._game.advance(t, x, u)

    def running(self, t: int, x: Tensor, u: Tensor) -> Tensor:
        stage = torch.tensor(t, device=x.device)
        return _mapped([lambda a, b, c=cost: c(a, b, stage) for cost in self._game.running_costs])(
            x, u
        )

    def terminal(self, x: Tensor) -> Tensor:
        return _mapped(self._game.terminal_costs)(x)


class _Quadratic(_Rules):
    def __init__(self, game: LQGame):
        self._game = game

    def advance(self, t: int, x: Tensor, u: Tensor) -> Tensor:
        game = self._game
        return x @ game.A[t].mT + u @ game.B[t].mT + game.c[t]

    def running(self, t: int, x: Tensor, u: Tensor) -> Tensor:
        game = self._game
        cross = torch.einsum("bi,nij,bj->bn", x, game.M[:, t], u)
        return _form(x, game.Q[:, t], game.q[:, t]) + _form(u, game.R[:, t], game.r[:, t]) + cross

    def terminal(self, x: Tensor) -> Tensor:
        return _form(x, self._game.Q[:, -1], self._game.q[:, -1])


def _form(x: Tensor, quadratic: Tensor, linear: Tensor) -> Tensor:
    return 0.5 * torch.einsum("bi,nij,bj->bn", x, quadratic, x) + x @ linear.mT


def _mapped(functions: Sequence):
    return torch.vmap(lambda *args: torch.stack([f(*args) for f in functions]))


class GameWorld(World):
    """B copies of a game, in lockstep.

    Attributes:
        game: The game.
        x: States, shape (B, n).
        stage: t, of all copies.
        positions: Slices of the state with planar positions, for pictures.
    """

    def __init__(
        self,
        game: NonlinearGame | LQGame,
        x0: Tensor,
        *,
        name: str = "game",
        bound: float = 3.0,
        spread: float = 0.1,
        batch_size: int = 1,
        seed: int | None = None,
        positions: Sequence[slice] = (),
    ):
        """Make the copies, at a start.

        Args:
            game: The game, a single one.
            x0: Mean of the starts, shape (n,); its device and dtype are the world's.
            name: The world's name.
            bound: Greatest absolute value of a control.
            spread: Standard deviation of the starts.
            batch_size: B.
            seed: Of the starts; drawn by torch if None.
            positions: Slices of the state with planar positions.

        Raises:
            InvalidInputError: if the game has constraints or is a batch of games.
        """
        integer("batch_size", batch_size, low=1)
        positive("bound", bound)
        non_negative("spread", spread)
        shaped("x0", x0, "n", n=game.state_size)
        if isinstance(game, LQGame):
            if game.batch_shape:
                raise InvalidInputError(
                    f"game: expected a single game, got a batch of {tuple(game.batch_shape)}"
                )
            self._rules: _Rules = _Quadratic(game)
        else:
            if game.constraints:
                raise InvalidInputError(
                    f"game: expected one without constraints, got {len(game.constraints)}"
                )
            self._rules = _Nonlinear(game)
        self.game, self.name, self.positions = game, name, tuple(positions)
        self.batch_size, self.horizon = batch_size, game.horizon
        self.state_size = game.state_size + 1
        self.device, self.dtype = x0.device, x0.dtype
        self._x0, self._bound, self._spread = x0, bound, spread
        self.groups = tuple(
            Group(
                name=f"player_{i}",
                agents=(f"player_{i}",),
                team=f"player_{i}",
                observation_size=self.state_size,
                action_space=Box(-bound, bound, (block.stop - block.start,), np.float32),
            )
            for i, block in enumerate(game.control_slices)
        )
        ones = torch.ones(batch_size, 1, dtype=torch.bool, device=self.device)
        self._acting = {group.name: ones for group in self.groups}
        self._generator = torch.Generator(self.device)
        if seed is None:
            self._generator.seed()
        self.reset(seed)

    def reset(self, seed: int | None = None) -> Moment:
        """Start every copy anew; see `World.reset`.

        Args:
            seed: Of this and all later starts.

        Returns:
            The first moment.
        """
        if seed is not None:
            self._generator.manual_seed(seed)
        self.x, self.stage = self._start(), 0
        return self._moment(self.x, 0)

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        """Make one stage of every copy; see `World.step`.

        Args:
            actions: Per player, [B, 1, m_i].

        Returns:
            What it brought.

        Raises:
            NonFiniteError: if a copy's numbers overflow; the world stays as it was.
        """
        u, t = self._controls(actions), self.stage
        x = self._rules.advance(t, self.x, u)
        cost = self._rules.running(t, self.x, u)
        done = t + 1 >= self.game.horizon
        if done:
            cost = cost + self._rules.terminal(x)
        if not bool(torch.isfinite(x.sum() + cost.sum())):
            bad = ~(torch.isfinite(x).all(1) & torch.isfinite(cost).all(1))
            raise NonFiniteError(
                f"{self.name}: expected finite states and costs, got others in {int(bad.sum())} of "
                f"{self.batch_size} copies (first: {int(bad.int().argmax())})"
            )
        last = following = self._moment(x, t + 1)
        if done:
            x = self._start()
            following = self._moment(x, 0)
        self.x, self.stage = x, 0 if done else t + 1
        ended = torch.full((self.batch_size, 1), done, device=self.device)
        never = torch.zeros_like(ended)
        names = [group.name for group in self.groups]
        return Transition(
            rewards={name: -cost[:, i : i + 1] for i, name in enumerate(names)},
            terminated=dict.fromkeys(names, ended),
            truncated=dict.fromkeys(names, never),
            over=ended[:, 0],
            last=last,
            next=following,
        )

    def state_dict(self) -> dict[str, object]:
        """Give everything that changes; see `World.state_dict`.

        Returns:
            Tensors and the stage.
        """
        return {
            "x": self.x.clone(),
            "stage": self.stage,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, object]) -> Moment:
        """Go back; see `World.load_state_dict`.

        Args:
            state: From `state_dict`.

        Returns:
            The moment to act on.
        """
        x = torch.as_tensor(state["x"]).to(self.x)
        shaped("state['x']", x, "B n", B=self.batch_size, n=self.game.state_size)
        self.x, self.stage = x.clone(), int(str(state["stage"]))
        self._generator.set_state(torch.as_tensor(state["generator"]).cpu())
        return self._moment(self.x, self.stage)

    def _start(self) -> Tensor:
        shape = (self.batch_size, self.game.state_size)
        noise = torch.randn(shape, generator=self._generator, dtype=self.dtype, device=self.device)
        return self._x0 + self._spread * noise

    def _moment(self, x: Tensor, t: int) -> Moment:
        left = x.new_full((len(x), 1), 1 - t / self.game.horizon)
        seen = torch.cat([x, left], 1)
        return Moment(
            observations={group.name: seen.unsqueeze(1) for group in self.groups},
            acting=self._acting,
            masks={},
            state=seen,
        )

    def _controls(self, actions: Mapping[str, Tensor]) -> Tensor:
        joint = self.x.new_zeros(self.batch_size, self.game.control_size)
        for group, block in zip(self.groups, self.game.control_slices, strict=True):
            if group.name not in actions:
                raise InvalidInputError(f"actions: expected those of {group.name!r}, got none")
            part, size = actions[group.name], block.stop - block.start
            shaped(f"actions[{group.name!r}]", part, "B 1 m", B=self.batch_size, m=size)
            # A bound in float32 may be a little above itself in float64.
            if not bool((part.abs() <= self._bound * (1 + 1e-6)).all()):
                raise InvalidInputError(
                    f"actions[{group.name!r}]: expected numbers in [-{self._bound}, {self._bound}],"
                    f" got up to {float(part.abs().max()):.6g}"
                )
            joint[:, block] = part[:, 0].to(self.dtype)
        return joint
