"""Differentiable games: tensors, costs, derivatives, and refusals."""

import pytest
import torch
from player_games import curved_game, oracle, own_rows
from torch import nn

import ocngame as og
from ocngame.errors import InvalidInputError
from ocngame.games import GamePoint, own_gradients
from ocngame.games.differentiable import (
    bilinear,
    four_player,
    general_sum,
    iterated_prisoners_dilemma,
    rotation,
)


def test_products_are_those_of_the_dense_hessians():
    game = curved_game()
    control = game.control
    gradients, hessians = oracle(game, control)
    jacobian = own_rows(game, hessians)
    point = GamePoint(game, game.values())
    v = torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    own = torch.block_diag(*[h[b, b] for h, b in zip(hessians, game.control_slices, strict=True)])
    assert torch.allclose(point.gradients, gradients)
    assert torch.allclose(point.jacobian_product(v), jacobian @ v)
    assert torch.allclose(point.mixed_product(v), (jacobian - own) @ v)
    assert torch.allclose(point.transposed_product(v), jacobian.T @ v)
    assert torch.allclose(point.hessian_product(1, v), hessians[1] @ v)
    for i in range(3):
        for j in range(3):
            rows, columns = game.control_slices[i], game.control_slices[j]
            found = point.hessian_product(2, v[columns], rows=i, columns=j)
            assert torch.allclose(found, hessians[2][rows, columns] @ v[columns])
    assert torch.allclose(point.hessians(), hessians)
    costs, slope = own_gradients(game, game.values())
    assert torch.allclose(slope, point.own_gradient)
    assert torch.equal(costs, point.costs)


def test_modules_keep_their_methods_and_move_in_place():
    torch.manual_seed(0)
    first, second = nn.Sequential(nn.Linear(2, 3), nn.Tanh()), nn.Linear(3, 1)
    game = og.PlayerGame(
        {"first": first, "second": second},
        [
            lambda f, s, x: s(f(x)).square().mean(),
            lambda f, s, x: (s.weight @ f[0](x).T).mean() + s.weight.square().sum(),
        ],
    )
    x = torch.randn(5, 2)
    expected = first(x), second.weight.clone()
    moved = game.control + 1
    costs = game.evaluate(game.split(moved), x)
    assert torch.equal(first(x), expected[0])
    game.assign(moved)
    assert torch.allclose(costs[0], second(first(x)).square().mean())
    assert torch.allclose(second.weight, expected[1] + 1)
    assert game.control_slices == (slice(0, 9), slice(9, 13))
    gradients, hessians = oracle(game, game.control, x)
    point = GamePoint(game, game.values(), (x,))
    assert torch.allclose(point.gradients, gradients, atol=1e-5)
    assert torch.allclose(point.hessians(), hessians, atol=1e-4)


def test_frozen_tensors_are_no_control():
    module = nn.Linear(2, 1)
    module.bias.requires_grad_(False)
    game = og.PlayerGame([module], [lambda m: m.weight.square().sum() + m.bias.sum()])
    assert game.control_size == 2


def test_one_function_may_give_all_costs():
    x, y = (torch.ones(2, requires_grad=True) for _ in range(2))
    game = og.PlayerGame([x, y], lambda x, y: ((x * y).sum(), -(x * y).sum()))
    assert [float(c) for c in game.evaluate(game.values())] == [2.0, -2.0]


def _leaf(*shape):
    return torch.ones(*shape, requires_grad=True)


