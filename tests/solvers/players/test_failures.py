"""What PlayerOpt refuses, and that nothing is lost when a step fails."""

import copy

import pytest
import torch
from player_games import curved_game
from torch import nn

import ocngame as og
from ocngame.errors import CheckpointError, ConvergenceError, InvalidInputError
from ocngame.games.differentiable import bilinear
from ocngame.solvers.players import (
    DenseSolve,
    DiagonalOwn,
    FullOwn,
    IdentityOwn,
    JudgedStep,
    KrylovSolve,
    PlainStep,
    look_ahead,
)
from ocngame.solvers.players.baselines import Extragradient


@pytest.mark.parametrize("make", [og.PlayerOpt, lambda game: Extragradient(game, lr=0.1)])
def test_a_step_with_nan_leaves_everything_as_it_was(make, caplog):
    x, y = (torch.ones(2, requires_grad=True) for _ in range(2))
    costs = [lambda x, y, s: (s * x * y).sum() + (x * x).sum(), lambda x, y, s: (y * y).sum() * s]
    opt = make(og.PlayerGame([x, y], costs))
    one, nan = torch.tensor(1.0), torch.tensor(float("nan"))
    opt.step(one)
    control = opt.game.control
    state = copy.deepcopy(opt.state_dict()) if isinstance(opt, og.PlayerOpt) else {}
    info = opt.step(nan)
    assert not info.accepted
    assert "not finite" in info.reason
    assert torch.equal(opt.game.control, control)
    if isinstance(opt, og.PlayerOpt):
        assert opt.damping == state["damping"]
        assert "players and solver are unchanged" in caplog.text
    assert opt.step(one).accepted


def test_an_exception_of_a_cost_leaves_the_players_where_they_were():
    calls = []

    def cost(x):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("out of paper")
        return (x**2).sum()

    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    opt = og.PlayerOpt(og.PlayerGame([x], [cost]))
    with pytest.raises(RuntimeError, match="out of paper"):
        opt.step()
    assert torch.equal(x.detach(), torch.ones(2, dtype=torch.float64))


def test_a_singular_stage_is_refused_without_damping():
    x, y = (torch.ones(1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    game = og.PlayerGame([x, y], [lambda x, y: x.sum(), lambda x, y: y.sum() + 0 * x.sum()])
    opt = og.PlayerOpt(game, config=og.PlayerOptConfig(step=PlainStep()))
    info = opt.step()
    assert not info.accepted
    assert "no finite solution" in info.reason
    assert game.control.tolist() == [1.0, 1.0]
    # With damping it is gradient play: there is no curvature.
    damped = og.PlayerOpt(game, config=og.PlayerOptConfig(step=PlainStep(damping=10.0)))
    assert damped.step().accepted
    assert game.control.tolist() == [0.9, 0.9]


def test_a_solve_that_does_not_converge_says_so():
    ready = bilinear(1.0, size=10)
    before = ready.game.control
    few = KrylovSolve(tolerance=1e-10, max_products=2)
    info = og.PlayerOpt(ready.game, config=og.PlayerOptConfig(solve=few)).step()
    assert not info.solve_converged
    assert 1e-10 < info.solve_residual < 1
    ready.game.assign(before)
    required = KrylovSolve(tolerance=1e-10, max_products=2, required=True)
    opt = og.PlayerOpt(ready.game, config=og.PlayerOptConfig(solve=required))
    with pytest.raises(ConvergenceError, match=r"residual of .* after 6 products; raise"):
        opt.step()
    assert torch.equal(ready.game.control, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"information": "feedbak"}, "information: unknown name 'feedbak'; did you mean"),
        ({"leader": 0}, "leader: expected .* None for others, got 0 for feedback"),
        ({"information": "stackelberg"}, "leader: expected the index of a player"),
        ({"weights": (1.0, 1.0)}, "weights: expected None for feedback"),
        ({"information": "cooperative", "weights": (-1.0, 1.0)}, "weights: expected numbers"),
        ({"information": "cooperative", "weights": (0.0, 0.0)}, "weights: expected numbers"),
    ],
)
def test_settings_check_themselves(settings, message):
    with pytest.raises(InvalidInputError, match=message):
        og.PlayerOptConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"information": "stackelberg", "leader": 3}, "leader: .* one of 3 players, got 3"),
        ({"information": "cooperative", "weights": (1.0,)}, "weights: expected 3, .* got 1"),
        ({"information": "zero_sum"}, "zero_sum is for two players, the game has 3"),
    ],
)
def test_settings_are_checked_against_the_game(settings, message):
    with pytest.raises(InvalidInputError, match=message):
        og.PlayerOpt(curved_game(), config=og.PlayerOptConfig(**settings))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (IdentityOwn, {"step": 0.0}),
        (DiagonalOwn, {"decay": 1.0}),
        (DiagonalOwn, {"epsilon": 0.0}),
        (FullOwn, {"lanczos": -1}),
        (PlainStep, {"damping": -1.0}),
        (JudgedStep, {"start": 0.0}),
        (JudgedStep, {"low": 0.1}),
        (JudgedStep, {"factor": 1.0}),
        (JudgedStep, {"attempts": 0}),
        (KrylovSolve, {"tolerance": 1.0}),
        (KrylovSolve, {"max_products": 0}),
    ],
)
def test_parts_check_themselves(kind, settings):
    (name,) = settings
    with pytest.raises(InvalidInputError, match=f"^{name}: expected"):
        kind(**settings)


def test_wrong_parts_are_refused(as_user):
    with pytest.raises(InvalidInputError, match="solve: expected a StageSolve or None"):
        og.PlayerOptConfig(solve="dense")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match="curvature: expected a OwnCurvature"):
        og.PlayerOptConfig(curvature=DenseSolve())  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match="stages: expected an integer"):
        look_ahead(curved_game(), stages=0)


def test_the_state_goes_on_bitwise():
    whole, parts = curved_game(scale=1.0), curved_game(scale=1.0)
    config = og.PlayerOptConfig(curvature=DiagonalOwn(step=0.05), solve=KrylovSolve())
    opt = og.PlayerOpt(whole, config=config)
    for _ in range(6):
        opt.step()
    first = og.PlayerOpt(parts, config=config)
    for _ in range(3):
        first.step()
    second = og.PlayerOpt(parts, config=config)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(3):
        second.step()
    assert torch.equal(whole.control, parts.control)
    with pytest.raises(CheckpointError, match="same rule for the own curvature"):
        og.PlayerOpt(parts).load_state_dict(first.state_dict())
    other = og.PlayerOpt(bilinear().game, config=config)
    with pytest.raises(CheckpointError, match="for 2 numbers"):
        other.load_state_dict(first.state_dict())


def test_no_matrix_of_the_controls_size_is_formed():
    torch.manual_seed(0)
    players = [nn.Linear(60, 40), nn.Linear(60, 40)]
    x = torch.randn(8, 60)
    game = og.PlayerGame(
        players,
        [
            lambda a, b, x: (a(x) * b(x)).mean() + a(x).square().mean(),
            lambda a, b, x: -(a(x) * b(x)).mean() + b(x).square().mean(),
        ],
    )
    size = game.control_size
    largest = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            parts = out if isinstance(out, (tuple, list)) else [out]
            largest.extend(t.numel() for t in parts if isinstance(t, torch.Tensor))
            return out

    opt = og.PlayerOpt(game)
    with Watch():
        info = opt.step(x)
    assert info.accepted
    assert max(largest) <= 22 * size
