"""The step of the trust region: the stages' joint lengths, the radius, and what it remembers."""

import math

import pytest
import torch
from torch import Tensor

from ocngame.errors import InvalidInputError
from ocngame.linalg import OuterColumns
from ocngame.solvers.ocnopt import TrustRegionStep
from ocngame.solvers.ocnopt.step_rule import Proposal, Situation, StepLimit

SHAPES = [(3, 4), (2, 3), (4, 1)]
SAMPLES = 6
FREE = TrustRegionStep(fraction=1.0, promise=1.0, ridge=1e-12)


def normal(generator: torch.Generator, *size: int) -> Tensor:
    return torch.randn(*size, generator=generator, dtype=torch.float64)


@pytest.fixture
def parts():
    """Gradients, directions of descent and columns of a random game of three stages."""
    generator = torch.Generator().manual_seed(0)
    gradients = [normal(generator, *shape) for shape in SHAPES]
    scales = [0.1, 1.0, 7.0]
    directions = [-s * g for s, g in zip(scales, gradients, strict=True)]
    columns = [
        OuterColumns(normal(generator, 2, SAMPLES, 1, o), normal(generator, SAMPLES, 1, i))
        for o, i in SHAPES
    ]
    return gradients, directions, columns


def propose(
    rule: TrustRegionStep,
    parts,
    loss: float = 1e9,
    bound: float | None = 0.0,
    rates=(1.0, 1.0, 1.0),
    sizes: Tensor | None = None,
    **more,
) -> Proposal:
    gradients, directions, columns = parts
    told = {"gradients": gradients, "averages": gradients, "last": None, "columns": columns}
    return rule.propose(
        Situation(
            **{**told, **more},
            directions=[directions],
            damping=0.1,
            limit=StepLimit(rates=rates, loss=loss, bound=bound, sizes=sizes),
        )
    )


def dense(parts) -> tuple[Tensor, Tensor]:
    """The Gauss-Newton matrix and the gradient, of one coordinate per stage along its direction."""
    gradients, directions, columns = parts
    image = torch.stack(
        [(z.dense * d).sum((-2, -1)).flatten() for z, d in zip(columns, directions, strict=True)]
    )
    slope = torch.stack([(g * d).sum() for g, d in zip(gradients, directions, strict=True)])
    return image @ image.T / SAMPLES, slope


def multiples(proposal: Proposal, parts) -> Tensor:
    return torch.stack([(m / d).mean() for m, d in zip(proposal.moves, parts[1], strict=True)])


def test_without_a_bound_in_reach_the_lengths_solve_the_coupled_stage_game(parts):
    matrix, slope = dense(parts)
    expected = -torch.linalg.solve(matrix, slope)
    found = multiples(propose(FREE, parts), parts)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    diagonal = -slope / matrix.diagonal()
    assert float((expected - diagonal).abs().max()) > 0.05, "the coupling matters here"


def test_lengths_do_not_depend_on_the_scale_of_a_stage(parts):
    gradients, directions, columns = parts
    rule = TrustRegionStep(fraction=1.0, promise=1.0, ridge=0.5)
    one = propose(rule, parts)
    # One stage in other units: u = 10 w has gradient and columns ten times, the direction a tenth.
    scaled = (
        [10 * gradients[0], *gradients[1:]],
        [directions[0] / 10, *directions[1:]],
        [columns[0].scaled(10.0), *columns[1:]],
    )
    other = propose(rule, scaled)
    torch.testing.assert_close(10 * other.moves[0], one.moves[0])
    torch.testing.assert_close(other.moves[1:], one.moves[1:])


@pytest.mark.parametrize("fraction", [0.01, 0.1])
def test_the_move_uses_at_most_its_part_of_the_room(parts, fraction):
    matrix, slope = dense(parts)
    loss, bound = 3.0, 1.0
    rule = TrustRegionStep(fraction=fraction, promise=1.0, ridge=1.0)
    proposal = propose(rule, parts, loss=loss, bound=bound)
    b = multiples(proposal, parts)
    assert 0 < proposal.cap < 1
    assert float(0.5 * b @ matrix @ b) == pytest.approx(fraction * (loss - bound))
    assert proposal.predicted == pytest.approx(float(slope @ b + 0.5 * b @ matrix @ b))
    promised = propose(TrustRegionStep(fraction=1.0, promise=0.01), parts, loss=loss, bound=bound)
    assert float(-slope @ multiples(promised, parts)) == pytest.approx(0.01 * (loss - bound))


