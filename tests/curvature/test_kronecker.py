"""Kronecker factors at the edge of what floats hold."""

import torch

from ocngame.curvature import KroneckerCurvature
from ocngame.linalg import OuterColumns


def test_a_vanishing_factor_leaves_inverses_in_the_range_of_floats():
    rule = KroneckerCurvature()
    right = torch.randn(6, 1, 3, generator=torch.Generator().manual_seed(0))
    columns = OuterColumns(torch.zeros(1, 6, 1, 4), right)
    state = rule.update(rule.init((4, 3), right), columns, torch.zeros(4, 3))
    operator = rule.operator(rule.refresh(state, 0.1), 0.1)
    control = torch.ones(4, 3)
    assert torch.allclose(operator.solve(control), control / 0.1, rtol=1e-4)
    inverses = torch.cat([operator.left_inverse.flatten(), operator.right_inverse.flatten()])
    assert float(inverses[inverses != 0].abs().min()) > 1e-20
