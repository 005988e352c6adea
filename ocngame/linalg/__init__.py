"""Linear algebra shared by every layer: factored columns and symmetric factorisations."""

from ocngame.linalg.columns import OuterColumns
from ocngame.linalg.krylov import KrylovResult, RitzPairs, gmres, lanczos
from ocngame.linalg.products import left_product, right_product, with_transpose
from ocngame.linalg.solve import pivoted_solve
from ocngame.linalg.symmetric import (
    count_negative,
    damped_inverse,
    project_psd,
    smallest_eigenvalue,
    symmetrise,
)

__all__ = [
    "KrylovResult",
    "OuterColumns",
    "RitzPairs",
    "count_negative",
    "damped_inverse",
    "gmres",
    "lanczos",
    "left_product",
    "pivoted_solve",
    "project_psd",
    "right_product",
    "smallest_eigenvalue",
    "symmetrise",
    "with_transpose",
]
