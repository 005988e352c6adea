r"""Infinite-horizon games have several stationary equilibria: Newton's method from many values.

The recursion of `solve_stationary` ends at the one that a very long game leads to. The coupled
algebraic Riccati equations `V = F(V)` may have others, each a feedback Nash equilibrium if the
closed loop is stable and own curvatures are positive (Engwerda, LQ Dynamic Optimization and
Differential Games, 2005, chapter 8, in continuous time; for two scalar players there are up to
three). From each start

    (I - dF/dV) dV = F(V) - V

is solved by GMRES (products are derivatives of transposed ones), and `V + s dV` taken at the first
length s at which the residual falls.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame._checks import integer, positive
from ocngame._tensor_checks import shaped, symmetric
from ocngame.bellman import StageRule, evaluate_policy
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, LQGame
from ocngame.linalg import batched_gmres
from ocngame.solvers.lq.existence import join, judge
from ocngame.solvers.lq.feedback import control_scale
from ocngame.solvers.lq.repeated_stage import stage_of
from ocngame.solvers.lq.settle import Settled
from ocngame.solvers.lq.stationary import repeated_rule
from ocngame.solvers.lq.stationary_solution import StationaryRule, StationarySolution, certified
from ocngame.solvers.lq.status import Status, curvature_status

__all__ = ["StationaryEquilibria", "find_stationary", "scattered_values"]

LENGTHS = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.001)
KRYLOV = 100


@dataclass(frozen=True, kw_only=True)
class StationaryEquilibria:
    """The distinct stationary equilibria that were found, E of them, from S starts.

    Attributes:
        solution: Them, as one batch (E,), in the order of the first start that led to each.
        found_from: Which equilibrium each start led to, -1 where none, shape (S,).
    """

    solution: StationarySolution
    found_from: Tensor

    def __len__(self) -> int:
        """Give the number of distinct equilibria."""
        return len(self.solution.codes)


def scattered_values(
    game: LQGame, count: int, *, generator: torch.Generator, most: float = 100.0
) -> Tensor:
    """Scatter values to start from: random definite matrices of sizes that spread over decades.

    Args:
        game: A game without a batch.
        count: Number of starts.
        generator: Source of the values.
        most: Size of the largest, relative to the largest state cost.

    Returns:
        Values of all players, shape (count, N, n, n).
    """
    integer("count", count, low=1)
    positive("most", most)
    N, n = game.player_count, game.state_size
    roots = torch.randn(count, N, n, n, generator=generator, dtype=game.A.dtype)
    decades = torch.rand(count, N, 1, 1, generator=generator, dtype=game.A.dtype)
    size = game.Q.detach().abs().amax().clamp_min(torch.finfo(game.A.dtype).tiny)
    values = size.cpu() * most**decades * (roots @ roots.mT) / n
    return values.to(game.A.device)


@torch.no_grad()
def find_stationary(
    game: LQGame,
    *,
    starts: Tensor,
    information: InformationStructure | str = InformationStructure.FEEDBACK,
    weights: Tensor | None = None,
    leader: int | None = None,
    rule: StationaryRule | None = None,
    max_iterations: int = 50,
    same: float = 1e-5,
) -> StationaryEquilibria:
    """Solve the coupled algebraic Riccati equations from many values, and merge equal solutions.

    The list is what was found, not a proof that there are no others.

    Args:
        game: A game of horizon 1 without linear parts and without a batch.
        starts: Values to start from, shape (S, N, n, n); see `scattered_values`.
        information: The information structure or its name; any but open loop.
        weights: Weights of the players' costs, shape (N,), for cooperative play only.
        leader: Index of the player that moves first at every stage, for Stackelberg play only.
        rule: When values count as standing still.
        max_iterations: Most Newton steps.
        same: Largest difference of values, relative to the largest, that counts as none.

    Returns:
        The distinct equilibria; none of them if no start led to one.

    Raises:
        InvalidInputError: naming the argument that does not fit.

    Examples:
        Either of two players could hold an unstable state alone; each would rather not.

        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> game = LQGame.time_invariant(
        ...     2 * one, [one, one], [0.1 * one] * 2, [one, one], horizon=1
        ... )
        >>> starts = scattered_values(game, 30, generator=torch.Generator().manual_seed(0))
        >>> len(find_stationary(game, starts=starts))
        3
    """
    stage = repeated_rule(game, information, weights, leader)
    if game.batch_shape:
        raise InvalidInputError(f"game: expected no batch, got {tuple(game.batch_shape)}")
    shaped("starts", starts, "S N n n", N=game.player_count, n=game.state_size)
    symmetric("starts", starts)
    if not len(starts):
        raise InvalidInputError("starts: expected at least one value, got none")
    integer("max_iterations", max_iterations, low=1)
    positive("same", same)
    rule = StationaryRule() if rule is None else rule
    many = game.repeated((len(starts),))
    end = _newton(many, stage, starts, rule, max_iterations)
    solved = certified(many, stage, end.value, end, rule).solved
    found_from = torch.full((len(starts),), -1, dtype=torch.int64, device=starts.device)
    firsts: list[int] = []
    for s in solved.nonzero().squeeze(-1).tolist():
        here = end.value[s]
        known = [
            k
            for k, first in enumerate(firsts)
            if bool((here - end.value[first]).abs().amax() <= same * here.abs().amax())
        ]
        if not known:
            firsts.append(s)
        found_from[s] = known[0] if known else len(firsts) - 1
    chosen = torch.tensor(firsts, dtype=torch.int64, device=starts.device)
    some = Settled(
        value=end.value[chosen],
        residual=end.residual[chosen],
        count=end.count[chosen],
        sound=end.sound[chosen],
    )
    distinct = certified(game.repeated((len(chosen),)), stage, some.value, some, rule)
    return StationaryEquilibria(solution=distinct, found_from=found_from)


def _newton(
    game: LQGame, stage: StageRule, value: Tensor, rule: StationaryRule, most: int
) -> Settled:
    """Run Newton's method on every start."""
    _, polish = rule.resolved(value.dtype)
    look = stage_of(game, stage)
    count = torch.zeros(len(value), dtype=torch.int64, device=value.device)

    def advance(v_xx: Tensor) -> Tensor:
        q, policy, _ = look(v_xx)
        return evaluate_policy(q, policy).v_xx

    gap, residual = _gap(advance, value)
    moving = torch.isfinite(residual)
    for _ in range(most):
        moving = moving & (residual > polish)
        if not bool(moving.any()):
            break
        move = _newton_step(advance, value, gap)
        pending = moving.clone()
        before = residual
        for length in LENGTHS:
            tried = value + length * move
            new_gap, new = _gap(advance, tried)
            fine = pending & (new < (1 - 0.1 * length) * before)
            value = torch.where(fine[:, None, None, None], tried, value)
            gap = torch.where(fine[:, None, None, None], new_gap, gap)
            residual = torch.where(fine, new, residual)
            pending &= ~fine
            if not bool(pending.any()):
                break
        count = count + moving
        moving &= ~pending
    evidence = join([look(value)[2]], control_scale(game, stage))
    fault = judge(
        evidence, rule.existence, curvature_status(stage.information), Status.SINGULAR_SYSTEM
    )
    return Settled(value=value, residual=residual, count=count, sound=fault.codes == 0)


