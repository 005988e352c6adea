"""Gradients of solutions with respect to costs, dynamics and the initial state."""

import pytest
import torch
from lq_games import altered, random_game, random_state

import ocngame as og

NAMES = ("A", "B", "c", "Q", "q", "R", "r", "M")


def symmetric(matrix):
    return 0.5 * (matrix + matrix.mT)


@pytest.mark.parametrize(
    "information", ["feedback", "open_loop", "cooperative", "own_block", "stackelberg"]
)
def test_gradients_are_those_of_finite_differences(information):
    game = random_game(21, sizes=(1, 1), states=2, horizon=2)
    pieces = [getattr(game, name).clone().requires_grad_() for name in NAMES]
    x0 = random_state(21, game).requires_grad_()
    leader = 0 if information == "stackelberg" else None

    def outputs(x0, *pieces):
        given = dict(zip(NAMES, pieces, strict=True))
        for name in ("Q", "R"):
            given[name] = symmetric(given[name])
        solution = og.solve(altered(game, **given), information=information, x0=x0, leader=leader)
        policies = solution.policies
        return policies.feedforward, policies.feedback, solution.states, solution.value()

    assert torch.autograd.gradcheck(outputs, (x0, *pieces), atol=1e-6)


def test_unsolvable_elements_do_not_spoil_the_gradients_of_others():
    game = random_game(22, batch=(2,))
    R = game.R.clone()
    R[1] -= 100 * torch.eye(3, dtype=torch.float64)
    A = game.A.clone().requires_grad_()
    found = og.solve(altered(game, A=A, R=R), raise_on_failure=False)
    found.policies.feedback[0].sum().backward()
    assert bool(torch.isfinite(A.grad[0]).all())
    assert float(A.grad[0].abs().max()) > 0
