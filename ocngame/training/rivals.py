"""Rivals of an adversarial run: a game of its own and a method for each, from the same start."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from ocngame.games.differentiable import ReadyPlayers
from ocngame.games.players import PlayerGame
from ocngame.solvers.players import (
    DiagonalOwn,
    IdentityOwn,
    IterateAverage,
    KrylovSolve,
    LinearEnd,
    PlainStep,
    PlayerOpt,
    PlayerOptConfig,
    PlayerStepInfo,
    SweepOpt,
    look_ahead,
)
from ocngame.solvers.players.baselines import (
    LOLA,
    AlternatingGradient,
    Consensus,
    ExtraAdam,
    Extragradient,
    FirstOrder,
    Optimistic,
    OptimisticAdam,
    SimultaneousAdam,
    SimultaneousGradient,
    SymplecticAdjustment,
)
from ocngame.training.adversarial_config import AdversarialConfig
from ocngame.training.player_problems import problem_maker

__all__ = ["Rival", "make_rivals"]

_GRADIENT: dict[str, Callable[..., FirstOrder]] = {
    "simultaneous": SimultaneousGradient,
    "alternating": AlternatingGradient,
    "extragradient": Extragradient,
    "optimistic": Optimistic,
    "consensus": Consensus,
    "symplectic": SymplecticAdjustment,
    "lola": LOLA,
}
_ADAM: dict[str, Callable[..., FirstOrder]] = {
    "adam": SimultaneousAdam,
    "extra_adam": ExtraAdam,
    "optimistic_adam": OptimisticAdam,
}


@runtime_checkable
class _Method(Protocol):
    """What plays a game.

    Attributes:
        lr: Its step size.
    """

    lr: float

    def step(self, *batch: Any) -> PlayerStepInfo:
        """Make one step."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it back."""
        ...


class Rival:
    """A method with its game.

    In games with batches, step sizes fall at the end and the averaged iterates are judged.

    Attributes:
        name: The method's name.
        ready: Its game.
        start: Joint control at the start, shape (m,).
        cpu_seconds: Processor time of all steps.
        evaluations: Passes over the costs with a backward pass so far.
        products: Second-order backward passes so far.
        refused: Steps that were not made.
    """

    def __init__(
        self,
        name: str,
        ready: ReadyPlayers,
        method: _Method,
        *,
        end: LinearEnd | None = None,
        memory: float = 0.999,
    ):
        """Take a game and a method on it.

        Args:
            name: The method's name.
            ready: Its game.
            method: Plays it.
            end: How step sizes end in games with batches.
            memory: Memory of the averaged iterates in games with batches, 0: the last is judged.
        """
        self.name, self.ready, self._method = name, ready, method
        self._lr, self._end = method.lr, end if end is not None else LinearEnd()
        tensors = [p for own in ready.game.parameters for p in own]
        noisy = ready.batch is not None and memory > 0
        self._average = IterateAverage(tensors, memory=memory) if noisy else None
        self.start = ready.game.control
        self.cpu_seconds = 0.0
        self.evaluations = self.products = self.refused = 0

    def step(self, batch: tuple[Tensor, ...], progress: float = 0.0) -> PlayerStepInfo:
        """Make one step.

        Args:
            batch: Passed on to the costs.
            progress: Part of the run that is over.

        Returns:
            What happened.
        """
        before = time.process_time()
        if self.ready.batch is not None:
            # The last step of a run is not of length zero.
            self._method.lr = self._lr * max(self._end.factor(progress), 1e-3)
        info = self._method.step(*batch)
        if self._average is not None:
            self._average.update()
        self.cpu_seconds += time.process_time() - before
        self.evaluations += info.evaluations
        self.products += info.products
        self.refused += not info.accepted
        return info

    @contextmanager
    def judged(self) -> Iterator[ReadyPlayers]:
        """Let the players be those that are judged: averaged ones in games with batches.

        Yields:
            The game; afterwards the players are where they were.
        """
        if self._average is None:
            yield self.ready
            return
        game = self.ready.game
        before = game.control
        game.assign(self._average.joined())
        try:
            yield self.ready
        finally:
            game.assign(before)

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {
            "average": None if self._average is None else self._average.state_dict(),
            "control": self.ready.game.control,
            "method": self._method.state_dict(),
            "cpu_seconds": self.cpu_seconds,
            "evaluations": self.evaluations,
            "products": self.products,
            "refused": self.refused,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.
        """
        self.ready.game.assign(state["control"])
        self._method.load_state_dict(state["method"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        for name in ("cpu_seconds", "evaluations", "products", "refused"):
            setattr(self, name, state[name])


def make_rivals(config: AdversarialConfig) -> list[Rival]:
    """Make the rivals of a run.

    Args:
        config: Settings.

    Returns:
        One per method, in the order of the settings.
    """
    rivals = []
    make = problem_maker(config.problem, config.seed)
    for name in config.methods:
        ready = make()
        method = _method(name, ready.game, config, noisy=ready.batch is not None)
        end = LinearEnd(hold=config.hold)
        rivals.append(Rival(name, ready, method, end=end, memory=config.memory))
    return rivals


def _method(name: str, game: PlayerGame, config: AdversarialConfig, *, noisy: bool) -> _Method:
    if config.look_ahead > 0:
        game = look_ahead(game, stages=config.look_ahead, step=config.look_ahead_step)
    if name == "players" and noisy and config.information == "feedback":
        return SweepOpt(game, lr=config.players_step)
    if name == "players" and config.look_ahead > 0:
        settings = PlayerOptConfig.for_look_ahead(step=config.lr)
        return PlayerOpt(game, lr=config.players_lr, config=settings)
    if name == "players":
        return PlayerOpt(game, lr=config.players_lr, config=_settings(config, noisy=noisy))
    if name == "competitive":
        own = IdentityOwn(step=config.lr)
        return PlayerOpt(game, config=PlayerOptConfig(curvature=own, step=PlainStep()))
    if name in _ADAM:
        return _ADAM[name](game, lr=config.adam_lr)
    return _GRADIENT[name](game, lr=config.lr)


def _settings(config: AdversarialConfig, *, noisy: bool) -> PlayerOptConfig:
    """Give the settings of the stage game: on batches, own curvature is an average over steps."""
    if not noisy:
        return PlayerOptConfig(information=config.information, leader=config.leader)
    return PlayerOptConfig(
        information=config.information,
        leader=config.leader,
        curvature=DiagonalOwn(step=config.players_step),
        solve=KrylovSolve(tolerance=0.1, max_products=2),
        step=PlainStep(),
    )
