"""Names for types that several layers share."""

from os import PathLike
from typing import TypeAlias

__all__ = ["StrPath"]

StrPath: TypeAlias = str | PathLike[str]
"""A path as the user may give it."""
