"""First-order methods: their formulas written out, with J as a matrix."""

import pytest
import torch
from player_games import curved_game, oracle, own_rows

from ocngame.solvers.players import look_ahead
from ocngame.solvers.players.baselines import (
    LOLA,
    AlternatingGradient,
    Consensus,
    ExtraAdam,
    Extragradient,
    Optimistic,
    OptimisticAdam,
    SimultaneousAdam,
    SimultaneousGradient,
    SymplecticAdjustment,
)

LR = 0.03


def _xi(game, control):
    gradients, _ = oracle(game, control)
    return torch.cat([g[b] for g, b in zip(gradients, game.control_slices, strict=True)])


def _jacobian(game, control):
    return own_rows(game, oracle(game, control)[1])


def _simultaneous(game, u, last):
    return u - LR * _xi(game, u)


def _alternating(game, u, last):
    for block in game.control_slices:
        step = torch.zeros_like(u)
        step[block] = _xi(game, u)[block]
        u = u - LR * step
    return u


def _extragradient(game, u, last):
    return u - LR * _xi(game, u - LR * _xi(game, u))


def _optimistic(game, u, last):
    before = _xi(game, u if last is None else last)
    return u - 2 * LR * _xi(game, u) + LR * before


def _consensus(game, u, last):
    return u - LR * (_xi(game, u) + 0.5 * _jacobian(game, u).T @ _xi(game, u))


def _symplectic(game, u, last):
    xi, jacobian = _xi(game, u), _jacobian(game, u)
    turned = 0.5 * (jacobian - jacobian.T).T @ xi
    slope = jacobian.T @ xi
    sign = torch.sign(slope @ xi / 7 * (slope @ turned) / 7 + 0.1)
    return u - LR * (xi + sign * turned)


def _lola(game, u, last):
    moved = u.clone()
    for i, own in enumerate(game.control_slices):

        def shaped(v, i=i):
            total = game.evaluate(game.split(v))[i]
            whole = [
                torch.autograd.grad(game.evaluate(game.split(v))[k], v, create_graph=True)[0]
                for k in range(3)
            ]
            for j, block in enumerate(game.control_slices):
                if j != i:
                    total = total - 2.0 * whole[i][block] @ whole[j][block]
            return total

        v = u.clone().requires_grad_()
        moved[own] -= LR * torch.autograd.grad(shaped(v), v)[0][own]
    return moved


CASES = [
    (lambda g: SimultaneousGradient(g, lr=LR), _simultaneous, 1),
    (lambda g: AlternatingGradient(g, lr=LR), _alternating, 3),
    (lambda g: Extragradient(g, lr=LR), _extragradient, 2),
    (lambda g: Optimistic(g, lr=LR), _optimistic, 1),
    (lambda g: Consensus(g, lr=LR, weight=0.5), _consensus, 2),
    (lambda g: SymplecticAdjustment(g, lr=LR), _symplectic, 2),
    (lambda g: LOLA(g, lr=LR, ahead=2.0), _lola, 2),
]


@pytest.mark.parametrize(("make", "formula", "cost"), CASES)
def test_steps_follow_the_formula(make, formula, cost):
    game = curved_game(scale=1.0)
    opt, last = make(game), None
    for _ in range(3):
        before = game.control
        expected = formula(game, before, last)
        info = opt.step()
        assert info.evaluations == cost
        assert torch.allclose(game.control, expected, atol=1e-12)
        last = before


def test_looking_one_small_step_ahead_is_lola():
    ends = []
    for ahead in (1e-3, 1e-4):
        one, two = curved_game(scale=1.0), curved_game(scale=1.0)
        LOLA(one, lr=1.0, ahead=ahead).step()
        SimultaneousGradient(look_ahead(two, step=ahead), lr=1.0).step()
        plain = curved_game(scale=1.0)
        SimultaneousGradient(plain, lr=1.0).step()
        shaping = (one.control - plain.control).norm()
        ends.append(float((one.control - two.control).norm() / shaping))
    assert ends[0] < 0.05
    assert ends[1] == pytest.approx(ends[0] / 10, rel=0.1)


def test_answers_come_stage_after_stage():
    game = curved_game(scale=1.0)
    ahead = look_ahead(game, stages=2, step=0.05)
    costs = ahead.evaluate(game.values())
    u = game.control
    for _ in range(2):
        step = _xi(game, u)
        step[game.control_slices[1]] = 0
        u = u - 0.05 * step
    assert torch.allclose(costs[1], game.evaluate(game.split(u))[1])
    assert ahead.control_slices == game.control_slices


@pytest.mark.parametrize("kind", [SimultaneousAdam, ExtraAdam, OptimisticAdam])
def test_adam_is_that_of_torch(kind):
    game = curved_game(scale=1.0)
    opt = kind(game, lr=LR, betas=(0.5, 0.9))
    u = game.control.requires_grad_()
    adam = torch.optim.Adam([u], lr=LR, betas=(0.5, 0.9))
    last = None
    for _ in range(4):
        before = u.detach().clone()
        u.grad = _xi(game, before)
        adam.step()
        if kind is ExtraAdam:
            u.grad = _xi(game, u.detach().clone())
            with torch.no_grad():
                u.copy_(before)
            adam.step()
        if kind is OptimisticAdam:
            move = u.detach() - before
            last = move if last is None else last
            with torch.no_grad():
                u.copy_(before + 2 * move - last)
            last = move
        opt.step()
        assert torch.allclose(game.control, u.detach(), atol=1e-12)
