"""What became of a game: one sentence with a remedy for every end that a solver can have."""

from enum import StrEnum

import torch
from torch import Tensor

from ocngame.games.information import InformationStructure

__all__ = ["Status", "code_of", "curvature_status", "status_of"]


class Status(StrEnum):
    """The end of a solution, as a sentence; `solution.codes` holds positions in this list.

    Attributes:
        SOLVED: The equilibrium exists, is unique and was found.
        OWN_CURVATURE: Someone's own stage problem has no minimum.
        CONDENSED_CURVATURE: Someone gains without bound by changing its whole control sequence.
        SINGULAR_SYSTEM: The players' conditions at a stage contradict or leave freedom.
        SINGULAR_BOUNDARY: The same, for the boundary-value problem of open loop.
        NON_FINITE: Numbers overflowed.
        NOT_CONVERGED: The infinite-horizon recursion did not settle.
        UNSTABLE: It settled on policies that let the state grow.
        LOCALLY_SOLVED: A local equilibrium of a nonlinear game was found.
        MAX_ITERATIONS: An iteration was cut off while its residual was still too large.
        STALLED: No step along the iteration's direction reduced its residual.
        NO_MINIMUM: A stationary point at which somebody's second-order condition fails.
        INFEASIBLE: The constraints are violated where the iteration ended.
        COALITION_CURVATURE: The sum of costs that a coalition minimises has no minimum.
        NOT_DEFINED: A function of the game, or a derivative of one, is not finite.
    """

    SOLVED = "solved: the equilibrium exists and is unique"
    OWN_CURVATURE = (
        "a player's own curvature is not positive, so it has no best control: raise its own "
        "control cost, or shorten the horizon"
    )
    CONDENSED_CURVATURE = (
        "a player's cost is not convex in its own control sequence, so no open-loop equilibrium "
        "exists: raise its own control cost, shorten the horizon, or ask for feedback information"
    )
    SINGULAR_SYSTEM = (
        "the coupled system of the stage is singular, so the equilibrium does not exist or is not "
        "unique: change the costs on the other players' controls, or play cooperatively"
    )
    SINGULAR_BOUNDARY = (
        "the open-loop boundary-value problem that starts at the stage is singular, so it has no "
        "unique solution from every state: change the horizon, or ask for feedback information"
    )
    NON_FINITE = (
        "numbers overflowed: scale states, controls and costs to about one, shorten the horizon, "
        "or use float64"
    )
    NOT_CONVERGED = (
        "the recursion did not reach a stationary value: allow more stages, or check that the "
        "players can stabilise the state and see what is unstable in their costs"
    )
    UNSTABLE = (
        "the stationary policies do not stabilise the state: add state costs to what is unstable"
    )
    LOCALLY_SOLVED = (
        "solved: a local equilibrium, stationary and with positive curvatures; there may be others"
    )
    MAX_ITERATIONS = (
        "the residual is still above the tolerance: allow more iterations, or start from better "
        "controls"
    )
    STALLED = (
        "no step reduces the residual: start from other controls, smooth the costs, check that "
        "nobody's cost falls without bound in its own controls, or raise the tolerance if the "
        "residual is already at rounding"
    )
    NO_MINIMUM = (
        "the point is stationary, but not a strict minimum of somebody's own cost, so it is not an "
        "equilibrium: start from other controls, or raise that player's own control cost"
    )
    INFEASIBLE = (
        "the constraints are still violated: check that they can be met together from this initial "
        "state, allow more rounds, or raise the penalty"
    )
    COALITION_CURVATURE = (
        "the weighted sum of the players' costs has no positive curvature in their controls (in a "
        "zero-sum game the sum is zero), so a coalition has no best controls: choose other "
        "weights, raise control costs, or ask for feedback information, in which opponents play "
        "against each other"
    )
    NOT_DEFINED = (
        "the dynamics, the costs or their derivatives are not finite on the trajectory: start from "
        "controls at which they are defined, or smooth them there"
    )


_ORDER = list(Status)


def code_of(status: Status) -> int:
    """Give the position of a status in the list.

    Args:
        status: The status.

    Returns:
        Its code.
    """
    return _ORDER.index(status)


def curvature_status(information: InformationStructure) -> Status:
    """Give the status of a stage without a minimum.

    Args:
        information: The information structure.

    Returns:
        That of a coalition in cooperative play, that of a player else.
    """
    if information is InformationStructure.COOPERATIVE:
        return Status.COALITION_CURVATURE
    return Status.OWN_CURVATURE


def status_of(codes: Tensor) -> Status | list:
    """Name the codes of a batch.

    Args:
        codes: Integer codes, shape (...).

    Returns:
        A status if there is no batch, otherwise statuses in nested lists of the batch's shape.
    """

    def name(code: int | list) -> Status | list:
        return _ORDER[code] if isinstance(code, int) else [name(one) for one in code]

    return name(codes.to(torch.int64).tolist())
