"""The step from the model: its minimum over the span, its safeguard, its bounds."""

import pytest
import torch
from torch import Tensor

from ocngame.linalg import OuterColumns
from ocngame.solvers.ocnopt import ModelStep
from ocngame.solvers.ocnopt.step_rule import Proposal, Situation, StepLimit

SHAPES = [(3, 4), (2, 3)]
SAMPLES = 6


@pytest.fixture
def model():
    """Gradients, columns and the dense damped Gauss-Newton matrix of a random two-stage game."""
    generator = torch.Generator().manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    gradients = [normal(o, i) for o, i in SHAPES]
    columns = [OuterColumns(normal(5, SAMPLES, 1, o), normal(SAMPLES, 1, i)) for o, i in SHAPES]
    dense = torch.cat([z.dense.flatten(0, 1).flatten(1) for z in columns], 1)
    matrix = dense.T @ dense / SAMPLES + 0.1 * torch.eye(dense.shape[1], dtype=torch.float64)
    directions = [[normal(o, i) for o, i in SHAPES] for _ in range(3)]
    return gradients, columns, matrix, directions


def propose(
    rule: ModelStep, model, directions, last=None, lr: float = 1.0, room: float | None = None
) -> Proposal:
    gradients, columns, _, _ = model
    bound = None if room is None else 5.0 - room
    return rule.propose(
        Situation(
            gradients=gradients,
            averages=gradients,
            directions=directions,
            last=last,
            columns=columns,
            damping=0.1,
            limit=StepLimit(rates=[lr] * len(SHAPES), loss=5.0, bound=bound),
        )
    )


def flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.flatten() for part in parts])


def value(model, move: list[Tensor]) -> float:
    gradients, _, matrix, _ = model
    u = flat(move)
    return float(flat(gradients) @ u + 0.5 * u @ matrix @ u)


def test_the_move_is_the_minimum_over_the_span(model):
    gradients, _, matrix, (first, second, last) = model
    proposal = propose(ModelStep(momentum_limit=1.0), model, [first, second], last)
    span = torch.stack([flat(first), flat(second), flat(last)], 1)
    best = -torch.linalg.solve(span.T @ matrix @ span, span.T @ flat(gradients))
    assert abs(float(best[2])) < 1.0
    torch.testing.assert_close(flat(proposal.moves), span @ best, rtol=1e-6, atol=1e-8)
    assert proposal.predicted == pytest.approx(value(model, proposal.moves), rel=1e-9)


def test_another_direction_never_lowers_the_promise(model):
    _, _, _, (first, second, last) = model
    alone = propose(ModelStep(), model, [second], last)
    both = propose(ModelStep(), model, [first, second], last)
    assert value(model, both.moves) < value(model, alone.moves)


def test_momentum_is_limited_and_the_rest_minimises(model):
    gradients, _, matrix, (first, second, last) = model
    proposal = propose(ModelStep(momentum_limit=0.01), model, [first, second], last)
    assert abs(proposal.momentum) == pytest.approx(0.01)
    slope = flat(gradients) + matrix @ flat(proposal.moves)
    for direction in (first, second):
        assert abs(float(slope @ flat(direction))) < 1e-6
    assert abs(float(slope @ flat(last))) > 1e-3


@pytest.mark.parametrize("same", [True, False])
def test_directions_may_vanish_or_coincide(model, same):
    _, _, _, (first, _, last) = model
    zero = [torch.zeros_like(part) for part in first]
    alone = propose(ModelStep(), model, [first], last)
    doubled = propose(ModelStep(), model, [first, first if same else zero], last)
    torch.testing.assert_close(flat(doubled.moves), flat(alone.moves), rtol=1e-6, atol=1e-8)
    still = propose(ModelStep(), model, [first], zero)
    assert bool(torch.isfinite(flat(still.moves)).all())
    assert still.finite


@pytest.mark.parametrize("lr", [1.0, 0.5])
def test_the_promise_stays_within_the_room(model, lr):
    gradients, _, _, (first, _, _) = model
    free = propose(ModelStep(), model, [first], lr=lr)
    promise = -0.5 * lr * float(flat(gradients) @ flat(free.moves))
    assert promise > 0
    same = propose(ModelStep(), model, [first], lr=lr, room=1.01 * promise)
    assert same.cap == 1.0
    torch.testing.assert_close(flat(same.moves), flat(free.moves), rtol=0, atol=0)
    half = propose(ModelStep(), model, [first], lr=lr, room=promise / 2)
    assert half.cap == pytest.approx(0.5)
    torch.testing.assert_close(flat(half.moves), 0.5 * flat(free.moves))
    none = propose(ModelStep(), model, [first], lr=lr, room=-1.0)
    assert float(flat(none.moves).abs().max()) == 0.0
