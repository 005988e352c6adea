"""Stages: the steps at which the state of a game moves on."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Stage", "StageKind"]


class StageKind(StrEnum):
    """What a stage does to the state.

    Attributes:
        INPUT: Provides the initial state.
        LINEAR: An affine map whose matrix and offset are the stage's control.
        CONVOLUTION: An affine map of patches whose matrix and offset are the stage's control.
        NORMALISATION: A normalisation; its scale and offset, if it has any, are the control.
        EMBEDDING: A table of which rows are looked up; the table is the control.
        ELEMENTWISE: A function of every entry.
        ADD: The sum of two states (where a skip connection ends).
        RESHAPE: A change of shape only.
        MAP: Any other fixed function of one or more states (pooling, products, attention ...).
        BLOCK: A block taken as a whole; its parameters are no control of the game.
        CONSTANT: A parameter or buffer that is used directly; no state.
        OUTPUT: Receives the terminal state.
    """

    INPUT = "input"
    LINEAR = "linear"
    CONVOLUTION = "convolution"
    NORMALISATION = "normalisation"
    EMBEDDING = "embedding"
    ELEMENTWISE = "elementwise"
    ADD = "add"
    RESHAPE = "reshape"
    MAP = "map"
    BLOCK = "block"
    CONSTANT = "constant"
    OUTPUT = "output"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a game graph.

    Attributes:
        name: Unique name within the graph.
        index: Position t in the forward (topological) order.
        kind: What it does.
        operation: Module path or function name, for people.
        controls: Names of the parameters that are its control (empty: nobody acts).
        player: Name of the player that owns the control, None if nobody acts.
        shape: Shape of the state that leaves it, without the batch; None if unknown.
        block: Path of the module within which it happens, empty for the network itself.
    """

    name: str
    index: int
    kind: StageKind
    operation: str
    controls: tuple[str, ...] = ()
    player: str | None = None
    shape: tuple[int, ...] | None = None
    block: str = ""