@pytest.mark.parametrize(("scale", "expected"), [(1e3, 4.0), (1.5, 2.25), (0.1, 0.01)])
def test_one_batch_raises_the_model_by_a_bounded_factor(parts, scale, expected):
    """Columns of `scale` times the size have `scale^2` times the H; above `growth` it is cut."""
    gradients, directions, columns = parts
    rule = TrustRegionStep(growth=4.0, memory=0.8)
    first = propose(rule, parts)
    spike = gradients, directions, [z.scaled(scale) for z in columns]
    second = propose(rule, spike, memory=first.memory)
    old = first.memory["model"]
    torch.testing.assert_close(second.memory["model"], (old + expected * old) / 2)
    free = propose(TrustRegionStep(memory=0.8), spike, memory=first.memory)
    torch.testing.assert_close(free.memory["model"], (old + scale**2 * old) / 2)


def test_a_model_of_zeros_bounds_nothing(parts):
    gradients, directions, columns = parts
    rule = TrustRegionStep(growth=4.0)
    first = propose(rule, (gradients, directions, [z.scaled(0.0) for z in columns]))
    second = propose(rule, parts, memory=first.memory)
    own = propose(rule, parts).memory["model"]
    torch.testing.assert_close(second.memory["model"], own / 2)


def test_at_the_bound_nothing_moves(parts):
    proposal = propose(TrustRegionStep(), parts, loss=1.0, bound=1.0)
    assert all(float(move.abs().max()) == 0 for move in proposal.moves)
    below = propose(TrustRegionStep(), parts, loss=0.5, bound=1.0)
    assert all(float(move.abs().max()) == 0 for move in below.moves)


def test_a_promise_by_overstated_averages_may_be_larger(parts):
    rule = TrustRegionStep(fraction=1.0, promise=0.1)
    plain, told = (propose(rule, parts, loss=0.01, overstated=factor) for factor in (1.0, 3.0))
    assert plain.cap < 1
    assert told.cap == pytest.approx(3 * plain.cap)


def test_the_remembered_model_fades(parts):
    memory = propose(FREE, parts).memory
    kept, faded = (
        propose(FREE, parts, memory=memory, columns=None, fading=factor) for factor in (1.0, 0.5)
    )
    torch.testing.assert_close(multiples(faded, parts), 2 * multiples(kept, parts))


def test_without_a_bound_the_room_is_half_the_promise(parts):
    matrix, slope = dense(parts)
    rule = TrustRegionStep(fraction=0.03, promise=1.0, ridge=1e-12)
    free = multiples(propose(FREE, parts), parts)
    b = multiples(propose(rule, parts, bound=None), parts)
    torch.testing.assert_close(b, free * math.sqrt(0.03), rtol=1e-6, atol=1e-9)
    assert float(0.5 * b @ matrix @ b) == pytest.approx(0.03 * 0.5 * float(-slope @ free))


def test_rates_share_out_lengths_and_a_small_rate_scales_the_room(parts):
    rule = TrustRegionStep(fraction=0.01, promise=1.0)
    rates = (1.0, 0.5, 0.0)
    shared = propose(rule, parts, loss=1.0, rates=rates)
    whole = propose(rule, parts, loss=1.0)
    applied = torch.tensor(rates, dtype=torch.float64) * multiples(shared, parts)
    ratio = applied / multiples(whole, parts)
    assert float(ratio[1] / ratio[0]) == pytest.approx(0.5)
    assert float(ratio[2]) == 0
    slow = 0.25 * multiples(propose(rule, parts, loss=1.0, rates=(0.25,) * 3), parts)
    torch.testing.assert_close(slow, 0.5 * multiples(whole, parts))
    fast = 4.0 * multiples(propose(rule, parts, loss=1.0, rates=(4.0,) * 3), parts)
    torch.testing.assert_close(fast, multiples(whole, parts))


def test_between_measurements_the_model_is_remembered(parts):
    gradients, directions, _ = parts
    rule = TrustRegionStep(fraction=0.01, pace=0.0)
    first = propose(rule, parts, loss=1.0)
    later = propose(rule, parts, loss=1.0, columns=None, memory=first.memory)
    torch.testing.assert_close(later.moves, first.moves)
    doubled = (gradients, [2 * d for d in directions], parts[2])
    same = propose(rule, doubled, loss=1.0, columns=None, memory=first.memory)
    for move, direction in zip(same.moves, directions, strict=True):
        assert float((move * direction).sum()) > 0


@pytest.mark.parametrize(("left", "expected"), [(1.0, 1.1), (-1.0, 1 / 1.1), (0.2, 1.0)])
def test_the_radius_follows_the_slope_that_the_next_batch_finds(parts, left, expected):
    """`left`: slope along the last move on the next batch, in units of what the move promised."""
    gradients, _, _ = parts
    rule = TrustRegionStep(fraction=0.001, aim=0.2, pace=math.log(1.1), least=0.5)
    first = propose(rule, parts, loss=1.0)
    promise = -sum((g * v).sum() for g, v in zip(gradients, first.moves, strict=True))
    assert float(first.memory["promised"]) == pytest.approx(float(promise))
    found = propose(
        rule,
        parts,
        loss=1.0,
        gradients=[left * g for g in gradients],
        last=first.moves,
        memory=first.memory,
    )
    assert float(found.memory["radius"]) == pytest.approx(expected)
    assert found.cap / first.cap == pytest.approx(math.sqrt(expected))


