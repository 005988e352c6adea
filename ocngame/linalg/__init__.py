"""Linear algebra shared by every layer: factored columns and symmetric factorisations."""

from ocngame.linalg.batched_gmres import batched_gmres
from ocngame.linalg.blocks import block_gram, block_multiply, block_number
from ocngame.linalg.columns import Columns
from ocngame.linalg.dense_columns import DenseColumns
from ocngame.linalg.integrated_columns import IntegratedColumns, Use
from ocngame.linalg.krylov import KrylovResult, RitzPairs, gmres, lanczos
from ocngame.linalg.outer_columns import OuterColumns
from ocngame.linalg.products import left_product, right_product, with_transpose
from ocngame.linalg.row_columns import RowColumns
from ocngame.linalg.samples import joined_samples
from ocngame.linalg.solve import pivoted_solve
from ocngame.linalg.symmetric import (
    count_negative,
    damped_inverse,
    project_psd,
    smallest_eigenvalue,
    symmetric_eigen,
    symmetrise,
)

__all__ = [
    "Columns",
    "DenseColumns",
    "IntegratedColumns",
    "KrylovResult",
    "OuterColumns",
    "RitzPairs",
    "RowColumns",
    "Use",
    "batched_gmres",
    "block_gram",
    "block_multiply",
    "block_number",
    "count_negative",
    "damped_inverse",
    "gmres",
    "joined_samples",
    "lanczos",
    "left_product",
    "pivoted_solve",
    "project_psd",
    "right_product",
    "smallest_eigenvalue",
    "symmetric_eigen",
    "symmetrise",
    "with_transpose",
]