def _gap(advance: Callable[[Tensor], Tensor], value: Tensor) -> tuple[Tensor, Tensor]:
    new = advance(value)
    gap = new - value
    largest, size = (part.abs().amax((-3, -2, -1)) for part in (gap, new))
    ratio = torch.where(largest == 0, 0, largest / size)
    return gap, torch.where(torch.isfinite(ratio), ratio, torch.inf)


def _newton_step(advance: Callable[[Tensor], Tensor], value: Tensor, gap: Tensor) -> Tensor:
    """Solve `(I - dF/dV) dV = F(V) - V`; zero where it is not finite."""
    sound = torch.isfinite(gap).flatten(1).all(-1)
    with torch.enable_grad():
        safe = torch.where(sound[:, None, None, None], value, 0).requires_grad_()
        new = advance(safe)
        pull = torch.zeros_like(new, requires_grad=True)
        (pulled,) = torch.autograd.grad(new, safe, pull, create_graph=True)

    def product(flat: Tensor) -> Tensor:
        move = flat.reshape(value.shape)
        (moved,) = torch.autograd.grad(pulled, pull, move, retain_graph=True)
        rest = torch.where(sound[:, None, None, None], move - moved, move)
        return torch.where(torch.isfinite(rest), rest, 0).flatten(1)

    right = torch.where(sound[:, None, None, None], gap, 0).flatten(1)
    move, _ = batched_gmres(product, right, tolerance=1e-10, most=KRYLOV)
    return torch.where(torch.isfinite(move), move, 0).reshape(value.shape)
