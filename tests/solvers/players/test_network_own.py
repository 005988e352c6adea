"""Own blocks of players that are networks: one player alone, and against dense blocks."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn.functional import softplus

import ocngame as og
from ocngame.curvature import (
    DampingMetric,
    DiagonalCurvature,
    EigenKroneckerCurvature,
    ExactColumns,
    FullCurvature,
    KroneckerCurvature,
)
from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.solvers.ocnopt import Feedback, FixedDamping, FixedStep, OCNOptConfig, Rhythm
from ocngame.solvers.players import (
    DenseSolve,
    GradientColumns,
    GramOwn,
    HessianColumns,
    JudgedStep,
    KrylovSolve,
    NetworkOwn,
    PlainStep,
)

LAMBDA = 0.3


def _mlp(*sizes, seed=0, norm=False):
    torch.manual_seed(seed)
    layers = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.LayerNorm(b) if norm else nn.Identity(), nn.Tanh()]
    return nn.Sequential(*layers[:-1]).double()


def _data(samples=12, features=5, classes=3):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, features, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, classes, (samples,), generator=generator)


def _gan(seed=0):
    """A generator and a discriminator that is called twice, with smooth costs."""
    G, D = _mlp(3, 3, 2, seed=seed), _mlp(2, 3, 1, seed=seed + 1)

    def costs(G, D, x, z):
        fake = D(G(z))
        return softplus(-fake).mean(), softplus(-D(x)).mean() + softplus(fake).mean()

    return og.PlayerGame({"G": G, "D": D}, costs)


def _samples(seed=0, count=6):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(count, 2, generator=generator, dtype=torch.float64),
        torch.randn(count, 3, generator=generator, dtype=torch.float64),
    )


def _plain(own, **settings):
    return og.PlayerOptConfig(curvature=own, step=PlainStep(damping=LAMBDA), **settings)


def _single(curvature, feedback, rhythm):
    return OCNOptConfig(
        curvature=curvature,
        columns=ExactColumns(),
        feedback=feedback,
        step=FixedStep(),
        damping=FixedDamping(damping=LAMBDA),
        rhythm=rhythm,
        gradient_decay=0.0,
        fade=None,
    )


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(
    "curvature", [KroneckerCurvature(), EigenKroneckerCurvature(), DiagonalCurvature()]
)
def test_one_player_moves_as_ocnopt_without_feedback(curvature, norm):
    rhythm = Rhythm(first=3, measure_every=2, refresh_every=4)
    model = _mlp(5, 6, 4, 3, norm=norm)
    twin = copy.deepcopy(model)
    x, y = _data()
    config = _single(curvature, Feedback.OFF, rhythm)
    single = og.OCNOpt(twin, lr=0.5, weight_decay=0.0, config=config)
    game = og.PlayerGame([model], [lambda m, x, y: nn.functional.cross_entropy(m(x), y)])
    own = NetworkOwn(curvature=curvature, rhythm=rhythm)
    opt = og.PlayerOpt(game, lr=0.5, config=_plain(own))
    for k in range(9):
        rows = torch.arange(k, k + 8) % len(x)
        opt.step(x[rows], y[rows])
        single.step(x[rows], y[rows])
        for a, b in zip(model.parameters(), twin.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-10)


def test_one_player_with_gram_blocks_moves_as_ocnopt_with_exact_feedback():
    model = _mlp(5, 6, 4, 3)
    twin = copy.deepcopy(model)
    x, y = _data()
    config = _single(DampingMetric(), Feedback.EXACT, Rhythm(refresh_every=1))
    single = og.OCNOpt(twin, lr=1.0, weight_decay=0.0, config=config)
    game = og.PlayerGame([model], [lambda m, x, y: nn.functional.cross_entropy(m(x), y)])
    opt = og.PlayerOpt(game, config=_plain(GramOwn()))
    start = game.control
    for _ in range(4):
        opt.step(x, y)
        single.step(x, y)
        for a, b in zip(model.parameters(), twin.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-9)
    assert float((game.control - start).norm()) > 0.1


def _gauss_newton(game, player, batch):
    """J' H J over all calls of a player's module, H each sample's Hessian with its positive part.

    Written with torch.func and one sample's output at a time.
    """
    G, D = (game.module(i) for i in range(2))
    x, z = batch
    names = [n for n, _ in (G, D)[player].named_parameters()]
    values = {n: p.detach() for n, p in (G, D)[player].named_parameters()}

    def outputs(values):
        if player == 0:
            return functional_call(G, values, (z,))
        fake = G(z).detach()
        return functional_call(D, values, (torch.cat([x, fake]),))

    def cost(y):
        if player == 0:
            return softplus(-D(y)).mean()
        return softplus(-y[: len(x)]).mean() + softplus(y[len(x) :]).mean()

    with torch.no_grad():
        y = outputs(values)
    jacobian = jacrev(outputs)(values)
    flat = torch.cat([jacobian[n].flatten(2) for n in names], 2)
    whole = torch.autograd.functional.hessian(cost, y)
    found = 0.0
    for b in range(len(y)):
        theta, vectors = torch.linalg.eigh(whole[b, :, b, :])
        found = found + flat[b].T @ (vectors * theta.clamp_min(0)) @ vectors.T @ flat[b]
    return found.detach()


def _stage_system(game, batch, blocks):
    """Slope and matrix of the feedback stage game with given own blocks."""
    players = range(game.player_count)

    def cost(i):
        return lambda u: game.evaluate(game.split(u), *batch)[i]

    control = game.control
    slope = torch.cat(
        [
            torch.autograd.functional.jacobian(cost(i), control)[s]
            for i, s in zip(players, game.control_slices, strict=True)
        ]
    )
    matrix = torch.cat(
        [
            torch.autograd.functional.hessian(cost(i), control)[s]
            for i, s in zip(players, game.control_slices, strict=True)
        ]
    )
    for block, s in zip(blocks, game.control_slices, strict=True):
        matrix[s, s] = block
    return slope, matrix


@pytest.mark.parametrize("solve", [DenseSolve(), KrylovSolve(tolerance=1e-12, max_products=60)])
def test_two_networks_solve_the_stage_game_with_their_gauss_newton_blocks(solve):
    game, batch = _gan(), _samples()
    blocks = [
        _gauss_newton(game, i, batch) + LAMBDA * torch.eye(s.stop - s.start, dtype=torch.float64)
        for i, s in enumerate(game.control_slices)
    ]
    slope, matrix = _stage_system(game, batch, blocks)
    before = game.control
    og.PlayerOpt(game, config=_plain(GramOwn(), solve=solve)).step(*batch)
    expected = before - torch.linalg.solve(matrix, slope)
    assert torch.allclose(game.control, expected, atol=1e-8)
    # The coupling matters: without it the move is another one.
    alone = before - torch.linalg.solve(torch.block_diag(*blocks), slope)
    assert float((expected - alone).norm()) > 1e-3 * float((expected - before).norm())


def test_full_stagewise_blocks_are_the_blocks_of_the_gauss_newton_matrix():
    game, batch = _gan(), _samples()
    own = NetworkOwn(curvature=FullCurvature())
    blocks = []
    for i in range(2):
        whole = _gauss_newton(game, i, batch)
        sizes = [sum(p.numel() for p in m.parameters()) for m in game.module(i).children()]
        edges = torch.tensor([0, *sizes]).cumsum(0).tolist()
        parts = [whole[a:b, a:b] for a, b in pairwise(edges) if b > a]
        joined = torch.block_diag(*parts)
        blocks.append(joined + LAMBDA * torch.eye(len(joined), dtype=torch.float64))
    slope, matrix = _stage_system(game, batch, blocks)
    before = game.control
    config = _plain(own, solve=KrylovSolve(tolerance=1e-12, max_products=60))
    og.PlayerOpt(game, config=config).step(*batch)
    assert torch.allclose(game.control, before - torch.linalg.solve(matrix, slope), atol=1e-8)


@pytest.mark.parametrize(
    "who",
    [
        {"information": "feedback"},
        {"information": "open_loop"},
        {"information": "cooperative", "weights": (2.0, 1.0)},
        {"information": "stackelberg", "leader": 0},
    ],
    ids=lambda who: who["information"],
)
@pytest.mark.parametrize("own", [NetworkOwn(), GramOwn()], ids=["kronecker", "gram"])
def test_both_solves_make_the_same_move(own, who):
    ends = []
    for solve in (DenseSolve(), KrylovSolve(tolerance=1e-12, max_products=60)):
        game = _gan()
        opt = og.PlayerOpt(game, config=_plain(own, solve=solve, **who))
        for k in range(2):
            assert opt.step(*_samples(k)).accepted
        ends.append(game.control)
    assert torch.allclose(ends[0], ends[1], atol=1e-7)


def test_a_subspace_of_the_outputs_has_the_right_trace_on_average():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(4, 7, 7, generator=generator, dtype=torch.float64)
    matrix = root @ root.mT
    y = torch.randn(4, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    cost = 0.5 * torch.einsum("bi,bij,bj->", y, matrix, y) / 4
    trace = float(matrix.diagonal(dim1=1, dim2=2).sum())
    (exact,) = HessianColumns().columns(cost, [y], 0)
    assert torch.allclose(torch.einsum("rbi,rbj->bij", exact, exact), matrix)
    few = HessianColumns(count=3)
    drawn = [few.columns(cost, [y], k)[0] for k in range(300)]
    assert drawn[0].shape == (3, 4, 7)
    assert abs(sum(float(e.square().sum()) for e in drawn) / 300 / trace - 1) < 0.05
    assert not torch.equal(drawn[0], drawn[1])


def test_gradient_columns_are_outer_products_of_gradients():
    y = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.float64, requires_grad=True)
    (found,) = GradientColumns().columns((y**2).sum(1).mean(), [y], 0)
    assert torch.allclose(found, 2 * y.detach().unsqueeze(0))


def test_steps_are_judged_with_kronecker_blocks_and_costs_fall():
    model = _mlp(5, 6, 3)
    x, y = _data(40)
    game = og.PlayerGame([model], [lambda m, x, y: nn.functional.cross_entropy(m(x), y)])
    opt = og.PlayerOpt(game, config=og.PlayerOptConfig(curvature=NetworkOwn(), step=JudgedStep()))
    costs = [opt.step(x, y).costs[0] for _ in range(12)]
    assert costs[-1] < 0.5 * costs[0]


def test_the_state_goes_on_bitwise():
    whole, parts = _gan(), _gan()
    config = _plain(NetworkOwn(rhythm=Rhythm(first=2, measure_every=2, refresh_every=3)))
    opt, first = og.PlayerOpt(whole, config=config), og.PlayerOpt(parts, config=config)
    for k in range(7):
        opt.step(*_samples(k))
    for k in range(4):
        first.step(*_samples(k))
    second = og.PlayerOpt(parts, config=config)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for k in range(4, 7):
        second.step(*_samples(k))
    assert torch.equal(whole.control, parts.control)
    with pytest.raises(CheckpointError, match="same rule for the own curvature"):
        og.PlayerOpt(parts).load_state_dict(first.state_dict())


@pytest.mark.parametrize("own", [NetworkOwn(), GramOwn()], ids=["kronecker", "gram"])
def test_no_matrix_of_the_controls_size_is_formed(own):
    torch.manual_seed(0)
    game = og.PlayerGame(
        [nn.Sequential(nn.Linear(90, 60), nn.Tanh()), nn.Sequential(nn.Linear(90, 60))],
        [
            lambda a, b, x: (a(x) * b(x)).mean() + a(x).square().mean(),
            lambda a, b, x: -(a(x) * b(x)).mean() + b(x).square().mean(),
        ],
    )
    size, largest = game.control_size, []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            parts = out if isinstance(out, (tuple, list)) else [out]
            largest.extend(t.numel() for t in parts if isinstance(t, torch.Tensor))
            return out

    opt = og.PlayerOpt(game, config=_plain(own))
    with Watch():
        assert opt.step(torch.randn(4, 90)).accepted
    assert max(largest) <= 22 * size


def test_what_has_no_block_is_refused():
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    tensors = og.PlayerGame({"x": x}, [lambda x: x.square().sum()])
    with pytest.raises(InvalidInputError, match="players that are modules, but 'x' was given as"):
        og.PlayerOpt(tensors, config=_plain(NetworkOwn()))
    with pytest.raises(InvalidInputError, match="step: expected a damping above 0 with GramOwn"):
        og.PlayerOptConfig(curvature=GramOwn(), step=PlainStep())


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (lambda m, x: m[0](x).square().mean(), "to be called as a whole"),
        (lambda m, x: m[0].weight.square().sum(), "expected a call of the module of player 'net'"),
        (
            lambda m, x: m[0].weight.square().sum() + m(x).detach().sum(),
            "to depend on what its module returns",
        ),
    ],
)
def test_costs_that_pass_the_network_by_are_refused(cost, message):
    game = og.PlayerGame({"net": _mlp(2, 3, 1)}, [cost])
    before = game.control
    opt = og.PlayerOpt(game, config=_plain(NetworkOwn()))
    with pytest.raises(InvalidInputError, match=message):
        opt.step(torch.ones(3, 2, dtype=torch.float64))
    assert torch.equal(game.control, before)


def test_too_many_columns_are_refused():
    game = _gan()
    opt = og.PlayerOpt(game, config=_plain(GramOwn(largest=8)))
    with pytest.raises(InvalidInputError, match="largest: expected at least the 12 columns"):
        opt.step(*_samples())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (NetworkOwn, {"curvature": HessianColumns()}),
        (NetworkOwn, {"rhythm": None}),
        (GramOwn, {"columns": None}),
        (GramOwn, {"largest": 0}),
        (HessianColumns, {"count": 0}),
        (HessianColumns, {"seed": -1}),
    ],
)
def test_parts_check_themselves(kind, settings, as_user):
    (name,) = settings
    with pytest.raises(InvalidInputError, match=f"^{name}: expected"):
        kind(**settings)
