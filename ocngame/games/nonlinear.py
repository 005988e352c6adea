r"""Nonlinear games: dynamics and costs as torch functions of single vectors.

    x_{t+1} = f(x_t, u_t, t),       J^i = sum_{t<T} l^i(x_t, u_t, t) + phi^i(x_T)

`u` is the joint control; player i owns `u[control_slices[i]]`. The functions take one state (n,),
one joint control (m,) and a scalar stage; the library maps them over stages and batches with
`torch.vmap`, so they must not branch on values. Derivatives are those of the same functions, in
reverse mode, so what is linearised is what is rolled out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame._tensor_checks import finite, shaped
from ocngame.errors import InvalidInputError
from ocngame.games.constraints import Constraint
from ocngame.games.control_slices import check_slices
from ocngame.games.derivatives import Plan
from ocngame.games.expansion import Expansion

__all__ = ["NonlinearGame"]

StageFunction = Callable[[Tensor, Tensor, Tensor], Tensor]
StateFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class NonlinearGame:
    """A finite-horizon game in discrete time; the module's docstring has the formulas.

    Attributes:
        dynamics: `f(x, u, t)`, the next state, shape (n,).
        running_costs: Each player's `l(x, u, t)`, a scalar.
        terminal_costs: Each player's `phi(x)`, a scalar.
        control_slices: Each player's slice of the joint control.
        state_size: State size n.
        horizon: Number T of stages.
        constraints: Inequalities `h <= 0`, own and shared.
        expansion: The user's own derivatives, from states (B, T+1, n) and controls (B, T, m); by
            reverse mode if None.
    """

    dynamics: StageFunction
    running_costs: Sequence[StageFunction]
    terminal_costs: Sequence[StateFunction]
    control_slices: Sequence[slice]
    state_size: int
    horizon: int
    constraints: Sequence[Constraint] = ()
    expansion: Callable[[Tensor, Tensor], Expansion] | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without calling the functions.

        Raises:
            InvalidInputError: naming the argument at fault.
        """
        integer("state_size", self.state_size, low=1)
        integer("horizon", self.horizon, low=1)
        stops = [block.stop for block in self.control_slices]
        if any(not isinstance(stop, int) for stop in stops):
            raise InvalidInputError(
                f"control_slices: expected slices with an end, got {self.control_slices}"
            )
        slices = check_slices(self.control_slices, max(stops, default=0))
        object.__setattr__(self, "control_slices", slices)
        for name in ("running_costs", "terminal_costs", "constraints"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("running_costs", "terminal_costs"):
            count = len(getattr(self, name))
            if count != len(slices):
                raise InvalidInputError(
                    f"{name}: expected one function per player, {len(slices)}, got {count}"
                )
        for k, constraint in enumerate(self.constraints):
            strangers = [i for i in constraint.players if not 0 <= i < len(slices)]
            if strangers:
                raise InvalidInputError(
                    f"constraints[{k}].players: expected players in 0..{len(slices) - 1}, "
                    f"got {strangers[0]}"
                )

    @cached_property
    def plans(self) -> dict[Any, Plan]:
        """How each function is differentiated, as found out at its first use."""
        return {}

    @cached_property
    def _teams(self) -> dict[tuple[float, ...], "NonlinearGame"]:
        """Teams made before, so that they need not be looked at again."""
        return {}

    @property
    def control_size(self) -> int:
        """Size m of the joint control."""
        return max(block.stop for block in self.control_slices)

    @property
    def player_count(self) -> int:
        """Number N of players."""
        return len(self.control_slices)

    def advance(self, t: int, x: Tensor, u: Tensor) -> Tensor:
        """Give the next states of a batch.

        Args:
            t: Stage.
            x: States, shape (B, n).
            u: Joint controls, shape (B, m).

        Returns:
            The states at stage t + 1, shape (B, n).
        """
        stage = torch.tensor(t, device=x.device)
        if not len(x):
            return x.clone()
        if len(x) == 1:
            return self.dynamics(x[0], u[0], stage).unsqueeze(0)
        return torch.vmap(self.dynamics, in_dims=(0, 0, None))(x, u, stage)

    def simulate(self, us: Tensor, x0: Tensor) -> Tensor:
        """Give the states that a control sequence leads to.

        Args:
            us: Joint controls, shape (..., T, m).
            x0: Initial state, shape (..., n).

        Returns:
            The states, shape (..., T+1, n).

        Raises:
            InvalidInputError: naming the argument that has the wrong shape.
        """
        shaped("us", us, "... T m", T=self.horizon, m=self.control_size)
        shaped("x0", x0, "... n", n=self.state_size)
        batch = torch.broadcast_shapes(us.shape[:-2], x0.shape[:-1])
        flat = us.expand(*batch, *us.shape[-2:]).reshape(-1, *us.shape[-2:])
        xs = [x0.expand(*batch, self.state_size).reshape(-1, self.state_size)]
        for t in range(self.horizon):
            xs.append(self.advance(t, xs[-1], flat[:, t]))
        return torch.stack(xs, dim=-2).reshape(*batch, self.horizon + 1, self.state_size)

    def cost_terms(self, xs: Tensor, us: Tensor) -> Tensor:
        """Give every player's cost at every stage of a trajectory.

        Args:
            xs: States, shape (..., T+1, n).
            us: Joint controls, shape (..., T, m).

        Returns:
            The running costs and, last, the terminal cost, shape (..., N, T+1).

        Raises:
            InvalidInputError: naming the trajectory's part that has the wrong shape.
        """
        shaped("xs", xs, "... T+1 n", **{"T+1": self.horizon + 1, "n": self.state_size})
        shaped("us", us, "... T m", T=self.horizon, m=self.control_size)
        batch = torch.broadcast_shapes(xs.shape[:-2], us.shape[:-2])
        xs = xs.expand(*batch, *xs.shape[-2:]).reshape(-1, *xs.shape[-2:])
        us = us.expand(*batch, *us.shape[-2:]).reshape(-1, *us.shape[-2:])
        stages = torch.arange(self.horizon, device=us.device)

        def running(x: Tensor, u: Tensor, t: Tensor) -> Tensor:
            return torch.stack([cost(x, u, t) for cost in self.running_costs])

        def terminal(x: Tensor) -> Tensor:
            return torch.stack([cost(x) for cost in self.terminal_costs])

        along = torch.vmap(torch.vmap(running), in_dims=(0, 0, None))(xs[:, :-1], us, stages)
        last = torch.vmap(terminal)(xs[:, -1])
        return torch.cat([along.mT, last.unsqueeze(-1)], dim=-1).reshape(
            *batch, self.player_count, self.horizon + 1
        )

    def costs(self, xs: Tensor, us: Tensor) -> Tensor:
        """Give every player's cost of a trajectory.

        Args:
            xs: States, shape (..., T+1, n).
            us: Joint controls, shape (..., T, m).

        Returns:
            The costs J, shape (..., N).

        Raises:
            InvalidInputError: naming the trajectory's part that has the wrong shape.
        """
        return self.cost_terms(xs, us).sum(-1)

    def team(self, weights: Sequence[float] | Sequence[Tensor] | None = None) -> "NonlinearGame":
        """Make the game of one player who minimises a weighted sum of all costs.

        Args:
            weights: One weight per player; all one if None.

        Returns:
            The game with one player that owns the joint control, and all constraints.

        Raises:
            InvalidInputError: if there is not one weight per player.
        """
        share: list[float | Tensor] = [1.0] * self.player_count
        if weights is not None:
            share = list(weights)
        if len(share) != self.player_count:
            raise InvalidInputError(
                f"weights: expected {self.player_count} numbers, one per player, got {share}"
            )

        def running(x: Tensor, u: Tensor, t: Tensor) -> Tensor:
            terms = zip(share, self.running_costs, strict=True)
            return torch.stack([w * cost(x, u, t) for w, cost in terms]).sum()

        def terminal(x: Tensor) -> Tensor:
            terms = zip(share, self.terminal_costs, strict=True)
            return torch.stack([w * cost(x) for w, cost in terms]).sum()

        own, key = self.expansion, tuple(w for w in share if not isinstance(w, Tensor))
        if key in self._teams:
            return self._teams[key]
        team = replace(
            self,
            running_costs=(running,),
            terminal_costs=(terminal,),
            control_slices=(slice(0, self.control_size),),
            constraints=tuple(replace(c, players=(0,)) for c in self.constraints),
            expansion=None
            if own is None
            else lambda xs, us: own(xs, us).team([float(w) for w in share]),
        )
        if len(key) == self.player_count:
            self._teams[key] = team
        return team

    def check(self, x0: Tensor) -> None:
        """Call every function once and require what it must return.

        Args:
            x0: Initial states, shape (..., n).

        Raises:
            InvalidInputError: naming the initial state, or the function that returns another shape
                or dtype than expected.
        """
        shaped("x0", x0, "... n", n=self.state_size)
        finite("x0", x0)
        if not x0.is_floating_point():
            raise InvalidInputError(f"x0: expected floating point numbers, got {x0.dtype}")
        x = x0.reshape(-1, self.state_size)[0]
        u, t = x.new_zeros(self.control_size), torch.tensor(0, device=x.device)
        returned: dict[str, tuple[Tensor, tuple[int, ...]]] = {
            "dynamics": (self.dynamics(x, u, t), (self.state_size,))
        }
        for i, cost in enumerate(self.running_costs):
            returned[f"running_costs[{i}]"] = (cost(x, u, t), ())
        for i, cost in enumerate(self.terminal_costs):
            returned[f"terminal_costs[{i}]"] = (cost(x), ())
        for k, constraint in enumerate(self.constraints):
            value = constraint.function(x) if constraint.terminal else constraint.function(x, u, t)
            returned[f"constraints[{k}].function"] = (value, (value.numel(),))
        for name, (value, shape) in returned.items():
            if tuple(value.shape) != shape or value.dtype != x.dtype:
                raise InvalidInputError(
                    f"{name}: expected a result of shape {shape} and dtype {x.dtype}, "
                    f"got {tuple(value.shape)} and {value.dtype}"
                )
