"""Information structures: what each player knows and whom it answers when it chooses a control."""

from enum import StrEnum

__all__ = ["InformationStructure"]


class InformationStructure(StrEnum):
    """The information structure under which a dynamic game is solved.

    Attributes:
        OPEN_LOOP: Players commit to control sequences; nobody reacts to the state.
        FEEDBACK: Feedback Nash: players choose policies of the state, solved jointly per stage.
        OWN_BLOCK: Each player ignores the simultaneous move of the others (block Jacobi).
        COOPERATIVE: One coalition minimises a weighted sum of the players' costs.
        ZERO_SUM: Two players with opposite costs; a saddle point in policies.
        STACKELBERG: One leader announces its control first, per stage; the others answer.
        OPEN_LOOP_STACKELBERG: One leader announces its whole control sequence at the start; the
            others answer with theirs.
    """

    OPEN_LOOP = "open_loop"
    FEEDBACK = "feedback"
    OWN_BLOCK = "own_block"
    COOPERATIVE = "cooperative"
    ZERO_SUM = "zero_sum"
    STACKELBERG = "stackelberg"
    OPEN_LOOP_STACKELBERG = "open_loop_stackelberg"
