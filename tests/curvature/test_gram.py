"""The block of a batch in sample space against the dense block of the same batch."""

import pytest
import torch

from ocngame.curvature import DampingMetric, FullCurvature, GramCurvature
from ocngame.linalg import DenseColumns, OuterColumns
from ocngame.solvers.ocnopt import (
    Feedback,
    FixedDamping,
    FixedStep,
    OCNOpt,
    OCNOptConfig,
)

OUT, IN = 3, 4


def outer(R: int, B: int, S: int, seed: int = 0) -> OuterColumns:
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(R, B, S, OUT, generator=generator, dtype=torch.float64)
    return OuterColumns(left, torch.randn(B, S, IN, generator=generator, dtype=torch.float64))


CASES = {
    "one position": outer(2, 5, 1),
    "several positions": outer(2, 5, 3),
    "more columns than entries": outer(4, 6, 1),
    "entry by entry": DenseColumns(outer(2, 5, 1).dense),
}


def operators(columns, damping: float):
    like, gradient = columns.like, torch.zeros(OUT, IN, dtype=torch.float64)
    made = []
    for rule in (GramCurvature(), FullCurvature(decay=0.0)):
        state = rule.update(rule.init((OUT, IN), like), columns, gradient)
        made.append(rule.operator(rule.refresh(state, damping), damping))
    return made


@pytest.mark.parametrize("damping", [1.0, 1e-4])
@pytest.mark.parametrize("name", CASES)
def test_it_is_the_dense_block_of_the_batch(name, damping):
    columns = CASES[name]
    gram, full = operators(columns, damping)
    close = torch.testing.assert_close
    control = torch.randn(OUT, IN, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for u in (control, torch.stack([control, control.square()])):
        close(gram.solve(u), full.solve(u), rtol=1e-6, atol=1e-6)
        close(gram.matmul(u), full.matmul(u))
        close(gram.matmul(gram.solve(u)), u, rtol=1e-6, atol=1e-6)
    dense = [op.to_dense((OUT, IN), columns.like) for op in (gram, full)]
    close(dense[0], dense[1])
    others = outer(3, columns.count[1], 1, seed=7)
    if isinstance(columns, DenseColumns):
        others = DenseColumns(others.dense)
    for per_sample in (False, True):
        found, wanted = (op.inverse_gram(others, per_sample) for op in (gram, full))
        close(found, wanted, rtol=1e-6, atol=1e-6)


def test_between_refreshes_the_operator_stays_what_it_was():
    rule, (one, two) = GramCurvature(), (outer(2, 5, 1), outer(2, 5, 1, seed=9))
    gradient = torch.zeros(OUT, IN, dtype=torch.float64)
    state = rule.refresh(rule.update({}, one, gradient), 0.1)
    before = rule.operator(state, 0.1).to_dense((OUT, IN), one.like)
    state = rule.update(state, two, gradient)
    torch.testing.assert_close(rule.operator(state, 5.0).to_dense((OUT, IN), one.like), before)
    after = rule.operator(rule.refresh(state, 0.1), 0.1).to_dense((OUT, IN), one.like)
    assert (after - before).abs().max() > 0.01


def network():
    torch.manual_seed(0)
    layers = [torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)]
    return torch.nn.Sequential(*layers).double()


def data():
    x = torch.randn(32, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()


@pytest.mark.parametrize("feedback", [Feedback.OFF, Feedback.PER_SAMPLE, Feedback.STACKED])
def test_the_optimizer_moves_as_with_the_dense_block(feedback):
    moved = []
    for rule in (GramCurvature(), FullCurvature(decay=0.0)):
        config = OCNOptConfig.with_feedback(Feedback.STACKED)
        config = OCNOptConfig(
            curvature=rule,
            feedback=feedback,
            columns=config.columns,
            step=config.step,
            damping=config.damping,
            rhythm=config.rhythm,
        )
        model = network()
        opt = OCNOpt(model, config=config)
        infos = [opt.step(*data()) for _ in range(6)]
        assert all(info.accepted for info in infos)
        assert infos[-1].loss < infos[0].loss
        moved.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach())
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-6, atol=1e-8)


def test_blocks_alone_are_not_the_joint_step():
    """Two stages react to each other: open loop with exact blocks is another step."""
    moved = []
    for rule, feedback in ((GramCurvature(), Feedback.OFF), (DampingMetric(), Feedback.EXACT)):
        base = OCNOptConfig.with_feedback(Feedback.EXACT)
        config = OCNOptConfig(
            curvature=rule,
            feedback=feedback,
            columns=base.columns,
            step=FixedStep(),
            damping=FixedDamping(damping=0.1),
            rhythm=base.rhythm,
            gradient_decay=0.0,
        )
        model = network()
        OCNOpt(model, weight_decay=0.0, config=config).step(*data())
        moved.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach())
    start = torch.nn.utils.parameters_to_vector(network().parameters()).detach()
    assert (moved[0] - moved[1]).norm() > 0.1 * (moved[1] - start).norm()


def test_the_state_resumes_bitwise():
    config = OCNOptConfig(curvature=GramCurvature())
    whole, split = network(), network()
    first, second = OCNOpt(whole, config=config), OCNOpt(split, config=config)
    for _ in range(6):
        first.step(*data())
    for _ in range(3):
        second.step(*data())
    third = OCNOpt(split, config=config, seed=3)
    third.load_state_dict(second.state_dict())
    for _ in range(3):
        third.step(*data())
    for one, two in zip(whole.parameters(), split.parameters(), strict=True):
        assert torch.equal(one, two)
