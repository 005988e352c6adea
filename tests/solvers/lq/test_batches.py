"""A batch is its elements: numbers, status, precision."""

import pytest
import torch
from lq_games import altered, elements, random_game, random_state

import ocngame as og
from ocngame import equilibria
from ocngame.errors import UnsolvableGameError
from ocngame.games import LQGame
from ocngame.solvers.lq import Status

INFORMATION = ("feedback", "open_loop", "cooperative", "own_block", "stackelberg")


def options(information):
    return {"information": information, "leader": 1 if information == "stackelberg" else None}


@pytest.mark.parametrize("information", INFORMATION)
def test_batch_equals_one_by_one(information):
    game = random_game(11, sizes=(2, 1, 1), horizon=5, batch=(2, 3))
    x0 = random_state(11, game)
    batch = og.solve(game, x0=x0, **options(information))
    residuals = equilibria.residuals(game, batch)
    for index in ((0, 0), (1, 0), (1, 2)):
        one = og.solve(elements(game, index), x0=x0[index], **options(information))
        for name in ("states", "controls", "v", "v_x", "v_xx"):
            torch.testing.assert_close(
                getattr(batch, name)[index], getattr(one, name), rtol=1e-10, atol=1e-10
            )
        for name in ("own_curvature", "pivot", "condition"):
            torch.testing.assert_close(
                getattr(batch.certificate, name)[index],
                getattr(one.certificate, name),
                rtol=1e-10,
                atol=1e-10,
            )
        assert float(residuals[index].max()) < 1e-12
    assert batch.status == [[Status.SOLVED] * 3] * 2


@pytest.mark.parametrize("information", INFORMATION)
def test_unsolvable_elements_leave_the_others_alone(information):
    game = random_game(12, batch=(4,))
    x0 = random_state(12, game)
    R = game.R.clone()
    R[2, 0, 1, 0, 0] -= 100
    R[3] = 0
    Q = game.Q.clone()
    Q[3] = 0
    mixed = altered(game, R=R, Q=Q)
    found = og.solve(mixed, x0=x0, raise_on_failure=False, **options(information))
    assert found.solved.tolist() == [True, True, False, False]
    assert [one is Status.SOLVED for one in found.status] == found.solved.tolist()
    good = og.solve(game, x0=x0, **options(information))
    for name in ("states", "controls", "v_xx"):
        ours, theirs = getattr(found, name), getattr(good, name)
        torch.testing.assert_close(ours[:2], theirs[:2], rtol=1e-12, atol=1e-12)
    assert bool(torch.isnan(found.states[2:, 1:]).all())
    assert bool(torch.isnan(found.controls[2:]).all())
    assert bool(torch.isnan(found.v_xx[2:]).all())
    assert bool(torch.isnan(found.policies.feedback[2:]).all())
    assert bool(torch.isnan(found.value()[2:]).all())
    with pytest.raises(UnsolvableGameError, match=r"in batch element \(2,\)"):
        og.solve(mixed, **options(information))


@pytest.mark.parametrize("information", INFORMATION)
def test_single_precision(information):
    game = random_game(13, batch=(2,))
    names = ("A", "B", "Q", "R", "c", "q", "r", "M")
    single = altered(game, **{name: getattr(game, name).float() for name in names})
    x0 = random_state(13, game)
    a = og.solve(game, x0=x0, **options(information))
    b = og.solve(single, x0=x0.float(), **options(information))
    for name in ("states", "controls", "v_xx"):
        assert getattr(b, name).dtype == torch.float32
        torch.testing.assert_close(
            getattr(b, name).double(), getattr(a, name), rtol=1e-4, atol=1e-4
        )
    assert b.certificate.own_curvature.dtype == torch.float32
    assert float(equilibria.residuals(single, b).max()) < 1e-5


def test_one_game_from_many_states():
    game = random_game(14)
    x0 = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    many = og.solve(game, x0=x0)
    assert many.states.shape == (5, 5, 3)
    torch.testing.assert_close(many.value(), game.costs(many.states, many.controls))
    torch.testing.assert_close(many.states[3], og.solve(game, x0=x0[3]).states)
    assert equilibria.is_equilibrium(game, many, tolerance=1e-12).tolist() == [True] * 5


@pytest.mark.parametrize("information", INFORMATION)
def test_vmap_is_the_batch(information):
    game = random_game(15, batch=(3,))
    R = game.R.clone()
    R[1] -= 100 * torch.eye(3, dtype=torch.float64)
    mixed = altered(game, R=R)
    x0 = random_state(15, game)
    names = ("A", "B", "Q", "R", "c", "q", "r", "M")

    def one(x0, *pieces):
        given = dict(zip(names, pieces, strict=True))
        found = og.solve(
            LQGame(control_slices=game.control_slices, **given),
            x0=x0,
            raise_on_failure=False,
            **options(information),
        )
        return found.states, found.policies.feedback, found.value(), found.codes

    mapped = torch.func.vmap(one)(x0, *(getattr(mixed, name) for name in names))
    batch = og.solve(mixed, x0=x0, raise_on_failure=False, **options(information))
    expected = batch.states, batch.policies.feedback, batch.value(), batch.codes
    assert batch.solved.tolist() == [True, False, True]
    for ours, theirs in zip(mapped, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10, equal_nan=True)
