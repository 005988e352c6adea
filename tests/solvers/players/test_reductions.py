"""PlayerOpt where it is a known method, against that method written out."""

import itertools

import pytest
import torch
from player_games import curved_game, oracle, own_rows

import ocngame as og
from ocngame.solvers.players import (
    DenseSolve,
    DiagonalOwn,
    IdentityOwn,
    JudgedStep,
    KrylovSolve,
    PlainStep,
)

SOLVES = [DenseSolve(), KrylovSolve(tolerance=1e-13, max_products=40)]


def _plain(**settings):
    return og.PlayerOptConfig(step=PlainStep(), **settings)


@pytest.mark.parametrize("solve", SOLVES)
def test_identity_curvature_is_competitive_gradient_descent(solve):
    eta = 0.2
    game = curved_game(sizes=(3, 2))
    opt = og.PlayerOpt(game, config=_plain(curvature=IdentityOwn(step=eta), solve=solve))
    for _ in range(5):
        before = game.control
        gradients, hessians = oracle(game, before)
        one, two = game.control_slices
        f_x, g_y = gradients[0, one], gradients[1, two]
        f_xy, g_yx = hessians[0, one, two], hessians[1, two, one]
        eye = torch.eye(3, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
        x = torch.linalg.solve(eye[0] - eta**2 * f_xy @ g_yx, f_x - eta * f_xy @ g_y)
        y = torch.linalg.solve(eye[1] - eta**2 * g_yx @ f_xy, g_y - eta * g_yx @ f_x)
        opt.step()
        assert torch.allclose(game.control, before - eta * torch.cat([x, y]), atol=1e-11)


@pytest.mark.parametrize("solve", SOLVES)
def test_identity_curvature_without_expectations_is_gradient_play(solve):
    game = curved_game()
    config = _plain(curvature=IdentityOwn(step=0.05), solve=solve, information="open_loop")
    opt = og.PlayerOpt(game, config=config)
    for _ in range(3):
        before = game.control
        gradients, _ = oracle(game, before)
        own = torch.cat([g[b] for g, b in zip(gradients, game.control_slices, strict=True)])
        opt.step()
        assert torch.allclose(game.control, before - 0.05 * own, atol=1e-12)


def test_diagonal_curvature_alone_is_torchs_rmsprop_of_adam():
    start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)

    def cost(x):
        return (x**4).sum() + x.prod()

    x, y = start.clone().requires_grad_(), start.clone().requires_grad_()
    rule = DiagonalOwn(step=0.01, decay=0.9)
    opt = og.PlayerOpt(og.PlayerGame([x], [cost]), config=_plain(curvature=rule))
    adam = torch.optim.Adam([y], lr=0.01, betas=(0.0, 0.9))
    for _ in range(6):
        opt.step()
        adam.zero_grad()
        cost(y).backward()
        adam.step()
        assert torch.allclose(x, y)


@pytest.mark.parametrize("solve", SOLVES)
def test_one_player_makes_damped_newton_steps(solve):
    x = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64, requires_grad=True)

    def cost(x):
        return (x**4).sum() + (x[0] - x[1]) ** 2 + x[2].exp()

    config = og.PlayerOptConfig(step=PlainStep(damping=0.3), solve=solve)
    game = og.PlayerGame([x], [cost])
    opt = og.PlayerOpt(game, config=config)
    for _ in range(4):
        before = game.control
        gradients, hessians = oracle(game, before)
        shifted = hessians[0] + 0.3 * torch.eye(3, dtype=torch.float64)
        opt.step()
        expected = before - torch.linalg.solve(shifted, gradients[0])
        assert torch.allclose(game.control, expected, atol=1e-10)


def test_one_player_is_judged_by_its_cost():
    x = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
    game = og.PlayerGame([x], [lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2])
    opt = og.PlayerOpt(game)
    costs = [opt.step().costs[0] for _ in range(60)]
    assert all(b <= a for a, b in itertools.pairwise(costs))
    assert torch.allclose(game.control, torch.ones(2, dtype=torch.float64), atol=1e-8)


@pytest.mark.parametrize("solve", SOLVES)
@pytest.mark.parametrize(
    "who",
    [
        {"information": "feedback"},
        {"information": "own_block"},
        {"information": "cooperative", "weights": (1.0, 2.0, 0.5)},
        {"information": "stackelberg", "leader": 1},
    ],
    ids=lambda who: who["information"],
)
def test_a_step_solves_its_stage_condition(who, solve):
    damping = 0.7
    game = curved_game()
    before = game.control
    gradients, hessians = oracle(game, before)
    blocks = game.control_slices
    for h, block in zip(hessians, blocks, strict=True):
        assert float(torch.linalg.eigvalsh(h[block, block]).min()) > 0
    config = og.PlayerOptConfig(step=PlainStep(damping=damping), solve=solve, **who)
    og.PlayerOpt(game, config=config).step()
    du = game.control - before
    own = torch.cat([g[b] for g, b in zip(gradients, blocks, strict=True)])
    rows = own_rows(game, hessians)
    if who["information"] == "own_block":
        rows = torch.block_diag(*[h[b, b] for h, b in zip(hessians, blocks, strict=True)])
    left = own + rows @ du + damping * du
    if who["information"] == "cooperative":
        w = torch.tensor(who["weights"], dtype=torch.float64)
        hessian = torch.einsum("i,iab->ab", w, hessians)
        values, vectors = torch.linalg.eigh(hessian)
        positive = (vectors * values.clamp_min(0)) @ vectors.T
        left = w @ gradients + positive @ du + damping * du
    if who["information"] == "stackelberg":
        left = _leader_residual(game, gradients, hessians, du, damping)
    assert float(left.norm()) < 1e-9 * float(own.norm())


def _leader_residual(game, gradients, hessians, du, damping):
    lead = game.control_slices[1]
    others = torch.cat([torch.arange(7)[:3], torch.arange(7)[5:]])
    rows = own_rows(game, hessians)

    def answer(shift):
        z = torch.zeros(7, 2, dtype=torch.float64)
        z[lead] = torch.eye(2, dtype=torch.float64)
        eye = torch.eye(5, dtype=torch.float64)
        reply = torch.linalg.solve(rows[others][:, others] + shift * eye, rows[others][:, lead])
        z[others] = -reply
        return z

    own = torch.cat([g[b] for g, b in zip(gradients, game.control_slices, strict=True)])
    left = own + rows @ du + damping * du
    z = answer(damping)
    straight = answer(0.0)
    condensed = straight.T @ hessians[1] @ straight
    assert float(torch.linalg.eigvalsh(condensed).min()) > 0
    left[lead] = straight.T @ gradients[1] + z.T @ hessians[1] @ du + damping * du[lead]
    return left


def test_solves_agree_where_curvatures_are_negative():
    ends = []
    for solve in SOLVES:
        game = curved_game(scale=2.0)
        opt = og.PlayerOpt(game, config=og.PlayerOptConfig(solve=solve, step=JudgedStep()))
        infos = [opt.step() for _ in range(4)]
        ends.append((game.control, [i.removed for i in infos]))
    assert sum(ends[0][1]) > 0
    assert ends[0][1] == ends[1][1]
    assert torch.allclose(ends[0][0], ends[1][0], atol=1e-7)
