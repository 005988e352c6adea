r"""The stage game by products alone: one linear operator per decision maker's curvature, GMRES.

No matrix of the controls' size is formed: memory is that of the Krylov basis, `max_products`
vectors. Where other blocks stand for the own Hessians, they precondition the system
(`ocngame.solvers.players.own_block`), and where nobody expects the others to move they are the
system. Negative own curvatures are found by Lanczos from the own gradient and taken out by
low-rank terms `|theta| q q'`. A Stackelberg leader's row needs a transposed solve with the
followers' block for every product, `Z' y = y_L - S_FL' S_FF^{-T} y_F`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ocngame._checks import in_range, integer
from ocngame.bellman import StageRule
from ocngame.games import GamePoint, InformationStructure
from ocngame.linalg import KrylovResult, gmres, lanczos
from ocngame.solvers.players.own_block import JoinedBlock
from ocngame.solvers.players.stage import Move, OwnBlocks, Stage, StageSolve

__all__ = ["KrylovSolve", "KrylovStage"]


_LANCZOS = 8
"""Products that look for a leader's negative curvatures where the rule says no number."""


@dataclass(frozen=True, kw_only=True)
class KrylovSolve(StageSolve):
    """GMRES on products, started from the last move.

    Attributes:
        tolerance: Relative residual at which a solve stops.
        max_products: Most products of one solve.
        required: Whether a solve that does not converge is an error; otherwise its best answer is
            taken and the step says so.
    """

    tolerance: float = 1e-2
    max_products: int = 20
    required: bool = False

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("tolerance", self.tolerance, low=0.0, high=1.0, high_open=True)
        integer("max_products", self.max_products, low=1)

    def stage(self, point: GamePoint, rule: StageRule, own: OwnBlocks) -> Stage:
        """Give the stage by products."""
        return KrylovStage(point, rule, own, settings=self)


@dataclass(frozen=True)
class _LowRank:
    """Low-rank terms that take negative curvatures out: `|theta| q q'`."""

    vectors: Tensor
    weights: Tensor

    def __call__(self, direction: Tensor) -> Tensor:
        return self.vectors @ (self.weights * (self.vectors.mT @ direction))


