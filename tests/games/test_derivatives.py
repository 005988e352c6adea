"""Sparse derivatives against dense ones, and what a function may depend on."""

import pytest
import torch
from torch import Tensor
from torch.func import jacrev

from ocngame.games.dependence import dependence
from ocngame.games.derivatives import derivatives, plan
from ocngame.games.stage_functions import stage_function
from ocngame.games.zoo import READY, formation

STAGES = torch.arange(4)


def points(count: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, size, generator=generator, dtype=torch.float64)


def branches(z: Tensor) -> Tensor:
    """A branch that is not taken at zero, a clamp, a product and a matrix."""
    low = torch.where(z[0] > 100, z[1] ** 3, z[2].sin())
    matrix = torch.ones(2, 2, dtype=z.dtype) @ z[3:5]
    return torch.stack([low, z[3].clamp_min(50.0) * 2, z[4] * z[5], matrix[0], z[0].detach() * 0])


def test_dependence_counts_branches_that_are_not_taken():
    found = dependence(branches, torch.zeros(6, dtype=torch.float64))
    expected = [[0, 1, 2], [3], [4, 5], [3, 4], [0]]
    assert [row.nonzero().flatten().tolist() for row in found] == expected


@pytest.mark.parametrize("blind", ["in place", "custom"])
def test_what_cannot_be_followed_depends_on_everything(blind):
    def function(z: Tensor) -> Tensor:
        if blind == "custom":
            return torch.linalg.solve(torch.eye(3, dtype=z.dtype) * (2 + z[0]), z)
        out = z.clone()
        out[0] = z[1]
        return out

    assert bool(dependence(function, torch.zeros(3, dtype=torch.float64)).all())


@pytest.mark.parametrize("name", sorted(READY))
@pytest.mark.parametrize("kind", ["dynamics", "running", "along"])
def test_sparse_derivatives_are_the_dense_ones(name, kind):
    game = (formation(3, horizon=4) if name == "formation" else READY[name](horizon=4)).game
    function = stage_function(game, kind)
    if function is None:
        pytest.skip("no such constraints")
    z = points(4, game.state_size + game.control_size)
    with torch.no_grad():
        found = derivatives(function, plan(function, z[0], STAGES[0]), z, STAGES)
    slopes = torch.vmap(jacrev(function))(z, STAGES)
    curves = torch.vmap(jacrev(jacrev(function)))(z, STAGES)
    torch.testing.assert_close(found.value, torch.vmap(function)(z, STAGES), rtol=0, atol=0)
    torch.testing.assert_close(found.slope, slopes, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.curve, curves, rtol=1e-12, atol=1e-12)


def test_independent_bodies_are_differentiated_together():
    """Ten bodies of two states cost two outputs' backward passes, not twenty."""

    def bodies(z: Tensor) -> Tensor:
        x, v = z.reshape(10, 2).unbind(-1)
        return torch.stack([x + v, v - x.sin()], dim=-1).flatten()

    z = points(3, 20)
    found = plan(bodies, z[0])
    assert len(found.seeds) == 2
    assert len(found.directions) == 2
    curve = derivatives(bodies, found, z).curve
    torch.testing.assert_close(curve, torch.vmap(jacrev(jacrev(bodies)))(z))


def test_a_wrong_pattern_is_noticed():
    """The negative control: with a missing dependence the derivatives are others."""
    found = plan(lambda z: torch.stack([z[0], z[1]]), torch.zeros(2, dtype=torch.float64))

    def coupled(z: Tensor) -> Tensor:
        return torch.stack([z[0] * z[1], z[1]])

    z = points(3, 2)
    wrong = derivatives(coupled, found, z).slope
    assert float((wrong - torch.vmap(jacrev(coupled))(z)).abs().max()) > 0.1


def test_gradients_reach_what_a_function_holds():
    weight = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)

    def function(z: Tensor) -> Tensor:
        return (weight * z**3).sum().reshape(1)

    z = points(3, 2)
    found = derivatives(function, plan(function, z[0]), z)
    (slope,) = torch.autograd.grad(found.curve.sum(), weight)
    torch.testing.assert_close(slope, 6 * z.sum())
    with torch.no_grad():
        assert not derivatives(function, plan(function, z[0]), z).slope.requires_grad


def test_functions_without_curvature_or_without_slope():
    def flat(z: Tensor) -> Tensor:
        return torch.stack([2 * z[0], torch.ones((), dtype=z.dtype)])

    z = points(3, 2)
    found = derivatives(flat, plan(flat, z[0]), z)
    assert found.slope[:, 0].tolist() == [[2.0, 0.0]] * 3
    assert float(found.slope[:, 1].abs().max()) == 0.0
    assert float(found.curve.abs().max()) == 0.0
