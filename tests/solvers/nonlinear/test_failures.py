"""What cannot be solved is said, named, and never passed off as a solution."""

import pytest
import torch
from nonlinear_games import START, duel, swing

import ocngame as og
from ocngame.errors import ConvergenceError, InvalidInputError, UnknownNameError
from ocngame.games.zoo import point_mass
from ocngame.solvers.lq import Status
from ocngame.solvers.nonlinear import AugmentedLagrangian, IterationOptions

INFORMATION = ("feedback", "open_loop", "cooperative")


def explosive(x, u, t):
    """Finite near the origin only."""
    return x + 0.1 * u.sum() + torch.where(x.abs() > 1e3, torch.inf, 0.0) * x


@pytest.mark.parametrize("information", INFORMATION)
def test_non_finite_dynamics_are_named_and_leave_the_others_alone(information):
    game = duel(dynamics=explosive)
    x0 = torch.stack([START, torch.tensor([2e3, 0.0]).double()])
    found = og.solve(game, information=information, x0=x0, raise_on_failure=False)
    assert found.status == [Status.LOCALLY_SOLVED, Status.NON_FINITE]
    one = og.solve(game, information=information, x0=START)
    torch.testing.assert_close(found.controls[0], one.controls, rtol=1e-10, atol=1e-10)
    with pytest.raises(ConvergenceError, match=r"in batch element \(1,\).*overflowed"):
        og.solve(game, information=information, x0=x0)


@pytest.mark.parametrize("information", INFORMATION)
def test_nan_is_never_converged(information):
    game = duel(running_costs=[lambda x, u, t: u[0] ** 2 + (x[0] - 9).sqrt()] * 2)
    found = og.solve(game, information=information, x0=START, raise_on_failure=False)
    assert found.status is Status.NOT_DEFINED
    assert not bool(found.solved)


def test_a_coalition_of_opponents_has_nothing_to_minimise():
    ready = point_mass(5)
    with pytest.raises(
        ConvergenceError, match="weighted sum of the players' costs has no positive"
    ):
        og.solve(ready.game, information="cooperative", x0=ready.x0)


@pytest.mark.parametrize("information", INFORMATION)
@pytest.mark.parametrize("own", [lambda u: -5 * u**2, lambda u: u, lambda u: 0 * u])
def test_costs_without_curvature_are_named_as_such(information, own):
    game = duel(
        3,
        dynamics=lambda x, u, t: x + u[1:],
        running_costs=[lambda x, u, t: own(u[0]), lambda x, u, t: u[1] ** 2],
    )
    found = og.solve(game, information=information, x0=START, raise_on_failure=False)
    expected = Status.OWN_CURVATURE
    if information == "cooperative":
        expected = Status.COALITION_CURVATURE
    assert found.status is expected


@pytest.mark.parametrize("information", INFORMATION)
def test_running_out_of_iterations_is_reported(information):
    options = IterationOptions(max_iterations=1)
    with pytest.raises(ConvergenceError, match=r"after 1 iterations, residual .*above the toler"):
        og.solve(duel(), information=information, x0=START, options=options)
    found = og.solve(
        duel(), information=information, x0=START, options=options, raise_on_failure=False
    )
    assert found.status is Status.MAX_ITERATIONS
    assert float(found.residual) > options.tolerance
    assert bool(torch.isnan(found.certificate.own_curvature).all())


def test_an_unreachable_tolerance_stalls():
    options = IterationOptions(tolerance=1e-300, max_iterations=60)
    found = og.solve(duel(), x0=START, options=options, raise_on_failure=False)
    assert found.status is Status.STALLED
    assert float(found.residual) < 1e-11


def test_a_stationary_maximum_is_no_solution():
    """At the upright start with a reward for height, doing nothing is stationary but a maximum."""
    game = swing().__class__(
        dynamics=lambda x, u, t: x + 0.3 * u,
        running_costs=[lambda x, u, t: 0.05 * u @ u],
        terminal_costs=[lambda x: x.cos().sum()],
        control_slices=[slice(0, 1)],
        state_size=1,
        horizon=5,
    )
    found = og.solve(game, x0=torch.zeros(1).double(), raise_on_failure=False)
    assert float(found.residual) == 0.0
    assert not bool(found.solved)
    moved = og.solve(game, x0=torch.full((1,), 0.1).double())
    assert float(moved.certificate.own_curvature.min()) > 0


def test_constraints_that_cannot_be_met_are_reported():
    from ocngame.games import Constraint

    never = Constraint(function=lambda x, u, t: 1 + 0 * u[:1] * x[:1], players=(0,))
    options = IterationOptions(constraints=AugmentedLagrangian(max_rounds=3))
    game = duel(4, constraints=[never])
    found = og.solve(game, x0=START, options=options, raise_on_failure=False)
    assert found.status is Status.INFEASIBLE
    assert float(found.constraints.violation) == 1.0
    with pytest.raises(ConvergenceError, match="still violated"):
        og.solve(game, x0=START, options=options)


@pytest.mark.usefixtures("as_user")
def test_bad_arguments_are_named():
    game = duel()
    nan = torch.full((12, 2), torch.nan).double()
    for options, message in (
        ({"x0": None}, "^x0: expected an initial state"),
        ({"x0": START[:1]}, "^x0: .*n=2"),
        ({"x0": START * torch.nan}, "^x0: expected finite"),
        ({"x0": torch.tensor([1, 0])}, "^x0: expected floating"),
        ({"x0": START, "leader": 0}, "^leader: "),
        ({"x0": START, "information": "stackelberg"}, "^information: .*nonlinear"),
        ({"x0": START, "weights": torch.ones(2)}, "^weights: .*cooperative"),
        ({"x0": START, "information": "cooperative", "weights": torch.ones(3)}, "^weights: .*N=2"),
        ({"x0": START, "information": "cooperative", "weights": -torch.ones(2)}, "^weights: "),
        ({"x0": START, "initial": torch.zeros(11, 2).double()}, "^initial: .*T=12"),
        ({"x0": START, "initial": nan}, "^initial: expected finite"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            og.solve(game, **options)
    with pytest.raises(UnknownNameError, match="feedback"):
        og.solve(game, x0=START, information="feedbck")
    lq = og.LQGame.time_invariant(
        torch.eye(1), [torch.eye(1)], [torch.eye(1)], [torch.eye(1)], horizon=2
    )
    with pytest.raises(InvalidInputError, match=r"^options: .*linear-quadratic"):
        og.solve(lq, options=IterationOptions())


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (IterationOptions, "tolerance", 0.0),
        (IterationOptions, "max_iterations", 0),
        (AugmentedLagrangian, "penalty", -1.0),
        (AugmentedLagrangian, "growth", 0.5),
        (AugmentedLagrangian, "shrink", 1.5),
        (AugmentedLagrangian, "tolerance", 0.0),
        (AugmentedLagrangian, "max_rounds", 0),
    ],
)
def test_bad_settings_are_named(kind, name, value):
    with pytest.raises(InvalidInputError, match=f"^{name}: "):
        kind(**{name: value})
