"""What a solution brings along to the next one."""

from dataclasses import replace

import pytest
import torch
from nonlinear_games import START, duel

import ocngame as og
from ocngame.errors import InvalidInputError
from ocngame.games.zoo import pursuit_evasion
from ocngame.solvers.lq import Status
from ocngame.solvers.nonlinear import IterationOptions
from ocngame.solvers.nonlinear.mixing import Secants


def test_secants_solve_a_linear_map_in_one_mix():
    """With as many secants as dimensions, k + G - sum g dG is the fixed point itself."""
    generator = torch.Generator().manual_seed(0)
    slope = 0.4 * torch.randn(3, 3, generator=generator, dtype=torch.float64)
    fixed = torch.randn(3, generator=generator, dtype=torch.float64)
    points = fixed + 1e-3 * torch.randn(4, 3, generator=generator, dtype=torch.float64)
    targets = fixed + (points - fixed) @ slope.mT
    steps = targets - points
    pairs = (steps[:1] - steps[1:], targets[:1] - targets[1:])
    secants = Secants(
        k=pairs[0].reshape(1, 3, 1, 3),
        xs=pairs[1].reshape(1, 3, 1, 3),
        us=pairs[1].reshape(1, 3, 1, 3),
        used=torch.ones(1, 3, dtype=torch.bool),
    )
    weights = secants.weights(steps[0].reshape(1, 1, 3), torch.full((1,), 1e3).double())
    mixed = targets[0] - weights[0] @ pairs[1]
    torch.testing.assert_close(mixed, fixed, rtol=0, atol=1e-9)
    assert float((targets[0] - fixed).norm()) > 1e-4


def test_feedback_starts_with_the_secants_of_the_solution():
    game = duel()
    first = og.solve(game, x0=START)
    x0 = START + torch.tensor([0.2, -0.1], dtype=torch.float64)
    warm = first.start()
    assert warm.secants is not None
    assert bool(warm.secants.used.any())
    with_them = og.solve(game, x0=x0, initial=warm)
    without = og.solve(game, x0=x0, initial=replace(warm, secants=None, path=None))
    assert int(with_them.iterations) < int(without.iterations)
    torch.testing.assert_close(with_them.controls, without.controls, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("information", ["feedback", "open_loop"])
def test_the_path_only_makes_the_first_rollout_faster(information):
    game = duel()
    first = og.solve(game, information=information, x0=START)
    once = IterationOptions(max_iterations=1, tolerance=1e-14)
    x0 = torch.stack([START, START + 0.3])
    found = [
        og.solve(
            game,
            information=information,
            x0=x0,
            initial=replace(first.start(), secants=None, **change),
            options=once,
            raise_on_failure=False,
        )
        for change in ({}, {"path": None})
    ]
    torch.testing.assert_close(found[0].controls, found[1].controls, rtol=1e-10, atol=1e-10)


def test_a_path_of_another_game_is_named():
    first = og.solve(duel(), x0=START)
    start = first.start()
    assert start.path is not None
    short = replace(start.path, controls=start.path.controls[1:])
    with pytest.raises(InvalidInputError, match=r"^initial\.path\.controls: "):
        og.solve(duel(), x0=START, initial=replace(start, path=short))


def test_open_loop_pursuit_is_refused_for_the_evaders_curvature():
    """The saddle path of feedback play is stationary, and no minimum of the evader's."""
    ready = pursuit_evasion()
    saddle = og.solve(ready.game, x0=ready.x0, initial=ready.controls)
    options = IterationOptions(max_iterations=20)
    found = og.solve(
        ready.game,
        information="open_loop",
        x0=ready.x0,
        initial=saddle.controls,
        options=options,
        raise_on_failure=False,
    )
    for other in (pursuit_evasion(price=20.0), pursuit_evasion(30)):
        solved = og.solve(
            other.game,
            information="open_loop",
            x0=other.x0,
            initial=other.controls,
            options=options,
        )
        assert solved.status is Status.LOCALLY_SOLVED
    assert found.status is Status.NO_MINIMUM
    assert float(found.residual) < 1e-9
    assert float(found.certificate.own_curvature[1].min()) < 0
    assert float(found.certificate.own_curvature[0].min()) > 0
