r"""The costate recursion: what takes the place of values when players commit to sequences.

In open loop the others' future controls do not answer to the state, so player i's minimum
principle has the costate `lambda^i_t` in the place of a value gradient:

    lambda^i_t = Q^i_t x + q^i_t + M^i_t u + A_t' lambda^i_{t+1}

With the ansatz `lambda^i_{t+1} = L^i x_{t+1} + l^i` (Basar & Olsder, 2nd ed., Theorem 6.2, whose
`M^i, m^i` these are) and the dynamics substituted, every Jacobian is that of a Q-function whose
`v_x, v_xx` are `l, L`, and player i's row of the stage condition is that of feedback Nash. Only
what is handed on differs: the control's own answer enters once, not twice,

    l_t = q_x + q_xu k,        L_t = q_xx + q_xu K,        q_xu = M^i + A' L B

and `L` is not symmetric. The recursion exists where the stage systems S are invertible; for
invertible own control costs that is the invertibility of `I + sum_i B_i R_ii^{-1} B_i' L^i`.
"""

from dataclasses import dataclass, replace

from ocngame.bellman.expansions import QExpansion, QuadraticStage, ValueExpansion, expand_q
from ocngame.bellman.policy import AffinePolicy
from ocngame.bellman.stage_game import StageCertificate, StageRule, solve_stage
from ocngame.errors import InvalidInputError

__all__ = ["CostateStage", "evaluate_costate"]


@dataclass(frozen=True, kw_only=True)
class CostateStage:
    """A dense stage of an open-loop game; its values are costates `v_xx x + v_x`.

    Attributes:
        quadratic: Dynamics and running costs.
        rule: Control slices, with open-loop information.
    """

    quadratic: QuadraticStage
    rule: StageRule

    def expand(self, value: ValueExpansion) -> QExpansion:
        """Expand the gradients of every player's Hamiltonian.

        Args:
            value: Costates at the next stage.

        Returns:
            The expansion, with its own `q_xu`.
        """
        q = expand_q(self.quadratic, value)
        A, B = self.quadratic.A.unsqueeze(-3), self.quadratic.B.unsqueeze(-3)
        return replace(q, q_xu=self.quadratic.cost.q_ux.mT + A.mT @ value.v_xx @ B)

    def solve(self, q: QExpansion) -> tuple[AffinePolicy, StageCertificate]:
        """Solve the coupled stationarity conditions of the stage.

        Args:
            q: Expansion from `expand`.

        Returns:
            The controls as an affine function of the state on the equilibrium path, and the
            certificate of the stage's system.
        """
        return solve_stage(q, self.rule)


def evaluate_costate(q: QExpansion, policy: AffinePolicy) -> ValueExpansion:
    """Give every player's costate of the stage on the path that `policy` describes.

    Args:
        q: Expansion with `q_xu`.
        policy: The controls as an affine function of the state.

    Returns:
        Costates `v_xx x + v_x`; `v` is not used.

    Raises:
        InvalidInputError: if the expansion has no `q_xu`.
    """
    if q.q_xu is None:
        raise InvalidInputError("q_xu: expected the mixed block of a costate stage, got None")
    moved = (q.q_xu @ policy.feedforward[..., None, :, None]).squeeze(-1)
    return ValueExpansion(
        v=q.q, v_x=q.q_x + moved, v_xx=q.q_xx + q.q_xu @ policy.feedback.unsqueeze(-3)
    )
