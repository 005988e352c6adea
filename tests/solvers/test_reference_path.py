"""The path of OCNOpt's defaults on a small problem, as it was: a guard against drift.

Data and weights are written as formulas, so that only the random signs come from a generator.
"""

import pytest
import torch
from torch import nn

from ocngame.solvers.ocnopt import OCNOpt

LOSSES = (
    1.23095713,
    0.591596506,
    0.341638459,
    0.225216306,
    0.0800935932,
    0.00619992897,
    0.0018994636,
    0.000711662237,
    0.000191872554,
    5.08010514e-05,
)
LENGTHS = (
    0.0710059091,
    0.139582873,
    0.280979231,
    0.450556012,
    0.626419731,
    0.180370806,
    0.292608438,
    0.335463937,
    0.493363583,
    0.682610648,
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
