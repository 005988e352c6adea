"""The integration time of a contender's network as a control, by the settings' rule."""

from collections.abc import Callable

from torch import nn

from ocngame.games.continuous import NeuralODE, TimeBounds, TimeCost
from ocngame.solvers.horizon import FirstOrderTimes, SecondOrderTimes, TimeControl, TimeMove
from ocngame.training.ode.config import ODEConfig

__all__ = ["details_of", "end_time", "time_control"]


def time_control(network: nn.Module, loss: Callable, config: ODEConfig) -> TimeControl | None:
    """Take over the times of a network.

    Args:
        network: The network.
        loss: Mean loss of (output, target).
        config: Settings.

    Returns:
        The control; None where the time is fixed.
    """
    settings = config.times
    if settings.rule == "fixed":
        return None
    first = settings.rule == "first_order"
    low, high = config.time_bounds
    return TimeControl(
        network,
        loss,
        rule=FirstOrderTimes(lr=settings.lr) if first else SecondOrderTimes(),
        bounds=TimeBounds(low=low, high=high),
        cost=TimeCost(per_evaluation=settings.cost),
    )


def details_of(move: TimeMove) -> dict[str, float]:
    """Give the numbers of a move that go into a row.

    Args:
        move: The move.

    Returns:
        The end of time, evaluations of a pass, what the move promised of the batch's loss, and
        whether a bound held it back.
    """
    return {
        "time": move.times[-1],
        "pass_evaluations": float(move.evaluations),
        "time_predicted": move.predicted,
        "time_at_bound": float(bool(move.active)),
    }


def end_time(network: nn.Module) -> float:
    """Give the time at which the equation of a network ends.

    Args:
        network: The network.

    Returns:
        The time; 1 where it is not trained.
    """
    for block in network.modules():
        if isinstance(block, NeuralODE) and block.ends is not None:
            return float(block.times[-1].detach())
    return 1.0
