"""The structured network path gives the policies of a dense evaluation of the same game."""

import pytest
import torch
from torch import Tensor, nn

from ocngame.bellman import backward_pass, terminal_value
from ocngame.curvature import CrossEntropyHessian, IdentityOperator
from ocngame.games import GameGraph
from ocngame.games.rollout import record_rollout
from ocngame.solvers.ocnopt.directions import SampleSpaceGame, stacked_game

from .dense_network import solve_densely

SAMPLES, WIDTH, CLASSES, DAMPING = 3, 3, 2, 0.3


class Residual(nn.Module):
    """Three linear layers, the second inside a skip connection."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.last = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        return self.last(h + torch.tanh(self.second(h)))


def affine(x: Tensor, u: Tensor, outputs: int) -> Tensor:
    u = u.reshape(outputs, -1)
    return x @ u[:, :-1].T + u[:, -1]


def residual_stages():
    """The same network on the stacked, flattened live state (h and the skip carried along)."""

    def first(state: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(affine(state.reshape(SAMPLES, 2), u, WIDTH)).flatten()

    def second(state: Tensor, u: Tensor) -> Tensor:
        h = state.reshape(SAMPLES, WIDTH)
        return (h + torch.tanh(affine(h, u, WIDTH))).flatten()

    def last(state: Tensor, u: Tensor) -> Tensor:
        return affine(state.reshape(SAMPLES, WIDTH), u, CLASSES).flatten()

    return [first, second, last]


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(5)
    model = Residual().double()
    x = torch.randn(SAMPLES, 2, generator=generator, dtype=torch.float64)
    y = torch.tensor([0, 1, 1])
    return model, x, y


def structured(model: nn.Module, x: Tensor, y: Tensor) -> tuple[SampleSpaceGame, list[Tensor]]:
    rollout = record_rollout(model, GameGraph.from_module(model).control_stages, lambda: model(x))
    loss = nn.functional.cross_entropy(rollout.output, y)
    (gradient,) = torch.autograd.grad(loss, rollout.output, retain_graph=True)
    exact = CrossEntropyHessian().exact(rollout.output)
    seeds = rollout.backpropagate(gradient.unsqueeze(0) * SAMPLES)
    ones = torch.full((1, SAMPLES), 1.0 / SAMPLES, dtype=x.dtype)
    gradients = [z.combine(ones) for z in seeds]
    columns = rollout.backpropagate(exact)
    metric = [IdentityOperator(DAMPING)] * len(columns)
    return stacked_game(gradients, columns, metric, exact=True), gradients


def dense(model: Residual, x: Tensor, y: Tensor):
    controls = [
        torch.cat([layer.weight, layer.bias.unsqueeze(1)], 1).detach().flatten()
        for layer in (model.first, model.second, model.last)
    ]

    def terminal(state: Tensor) -> Tensor:
        return nn.functional.cross_entropy(state.reshape(SAMPLES, CLASSES), y)

    def root(state: Tensor) -> Tensor:
        hessian = torch.autograd.functional.hessian(terminal, state)
        values, vectors = torch.linalg.eigh(hessian)
        return vectors * values.clamp_min(0).sqrt()

    return solve_densely(residual_stages(), controls, x.flatten(), terminal, root, DAMPING)


def test_policies_equal_the_dense_recursion(problem):
    model, x, y = problem
    game, _ = structured(model, x, y)
    reference = dense(model, x, y)
    size = game.columns[0].count[0] * SAMPLES
    result = backward_pass(game.stages, terminal_value((), size, x))
    policies = game.control_policies(result.policies)
    exact_root = CrossEntropyHessian().exact(model(x))
    for t, policy in enumerate(policies):
        torch.testing.assert_close(policy.feedforward, reference.feedforward[t], rtol=0, atol=1e-9)
        state_columns = _live_columns(model, x, t, exact_root)
        torch.testing.assert_close(
            policy.feedback @ state_columns.T, reference.feedback[t], rtol=0, atol=1e-9
        )


def _live_columns(model: Residual, x: Tensor, t: int, root: Tensor) -> Tensor:
    """Backpropagate the scaled output columns to the live state of stage t, one by one."""
    h0 = x.clone().requires_grad_()
    h1 = torch.tanh(model.first(h0))
    h2 = h1 + torch.tanh(model.second(h1))
    out = model.last(h2)
    state = (h0, h1, h2)[t]
    columns = []
    for r in range(CLASSES):
        for b in range(SAMPLES):
            seed = torch.zeros_like(out)
            seed[b] = root[r, b] / SAMPLES**0.5
            columns.append(torch.autograd.grad(out, state, seed, retain_graph=True)[0].flatten())
    return torch.stack(columns, 1)


def test_sweep_is_the_joint_damped_gauss_newton_step(problem):
    model, x, y = problem
    game, gradients = structured(model, x, y)
    moves = torch.cat([move.flatten() for move in game.solve().moves])
    reference = dense(model, x, y)
    columns = torch.cat(reference.control_columns)
    slope = torch.cat([g.flatten() for g in gradients])
    system = columns @ columns.T + DAMPING * torch.eye(len(slope), dtype=x.dtype)
    torch.testing.assert_close(moves, -torch.linalg.solve(system, slope), rtol=0, atol=1e-10)


def test_gradient_is_autograds(problem):
    model, x, y = problem
    _, gradients = structured(model, x, y)
    nn.functional.cross_entropy(model(x), y).backward()
    for layer, gradient in zip((model.first, model.second, model.last), gradients, strict=True):
        joined = torch.cat([layer.weight.grad, layer.bias.grad.unsqueeze(1)], 1)
        torch.testing.assert_close(gradient, joined, rtol=0, atol=1e-14)
