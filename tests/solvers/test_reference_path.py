"""The path of OCNOpt's defaults on a small problem, as it was: a guard against drift.

Data and weights are written as formulas, so that only the random signs come from a generator.
"""

import pytest
import torch
from torch import nn

from ocngame.solvers.ocnopt import OCNOpt

LOSSES = (
    1.23095713,
    0.572899713,
    0.340870348,
    0.150607977,
    0.0293091457,
    0.00673587389,
    0.00164260058,
    0.000408839746,
    7.47578796e-05,
    1.92450962e-05,
)
LENGTHS = (
    0.0662355581,
    0.123019095,
    0.270613217,
    0.327834503,
    0.390482709,
    0.233368629,
    0.34571678,
    0.30575054,
    0.371761912,
    0.506817126,
)


def problem() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    model.double()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            place = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.copy_((0.7 * torch.sin(1.3 * place + number)).view_as(parameter))
    place = torch.arange(24 * 4, dtype=torch.float64).view(24, 4)
    x = torch.sin(0.37 * place) + 0.5 * torch.cos(1.1 * place)
    return model, x, (x[:, 0] > 0).long() + (x[:, 1] > 0.3).long()


def test_the_defaults_walk_as_they_did():
    model, x, y = problem()
    opt = OCNOpt(model)
    infos = [opt.step(x, y) for _ in range(30)][::3]
    assert [info.loss for info in infos] == pytest.approx(LOSSES, rel=1e-6)
    assert [info.length for info in infos] == pytest.approx(LENGTHS, rel=1e-6)
