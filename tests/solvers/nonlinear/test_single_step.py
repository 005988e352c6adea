"""One step without a search: exact where the game is linear-quadratic, and careful elsewhere."""

from dataclasses import replace

import pytest
import torch
from lq_games import random_game, random_state
from nonlinear_games import as_functions, duel

import ocngame as og
from ocngame.errors import InvalidInputError
from ocngame.games import Constraint
from ocngame.solvers.nonlinear import IterationOptions, quadratic_step


def convex(seed: int) -> og.LQGame:
    """A random game whose stage costs are convex in state and controls together."""
    game = random_game(seed, sizes=(1, 2), horizon=5)
    Q, R = (part @ part.mT + torch.eye(part.shape[-1]) for part in (game.Q, game.R))
    return replace(game, Q=Q, R=R, M=torch.zeros_like(game.M))


@pytest.mark.parametrize("seed", range(3))
def test_a_convex_linear_quadratic_game_is_solved_from_any_controls(seed: int):
    lq = convex(seed)
    x0 = torch.stack([random_state(seed + k, lq) for k in range(2)])
    exact = og.solve(lq, information="feedback", x0=x0)
    generator = torch.Generator().manual_seed(seed)
    begun = torch.randn(2, 5, lq.B.shape[-1], dtype=torch.float64, generator=generator)
    found = quadratic_step(as_functions(lq), x0, begun)
    assert found.sound.all()
    for ours, theirs in (
        (found.states, exact.states),
        (found.controls, exact.controls),
        (found.feedback, exact.policies.feedback.expand(2, -1, -1, -1)),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_an_equilibrium_with_positive_hessians_is_a_fixed_point_and_another_path_is_not():
    # Costs with the product of both controls are not convex in them jointly.
    costs = [lambda x, u, t, i=i: 0.5 * (u[i] ** 2 + (x[0] - 0.5 * i) ** 2) for i in (0, 1)]
    game = duel(running_costs=costs)
    x0 = torch.tensor([[0.4, 0.0]], dtype=torch.float64)
    options = IterationOptions(dynamics_hessian=False, tolerance=1e-10)
    solved = og.solve(game, information="feedback", x0=x0, options=options)
    again = quadratic_step(game, x0, solved.controls)
    torch.testing.assert_close(again.controls, solved.controls, rtol=0, atol=1e-7)
    other = quadratic_step(game, x0, solved.controls + 0.2)
    assert float((other.controls - solved.controls - 0.2).abs().max()) > 0.1


def test_an_element_that_overflows_keeps_its_path_and_leaves_the_others_alone():
    game = duel()
    x0 = torch.tensor([[0.4, 0.0], [0.1, 0.2]], dtype=torch.float64)
    begun = torch.zeros(2, game.horizon, 2, dtype=torch.float64)
    alone = quadratic_step(game, x0[:1], begun[:1])
    begun[1, 3] = 1e308
    both = quadratic_step(game, x0, begun)
    assert both.sound.tolist() == [True, False]
    torch.testing.assert_close(both.controls[:1], alone.controls)
    assert torch.equal(both.controls[1], begun[1])
    assert not both.feedback[1].any()


def test_what_does_not_fit_is_refused():
    game, x0 = duel(), torch.zeros(2, 2, dtype=torch.float64)
    with pytest.raises(InvalidInputError, match="controls"):
        quadratic_step(game, x0, x0.new_zeros(2, 3, 2))
    bounded = duel(constraints=[Constraint(function=lambda x, u, t: u[:1] - 1, players=(0,))])
    with pytest.raises(InvalidInputError, match="constraints"):
        quadratic_step(bounded, x0, x0.new_zeros(2, game.horizon, 2))
