"""Linear algebra shared by every layer: factored columns and symmetric factorisations."""

from ocngame.linalg.columns import OuterColumns
from ocngame.linalg.products import left_product, right_product
from ocngame.linalg.symmetric import (
    count_negative,
    damped_inverse,
    project_psd,
    smallest_eigenvalue,
    symmetrise,
)

__all__ = [
    "OuterColumns",
    "count_negative",
    "damped_inverse",
    "left_product",
    "project_psd",
    "right_product",
    "smallest_eigenvalue",
    "symmetrise",
]