class KrylovStage(Stage):
    """A stage known by its products.

    Attributes:
        slope: s, shape (m,).
    """

    def __init__(
        self,
        point: GamePoint,
        rule: StageRule,
        own: OwnBlocks,
        *,
        settings: KrylovSolve,
    ):
        """Find the slope and the negative own curvatures.

        Args:
            point: The game where it is played.
            rule: Slices, condition, weights, leader.
            own: What stands for the own blocks.
            settings: Tolerance and cost of the solves.
        """
        self._point, self._rule, self._settings = point, rule, settings
        self._blocks, self._lanczos = own.of_makers(rule), own.lanczos or _LANCZOS
        before = point.products
        self._followers = _Followers(self, rule.leader)
        self.slope = self._slope()
        self._removed: dict[int, _LowRank] = {}
        if self._blocks is None and own.lanczos > 0:
            for maker in self._makers():
                self._removed[maker] = self._negative(maker, own.lanczos)
        self._opening = point.products - before

    def product(self, direction: Tensor) -> Tensor:
        """Multiply with S."""
        return self._rows(direction, 0.0, true=True)

    def solve(self, damping: float, start: Tensor | None) -> Move:
        """Solve by GMRES, every player by itself where nobody expects the others to move."""
        before = self._point.products
        if self._blocks is not None:
            leader = self._rule.leader
            if leader is not None:
                self._removed[leader] = self._negative(leader, self._lanczos, damping)
            results = self._solve_blocks(damping, start)
        elif self._alone:
            results = [
                self._gmres(partial(self._own, i, damping=damping), self.slope, start, block)
                for i, block in enumerate(self._rule.slices)
            ]
        else:
            results = [self._gmres(partial(self._rows, damping=damping), self.slope, start)]
        return Move(
            direction=torch.cat([result.solution for result in results]),
            products=self._point.products - before + self._opening,
            residual=max(result.residual for result in results),
            converged=all(result.converged for result in results),
            removed=sum(len(term.weights) for term in self._removed.values()),
        )

    def _gmres(
        self,
        operator: Callable[[Tensor], Tensor],
        slope: Tensor,
        start: Tensor | None,
        block: slice = slice(None),
    ) -> KrylovResult:
        return gmres(
            operator,
            -slope[block],
            start=None if start is None else start[block],
            tolerance=self._settings.tolerance,
            max_products=self._settings.max_products,
        )

    def _solve_blocks(self, damping: float, start: Tensor | None) -> list[KrylovResult]:
        """Solve `L S R y = -L s`, `du = R y`, or block by block where that is all of S."""
        assert self._blocks is not None  # noqa: S101 - only called where there are any
        makers = range(len(self._blocks))
        joined = JoinedBlock(self._blocks, [self._block(maker) for maker in makers])
        if self._alone or len(self._blocks) == 1:
            return [KrylovResult(-joined.solve(self.slope, damping), 0.0, 0, converged=True)]

        def operator(y: Tensor) -> Tensor:
            v = joined.right(y, damping)
            if self._rule.leader is None:
                return y + joined.left(self._point.mixed_product(v), damping)
            return joined.left(self._rows(v, damping), damping)

        inner = None if start is None else joined.right_inverse(start, damping)
        found = self._gmres(operator, joined.left(self.slope, damping), inner)
        return [replace(found, solution=joined.right(found.solution, damping))]

    @property
    def _alone(self) -> bool:
        """Whether nobody expects the others to move."""
        return self._rule.information is InformationStructure.OWN_BLOCK

    def _makers(self) -> list[int]:
        if self._rule.information is InformationStructure.COOPERATIVE:
            return [0]
        first = [i for i in range(len(self._rule.slices)) if i != self._rule.leader]
        return first if self._rule.leader is None else [*first, self._rule.leader]

    def _block(self, maker: int) -> slice:
        if self._rule.information is InformationStructure.COOPERATIVE:
            return slice(0, self._point.game.control_size)
        return self._rule.slices[maker]

    def _weights(self) -> Tensor:
        like = self._point.gradients
        weights = self._rule.weights
        return like.new_ones(len(like)) if weights is None else weights.to(like)

    def _slope(self) -> Tensor:
        if self._rule.information is InformationStructure.COOPERATIVE:
            return self._weights() @ self._point.gradients
        slope = self._point.own_gradient
        leader = self._rule.leader
        if leader is not None:
            slope[self._block(leader)] = self._followers.seen_by_leader(
                self._point.gradients[leader], 0.0, true=True
            )
        return slope

    def _rows(self, v: Tensor, damping: float, *, true: bool = False) -> Tensor:
        """Multiply with S, or with its positive version plus lambda I."""
        information, leader = self._rule.information, self._rule.leader
        if information is InformationStructure.OWN_BLOCK:
            blocks = enumerate(self._rule.slices)
            return torch.cat([self._own(i, v[b], damping, true=true) for i, b in blocks])
        if information is InformationStructure.COOPERATIVE:
            return self._own(0, v, damping, true=true)
        if self._blocks is None or true:
            rows = self._point.jacobian_product(v) + damping * v
        else:
            rows = self._point.mixed_product(v)
            for maker, block in enumerate(self._rule.slices):
                if maker != leader:
                    rows[block] += self._blocks[maker].matmul(v[block], damping)
        if leader is not None:
            block = self._block(leader)
            rows[block] = self._followers.seen_by_leader(
                self._leader_rows(v, damping, true=true), damping, true=true
            )
        for maker, term in ({} if true else self._removed).items():
            rows[self._block(maker)] += term(v[self._block(maker)])
        return rows

    def correction(self, maker: int, v: Tensor, damping: float) -> Tensor:
        """Give the product with what is added to a maker's true own block to make it positive.

        Args:
            maker: Index of the decision maker.
            v: Its direction, shape (m_i,).
            damping: lambda, which is added as well.

        Returns:
            The product, shape (m_i,).
        """
        if self._blocks is not None:
            own = self._point.hessian_product(maker, v, rows=maker, columns=maker)
            return self._blocks[maker].matmul(v, damping) - own
        term = self._removed.get(maker)
        return damping * v if term is None else damping * v + term(v)

    def _leader_rows(self, v: Tensor, damping: float, *, true: bool) -> Tensor:
        leader = self._rule.leader
        assert leader is not None  # noqa: S101 - only called where there is one
        rows, block = self._point.hessian_product(leader, v), self._block(leader)
        if self._blocks is None or true:
            rows[block] += damping * v[block]
        else:
            rows[block] += self.correction(leader, v[block], damping)
        return rows

    def _own(self, maker: int, v: Tensor, damping: float, *, true: bool = False) -> Tensor:
        """Multiply with one decision maker's own Hessian, true or made positive."""
        if self._rule.information is InformationStructure.COOPERATIVE:
            weights = self._weights().tolist()
            image = torch.zeros_like(v)
            for i, weight in enumerate(weights):
                if weight:
                    image = image + weight * self._point.hessian_product(i, v)
        else:
            image = self._point.hessian_product(maker, v, rows=maker, columns=maker)
        image = image + damping * v
        return image if true or maker not in self._removed else image + self._removed[maker](v)

    def _negative(self, maker: int, steps: int, damping: float = 0.0) -> _LowRank:
        block = self._block(maker)

        def own(v: Tensor) -> Tensor:
            if maker == self._rule.leader:
                return self._followers.condensed(v, damping)
            return self._own(maker, v, 0.0, true=True)

        start = self.slope[block]
        if not float(start.norm()) > 0:
            start = torch.ones_like(start)
        pairs = lanczos(own, start, steps=steps)
        negative = pairs.values < 0
        return _LowRank(pairs.vectors[:, negative], -pairs.values[negative])