def test_the_radius_stays_within_its_bounds(parts):
    gradients, _, _ = parts
    for left, bound in ((1.0, 2.0), (-1.0, 0.5)):
        rule = TrustRegionStep(pace=1.0, least=0.5, most=2.0)
        memory, last = {}, None
        for _ in range(6):
            proposal = propose(
                rule,
                parts,
                loss=1.0,
                gradients=[left * g for g in gradients],
                last=last,
                memory=memory,
            )
            memory, last = proposal.memory, proposal.moves
        assert float(memory["radius"]) == pytest.approx(bound)


def test_no_stage_moves_far_against_its_size_and_the_product_of_changes_is_bounded(parts):
    rule = TrustRegionStep(fraction=1.0, promise=1.0, stretch=1.728)
    rates = (1.0, 0.5, 1.0)
    free = propose(rule, parts, rates=rates)
    sizes = torch.stack([r * m.norm() for r, m in zip(rates, free.moves, strict=True)])
    sizes = sizes / torch.tensor([0.1, 0.4, 3.0], dtype=torch.float64)
    found = propose(rule, parts, rates=rates, sizes=sizes)
    changes = torch.stack(
        [r * m.norm() / s for r, m, s in zip(rates, found.moves, sizes, strict=True)]
    )
    torch.testing.assert_close(changes, torch.tensor([0.1, 0.2, 0.2], dtype=torch.float64))
    assert float((1 + changes).prod()) <= 1.728
    matrix, slope = dense(parts)
    b = torch.tensor(rates, dtype=torch.float64) * multiples(found, parts)
    assert found.predicted == pytest.approx(float(slope @ b + 0.5 * b @ matrix @ b))
    endless = propose(TrustRegionStep(fraction=1.0, promise=1.0, stretch=math.inf), parts)
    still = propose(FREE, parts, sizes=torch.full((3,), 1e9, dtype=torch.float64))
    torch.testing.assert_close(endless.moves, propose(rule, parts).moves)
    torch.testing.assert_close(still.moves, propose(FREE, parts).moves)


@pytest.mark.parametrize(("left", "expected"), [(0.5, 2.0), (0.95, 4.0), (-0.5, 1.0)])
def test_a_step_is_longer_where_the_last_one_left_slope(parts, left, expected):
    """A slope that falls from 1 to sigma over one step is zero after 1 / (1 - sigma) of them."""
    gradients, _, _ = parts
    rule = TrustRegionStep(fraction=1.0, promise=1.0, ridge=1e-12, longest=4.0, pace=0.0)
    first = propose(rule, parts)
    assert first.cap == 1.0
    found = propose(
        rule,
        parts,
        gradients=[left * g for g in gradients],
        last=first.moves,
        memory=first.memory,
    )
    assert found.cap == pytest.approx(expected)
    torch.testing.assert_close(found.moves, [expected * m for m in first.moves])
    assert found.predicted == pytest.approx(expected * first.predicted)


def test_stages_without_gradient_stay_and_harm_nobody(parts):
    gradients, directions, columns = parts
    still = (
        [torch.zeros_like(gradients[0]), *gradients[1:]],
        [torch.zeros_like(directions[0]), *directions[1:]],
        columns,
    )
    proposal = propose(TrustRegionStep(), still, loss=1.0)
    assert proposal.finite
    assert float(proposal.moves[0].abs().max()) == 0
    assert float(proposal.moves[1].abs().max()) > 0


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_direction_that_is_not_finite_is_told(parts, number):
    gradients, directions, columns = parts
    broken = [directions[0].clone(), *directions[1:]]
    broken[0][1, 1] = number
    assert not propose(TrustRegionStep(), (gradients, broken, columns), loss=1.0).finite


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"fraction": 0.0}, "fraction"),
        ({"promise": 1.5}, "promise"),
        ({"ridge": 0.0}, "ridge"),
        ({"memory": 1.0}, "memory"),
        ({"aim": 0.0}, "aim"),
        ({"pace": -0.1}, "pace"),
        ({"least": 0.0}, "least"),
        ({"most": 0.5}, "most"),
        ({"longest": 0.5}, "longest"),
        ({"longest": math.inf}, "longest"),
        ({"stretch": 1.0}, "stretch"),
        ({"growth": 0.5}, "growth"),
    ],
)
def test_bad_settings_are_named(settings, named):
    with pytest.raises(InvalidInputError, match=named):
        TrustRegionStep(**settings)
