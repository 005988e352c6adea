"""Exceptions: each says what was wrong in one sentence that names the argument."""

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "ConvergenceError",
    "InvalidInputError",
    "NonFiniteError",
    "OcnGameError",
    "UnknownNameError",
    "UnsolvableGameError",
    "UnsupportedModuleError",
]


class OcnGameError(Exception):
    """Base class of every exception that ocngame raises on purpose."""


class InvalidInputError(OcnGameError, ValueError):
    """An argument is not what is expected: the message names it, the expectation and what came."""


class UnknownNameError(InvalidInputError):
    """A name is not one of the known ones; the message lists the nearest known names."""

    def __init__(self, argument: str, name: str, known: Iterable[str]):
        """Compose the message.

        Args:
            argument: What the name stands for.
            name: The unknown name.
            known: The known names.
        """
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(known)}"
        super().__init__(f"{argument}: unknown name {name!r}; {hint}")


class UnsupportedModuleError(OcnGameError, TypeError):
    """A network has a layer or an operation that no stage covers."""


class NonFiniteError(OcnGameError, ArithmeticError):
    """A computation gave NaN or infinity where a finite number is needed."""


class UnsolvableGameError(OcnGameError):
    """A game has no equilibrium of the kind that was asked for."""


class ConvergenceError(OcnGameError):
    """An iteration ended before it reached its tolerance."""


class CheckpointError(OcnGameError):
    """A checkpoint cannot be read or does not fit."""
