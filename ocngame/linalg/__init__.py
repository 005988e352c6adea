"""Linear algebra shared by every layer: factored columns and symmetric factorisations."""

from ocngame.linalg.columns import OuterColumns
from ocngame.linalg.symmetric import count_negative, damped_inverse, project_psd, symmetrise

__all__ = ["OuterColumns", "count_negative", "damped_inverse", "project_psd", "symmetrise"]
