"""Rollouts of all stages at once against stage after stage."""

import pytest
import torch
from nonlinear_games import START, duel

from ocngame.bellman import AffinePolicy
from ocngame.bellman.trajectory import follow, linear_sweep
from ocngame.games.expansion import expand

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@torch.no_grad()
def rollouts(length: float, count: int = 2, spoilt: float = 0.0):
    """The same rollout both ways, from trajectories of the duel."""
    game = duel()
    generator = torch.Generator().manual_seed(0)
    us = torch.randn(count, 12, 2, generator=generator, dtype=torch.float64)
    xs = game.simulate(us, START)
    step = AffinePolicy(
        feedforward=torch.randn(count, 12, 2, generator=generator, dtype=torch.float64),
        feedback=0.1 * torch.randn(count, 12, 2, 2, generator=generator, dtype=torch.float64),
    )
    scale = torch.full((count,), length, dtype=torch.float64)
    f_z = expand(game, xs, us, dynamics_hessian=False).f_z + spoilt
    return follow(game, xs, us, step, scale), follow(game, xs, us, step, scale, f_z)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("length", [1e-8, 0.1, 1.0])
def test_all_at_once_is_stage_by_stage(length, count):
    by_stage, at_once = rollouts(length, count)
    for one, other in zip(by_stage, at_once, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_jacobians_that_are_far_off_do_no_harm():
    by_stage, at_once = rollouts(1.0, spoilt=30.0)
    for one, other in zip(by_stage, at_once, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_linear_sweep():
    generator = torch.Generator().manual_seed(1)
    loops = torch.randn(2, 4, 3, 3, generator=generator, dtype=torch.float64)
    drifts = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
    found = linear_sweep(loops, drifts)
    assert float(found[:, 0].abs().max()) == 0.0
    for t in range(4):
        expected = (loops[:, t] @ found[:, t].unsqueeze(-1)).squeeze(-1) + drifts[:, t]
        torch.testing.assert_close(found[:, t + 1], expected, **CLOSE)
    torch.testing.assert_close(linear_sweep(loops[:1], drifts[:1]), found[:1], **CLOSE)
