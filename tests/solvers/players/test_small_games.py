"""Small games from their standard starts: how many steps, and at which step sizes."""

import pytest
import torch

import ocngame as og
from ocngame.games.differentiable import (
    bilinear,
    dirac_gan,
    four_player,
    general_sum,
    iterated_prisoners_dilemma,
    matching_pennies,
    rotation,
)
from ocngame.solvers.players import KrylovSolve, look_ahead
from ocngame.solvers.players.baselines import SimultaneousGradient


def steps_to(ready, *, lr=1.0, most=400, error=1e-6, config=None):
    start = ready.game.control
    opt = og.PlayerOpt(ready.game, lr=lr, config=config)
    for step in range(1, most + 1):
        opt.step()
        if ready.error(start) < error:
            return step
    return None


# The least steps of competitive gradient descent, consensus, optimistic and extragradient at their
# best step sizes; where no published number is known, that of a neighbouring game.
CASES = {
    "bilinear 1": (lambda: bilinear(1.0), 18),
    "bilinear 3": (lambda: bilinear(3.0), 6),
    "bilinear 6": (lambda: bilinear(6.0), 6),
    "bilinear 10x10": (lambda: bilinear(1.0, size=10), 18),
    "rotation 1": (lambda: rotation(1.0), 5),
    "rotation 10": (lambda: rotation(10.0), 5),
    "four players": (four_player, 48),
    "general sum": (general_sum, 40),
}


@pytest.mark.parametrize("name", CASES)
def test_one_default_reaches_the_equilibrium(name):
    make, bar = CASES[name]
    steps = steps_to(make(), most=bar)
    assert steps is not None
    assert steps <= 4


@pytest.mark.parametrize(
    ("name", "lr"),
    [
        ("bilinear 6", 0.2),
        ("bilinear 10x10", 0.6),
        ("rotation 10", 0.1),
        ("rotation 10", 0.6),
        ("four players", 0.2),
        ("general sum", 0.2),
    ],
)
def test_a_shorter_step_is_slower_and_never_diverges(name, lr):
    steps = steps_to(CASES[name][0](), lr=lr)
    assert steps is not None
    # An exact stage solve leaves the fraction 1 - lr of the error.
    ideal = torch.log(torch.tensor(1e-6)) / torch.log(torch.tensor(1 - lr))
    assert 0.8 * ideal <= steps <= 1.3 * ideal + 6


@pytest.mark.parametrize("lr", [0.2, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("start", [(1.0, 1.0), (-2.0, 1.5), (0.3, 3.0)])
def test_dirac_gan_converges_at_every_step_size(lr, start):
    assert steps_to(dirac_gan(start), lr=lr) is not None


@pytest.mark.slow
@pytest.mark.parametrize("lr", [0.05, 0.1, 1.5])
@pytest.mark.parametrize("name", [*CASES, "dirac"])
def test_nothing_diverges_at_any_length(name, lr):
    make = dirac_gan if name == "dirac" else CASES[name][0]
    assert steps_to(make(), lr=lr) is not None


def test_gradient_play_diverges_on_the_same_games():
    for ready in (bilinear(1.0), rotation(10.0), dirac_gan()):
        start = ready.game.control
        opt = SimultaneousGradient(ready.game, lr=0.1)
        for _ in range(80):
            opt.step()
        assert ready.error(start) > 1.05


@pytest.mark.parametrize("start", [(1.0, -0.5), (2.0, 2.0), (-1.0, 3.0), (0.0, -2.0)])
def test_matching_pennies_ends_at_even_odds(start):
    ready = matching_pennies(start)
    opt = og.PlayerOpt(ready.game)
    for _ in range(60):
        opt.step()
    assert ready.measures["distance to 50/50"]() < 1e-6


@pytest.mark.parametrize("solve", [KrylovSolve(), KrylovSolve(tolerance=1e-8)])
def test_products_alone_do_as_well(solve):
    config = og.PlayerOptConfig(solve=solve)
    for name in ("bilinear 10x10", "four players", "general sum"):
        make, bar = CASES[name]
        steps = steps_to(make(), most=bar, config=config)
        assert steps is not None


def test_a_players_own_maximum_is_left():
    # (0, 0) is stationary, attracting for Newton's method, and the first player's maximum.
    values = [torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in (0.01, 0.01)]
    game = og.PlayerGame(
        values,
        [
            lambda x, y: (x**4 / 4 - x**2 / 2 + 0.1 * x * y).sum(),
            lambda x, y: (y**2 / 2 - 0.1 * x * y).sum(),
        ],
    )
    opt = og.PlayerOpt(game)
    for _ in range(30):
        opt.step()
    x, y = game.control.tolist()
    assert abs(x) > 0.9
    assert abs(x**3 - x + 0.1 * y) < 1e-9
    assert abs(y - 0.1 * x) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("lr", [8.0, 25.0, 80.0, 250.0])
@pytest.mark.parametrize("seed", range(5))
def test_players_that_look_ahead_cooperate(lr, seed):
    ready = iterated_prisoners_dilemma(seed=seed)
    opt = SimultaneousGradient(look_ahead(ready.game, stages=3, step=25.0), lr=lr)
    for _ in range(200):
        opt.step()
    assert ready.measures["mean return"]() > -1.1


@pytest.mark.parametrize("step", [25.0, 250.0])
def test_players_that_look_ahead_with_their_defaults_cooperate(step):
    ready = iterated_prisoners_dilemma(seed=0)
    config = og.PlayerOptConfig.for_look_ahead(step=step)
    opt = og.PlayerOpt(look_ahead(ready.game, stages=3, step=25.0), config=config)
    for _ in range(20):
        assert opt.step().accepted
    assert ready.measures["mean return"]() > -1.1


def test_players_that_do_not_look_ahead_defect():
    ready = iterated_prisoners_dilemma(seed=0)
    opt = SimultaneousGradient(ready.game, lr=80.0)
    for _ in range(200):
        opt.step()
    assert ready.measures["mean return"]() < -1.9
