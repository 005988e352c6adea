"""Linear-quadratic games: exact solutions with evidence of existence."""

from ocngame.solvers.lq.existence import ExistenceRule, Fault, LQCertificate
from ocngame.solvers.lq.find_stationary import (
    StationaryEquilibria,
    find_stationary,
    scattered_values,
)
from ocngame.solvers.lq.solution import Solution
from ocngame.solvers.lq.solve import solve
from ocngame.solvers.lq.stationary import solve_stationary
from ocngame.solvers.lq.stationary_solution import StationaryRule, StationarySolution
from ocngame.solvers.lq.status import Status

__all__ = [
    "ExistenceRule",
    "Fault",
    "LQCertificate",
    "Solution",
    "StationaryEquilibria",
    "StationaryRule",
    "StationarySolution",
    "Status",
    "find_stationary",
    "scattered_values",
    "solve",
    "solve_stationary",
]
