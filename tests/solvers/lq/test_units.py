"""Scales far from one, in costs, states and controls, do not decide what is solved."""

import pytest
import torch

import ocngame as og
from ocngame.equilibria import is_equilibrium, residuals
from ocngame.games import LQGame
from ocngame.solvers.lq import Status

EYE = torch.eye(2, dtype=torch.float64)
ONE = torch.ones(1, 1, dtype=torch.float64)
X0 = torch.ones(2, dtype=torch.float64)
KINDS = (
    "feedback",
    "open_loop",
    "cooperative",
    "own_block",
    "stackelberg",
    "open_loop_stackelberg",
)


def game(cost: float = 1.0, control: float = 1.0) -> LQGame:
    """The first player's cost in other units, and its controls in others."""
    return LQGame.time_invariant(
        1.1 * EYE,
        [control * EYE, EYE[:, :1]],
        [cost * EYE, EYE],
        [cost * control**2 * EYE, ONE],
        horizon=5,
    )


def solved(game: LQGame, kind: str) -> og.Solution:
    return og.solve(game, information=kind, x0=X0, leader=0 if "stackelberg" in kind else None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_of_controls_do_not_matter(kind, scale):
    plain, other = solved(game(), kind), solved(game(control=scale), kind)
    torch.testing.assert_close(other.states, plain.states, rtol=1e-10, atol=1e-12)
    back = other.controls * torch.tensor([scale, scale, 1.0], dtype=torch.float64)
    torch.testing.assert_close(back, plain.controls, rtol=1e-9, atol=1e-10)
    if kind == "cooperative":
        assert float(residuals(game(control=scale), other).max()) < 1e-9
    elif kind != "open_loop_stackelberg":
        assert bool(is_equilibrium(game(control=scale), other, tolerance=1e-9))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cooperative"])
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_of_costs_do_not_matter(kind, scale):
    plain, other = solved(game(), kind), solved(game(cost=scale), kind)
    torch.testing.assert_close(other.states, plain.states, rtol=1e-9, atol=1e-11)


def test_other_units_do_not_make_a_flat_direction_curved():
    flat = LQGame.time_invariant(
        EYE, [1e-8 * EYE], [0 * EYE], [torch.diag(torch.tensor([1.0, 0.0])).double()], horizon=2
    )
    found = og.solve(flat, raise_on_failure=False)
    assert found.status is Status.OWN_CURVATURE
    bent = LQGame.time_invariant(
        EYE, [EYE], [0 * EYE], [torch.diag(torch.tensor([1.0, -1e-9])).double()], horizon=2
    )
    assert og.solve(bent, raise_on_failure=False).status is Status.OWN_CURVATURE
