"""Reports on differentiable games: pass at equilibria, fail elsewhere, against dense Hessians."""

import pytest
import torch
from player_games import curved_game, oracle, own_rows

import ocngame as og
from ocngame.equilibria import examine_players
from ocngame.errors import InvalidInputError
from ocngame.games.differentiable import rotation


def _examine(game, **settings):
    return examine_players(game, generator=torch.Generator().manual_seed(0), **settings)


def test_an_equilibrium_passes_and_leaves_nothing_to_gain():
    ready = rotation(3.0)
    game = ready.game
    away = _examine(game, response_steps=10)
    assert not away.is_local()
    # From (1, 1), player 1 alone goes to x = -a / mu: what it saves is (mu + a)^2 / (2 mu).
    assert torch.allclose(away.gain, torch.tensor([3.1**2, 2.9**2]).double() / 0.2)
    opt = og.PlayerOpt(game)
    for _ in range(6):
        opt.step()
    found = _examine(game, response_steps=10)
    assert found.is_local()
    assert found.own_curvature.tolist() == pytest.approx([0.1, 0.1])
    assert float(found.gain.abs().max()) < 1e-10


def test_eigenvalues_are_those_of_the_own_hessians():
    game = curved_game(sizes=(4, 3), scale=2.0)
    _, hessians = oracle(game, game.control)
    found = _examine(game)
    for i, block in enumerate(game.control_slices):
        exact = torch.linalg.eigvalsh(hessians[i][block, block])[0]
        assert float(found.own_curvature[i]) == pytest.approx(float(exact))
        assert float(found.bound[i]) < 1e-8


def test_a_stationary_point_that_is_a_maximum_fails():
    x, y = (torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    game = og.PlayerGame(
        [x, y], [lambda x, y: (x * y - x**2 + x**4).sum(), lambda x, y: (y**2 - x * y).sum()]
    )
    found = _examine(game)
    assert float(found.residuals.max()) == 0
    assert not found.is_local()
    assert found.own_curvature.tolist() == pytest.approx([-2.0, 2.0])


def test_a_leaders_equilibrium_need_not_be_nash():
    # The leader's own cost is concave; along the follower's answer y = x it is convex.
    x, y = (torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    costs = [lambda x, y: (y**2 - 0.5 * x**2).sum(), lambda x, y: (0.5 * (y - x) ** 2).sum()]
    game = og.PlayerGame([x, y], costs)
    assert not _examine(game).is_local()
    led = _examine(game, leader=0)
    assert led.is_local()
    assert led.own_curvature.tolist() == pytest.approx([1.0, 1.0])
    assert led.leader == 0


def test_a_leaders_conditions_are_the_dense_ones():
    game = curved_game()
    gradients, hessians = oracle(game, game.control)
    lead, others = game.control_slices[0], slice(3, 7)
    rows = own_rows(game, hessians)
    z = torch.cat(
        [
            torch.eye(3, dtype=torch.float64),
            -torch.linalg.solve(rows[others, others], rows[others, lead]),
        ]
    )
    found = _examine(game, leader=0)
    assert float(found.residuals[0]) == pytest.approx(float((z.T @ gradients[0]).norm()))
    exact = torch.linalg.eigvalsh(z.T @ hessians[0] @ z)[0]
    assert float(found.own_curvature[0]) == pytest.approx(float(exact))


def test_players_stay_where_they_are_and_bad_numbers_are_refused():
    game = curved_game()
    before = game.control
    _examine(game, response_steps=3)
    assert torch.equal(game.control, before)
    with pytest.raises(InvalidInputError, match=r"leader: .* one of 3 players, got 5"):
        _examine(game, leader=5)
    with pytest.raises(InvalidInputError, match="lanczos_steps"):
        _examine(game, lanczos_steps=0)
