r"""Quadratic games on which first-order methods spiral or crawl; the equilibrium is the origin.

* bilinear: `f^1 = x' A y = -f^2`; gradient descent diverges at any step size;
* rotation: `f^1 = mu/2 |x|^2 + a x' y`, `f^2 = mu/2 |y|^2 - a x' y`;
* four players of one number (Balduzzi et al., 1802.05642, section 2.1 of the appendix): with
  e = 1/100, `f^i = e/2 w_i^2 + sum_{j>i} w_i w_j - sum_{j<i} w_i w_j`; the symplectic part of the
  Jacobian is a hundred times its symmetric part;
* general sum: two players of k numbers each with own curvatures between 0.5 and 1.5 and unrelated
  mixed derivatives.

All start from ones.
"""

from functools import partial

import torch
from torch import Tensor

from ocngame._checks import integer, non_negative
from ocngame.games.differentiable.ready import ReadyPlayers, from_control

__all__ = ["bilinear", "four_player", "general_sum", "quadratic_game", "rotation"]


def bilinear(a: float = 1.0, *, size: int = 1, dtype: torch.dtype = torch.float64) -> ReadyPlayers:
    """Make the bilinear zero-sum game.

    Args:
        a: Scale of the coupling.
        size: Size of each player; above one, `A = a (I + upper bidiagonal / 2)`.
        dtype: Floating-point type.

    Returns:
        The game.
    """
    integer("size", size, low=1)
    eye = torch.eye(size, dtype=dtype)
    coupling = a * (eye + 0.5 * torch.diag(torch.ones(size - 1, dtype=dtype), 1))
    none = torch.zeros(2 * size, 2 * size, dtype=dtype)
    none[:size, size:] = coupling
    none[size:, :size] = -coupling.mT
    return quadratic_game(f"bilinear {a:g}", none, [size, size])


def rotation(
    a: float = 10.0, *, mu: float = 0.1, dtype: torch.dtype = torch.float64
) -> ReadyPlayers:
    """Make the zero-sum game with a rotation about a weakly attracting saddle.

    Args:
        a: Speed of the rotation.
        mu: Own curvature.
        dtype: Floating-point type.

    Returns:
        The game.
    """
    non_negative("mu", mu)
    return quadratic_game(f"rotation {a:g}", torch.tensor([[mu, a], [-a, mu]], dtype=dtype), [1, 1])


def four_player(epsilon: float = 0.01, *, dtype: torch.dtype = torch.float64) -> ReadyPlayers:
    """Make the four-player game of Balduzzi et al.

    Args:
        epsilon: Own curvature.
        dtype: Floating-point type.

    Returns:
        The game.
    """
    upper = torch.triu(torch.ones(4, 4, dtype=dtype), 1)
    jacobian = epsilon * torch.eye(4, dtype=dtype) + upper - upper.mT
    return quadratic_game("four_player", jacobian, [1, 1, 1, 1])


def general_sum(
    size: int = 3, *, seed: int = 0, dtype: torch.dtype = torch.float64
) -> ReadyPlayers:
    """Make a general-sum game of two players.

    Args:
        size: Size of each player.
        seed: Seed of the matrices.
        dtype: Floating-point type.

    Returns:
        The game; its equilibrium is attracting for small gradient steps.
    """
    integer("size", size, low=1)
    generator = torch.Generator().manual_seed(seed)

    def random() -> Tensor:
        return torch.randn(size, size, dtype=torch.float64, generator=generator)

    jacobian = torch.zeros(2 * size, 2 * size, dtype=torch.float64)
    for i in range(2):
        own = slice(i * size, (i + 1) * size)
        basis = torch.linalg.qr(random()).Q
        jacobian[own, own] = (basis * torch.linspace(0.5, 1.5, size, dtype=torch.float64)) @ basis.T
    skew, common = random(), 0.1 * random()
    jacobian[:size, size:] = skew + common
    jacobian[size:, :size] = (common - skew).mT
    return quadratic_game("general_sum", jacobian.to(dtype), [size, size])


def quadratic_game(name: str, jacobian: Tensor, sizes: list[int]) -> ReadyPlayers:
    """Make the game with a given Jacobian of the own gradients, `xi = J u`.

    Args:
        name: The game's name.
        jacobian: J with symmetric diagonal blocks, shape (m, m).
        sizes: Sizes of the players, which sum to m.

    Returns:
        The game, its players at ones.
    """
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    slices = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    values = [torch.ones(size).to(jacobian) for size in sizes]
    costs = [partial(_cost, jacobian, own=block) for block in slices]
    game = from_control(values, costs, [str(i) for i in range(len(sizes))])
    return ReadyPlayers(name=name, game=game, equilibrium=torch.zeros(sum(sizes)).to(jacobian))


def _cost(jacobian: Tensor, *players: Tensor, own: slice) -> Tensor:
    joint = torch.cat(players)
    mine = joint[own]
    others = jacobian[own] @ joint - jacobian[own, own] @ mine
    return 0.5 * mine @ jacobian[own, own] @ mine + mine @ others