SHARED = _leaf(2)
LAYER = nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("players", "costs", "message"),
    [
        ([], [], "players: expected at least one, got none"),
        ([_leaf(2)], [], "costs: expected 1, one per player, got 0"),
        ({"a": SHARED, "b": SHARED}, [sum, sum], "players: .* 'a' and 'b' are the same"),
        ({"a": (_leaf(1), SHARED), "b": SHARED}, [sum, sum], "'a.1' and 'b' are the same"),
        (
            {"G": nn.Sequential(LAYER), "D": nn.Sequential(nn.ReLU(), LAYER)},
            [sum, sum],
            "'G.0.weight' and 'D.1.weight' are the same",
        ),
        ({"a": _leaf(1), "b": _leaf(1).double().detach()}, [sum, sum], "one dtype and device"),
        ({"a": _leaf(2) * 2}, [sum], "expected leaf tensors for 'a'"),
        ({"a": torch.ones(2, dtype=torch.int64)}, [sum], "floating-point tensors for 'a'"),
        ({"a": nn.ReLU()}, [sum], "'a' has nothing to choose"),
        ({"a": 3}, [sum], "expected a module or tensors for 'a', got int"),
    ],
)
def test_bad_players_are_refused(players, costs, message):
    with pytest.raises(InvalidInputError, match=message):
        og.PlayerGame(players, costs)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ([lambda a, b: a * b.sum(), lambda a, b: b.sum()], "scalar tensor .* '0', got \\(2,\\)"),
        ([lambda a, b: 1.0, lambda a, b: b.sum()], "scalar tensor .* '0', got float"),
        ([lambda a, b: a.sum(), lambda a, b: a.sum()], "cost of player '1' to depend on its own"),
        ([lambda a, b: b.sum().detach(), lambda a, b: a.sum()], "cost of player '0' to depend"),
        (lambda a, b: [a.sum()], "costs: expected 2 costs, one per player, got 1"),
    ],
)
def test_bad_costs_are_refused(costs, message):
    game = og.PlayerGame([_leaf(2), _leaf(2)], costs)
    with pytest.raises(InvalidInputError, match=message):
        GamePoint(game, game.values())
    with pytest.raises(InvalidInputError, match=message):
        own_gradients(game, game.values())


@pytest.mark.parametrize(
    ("ready", "jacobian"),
    [
        (bilinear(3.0), [[0, 3], [-3, 0]]),
        (rotation(10.0), [[0.1, 10], [-10, 0.1]]),
        (
            four_player(),
            [[0.01, 1, 1, 1], [-1, 0.01, 1, 1], [-1, -1, 0.01, 1], [-1, -1, -1, 0.01]],
        ),
    ],
)
def test_quadratic_games_have_their_jacobians(ready, jacobian):
    _, hessians = oracle(ready.game, ready.game.control)
    expected = torch.tensor(jacobian, dtype=torch.float64)
    assert torch.allclose(own_rows(ready.game, hessians), expected)


def test_the_general_sum_game_attracts_and_rotates():
    game = general_sum().game
    _, hessians = oracle(game, game.control)
    jacobian = own_rows(game, hessians)
    values = torch.linalg.eigvals(jacobian)
    assert bool((values.real > 0).all())
    assert float(values.imag.abs().max()) > 0.5
    assert not torch.allclose(jacobian, jacobian.T)


def test_the_repeated_dilemma_is_worth_its_discounted_sum():
    ready = iterated_prisoners_dilemma(discount=0.9, seed=3)
    x, y = (own[0].sigmoid() for own in ready.game.values())
    rewards = {(0, 0): (-1, -1), (0, 1): (-3, 0), (1, 0): (0, -3), (1, 1): (-2, -2)}
    states = list(rewards)

    def play(p, q):
        return torch.tensor([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)])

    now = play(float(x[0]), float(y[0])).double()
    total = torch.zeros(2, dtype=torch.float64)
    for t in range(400):
        total += 0.1 * 0.9**t * sum(now[k] * torch.tensor(rewards[s]) for k, s in enumerate(states))
        following = torch.zeros(4, dtype=torch.float64)
        for k, (a, b) in enumerate(states):
            seen = 1 + states.index((a, b)), 1 + states.index((b, a))
            following += now[k] * play(float(x[seen[0]]), float(y[seen[1]]))
        now = following
    costs = torch.stack(ready.game.evaluate(ready.game.values()))
    assert torch.allclose(costs, -total, atol=1e-6)
