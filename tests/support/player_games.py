"""Differentiable games for tests, and their derivatives by torch's own Hessian."""

import torch
from torch import Tensor

import ocngame as og


def curved_game(sizes=(3, 2, 2), seed=0, scale=0.3):
    """General-sum, not quadratic, with own curvatures that are positive at the start."""
    generator = torch.Generator().manual_seed(seed)
    total = sum(sizes)
    matrices = [torch.randn(total, total, dtype=torch.float64, generator=generator) for _ in sizes]
    values = [
        torch.randn(size, dtype=torch.float64, generator=generator).requires_grad_()
        for size in sizes
    ]

    def cost(i):
        def value(*players):
            joint = torch.cat(players)
            own = players[i]
            mixed = torch.tanh(scale * joint) @ matrices[i] @ joint
            return 2 * own @ own + mixed + 0.1 * (own**4).sum()

        return value

    return og.PlayerGame(values, [cost(i) for i in range(len(sizes))])


def oracle(game, control: Tensor, *batch):
    """Costs, gradients (N, m) and Hessians (N, m, m) by torch.autograd.functional."""

    def cost(i):
        return lambda u: game.evaluate(game.split(u), *batch)[i]

    players = range(game.player_count)
    gradients = [torch.autograd.functional.jacobian(cost(i), control) for i in players]
    hessians = [torch.autograd.functional.hessian(cost(i), control) for i in players]
    return torch.stack(gradients), torch.stack(hessians)


def own_rows(game, hessians: Tensor) -> Tensor:
    """The Jacobian of the own gradients, shape (m, m)."""
    return torch.cat([h[block] for h, block in zip(hessians, game.control_slices, strict=True)])
