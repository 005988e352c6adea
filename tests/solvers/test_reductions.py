"""Without feedback and with simple curvature, OCNOpt is exactly a known first-order method."""

import pytest
import torch
from torch import nn

from ocngame.curvature import IdentityCurvature, RootMeanSquareCurvature
from ocngame.solvers.ocnopt import (
    Decay,
    Feedback,
    FixedDamping,
    FixedStep,
    OCNOpt,
    OCNOptConfig,
)

STEPS = 25


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 3)
    ).double()


def batches():
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        x = torch.randn(16, 5, generator=generator, dtype=torch.float64)
        yield x, torch.randint(0, 3, (16,), generator=generator)


def config(**settings) -> OCNOptConfig:
    fixed = {"feedback": Feedback.OFF, "damping": FixedDamping(damping=1e-3), "gradient_decay": 0.0}
    return OCNOptConfig(
        **{**fixed, "step": FixedStep(), "decay": Decay.PLAIN, "decay_growth": 0.0, **settings},
    )


def assert_same_path(
    ours: nn.Module, opt: OCNOpt, theirs: nn.Module, reference, decay: float = 0.0
) -> None:
    start = [p.detach().clone() for p in ours.parameters()]
    for x, y in batches():
        opt.step(x, y)
        reference.zero_grad()
        nn.functional.cross_entropy(theirs(x), y).backward()
        with torch.no_grad():
            for parameter in theirs.parameters():
                parameter.mul_(1 - decay)
        reference.step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
    moved = max(
        float((a - b).detach().abs().max()) for a, b in zip(start, ours.parameters(), strict=True)
    )
    assert moved > 1e-2


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_identity_is_sgd(momentum, weight_decay):
    ours, theirs = network(), network()
    opt = OCNOpt(
        ours,
        lr=0.1,
        groups=[{"params": ours.parameters(), "weight_decay": weight_decay}],
        config=config(curvature=IdentityCurvature(), step=FixedStep(momentum=momentum)),
    )
    reference = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=momentum)
    assert_same_path(ours, opt, theirs, reference, decay=0.1 * weight_decay)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_root_mean_square_is_rmsprop(momentum):
    ours, theirs = network(), network()
    curvature = RootMeanSquareCurvature(beta=0.99, eps=1e-8, bias_correction=False)
    opt = OCNOpt(
        ours,
        lr=1e-3,
        weight_decay=0.0,
        config=config(curvature=curvature, step=FixedStep(momentum=momentum)),
    )
    reference = torch.optim.RMSprop(theirs.parameters(), lr=1e-3, alpha=0.99, momentum=momentum)
    assert_same_path(ours, opt, theirs, reference)


def test_bias_corrected_root_mean_square_with_averaged_gradient_is_adamw():
    ours, theirs = network(), network()
    curvature = RootMeanSquareCurvature(beta=0.999, eps=1e-8)
    settings = config(curvature=curvature, gradient_decay=0.9)
    everything = [{"params": ours.parameters(), "weight_decay": 0.1}]
    opt = OCNOpt(ours, lr=3e-3, groups=everything, config=settings)
    reference = torch.optim.AdamW(theirs.parameters(), lr=3e-3, weight_decay=0.1)
    assert_same_path(ours, opt, theirs, reference)


@pytest.mark.parametrize("mode", [Feedback.PER_SAMPLE, Feedback.STACKED, Feedback.EXACT])
def test_feedback_does_change_the_path(mode):
    moves = []
    for feedback in (Feedback.OFF, mode):
        model = network()
        opt = OCNOpt(model, lr=0.1, config=config(curvature=IdentityCurvature(), feedback=feedback))
        x, y = next(iter(batches()))
        opt.step(x, y)
        moves.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert float((moves[0] - moves[1]).abs().max()) > 1e-4
