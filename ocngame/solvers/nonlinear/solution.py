"""What the nonlinear solver hands back, and how the next solve starts from it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ocngame.bellman import AffinePolicy
from ocngame.bellman.trajectory import about_origin
from ocngame.games import InformationStructure
from ocngame.games.expansion import Multipliers
from ocngame.solvers.lq.existence import LQCertificate
from ocngame.solvers.lq.status import Status, code_of, status_of
from ocngame.solvers.nonlinear.mixing import Secants

__all__ = ["ConstraintReport", "NonlinearSolution", "Path", "Start"]


@dataclass(frozen=True, kw_only=True)
class ConstraintReport:
    """How well the constraints are met, and what they cost.

    Attributes:
        multipliers: Multipliers of running (..., T, C) and terminal (..., C') constraints, in the
            order of `game.constraints`, and the last penalty (...).
        violation: Largest violation, shape (...).
        complementarity: Largest product of a multiplier and its constraint, shape (...).
        rounds: Updates of the multipliers, shape (...).
    """

    multipliers: Multipliers
    violation: Tensor
    complementarity: Tensor
    rounds: Tensor


@dataclass(frozen=True, kw_only=True)
class Path:
    """A trajectory with the Jacobians of the dynamics along it.

    Attributes:
        states: States, shape (..., T+1, n).
        controls: Controls, shape (..., T, m).
        f_z: Jacobians, shape (..., T, n, n+m).
    """

    states: Tensor
    controls: Tensor
    f_z: Tensor


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where an iteration starts.

    Attributes:
        policies: Played from the new initial state for the first trajectory, feedforward
            (..., T, m) and feedback (..., T, m, n).
        multipliers: Multipliers of the constraints, or None.
        path: A trajectory near the first one, which is then found faster, or None.
        secants: What an earlier iteration learnt of how gains change with the trajectory, or None.
    """

    policies: AffinePolicy
    multipliers: Multipliers | None = None
    path: Path | None = None
    secants: Secants | None = None


@dataclass(frozen=True, kw_only=True)
class NonlinearSolution:
    """The end of an iteration, batch dimensions in front.

    An element that is not solved keeps the last trajectory, for a look or another start; its
    status says that it is no solution.

    Attributes:
        information: The information structure.
        states: States, shape (..., T+1, n).
        controls: Joint controls, shape (..., T, m).
        feedback: K of the quadratic game about the trajectory, shape (..., T, m, n). In open loop
            it describes how the equilibrium path shifts with the state; nobody answers to it.
        costs: Every player's cost, shape (..., N).
        residuals: Norm of each decision maker's own gradient, shape (..., D): the players, or one
            coalition.
        certificate: Second-order evidence of the quadratic game at the solution, true Hessians;
            NaN in elements that are not stationary.
        codes: Positions in the list of `Status`, 0 where solved, shape (...).
        iterations: Steps taken, shape (...).
        constraints: Report on the constraints, or None if there are none.
        weights: Weights of cooperative play, shape (N,), or None.
        f_z: Jacobians of the dynamics along the trajectory, shape (..., T, n, n+m).
        secants: What the iteration learnt of how gains change with the trajectory, the batch's
            dimensions as one; None where nothing had to be learnt.
    """

    information: InformationStructure
    states: Tensor
    controls: Tensor
    feedback: Tensor
    costs: Tensor
    residuals: Tensor
    certificate: LQCertificate
    codes: Tensor
    iterations: Tensor
    constraints: ConstraintReport | None = None
    weights: Tensor | None = None
    f_z: Tensor | None = None
    secants: Secants | None = None

    @property
    def status(self) -> Status | list:
        """The status; nested lists of the batch's shape if there is a batch."""
        local = torch.full_like(self.codes, code_of(Status.LOCALLY_SOLVED))
        return status_of(torch.where(self.solved, local, self.codes))

    @property
    def solved(self) -> Tensor:
        """Whether each batch element is solved, shape (...)."""
        return self.codes == 0

    @property
    def residual(self) -> Tensor:
        """Norm of the residuals over the decision makers, shape (...)."""
        return self.residuals.norm(dim=-1)

    @property
    def policies(self) -> AffinePolicy:
        """`u = k + K x`, which passes through the trajectory."""
        return about_origin(self.states, self.controls, self.feedback)

    @property
    def x0(self) -> Tensor:
        """Initial state, shape (..., n)."""
        return self.states[..., 0, :]

    @property
    def leader(self) -> int | None:
        """None: no leader here."""
        return None

    @property
    def multipliers(self) -> Multipliers | None:
        """Multipliers of the constraints, or None if there are none."""
        return None if self.constraints is None else self.constraints.multipliers

    def start(self) -> Start:
        """Give a start from this solution.

        Returns:
            Its policies, multipliers, path and secants.
        """
        report = self.constraints
        path = None
        if self.f_z is not None:
            path = Path(states=self.states, controls=self.controls, f_z=self.f_z)
        return Start(
            policies=self.policies,
            multipliers=None if report is None else report.multipliers,
            path=path,
            secants=self.secants,
        )

    def shifted(self, stages: int = 1) -> Start:
        """Give a start for the game some stages later, for a receding horizon.

        Args:
            stages: How many stages have passed, at most T.

        Returns:
            The rest of the policies, multipliers, path and secants, the last ones repeated.
        """

        def rest(part: Tensor, dim: int) -> Tensor:
            last = part.narrow(dim, part.shape[dim] - 1, 1)
            kept = part.narrow(dim, stages, part.shape[dim] - stages)
            return torch.cat([kept, *[last] * stages], dim=dim)

        now = self.start()
        policies = AffinePolicy(
            feedforward=rest(now.policies.feedforward, -2), feedback=rest(now.policies.feedback, -3)
        )
        y, path, secants = now.multipliers, now.path, now.secants
        if path is not None:
            path = Path(
                states=rest(path.states, -2),
                controls=rest(path.controls, -2),
                f_z=rest(path.f_z, -3),
            )
        if secants is not None:
            parts = {name: rest(getattr(secants, name), -2) for name in ("k", "xs", "us")}
            secants = replace(secants, **parts)
        return Start(
            policies=policies,
            multipliers=None if y is None else replace(y, running=rest(y.running, -2)),
            path=path,
            secants=secants,
        )
