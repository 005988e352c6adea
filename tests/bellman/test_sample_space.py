"""The recursion in sample space against its closed form and against explicit linear algebra."""

import torch
from torch import Tensor

from ocngame.bellman import SampleSpaceStage, backward_pass, terminal_value
from ocngame.curvature import (
    DiagonalOperator,
    FullOperator,
    IdentityOperator,
    KroneckerOperator,
)
from ocngame.linalg import OuterColumns
from ocngame.solvers.ocnopt.directions import per_sample_game, stacked_game

SAMPLES, STAGES = 4, 3
SHAPES = [(3, 2), (2, 4), (3, 3)]


def random_columns(width: int, generator: torch.Generator, scale: float) -> list[OuterColumns]:
    return [
        OuterColumns(
            scale * torch.randn(width, SAMPLES, 1, o, generator=generator, dtype=torch.float64),
            torch.randn(SAMPLES, 1, i, generator=generator, dtype=torch.float64),
        )
        for o, i in SHAPES
    ]


def random_metric(shape: tuple[int, int], generator: torch.Generator) -> FullOperator:
    size = shape[0] * shape[1]
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return FullOperator(root @ root.T + size * torch.eye(size, dtype=torch.float64))


def test_rank_one_recursion_has_the_closed_form():
    """b_t = b_{t+1} (1 - b_{t+1} g' M^-1 g); du = -M^-1 mean_b b_{t+1} (1 + p' dx) g."""
    generator = torch.Generator().manual_seed(0)
    columns = random_columns(1, generator, 0.5)
    metrics = [random_metric(shape, generator) for shape in SHAPES]
    game = per_sample_game(columns, columns, metrics)
    moves = game.solve().moves
    result = backward_pass(game.stages, terminal_value((SAMPLES,), 1, columns[0].left))

    b = torch.ones(SAMPLES, dtype=torch.float64)
    scalars: list[Tensor] = []
    for z, metric in zip(reversed(columns), reversed(metrics), strict=True):
        scalars.insert(0, b)
        g = z.dense[0].flatten(1)
        b = b * (1 - b * (g * torch.linalg.solve(metric.matrix, g.T).T).sum(1))
    assert float(b.min()) > 0
    torch.testing.assert_close(result.values[0].v_xx[:, 0, 0, 0], b, rtol=0, atol=1e-12)
    torch.testing.assert_close(1 + result.values[0].v_x[:, 0, 0], b, rtol=0, atol=1e-12)

    p_dx = torch.zeros(SAMPLES, dtype=torch.float64)
    for t, (z, metric) in enumerate(zip(columns, metrics, strict=True)):
        g = z.dense[0].flatten(1)
        weighted = (scalars[t] * (1 + p_dx))[:, None] * g
        du = -torch.linalg.solve(metric.matrix, weighted.mean(0))
        torch.testing.assert_close(moves[t].flatten(), du, rtol=0, atol=1e-12)
        p_dx = p_dx + g @ du


def test_negative_curvature_is_removed_and_counted():
    generator = torch.Generator().manual_seed(1)
    columns = random_columns(1, generator, 3.0)
    small = [DiagonalOperator(torch.full(shape, 0.1, dtype=torch.float64)) for shape in SHAPES]
    directions = per_sample_game(columns, columns, small).solve()
    assert directions.removed is not None
    assert int(directions.removed) > 0
    assert all(bool(torch.isfinite(move).all()) for move in directions.moves)


def test_values_stay_bounded_where_the_metric_is_far_too_small():
    """With the negative part of v_xx left in, products of it would grow from stage to stage."""
    generator = torch.Generator().manual_seed(6)
    columns = random_columns(4, generator, 30.0)
    small = [IdentityOperator(1e-3)] * STAGES
    game = per_sample_game(random_columns(1, generator, 30.0), columns, small)
    result = backward_pass(game.stages, terminal_value((SAMPLES,), 4, columns[0].left))
    for policy in result.policies:
        gain = policy.feedback[:, 1:]
        assert float(torch.linalg.eigvalsh(gain).max()) <= 1 + 1e-9
        assert float(torch.linalg.eigvalsh(gain).min()) >= -1e-9


def test_exact_value_is_the_inverse_sum_of_grams():
    """C_t^-1 = I + sum_{s >= t} G_s."""
    generator = torch.Generator().manual_seed(2)
    columns = random_columns(2, generator, 1.0)
    metrics = [random_metric(shape, generator) for shape in SHAPES]
    gradients = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    game = stacked_game(gradients, columns, metrics, exact=True)
    result = backward_pass(game.stages, terminal_value((), 2 * SAMPLES, gradients[0]))
    total = torch.eye(2 * SAMPLES, dtype=torch.float64)
    for t in reversed(range(STAGES)):
        z = game.columns[t].dense.flatten(0, 1).flatten(1)
        total = total + z @ torch.linalg.solve(metrics[t].matrix, z.T)
        core = result.values[t].v_xx[0]
        torch.testing.assert_close(core, torch.linalg.inv(total), rtol=0, atol=1e-11)


def test_the_value_constant_is_the_predicted_decrease():
    generator = torch.Generator().manual_seed(3)
    columns = random_columns(2, generator, 1.0)
    metrics = [random_metric(shape, generator) for shape in SHAPES]
    gradients = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    game = stacked_game(gradients, columns, metrics, exact=True)
    moves = game.solve().moves
    value = backward_pass(game.stages, terminal_value((), 2 * SAMPLES, gradients[0])).values[0].v
    image = sum(z.inner(du) for z, du in zip(game.columns, moves, strict=True))
    cost = 0.5 * image.square().sum()
    for g, du, metric in zip(gradients, moves, metrics, strict=True):
        cost = cost + (g * du).sum() + 0.5 * (du * metric.matmul(du)).sum()
    torch.testing.assert_close(value[0], cost, rtol=1e-12, atol=0)


def test_structured_metric_equals_its_dense_twin():
    generator = torch.Generator().manual_seed(4)
    columns = random_columns(2, generator, 1.0)
    gradients = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    kroneckers = []
    for o, i in SHAPES:
        left, right = (torch.randn(n, n, generator=generator, dtype=torch.float64) for n in (o, i))
        left, right = left @ left.T + torch.eye(o).double(), right @ right.T + torch.eye(i).double()
        kroneckers.append(
            KroneckerOperator(
                left[None],
                right[None],
                torch.linalg.inv(left)[None],
                torch.linalg.inv(right)[None],
                torch.zeros(2, dtype=left.dtype),
            )
        )
    twins = [
        FullOperator(op.to_dense(shape, columns[0].left))
        for op, shape in zip(kroneckers, SHAPES, strict=True)
    ]
    for exact in (True, False):
        ours = stacked_game(gradients, columns, kroneckers, exact).solve().moves
        dense = stacked_game(gradients, columns, twins, exact).solve().moves
        for a, b in zip(ours, dense, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_last_stage_without_state_is_open_loop():
    gram = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    stage = SampleSpaceStage(gram=gram, exact=False)
    policy, _ = stage.solve(stage.expand(terminal_value((), 1, gram)))
    torch.testing.assert_close(policy.feedforward, torch.tensor([1.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(policy.feedback, torch.tensor([[0.0], [1.0]], dtype=torch.float64))
