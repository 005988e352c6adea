r"""Linear-quadratic games: affine dynamics, quadratic costs, any number of players.

    x_{t+1} = A_t x_t + B_t u_t + c_t,                                     t = 0 .. T-1
    J^i = sum_t [ 1/2 x' Q^i_t x + q^i_t' x + 1/2 u' R^i_t u + r^i_t' u + x' M^i_t u ]
          + 1/2 x_T' Q^i_T x_T + q^i_T' x_T

`u` is the joint control; player i owns `u[control_slices[i]]`. `R^i` is a full matrix over the
joint control, so a player's cost may depend on the others' controls (Basar & Olsder, Dynamic
Noncooperative Game Theory, 2nd ed., sections 6.2 and 6.3, write `R^{ij}` for its blocks). Index T
is terminal and `Q_t` belongs to `x_t`. Leading batch dimensions are allowed everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ocngame._tensor_checks import shaped
from ocngame.games.lq_costs import sum_of_terms
from ocngame.games.lq_pieces import PIECES, checked_pieces
from ocngame.games.time_invariant import repeated_pieces

__all__ = ["LQGame"]


@dataclass(frozen=True, init=False, eq=False)
class LQGame:
    """A finite-horizon linear-quadratic game; the module's docstring has the formulas.

    Attributes:
        A: State matrices, shape (..., T, n, n).
        B: Joint control matrices, shape (..., T, n, m).
        Q: State costs, symmetric, shape (..., N, T+1, n, n).
        R: Control costs over the joint control, symmetric, shape (..., N, T, m, m).
        control_slices: Each player's slice of the joint control.
        c: Offsets, shape (..., T, n).
        q: Linear state costs, shape (..., N, T+1, n).
        r: Linear control costs, shape (..., N, T, m).
        M: State-control costs, shape (..., N, T, n, m).
        has_offset: Whether offsets were given; if not, c is zero.
    """

    A: Tensor
    B: Tensor
    Q: Tensor
    R: Tensor
    control_slices: tuple[slice, ...]
    c: Tensor
    q: Tensor
    r: Tensor
    M: Tensor
    has_offset: bool = field(init=False)

    def __init__(
        self,
        *,
        A: Tensor,
        B: Tensor,
        Q: Tensor,
        R: Tensor,
        control_slices: Sequence[slice],
        c: Tensor | None = None,
        q: Tensor | None = None,
        r: Tensor | None = None,
        M: Tensor | None = None,
    ):
        """Check the pieces and bring them to one batch shape.

        Args:
            A: State matrices, shape (..., T, n, n).
            B: Joint control matrices, shape (..., T, n, m).
            Q: State costs, symmetric, shape (..., N, T+1, n, n).
            R: Control costs, symmetric, shape (..., N, T, m, m).
            control_slices: Each player's slice of the joint control.
            c: Offsets, shape (..., T, n); zero if None.
            q: Linear state costs, shape (..., N, T+1, n); zero if None.
            r: Linear control costs, shape (..., N, T, m); zero if None.
            M: State-control costs, shape (..., N, T, n, m); zero if None.

        Raises:
            InvalidInputError: naming the piece that has the wrong shape, is not finite or not
                symmetric, or the player that owns no control of its own.
        """
        given = {"A": A, "B": B, "Q": Q, "R": R, "c": c, "q": q, "r": r, "M": M}
        pieces = {name: piece for name, piece in given.items() if piece is not None}
        whole, slices = checked_pieces(pieces, control_slices)
        for name, piece in whole.items():
            object.__setattr__(self, name, piece)
        object.__setattr__(self, "control_slices", slices)
        object.__setattr__(self, "has_offset", c is not None)

    @classmethod
    def time_invariant(
        cls,
        A: Tensor,
        B: Sequence[Tensor],
        Q: Sequence[Tensor],
        R: Sequence[Tensor],
        *,
        horizon: int,
        terminal: Sequence[Tensor] | None = None,
        M: Sequence[Tensor] | None = None,
    ) -> "LQGame":
        """Make a game whose pieces do not change over time.

        Args:
            A: State matrix, shape (..., n, n).
            B: Each player's control matrix, shape (..., n, m_i).
            Q: Each player's state cost, shape (..., n, n).
            R: Each player's control cost, over its own control (..., m_i, m_i) or over the joint
                control (..., m, m).
            horizon: Number T of stages.
            terminal: Each player's terminal state cost, shape (..., n, n); Q if None.
            M: Each player's state-control cost over the joint control, shape (..., n, m).

        Returns:
            The game, players in the order of the sequences.

        Raises:
            InvalidInputError: naming the piece at fault.

        Examples:
            >>> import torch
            >>> eye = torch.eye(2)
            >>> game = LQGame.time_invariant(
            ...     eye, [eye, eye[:, :1]], [eye, 2 * eye], [eye, torch.eye(1)], horizon=5
            ... )
            >>> game.player_count, game.horizon, game.control_slices[1]
            (2, 5, slice(2, 3, None))
        """
        return cls(**repeated_pieces(A, B, Q, R, horizon=horizon, terminal=terminal, M=M))

    @property
    def horizon(self) -> int:
        """Number T of stages."""
        return self.A.shape[-3]

    @property
    def state_size(self) -> int:
        """State size n."""
        return self.A.shape[-1]

    @property
    def control_size(self) -> int:
        """Size m of the joint control."""
        return self.B.shape[-1]

    @property
    def player_count(self) -> int:
        """Number N of players."""
        return len(self.control_slices)

    @property
    def batch_shape(self) -> torch.Size:
        """Leading batch dimensions."""
        return self.A.shape[:-3]

    @property
    def is_zero_sum(self) -> bool:
        """Whether there are two players whose costs are opposite, entry by entry."""
        costs = ((self.Q, 4), (self.q, 3), (self.R, 4), (self.r, 3), (self.M, 4))
        return self.player_count == 2 and all(
            torch.equal(cost.select(-rank, 0), -cost.select(-rank, 1)) for cost, rank in costs
        )

    def repeated(self, batch: Sequence[int]) -> "LQGame":
        """Repeat the game along batch dimensions.

        Args:
            batch: The batch shape wanted; the game's own has to broadcast to it.

        Returns:
            The game with that batch shape; itself if it has it.
        """
        if tuple(batch) == tuple(self.batch_shape):
            return self
        own = len(self.batch_shape)
        parts = {
            name: piece.expand(*batch, *piece.shape[own:])
            for name, piece in ((name, getattr(self, name)) for name in PIECES)
            if name != "c" or self.has_offset
        }
        return LQGame(control_slices=self.control_slices, **parts)

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
        return sum_of_terms(self, xs, us)[0]

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
        moved = (self.B @ us.unsqueeze(-1)).squeeze(-1) + self.c
        xs = [x0.expand(torch.broadcast_shapes(x0.shape, moved[..., 0, :].shape))]
        for t in range(self.horizon):
            xs.append((self.A[..., t, :, :] @ xs[-1].unsqueeze(-1)).squeeze(-1) + moved[..., t, :])
        return torch.stack(xs, dim=-2)

    def team(self, weights: Tensor | None = None) -> "LQGame":
        """Make the game of one player who minimises a weighted sum of all costs.

        Args:
            weights: Weights, shape (..., N); all one if None.

        Returns:
            The game with one player that owns the joint control.

        Raises:
            InvalidInputError: if there is not one weight per player.
        """
        if weights is None:
            weights = self.A.new_ones(self.player_count)
        shaped("weights", weights, "... N", N=self.player_count)
        weights = weights.to(self.A)
        parts = {}
        for name, rank in (("Q", 4), ("q", 3), ("R", 4), ("r", 3), ("M", 4)):
            share = weights.reshape(*weights.shape, *(1,) * (rank - 1))
            parts[name] = (share * getattr(self, name)).sum(-rank, keepdim=True)
        return LQGame(
            A=self.A,
            B=self.B,
            c=self.c if self.has_offset else None,
            control_slices=(slice(0, self.control_size),),
            **parts,
        )
