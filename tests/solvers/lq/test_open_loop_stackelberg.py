"""Announced sequences against a dense quadratic programme of the leader."""

import pytest
import torch
from lq_games import altered, random_game, random_state
from torch import Tensor

import ocngame as og
from ocngame.equilibria import deviation_gain, residuals
from ocngame.errors import InvalidInputError, UnsolvableGameError
from ocngame.games import InformationStructure, LQGame
from ocngame.solvers.lq import Status

from .dense_oracle import lift

ANNOUNCED = "open_loop_stackelberg"


def dense(game: LQGame, x0: Tensor, leader: int) -> tuple[Tensor, Tensor]:
    """The leader's best sequence, and its Hessian once the others answer.

    All sequences u minimise what is written in the stacked control; the followers' conditions give
    their sequences as an affine map of the leader's, which is put into the leader's cost.
    """
    lifted = lift(game, x0)
    own, total = lifted.own[leader], len(lifted.gradients[0])
    others = [i for i in range(game.player_count) if i != leader]
    answer, constant = torch.eye(total)[:, own].double(), torch.zeros(total, dtype=torch.float64)
    if others:
        rows = torch.cat([lifted.hessians[i][lifted.own[i]] for i in others])
        given = torch.cat([lifted.gradients[i][lifted.own[i]] for i in others])
        follow = torch.cat([lifted.own[i] for i in others])
        answer[follow] = -torch.linalg.solve(rows[:, follow], rows[:, own])
        constant[follow] = -torch.linalg.solve(rows[:, follow], given)
    H, g = lifted.hessians[leader], lifted.gradients[leader]
    hessian = answer.T @ H @ answer
    best = -torch.linalg.solve(hessian, answer.T @ (H @ constant + g))
    return (answer @ best + constant).reshape(game.horizon, game.control_size), hessian


@pytest.mark.parametrize(
    ("sizes", "leader"), [((1, 2), 0), ((2, 1), 1), ((1, 1, 2), 0), ((1, 2, 1), 1), ((2,), 0)]
)
@pytest.mark.parametrize("seed", range(3))
def test_sequences_are_those_of_the_dense_programme(sizes, leader, seed):
    game = random_game(seed, sizes=sizes, horizon=5)
    x0 = random_state(seed, game)
    expected, hessian = dense(game, x0, leader)
    assert float(torch.linalg.eigvalsh(hessian)[0]) > 0
    found = og.solve(game, information=ANNOUNCED, leader=leader, x0=x0)
    torch.testing.assert_close(found.controls, expected, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.value(), game.costs(found.states, found.controls))
    assert bool((found.certificate.own_curvature > 0).all())


def test_the_verdict_on_the_leader_is_that_of_its_dense_hessian():
    """Among games with a leader that gains by moving; some have a stage of the wrong inertia."""
    solved = refused = odd = 0
    for seed in range(60):
        game = random_game(seed, horizon=4)
        generator = torch.Generator().manual_seed(seed)
        R, Q = game.R.clone(), game.Q.clone()
        R[0] -= 3 * torch.rand(4, 1, 1, generator=generator, dtype=torch.float64) * torch.eye(3)
        Q[0] -= 2 * torch.rand(5, 1, 1, generator=generator, dtype=torch.float64) * torch.eye(3)
        hard, x0 = altered(game, R=R, Q=Q), random_state(seed, game)
        least = float(torch.linalg.eigvalsh(dense(hard, x0, 0)[1])[0])
        found = og.solve(hard, information=ANNOUNCED, leader=0, x0=x0, raise_on_failure=False)
        assert found.status is (Status.SOLVED if least > 0 else Status.CONDENSED_CURVATURE)
        solved, refused = solved + (least > 0), refused + (least <= 0)
        assert int(found.fault.player) == (-1 if least > 0 else 0)
        odd += least > 0 and bool((found.certificate.own_curvature <= 0).any())
    assert min(solved, refused) > 10
    assert odd > 0


def test_followers_whose_answer_does_not_exist_are_named():
    game = random_game(3)
    R = game.R.clone()
    R[1, 2, 1:, 1:] -= 50 * torch.eye(2)
    with pytest.raises(
        UnsolvableGameError, match="open_loop_stackelberg solution at stage 2 for pl"
    ):
        og.solve(altered(game, R=R), information=ANNOUNCED, leader=0, x0=random_state(3, game))


def test_leading_pays_and_followers_answer_best():
    game = random_game(6, sizes=(1, 1), horizon=6)
    x0 = random_state(6, game)
    nash = og.solve(game, information="open_loop", x0=x0)
    for leader in range(2):
        found = og.solve(game, information=ANNOUNCED, leader=leader, x0=x0)
        assert float(found.value()[leader]) < float(nash.value()[leader]) - 1e-6
        gain = deviation_gain(game, found, InformationStructure.OPEN_LOOP)
        assert float(gain.relative[1 - leader]) < 1e-12
        assert float(gain.relative[leader]) > 1e-6  # it would deviate if nobody answered


def test_at_one_stage_it_is_feedback_stackelberg():
    game = random_game(8, horizon=1)
    x0 = random_state(8, game)
    stage = og.solve(game, information="stackelberg", leader=1, x0=x0)
    announced = og.solve(game, information=ANNOUNCED, leader=1, x0=x0)
    torch.testing.assert_close(announced.controls, stage.controls, rtol=1e-10, atol=1e-10)


def test_batches_are_solved_one_by_one_and_gradients_flow():
    game = random_game(9, horizon=3)
    x0 = torch.stack([random_state(9, game), random_state(10, game)])
    both = og.solve(game, information=ANNOUNCED, leader=0, x0=x0)
    for b in range(2):
        one = og.solve(game, information=ANNOUNCED, leader=0, x0=x0[b])
        torch.testing.assert_close(both.controls[b], one.controls, rtol=1e-10, atol=1e-10)
    start = x0[0].clone().requires_grad_()
    R = game.R.clone().requires_grad_()

    def outputs(start, R):
        again = altered(game, R=0.5 * (R + R.mT))
        found = og.solve(again, information=ANNOUNCED, leader=0, x0=start)
        return found.controls, found.value()

    assert torch.autograd.gradcheck(outputs, (start, R), atol=1e-6, fast_mode=True)


def test_what_it_cannot_do_is_named():
    game = random_game(9, horizon=3)
    x0 = random_state(9, game)
    found = og.solve(game, information=ANNOUNCED, leader=0, x0=x0)
    for call, message in (
        (lambda: og.solve(game, information=ANNOUNCED, leader=0), "^x0: expected an initial"),
        (lambda: og.solve(game, information=ANNOUNCED, x0=x0), "^leader: expected the index"),
        (lambda: residuals(game, found), "^information: .*judged as open_loop"),
        (lambda: deviation_gain(game, found), "^information: .*open_loop_stackelberg"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
