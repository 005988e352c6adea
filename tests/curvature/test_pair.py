"""Pairs of players against dense solves; fictitious players against the whole layer."""

import pytest
import torch
from torch import Tensor

from ocngame.curvature import FictitiousPlayers, KroneckerCurvature, KroneckerPair, PairFactors
from ocngame.errors import InvalidInputError
from ocngame.linalg import OuterColumns


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def players(samples: int = 7, positions: int = 1) -> tuple[OuterColumns, OuterColumns]:
    """Columns of two players whose inputs and outputs depend on each other."""
    shared = normal(samples, positions, 3, seed=1)
    left = normal(2, samples, positions, 4, seed=2)
    u = OuterColumns(left[..., :3], torch.cat([shared, normal(samples, positions, 1)], -1))
    v = OuterColumns(left[..., 1:] + 0.1, shared @ normal(3, 2, seed=3))
    return u, v


def dense(pair: KroneckerPair) -> Tensor:
    """The joint matrix, entry by entry from its definition."""
    (o, i), (p, j) = pair.sizes
    rows = [(0, a, c) for a in range(o) for c in range(i)]
    rows += [(1, a, c) for a in range(p) for c in range(j)]
    index = [(a + (o if n else 0), c + (i if n else 0)) for n, a, c in rows]
    return torch.tensor(
        [[float(pair.left[a, b] * pair.right[c, d]) for b, d in index] for a, c in index],
        dtype=torch.float64,
    )


@pytest.mark.parametrize("positions", [1, 3])
@pytest.mark.parametrize("damping", [1e-3, 1.0])
def test_solve_is_the_dense_solve(positions, damping):
    u, v = players(positions=positions)
    pair = PairFactors.of(u, v).damped(damping)
    q_u, q_v = normal(3, 4, seed=5), normal(3, 2, seed=6)
    found = pair.solve(q_u, q_v)
    joint = torch.cat([q_u.flatten(), q_v.flatten()])
    wanted = torch.linalg.solve(dense(pair), joint)
    torch.testing.assert_close(torch.cat([x.flatten() for x in found]), wanted)
    back = pair.matmul(*found)
    torch.testing.assert_close(torch.cat([x.flatten() for x in back]), joint)
    assert torch.linalg.eigvalsh(dense(pair))[0] > 0


def test_group_rational_move_is_the_schur_complement_formula():
    u, v = players()
    pair = PairFactors.of(u, v).damped(0.1)
    q_u, q_v = normal(3, 4, seed=5).flatten(), normal(3, 2, seed=6).flatten()
    matrix = dense(pair)
    uu, uv, vv = matrix[:12, :12], matrix[:12, 12:], matrix[12:, 12:]
    k_v = -torch.linalg.solve(vv, q_v)
    schur = uu - uv @ torch.linalg.solve(vv, uv.T)
    du = -torch.linalg.solve(schur, q_u + uv @ k_v)
    dv = k_v - torch.linalg.solve(vv, uv.T @ du)
    found = pair.solve(q_u.view(3, 4), q_v.view(3, 2))
    torch.testing.assert_close(-found[0].flatten(), du)
    torch.testing.assert_close(-found[1].flatten(), dv)
    own = pair.own_blocks(q_u.view(3, 4), q_v.view(3, 2))
    torch.testing.assert_close(own[0].flatten(), torch.linalg.solve(uu, q_u))
    torch.testing.assert_close(own[1].flatten(), -k_v)
    assert not torch.allclose(own[0], found[0], rtol=0.1)


def test_factors_are_exact_for_one_sample_and_one_column():
    u, v = (OuterColumns(z.left[:1, :1], z.right[:1]) for z in players())
    factors = PairFactors.of(u, v)
    z = torch.cat([u.dense[0, 0].flatten(), v.dense[0, 0].flatten()])
    pair = KroneckerPair(factors.left, factors.right, factors.sizes)
    torch.testing.assert_close(dense(pair), torch.outer(z, z))


def test_the_pair_promises_more_than_its_players_alone():
    """On the joint quadratic the cooperative move is the minimiser; own blocks are not."""
    u, v = players()
    pair = PairFactors.of(u, v).damped(0.05)
    q = normal(3, 4, seed=5), normal(3, 2, seed=6)

    def change(moves: tuple[Tensor, Tensor]) -> float:
        curved = pair.matmul(*moves)
        pairs = zip(moves, q, curved, strict=True)
        return float(sum((-m * g + 0.5 * m * h).sum() for m, g, h in pairs))

    best = change(pair.solve(*q))
    assert best < change(pair.own_blocks(*q)) - 0.01 * abs(best)


def test_players_at_different_positions_are_refused():
    u, _ = players()
    _, v = players(positions=3)
    with pytest.raises(InvalidInputError, match=r"same positions, got 1 and 3"):
        PairFactors.of(u, v)


def split(columns: OuterColumns, rows: slice) -> OuterColumns:
    return OuterColumns(columns.left[..., rows], columns.right)


def test_fictitious_players_have_own_blocks_of_the_layer():
    z, _ = players()
    rule = FictitiousPlayers(count=3, decay=0.0)
    gradient = normal(3, 4)
    state = rule.refresh(rule.update(rule.init((3, 4), gradient), z, gradient), 0.1)
    operator = rule.operator(state, 0.1)
    full = operator.to_dense((3, 4), gradient)
    whole = KroneckerCurvature(decay=0.0)
    kept = whole.refresh(whole.update(whole.init((3, 4), gradient), z, gradient), 0.1)
    dense_whole = whole.operator(kept, 0.1).to_dense((3, 4), gradient)
    for first in range(3):
        for second in range(3):
            rows, columns = slice(4 * first, 4 * first + 4), slice(4 * second, 4 * second + 4)
            if first == second:
                torch.testing.assert_close(full[rows, columns], dense_whole[rows, columns])
            else:
                assert dense_whole[rows, columns].any()
                assert not full[rows, columns].any(), "players ignore each other"
    torch.testing.assert_close(operator.matmul(operator.solve(gradient)), gradient)
    alone = FictitiousPlayers(count=1, decay=0.0)
    one = alone.refresh(alone.update(alone.init((3, 4), gradient), z, gradient), 0.1)
    torch.testing.assert_close(
        alone.operator(one, 0.1).solve(gradient), whole.operator(kept, 0.1).solve(gradient)
    )
    uneven = FictitiousPlayers(count=2)
    assert uneven.players(3) == [slice(0, 2), slice(2, 3)]
    assert FictitiousPlayers(count=9).players(2) == [slice(0, 1), slice(1, 2)]
    two = uneven.refresh(uneven.update(uneven.init((3, 4), gradient), z, gradient), 0.1)
    pair = uneven.operator(two, 0.1)
    assert not pair.to_dense((3, 4), gradient)[:8, 8:].any()
    torch.testing.assert_close(pair.matmul(pair.solve(gradient)), gradient)


def test_cooperating_fictitious_players_are_the_whole_layer():
    z, _ = players()
    first, second = slice(0, 2), slice(2, 3)
    pair = PairFactors.of(split(z, first), split(z, second))
    left, right = pair.left.clone(), pair.right[:4, :4].clone()
    left.diagonal()[:] += 0.2
    right.diagonal()[:] += 0.3
    joint = KroneckerPair(left, right.repeat(2, 2), pair.sizes)
    gradient = normal(3, 4, seed=8)
    found = torch.cat(joint.solve(gradient[first], gradient[second]))
    wanted = torch.linalg.solve(left, gradient) @ torch.linalg.inv(right)
    torch.testing.assert_close(found, wanted)
