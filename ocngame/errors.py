"""Exceptions: each says in one sentence what was wrong, and names the argument at fault."""

import difflib
from collections.abc import Iterable

__all__ = [
    "ApiError",
    "CheckpointError",
    "ConvergenceError",
    "IntegrationError",
    "InvalidInputError",
    "NonFiniteError",
    "NotDifferentiableError",
    "OcnGameError",
    "UnknownNameError",
    "UnsolvableGameError",
    "UnsupportedModuleError",
    "WorkerError",
]


_MOST_NAMES = 40
"""Names that a message lists at most."""


class OcnGameError(Exception):
    """Base class of every exception that ocngame raises on purpose."""


class InvalidInputError(OcnGameError, ValueError):
    """Raised for an argument that is not what is expected.

    The message names the argument, what was expected and what came.
    """


class UnknownNameError(InvalidInputError):
    """Raised for a name that is not one of the known ones; the message gives near matches.

    Attributes:
        argument: What the name stands for.
        name: The unknown name.
        known: The known names, sorted.
    """

    def __init__(self, argument: str, name: str, known: Iterable[str]):
        """Keep the names that the message is made of.

        Args:
            argument: What the name stands for.
            name: The unknown name.
            known: The known names.
        """
        self.argument, self.name, self.known = argument, name, tuple(sorted(known))
        super().__init__(argument, name, self.known)

    @property
    def near(self) -> list[str]:
        """The three nearest known names at most."""
        return difflib.get_close_matches(str(self.name), self.known, n=3)

    def __str__(self) -> str:
        """Name the near matches, or where none is near the known names, of very many the first."""
        if self.near:
            hint = f"did you mean {' or '.join(map(repr, self.near))}?"
        else:
            more = len(self.known) - _MOST_NAMES
            hint = f"known: {', '.join(self.known[:_MOST_NAMES])}"
            hint += f" and {more} more" if more > 0 else ""
        return f"{self.argument}: unknown name {self.name!r}; {hint}"


class UnsupportedModuleError(OcnGameError, TypeError):
    """Raised when a network has a layer or an operation that no stage covers."""


class NonFiniteError(OcnGameError, ArithmeticError):
    """Raised when a computation gives NaN or infinity; the last good state is kept."""


class IntegrationError(NonFiniteError):
    """Raised when an equation cannot be followed: it explodes, is stiff, or cannot be run back."""


class NotDifferentiableError(OcnGameError, ArithmeticError):
    """Raised when a gradient is asked of a solution that has none."""


class UnsolvableGameError(OcnGameError):
    """Raised when a game has no equilibrium of the kind that was asked for."""


class ConvergenceError(OcnGameError):
    """Raised when an iteration ends before its tolerance and the caller asked for that to fail."""


class CheckpointError(OcnGameError):
    """Raised when a checkpoint cannot be read or does not fit what it is loaded into."""


class ApiError(OcnGameError):
    """Raised when an environment does not keep to the interface that it claims to have."""


class WorkerError(OcnGameError):
    """Raised when a worker process has died; the message names it and what it was doing."""
