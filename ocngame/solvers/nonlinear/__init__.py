"""Nonlinear games: iterative quadratic approximation, judged on the original game."""

from ocngame.solvers.nonlinear.implicit import attach_gradient
from ocngame.solvers.nonlinear.options import AugmentedLagrangian, IterationOptions
from ocngame.solvers.nonlinear.single_step import SingleStep, quadratic_step
from ocngame.solvers.nonlinear.solution import ConstraintReport, NonlinearSolution, Path, Start
from ocngame.solvers.nonlinear.solve import solve_nonlinear

__all__ = [
    "AugmentedLagrangian",
    "ConstraintReport",
    "IterationOptions",
    "NonlinearSolution",
    "Path",
    "SingleStep",
    "Start",
    "attach_gradient",
    "quadratic_step",
    "solve_nonlinear",
]
