"""Ready games: solved from their start, in their number of iterations, and closed forms."""

import pytest
import torch

import ocngame as og
from ocngame.equilibria import examine
from ocngame.games.zoo import (
    READY,
    duopoly,
    duopoly_policy,
    pendulum,
    point_mass,
    point_mass_value,
)
from ocngame.solvers.nonlinear import IterationOptions

SLOW = {"formation", "intersection", "lane_merge"}
CASES = [
    pytest.param(name, kind, marks=pytest.mark.slow if name in SLOW else ())
    for name, make in READY.items()
    for kind in make().information
]


@pytest.mark.parametrize(("name", "information"), CASES)
def test_ready_games_are_solved_and_nobody_gains(name, information):
    ready = READY[name]()
    assert ready.name == name
    found = og.solve(
        ready.game,
        information=information,
        x0=ready.x0,
        initial=ready.controls,
        options=IterationOptions(max_iterations=ready.max_iterations),
    )
    assert float(found.residual) < 1e-8
    report = examine(
        ready.game,
        found,
        generator=torch.Generator().manual_seed(0),
        starts=0 if name == "formation" else 1,
        multipliers=None if found.constraints is None else found.constraints.multipliers,
    )
    assert float(report.relative.max()) < 1e-6
    assert float(report.own_curvature.min()) > 0
    if found.constraints is None:
        assert bool(report.passes(residual=1e-8, gain=1e-6))
    else:
        assert float(found.constraints.violation) <= 1e-8
        assert float(found.constraints.complementarity) <= 1e-8


def test_point_mass_has_the_closed_form_value():
    for options in ({}, {"horizon": 15, "step": 0.2, "weight": 3.0, "attenuation": 1.5}):
        ready = point_mass(**options)
        found = og.solve(ready.game, x0=ready.x0)
        keywords = {key: value for key, value in options.items() if key != "horizon"}
        value = point_mass_value(ready.x0, ready.game.horizon, **keywords)
        torch.testing.assert_close(found.costs[0], value, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.costs[1], -value, rtol=1e-10, atol=1e-12)


def test_duopoly_has_the_closed_form_policy():
    ready = duopoly()
    policies = og.solve(ready.game, x0=ready.x0).policies
    expected = torch.tensor(duopoly_policy(ready.game.horizon), dtype=torch.float64)
    for firm in range(2):
        torch.testing.assert_close(policies.feedforward[:, firm], expected[:, 0], rtol=0, atol=1e-9)
        torch.testing.assert_close(policies.feedback[:, firm, 0], expected[:, 1], rtol=0, atol=1e-9)


def test_the_robust_pendulum_needs_a_disturbance_that_is_dear_enough():
    ready = pendulum(attenuation=0.3)
    options = IterationOptions(max_iterations=20)
    found = og.solve(ready.game, x0=ready.x0, options=options, raise_on_failure=False)
    assert not bool(found.solved)


def test_zero_sum_players_lose_what_the_other_gains():
    ready = pendulum(20)
    found = og.solve(ready.game, x0=ready.x0)
    torch.testing.assert_close(found.costs[0], -found.costs[1], rtol=1e-12, atol=0)
