"""The bargaining solution against slow optimisers, its axioms, and where there is none."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from ocngame.bellman import bargaining_move, bargaining_weights
from ocngame.errors import InvalidInputError


@pytest.fixture(autouse=True)
def _double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def _slopes(players, size, seed):
    return torch.randn(players, size, generator=torch.Generator().manual_seed(seed)) + 0.8


def _stage(players, size, seed):
    noise = torch.Generator().manual_seed(seed)
    factor = torch.randn(players, size, size, generator=noise)
    return torch.randn(players, size, generator=noise) + 0.5, factor @ factor.mT / size


def _quadratic_gains(slopes, curvatures, move):
    return -slopes @ move - 0.5 * np.einsum("nij,i,j->n", curvatures, move, move)


@pytest.mark.parametrize(("players", "size", "seed"), [(2, 3, 0), (3, 5, 1), (6, 20, 2)])
def test_linear_costs_agree_with_a_slow_search_over_moves(players, size, seed):
    slopes = _slopes(players, size, seed)
    weights = bargaining_weights(slopes @ slopes.mT)
    ours = -(slopes.mT @ weights)
    ours = (ours / ours.norm()).numpy()

    def unhappy(move):
        gains = -slopes.numpy() @ move
        return 1e3 if gains.min() <= 0 else -np.log(gains).sum()

    ball = {"type": "ineq", "fun": lambda u: 1 - u @ u, "jac": lambda u: -2 * u}
    # The start is the mean gradient, not our answer.
    start = -0.5 * slopes.mean(0).numpy() / float(slopes.mean(0).norm())
    found = minimize(
        unhappy,
        start,
        jac=lambda u: (slopes.numpy() / (slopes.numpy() @ u)[:, None]).sum(0) * -1.0,
        method="SLSQP",
        constraints=[ball],
        options={"ftol": 1e-15, "maxiter": 500},
    )
    assert unhappy(ours) <= found.fun + 1e-8
    assert ours == pytest.approx(found.x, abs=1e-4)
    product = (slopes @ slopes.mT) @ weights * weights
    assert torch.allclose(product, product.mean().expand(players), rtol=1e-12)


@pytest.mark.parametrize(("players", "size", "seed"), [(2, 2, 0), (3, 4, 1), (4, 6, 5)])
def test_quadratic_costs_agree_with_a_slow_search(players, size, seed):
    slopes, curvatures = _stage(players, size, seed)
    agreed = bargaining_move(slopes, curvatures)
    assert agreed is not None

    def unhappy(move):
        gains = _quadratic_gains(slopes.numpy(), curvatures.numpy(), move)
        return 1e3 if gains.min() <= 0 else -np.log(gains).sum()

    start = -1e-2 * (slopes.mT @ bargaining_weights(slopes @ slopes.mT)).numpy()
    options = {"xatol": 1e-11, "fatol": 1e-14, "maxiter": 40000, "maxfev": 40000, "adaptive": True}
    found = minimize(unhappy, start, method="Nelder-Mead", options=options)
    assert agreed.move.numpy() == pytest.approx(found.x, abs=1e-5)
    assert unhappy(agreed.move.numpy()) <= found.fun + 1e-10


@pytest.mark.filterwarnings("ignore")
def test_a_published_solver_by_convex_programs_finds_the_same():
    pytest.importorskip("cvxpy")
    aggregation = pytest.importorskip("torchjd.aggregation")
    slopes = _slopes(3, 5, 1)
    theirs = aggregation.NashMTL(n_tasks=3, max_norm=0.0, optim_niter=100)(slopes)
    ours = bargaining_weights(slopes @ slopes.mT) @ slopes
    cosine = torch.cosine_similarity(ours, theirs, dim=0)
    assert float(cosine) > 1 - 1e-4
    assert float(torch.cosine_similarity(slopes.sum(0), theirs, dim=0)) < 1 - 1e-3


def test_an_agreement_is_the_cooperative_move_of_its_own_weights():
    slopes, curvatures = _stage(3, 4, 1)
    agreed = bargaining_move(slopes, curvatures)
    system = torch.einsum("n,nij->ij", agreed.weights, curvatures)
    joint = torch.linalg.solve(system, -(agreed.weights @ slopes))
    assert torch.allclose(joint, agreed.move, atol=1e-8)
    shares = agreed.weights * agreed.gains
    assert torch.allclose(shares, shares.mean().expand(3), rtol=1e-10)
    # Negative control: the sum of the costs is another agreement, which leaves its weights unequal.
    summed = torch.linalg.solve(curvatures.sum(0), -slopes.sum(0))
    assert not torch.allclose(summed, agreed.move, atol=1e-2)


def test_the_units_that_costs_are_counted_in_do_not_matter():
    slopes, curvatures = _stage(3, 4, 2)
    units = torch.tensor([1.0, 1e3, 1e-4])[:, None]
    one, other = (bargaining_move(slopes * u, curvatures * u[..., None]) for u in (units**0, units))
    assert torch.allclose(one.move, other.move, rtol=1e-6)
    first, second = (bargaining_weights(g @ g.mT) for g in (slopes, slopes * units))
    ratio = first / (second * units[:, 0])
    assert torch.allclose(ratio, ratio.mean().expand(3), rtol=1e-8)


def test_two_players_share_a_right_angle_equally():
    slopes = torch.tensor([[3.0, 0.0], [0.0, 0.5]])
    move = -slopes.mT @ bargaining_weights(slopes @ slopes.mT)
    assert float(move[0] / move[1]) == pytest.approx(1.0)


def test_a_small_conflict_is_settled_and_a_complete_one_is_not():
    for angle, settled in ((1e-3, True), (0.0, False)):
        slopes = torch.tensor([[1.0, 0.0], [-2.0, 2 * angle]])
        weights = bargaining_weights(slopes @ slopes.mT)
        assert (weights is not None) == settled
        assert (bargaining_move(slopes, torch.eye(2).expand(2, 2, 2)) is not None) == settled
    assert bargaining_weights(torch.zeros(2, 2)) is None


def test_a_player_without_a_gradient_has_no_say():
    weights = bargaining_weights(torch.diag(torch.tensor([4.0, 0.0, 1.0])))
    assert weights.tolist() == pytest.approx([1.0, 0.0, 2.0])


def test_bad_input_is_one_sentence():
    eye = torch.eye(2)
    with pytest.raises(InvalidInputError, match="products"):
        bargaining_weights(torch.full((2, 2), torch.nan))
    with pytest.raises(InvalidInputError, match="products"):
        bargaining_weights(torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(InvalidInputError, match="products: expected inner products of gradients"):
        bargaining_weights(torch.tensor([[1.0, -5.0], [-5.0, 1.0]]))
    with pytest.raises(InvalidInputError, match="curvatures: expected positive semidefinite"):
        bargaining_move(eye, torch.stack([eye, -0.5 * eye]))
    with pytest.raises(InvalidInputError, match="curvatures: expected a positive definite sum"):
        bargaining_move(eye, torch.zeros(2, 2, 2))
    with pytest.raises(InvalidInputError, match="curvatures"):
        bargaining_move(eye, torch.ones(3, 2, 2))
