"""LQ games: costs and rollouts against loops, and bad input named in one sentence."""

import pytest
import torch
from lq_games import altered, elements, random_game, random_state

from ocngame import LQGame
from ocngame.errors import InvalidInputError

F64 = torch.float64


def pieces(**changes):
    game = random_game(0)
    names = ("A", "B", "Q", "R", "c", "q", "r", "M")
    given = {name: getattr(game, name).clone() for name in names}
    return {**given, "control_slices": game.control_slices, **changes}


def test_costs_and_states_equal_an_explicit_loop():
    game = random_game(3, sizes=(2, 1), states=3, horizon=5)
    x = random_state(3, game)
    us = torch.randn(5, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    xs = game.simulate(us, x)
    expected = torch.zeros(2, dtype=F64)
    for t in range(6):
        torch.testing.assert_close(xs[t], x, rtol=0, atol=1e-14)
        for i in range(2):
            expected[i] += 0.5 * x @ game.Q[i, t] @ x + game.q[i, t] @ x
            if t < 5:
                u = us[t]
                expected[i] += 0.5 * u @ game.R[i, t] @ u + game.r[i, t] @ u + x @ game.M[i, t] @ u
        if t < 5:
            x = game.A[t] @ x + game.B[t] @ us[t] + game.c[t]
    torch.testing.assert_close(game.costs(xs, us), expected, rtol=1e-13, atol=0)


def test_batches_of_costs_are_those_of_the_elements():
    game = random_game(4, batch=(2, 3))
    x0 = random_state(4, game)
    us = torch.randn(2, 3, 4, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    xs = game.simulate(us, x0)
    costs = game.costs(xs, us)
    one = elements(game, (1, 2))
    torch.testing.assert_close(one.simulate(us[1, 2], x0[1, 2]), xs[1, 2], rtol=0, atol=1e-14)
    torch.testing.assert_close(one.costs(xs[1, 2], us[1, 2]), costs[1, 2], rtol=1e-13, atol=0)


def test_pieces_without_a_batch_are_shared():
    batched, single = random_game(5, batch=(4,)), random_game(6)
    game = altered(batched, A=single.A, R=single.R)
    assert game.batch_shape == (4,)
    assert torch.equal(game.A[3], single.A)


def test_time_invariant_pieces_are_where_they_belong():
    eye = torch.eye(2, dtype=F64)
    B = [eye, eye[:, :1], eye]
    R = [eye, 3 * torch.eye(1, dtype=F64), torch.diag(torch.arange(1.0, 6.0, dtype=F64))]
    game = LQGame.time_invariant(
        2 * eye, B, [eye, 2 * eye, 3 * eye], R, horizon=4, terminal=[5 * eye] * 3
    )
    assert game.control_slices == (slice(0, 2), slice(2, 3), slice(3, 5))
    assert (game.horizon, game.state_size, game.control_size, game.player_count) == (4, 2, 5, 3)
    assert torch.equal(game.B[2], torch.cat(B, 1))
    assert torch.equal(game.Q[1, 3], 2 * eye)
    assert torch.equal(game.Q[1, 4], 5 * eye)
    assert torch.equal(game.R[1, 0], torch.diag(torch.tensor([0, 0, 3.0, 0, 0], dtype=F64)))
    assert torch.equal(game.R[2, 0], R[2])
    assert not game.M.any()
    assert not game.c.any()


def test_time_invariant_pieces_may_have_a_batch():
    eye = torch.eye(2, dtype=F64)
    scales = torch.tensor([1.0, 2.0, 3.0], dtype=F64)[:, None, None]
    game = LQGame.time_invariant(
        eye, [eye, scales * eye], [eye, scales * eye], [eye, eye], horizon=2
    )
    assert game.batch_shape == (3,)
    assert torch.equal(game.B[2, 0], torch.cat([eye, 3 * eye], 1))
    assert torch.equal(game.Q[2, 1, 2], 3 * eye)


def test_team_is_the_weighted_sum():
    game = random_game(7)
    weights = torch.tensor([0.3, 2.0], dtype=F64)
    us = torch.randn(4, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    xs = game.simulate(us, random_state(7, game))
    team = game.team(weights)
    assert team.player_count == 1
    torch.testing.assert_close(
        team.costs(xs, us)[0], (weights * game.costs(xs, us)).sum(), rtol=1e-13, atol=0
    )


def test_zero_sum_is_seen_in_every_piece():
    one = random_game(8, sizes=(1, 2))
    costs = ("Q", "q", "R", "r", "M")
    opposite = {
        name: torch.stack([getattr(one, name)[0], -getattr(one, name)[0]]) for name in costs
    }
    assert altered(one, **opposite).is_zero_sum
    for name in costs:
        assert not altered(one, **{**opposite, name: getattr(one, name)}).is_zero_sum
    assert not one.team().is_zero_sum


def asymmetric(tensor):
    tensor = tensor.clone()
    tensor[..., 0, 1] += 0.5
    return tensor


def not_finite(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[3] = torch.nan
    return tensor


GIVEN = pieces()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"A": GIVEN["A"][..., :2]}, r"^A: expected shape \(\.\.\., T, n, n\), got \(4, 3, 2\)"),
        ({"B": GIVEN["B"][:, :2]}, r"^B: expected shape .* with T=4, n=3, got \(4, 2, 3\)"),
        ({"B": GIVEN["B"][:3]}, r"^B: expected shape .* with T=4, .* got \(3, 3, 3\)"),
        ({"Q": GIVEN["Q"][:, :4]}, r"^Q: expected shape .* T\+1=5, .* got \(2, 4, 3, 3\)"),
        ({"Q": GIVEN["Q"][:1]}, r"^Q: expected shape .*N=2.*, got \(1, 5, 3, 3\)"),
        ({"R": GIVEN["R"][:, :3]}, r"^R: expected shape .*T=4.*, got \(2, 3, 3, 3\)"),
        ({"c": GIVEN["c"][:3]}, r"^c: expected shape .*T=4.*, got \(3, 3\)"),
        ({"q": GIVEN["q"][:, :4]}, r"^q: expected shape .*T\+1=5.*, got \(2, 4, 3\)"),
        ({"r": GIVEN["r"][..., :2]}, r"^r: expected shape .*m=3, got \(2, 4, 2\)"),
        ({"M": GIVEN["M"][..., :2]}, r"^M: expected shape .*m=3, got \(2, 4, 3, 2\)"),
        ({"Q": asymmetric(GIVEN["Q"])}, r"^Q: expected symmetric matrices, got"),
        ({"R": asymmetric(GIVEN["R"])}, r"^R: expected symmetric matrices, got"),
        ({"A": not_finite(GIVEN["A"])}, r"^A: expected finite numbers, got 1 non-finite of 36"),
        ({"Q": not_finite(GIVEN["Q"])}, r"^Q: expected finite numbers"),
        ({"M": not_finite(GIVEN["M"])}, r"^M: expected finite numbers"),
        ({"B": GIVEN["B"].float()}, r"^B: expected torch.float64 on cpu as A, got torch.float32"),
        ({"A": GIVEN["A"].long()}, r"^A: expected floating point numbers, got torch.int64"),
        (
            {"control_slices": (slice(0, 3), slice(3, 3))},
            r"^control_slices: expected every player to own a control, .* for player 1$",
        ),
        (
            {"control_slices": (slice(0, 2), slice(1, 3))},
            r"^control_slices: expected slices that do not overlap, got control 1 .* 0 and 1$",
        ),
        (
            {"control_slices": (slice(0, 1), slice(2, 3))},
            r"^control_slices: expected slices that cover all 3 controls, got no owner for .* 1$",
        ),
        (
            {"control_slices": (slice(0, 1), slice(1, 4))},
            r"^control_slices: expected slices within 0:3 .* for player 1$",
        ),
        ({"control_slices": (slice(0, 1), slice(1, None))}, r"^control_slices: .* within 0:3"),
        ({"control_slices": (slice(0, 3, 2), slice(1, 2))}, r"^control_slices: .* of step 1"),
        ({"control_slices": ()}, r"^control_slices: expected a slice for at least one player"),
        (
            {"A": GIVEN["A"].expand(2, 4, 3, 3), "B": GIVEN["B"].expand(3, 4, 3, 3)},
            r"^batch: expected leading dimensions that broadcast, got A \(2,\), B \(3,\)",
        ),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        LQGame(**pieces(**changes))


def test_bad_time_invariant_input_is_named():
    eye = torch.eye(2, dtype=F64)
    good = {"A": eye, "B": [eye, eye], "Q": [eye, eye], "R": [eye, eye], "horizon": 3}
    LQGame.time_invariant(**good)
    for changes, message in (
        ({"Q": [eye]}, r"^Q: expected one matrix per player, 2 as in B, got 1$"),
        ({"B": [], "Q": [], "R": []}, r"^B: expected one matrix per player, 1 as in B, got 0$"),
        ({"horizon": 0}, r"^horizon: expected an integer of at least 1, got 0$"),
        ({"R": [eye, torch.eye(3, dtype=F64)]}, r"^R\[1\]: expected shape .* m=2, got \(3, 3\)$"),
        ({"B": [eye, torch.ones(3, 1, dtype=F64)]}, r"^B\[1\]: expected shape .* n=2"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            LQGame.time_invariant(**{**good, **changes})


def test_trajectories_of_the_wrong_shape_are_named():
    game = random_game(0)
    us, xs = torch.zeros(4, 3, dtype=F64), torch.zeros(5, 3, dtype=F64)
    for call, message in (
        (lambda: game.costs(xs[:4], us), r"^xs: .*T\+1=5"),
        (lambda: game.costs(xs, us[:, :2]), r"^us: .*m=3"),
        (lambda: game.simulate(us[:3], xs[0]), r"^us: .*T=4"),
        (lambda: game.simulate(us, xs[0, :2]), r"^x0: .*n=3"),
        (lambda: game.team(torch.ones(3, dtype=F64)), r"^weights: .*N=2"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
