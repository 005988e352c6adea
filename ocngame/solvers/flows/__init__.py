"""Continuous normalizing flows."""

from ocngame.solvers.flows.divergence import Divergence, ExactDivergence, HutchinsonDivergence
from ocngame.solvers.flows.field import FlowField, TangentField
from ocngame.solvers.flows.flow import ContinuousFlow, FlowDynamics, FlowHessian, FlowLoss

__all__ = [
    "ContinuousFlow",
    "Divergence",
    "ExactDivergence",
    "FlowDynamics",
    "FlowField",
    "FlowHessian",
    "FlowLoss",
    "HutchinsonDivergence",
    "TangentField",
]