class _Followers:
    """The followers' answer to a leader, and what the leader sees through it."""

    def __init__(self, stage: KrylovStage, leader: int | None):
        self._stage, self._leader = stage, leader

    def seen_by_leader(self, full: Tensor, damping: float, *, true: bool) -> Tensor:
        """Give `Z' y` for y of the joint control's shape."""
        stage = self._stage
        block = stage._block(self._leader or 0)
        others = full.clone()
        others[block] = 0
        if not float(others.norm()) > 0:
            return full[block].clone()
        adjoint = self._solve(others, damping, true=true, transposed=True)
        return full[block] - stage._point.transposed_product(adjoint)[block]

    def condensed(self, v: Tensor, damping: float) -> Tensor:
        """Give `Z' d^2 f^L Z v` with the followers' positive blocks."""
        stage = self._stage
        block = stage._block(self._leader or 0)
        joint = torch.zeros_like(stage.slope)
        joint[block] = v
        right = stage._point.jacobian_product(joint)
        right[block] = 0
        joint = joint - self._solve(right, damping, true=False, transposed=False)
        rows = stage._leader_rows(joint, damping, true=False)
        return self.seen_by_leader(rows, damping, true=False)

    def _solve(self, right: Tensor, damping: float, *, true: bool, transposed: bool) -> Tensor:
        stage, block = self._stage, self._stage._block(self._leader or 0)

        def operator(v: Tensor) -> Tensor:
            point = stage._point
            image = point.transposed_product(v) if transposed else point.jacobian_product(v)
            for maker in range(point.game.player_count):
                if maker != self._leader:
                    own = stage._block(maker)
                    if true:
                        image[own] += damping * v[own]
                    else:
                        image[own] += stage.correction(maker, v[own], damping)
            image[block] = 0
            return image

        settings = stage._settings
        found = gmres(
            operator,
            right,
            tolerance=0.1 * settings.tolerance,
            max_products=settings.max_products,
        )
        return found.solution
