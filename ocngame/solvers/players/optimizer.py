"""PlayerOpt: players with costs of their own move together, by the stage game, step after step."""

import logging
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import positive
from ocngame.errors import CheckpointError, ConvergenceError, NonFiniteError
from ocngame.games import GamePoint, InformationStructure, PlayerGame, own_gradients
from ocngame.solvers.players.config import PlayerOptConfig
from ocngame.solvers.players.curvature import OwnReading
from ocngame.solvers.players.info import PlayerStepInfo
from ocngame.solvers.players.krylov_stage import KrylovSolve
from ocngame.solvers.players.stage import Move, OwnBlocks, Stage
from ocngame.solvers.players.steps import JudgedStep

__all__ = ["PlayerOpt"]

_ROUNDING = 16.0
"""Rounding errors, in units of the type's precision, that a ratio is not judged by."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Trial:
    """A move with its length and what became of it."""

    move: Move
    length: float
    ratio: float


class PlayerOpt:
    """Plays a differentiable game: every step solves the stage game at the players' tensors.

    It needs no step size: the move is a damped Newton step on the stage condition with every own
    curvature made positive, and damping comes from the reduction ratio.

    Attributes:
        game: The game.
        lr: Largest multiple of the stage game's move; may be changed between steps.
        config: Settings.
    """

    def __init__(self, game: PlayerGame, *, lr: float = 1.0, config: PlayerOptConfig | None = None):
        """Take a game.

        Args:
            game: The game; its players' tensors are moved in place.
            lr: Largest multiple of the stage game's move.
            config: Settings.

        Raises:
            InvalidInputError: if a setting does not fit the game.
        """
        positive("lr", lr)
        self.game, self.lr = game, lr
        self.config = config if config is not None else PlayerOptConfig()
        self._rule = self.config.rule(game, game.control)
        self._solve = self.config.solve_for(game)
        self._damping = self.config.step.initial
        self._networks = self.config.curvature.networks(game)
        self._curvature = self.config.curvature.init(game, self._networks)
        self._last: Tensor | None = None

    @property
    def damping(self) -> float:
        """Lambda of the next step."""
        return self._damping

    def step(self, *batch: Any) -> PlayerStepInfo:
        """Make one step.

        Args:
            *batch: Passed on to the costs; the whole step is made and judged on it.

        Returns:
            What happened. A step whose costs, gradients or moves are not finite is refused: the
            players and the solver stay as they are.
        """
        game = self.game
        before = game.control
        point = GamePoint(game, game.split(before), batch, own_only=self._plain)
        try:
            info, curvature = self._step(point, before, batch)
        except NonFiniteError as error:
            game.assign(before)
            _log.warning("step refused (%s); players and solver are unchanged", error)
            return self._info(point, accepted=False, reason=str(error))
        except BaseException:
            game.assign(before)
            raise
        self._curvature = curvature
        return info

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on, without the players' tensors.

        Returns:
            Plain data and tensors.
        """
        return {"damping": self._damping, "last": self._last, "curvature": dict(self._curvature)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.

        Raises:
            CheckpointError: if it belongs to another game or other settings.
        """
        last, size = state.get("last"), self.game.control_size
        if state.keys() != self.state_dict().keys() or (last is not None and len(last) != size):
            raise CheckpointError(
                f"state: expected the state of PlayerOpt for {size} numbers, got {sorted(state)}"
            )
        if state["curvature"].keys() != self._curvature.keys():
            raise CheckpointError("state: expected the same rule for the own curvature")
        self._damping, self._last = state["damping"], last
        self._curvature = dict(state["curvature"])

    def _step(
        self, point: GamePoint, before: Tensor, batch: tuple[Any, ...]
    ) -> tuple[PlayerStepInfo, dict[str, Tensor]]:
        gradients = point.own_gradient if self._plain else point.gradients
        if not bool(torch.isfinite(point.costs).all() & torch.isfinite(gradients).all()):
            raise NonFiniteError("costs or gradients are not finite")
        rule = self.config.curvature
        together = self._rule.information is InformationStructure.COOPERATIVE
        reading = OwnReading(
            point=point,
            batch=batch,
            networks=self._networks,
            damping=self._damping,
            weights=self._weights if together else None,
        )
        curvature = rule.update(self._curvature, reading)
        own = OwnBlocks(rule.blocks(curvature, reading), rule.lanczos)
        stage = self._solve.stage(point, self._rule, own)
        step = self.config.step
        if isinstance(step, JudgedStep):
            return self._judged(step, stage, point, before, batch), curvature
        move = self._move(stage, self._damping)
        self.game.assign(before + self.lr * move.direction)
        self._last = move.direction
        info = self._info(
            point,
            length=self.lr,
            damping=self._damping,
            products=point.products,
            solve_residual=move.residual,
            solve_converged=move.converged,
            removed=move.removed,
        )
        return info, curvature

    def _judged(
        self,
        step: JudgedStep,
        stage: Stage,
        point: GamePoint,
        before: Tensor,
        batch: tuple[Any, ...],
    ) -> PlayerStepInfo:
        damping, trials = self._damping, 0
        while True:
            trials += 1
            used = damping
            trial = self._try(stage, point, before, batch, damping)
            damping = step.adjusted(damping, trial.ratio)
            accepted = trial.ratio >= step.least
            if accepted or trials >= step.attempts:
                break
            damping = min(max(damping, used * step.factor), step.ceiling)
        if accepted:
            self.game.assign(before + trial.length * trial.move.direction)
            self._last = trial.move.direction
        else:
            self.game.assign(before)
        self._damping = damping
        return self._info(
            point,
            accepted=accepted,
            length=trial.length,
            damping=used,
            ratio=trial.ratio,
            attempts=trials,
            evaluations=1 + trials,
            products=point.products,
            solve_residual=trial.move.residual,
            solve_converged=trial.move.converged,
            removed=trial.move.removed,
            reason="" if accepted else "no damping gave a move that the model predicts",
        )

    def _try(
        self,
        stage: Stage,
        point: GamePoint,
        before: Tensor,
        batch: tuple[Any, ...],
        damping: float,
    ) -> _Trial:
        move = self._move(stage, damping)
        d = move.direction
        image = stage.product(d)
        if self._single:
            return self._try_cost(stage, point, before, batch, move, image)
        ahead = -float(stage.slope @ image) / max(float(image @ image), 1e-300)
        length = min(self.lr, ahead if ahead > 0 else 1.0)
        size = float(stage.slope.norm())
        if size == 0:
            return _Trial(move, 0.0, 1.0)
        slope = self._slope_at(before + length * d, batch)
        predicted = stage.slope + length * image
        noise = _ROUNDING * torch.finfo(slope.dtype).eps * size
        promise, change = size - float(predicted.norm()), float((length * image).norm())
        if promise > 1e-3 * change:
            ratio = (size - float(slope.norm()) + noise) / (promise + noise)
        else:
            ratio = 1 - float((slope - predicted).norm()) / (change + noise)
        return _Trial(move, length, ratio)

    def _try_cost(
        self,
        stage: Stage,
        point: GamePoint,
        before: Tensor,
        batch: tuple[Any, ...],
        move: Move,
        image: Tensor,
    ) -> _Trial:
        d, length = move.direction, self.lr
        gain = float(stage.slope @ d) * length + 0.5 * length**2 * float(d @ image)
        weights = self._weights.to(point.costs)
        trial = self.game.evaluate(self.game.split(before + length * d), *batch)
        costs = torch.stack([cost.detach() for cost in trial])
        change = float(weights @ (costs - point.costs))
        noise = _ROUNDING * torch.finfo(costs.dtype).eps * float(weights @ point.costs.abs())
        ratio = (noise - change) / (noise - gain) if gain < noise else math.nan
        return _Trial(move, length, ratio)

    def _move(self, stage: Stage, damping: float) -> Move:
        move = stage.solve(damping, self._last)
        if not bool(torch.isfinite(move.direction).all()):
            raise NonFiniteError("the stage game has no finite solution")
        if not move.converged:
            if self._solve.required:
                raise ConvergenceError(
                    f"solve: the stage game's linear solve ended at a relative residual of "
                    f"{move.residual:.1e} after {move.products} products; raise max_products, "
                    "the tolerance or the damping"
                )
            _log.debug("linear solve ended at a relative residual of %.1e", move.residual)
        return move

    def _slope_at(self, control: Tensor, batch: tuple[Any, ...]) -> Tensor:
        values = self.game.split(control)
        if self._rule.information is InformationStructure.STACKELBERG:
            point = GamePoint(self.game, values, batch)
            return self._solve.stage(point, self._rule, OwnBlocks()).slope
        return own_gradients(self.game, values, batch)[1]

    @property
    def _plain(self) -> bool:
        """Whether a step asks for own gradients alone."""
        alone = self._rule.information is InformationStructure.OWN_BLOCK
        judged = isinstance(self.config.step, JudgedStep)
        by_products = isinstance(self._solve, KrylovSolve)
        return alone and by_products and not judged and not self.config.curvature.hessians

    @property
    def _single(self) -> bool:
        """Whether there is one decision maker, judged by its cost."""
        cooperative = self._rule.information is InformationStructure.COOPERATIVE
        return cooperative or self.game.player_count == 1

    @property
    def _weights(self) -> Tensor:
        weights = self._rule.weights
        return torch.ones(self.game.player_count) if weights is None else weights

    def _info(self, point: GamePoint, **fields: Any) -> PlayerStepInfo:
        slope = point.own_gradient
        return PlayerStepInfo(
            costs=tuple(point.costs.tolist()),
            residuals=tuple(float(slope[block].norm()) for block in self.game.control_slices),
            **fields,
        )
