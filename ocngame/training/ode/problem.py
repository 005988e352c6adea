"""A problem of the continuous-time job: samples, a network, its loss."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ocngame.curvature import OutputHessian
from ocngame.errors import NonFiniteError
from ocngame.games.continuous import solver_errors
from ocngame.solvers.flows import ContinuousFlow, FlowHessian, FlowLoss
from ocngame.training.ode.config import ODEConfig
from ocngame.training.ode.networks import DigitsNetwork, SeriesNetwork, plane_flow
from ocngame.training.ode.samples import Samples, load_samples
from ocngame.training.ode.solver import block_maker

__all__ = ["Measured", "Problem", "make_problem"]

_CHANNELS = 8
_STATE = 16
_WIDTH = 32


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How good a network is.

    Attributes:
        train_loss: Mean loss over all training samples.
        test_loss: Mean loss over all test samples; of a flow the negative log likelihood.
        test_accuracy: Fraction of the test samples classified rightly; NaN without classes.
    """

    train_loss: float
    test_loss: float
    test_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is trained on what.

    Attributes:
        name: Its name.
        samples: Its samples.
        network: The network with its first weights.
        loss: Mean loss of (output, target).
        hessian: Output Hessian of the loss, None if the loss is a known one.
    """

    name: str
    samples: Samples
    network: nn.Module
    loss: nn.Module
    hessian: OutputHessian | None

    def batch(self, step: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Give the samples of a step: epochs of a new order, what is left of one is dropped.

        Args:
            step: Number of the step, from 0.
            size: Samples per step, at most all.
            seed: Seed of the orders.

        Returns:
            Inputs and targets.
        """
        count = len(self.samples.x_train)
        size = min(size, count)
        epoch, index = divmod(step, count // size)
        generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) & (2**63 - 1))
        order = torch.randperm(count, generator=generator)
        chosen = order[index * size : (index + 1) * size]
        return self.samples.x_train[chosen], self.samples.y_train[chosen]

    def measure(self, network: nn.Module) -> Measured:
        """Measure a network on all samples.

        Args:
            network: The network.

        Returns:
            Losses and accuracy; those of a flow are without running costs. NaN where the network's
            equation cannot be solved.
        """
        samples = self.samples
        loss = FlowLoss() if isinstance(network, ContinuousFlow) else self.loss
        try:
            with solver_errors(), torch.no_grad():
                train = loss(network(samples.x_train), samples.y_train)
                output = network(samples.x_test)
                test = loss(output, samples.y_test)
        except NonFiniteError:
            return Measured(train_loss=math.nan, test_loss=math.nan, test_accuracy=math.nan)
        accuracy = float("nan")
        if isinstance(self.loss, nn.CrossEntropyLoss):
            accuracy = float((output.argmax(-1) == samples.y_test).double().mean())
        return Measured(train_loss=float(train), test_loss=float(test), test_accuracy=accuracy)


def make_problem(config: ODEConfig) -> Problem:
    """Load the samples and make the network.

    Args:
        config: Settings.

    Returns:
        The problem; the same settings give the same weights.
    """
    samples = load_samples(config.problem, seed=config.seed, keep=config.keep, knots=config.knots)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = _network(config, samples)
    loss: nn.Module = nn.CrossEntropyLoss()
    hessian = None
    if isinstance(network, ContinuousFlow):
        loss = FlowLoss(kinetic=config.kinetic, jacobian=config.jacobian)
        hessian = FlowHessian(kinetic=config.kinetic, jacobian=config.jacobian)
    elif samples.y_train.is_floating_point():
        loss = nn.MSELoss()
    return Problem(
        name=config.problem, samples=samples, network=network, loss=loss, hessian=hessian
    )


def _network(config: ODEConfig, samples: Samples) -> nn.Module:
    block = block_maker(config)
    if samples.outputs == 0:
        return plane_flow(config.width or _WIDTH, block)
    if config.problem == "digits":
        channels = config.width or _CHANNELS
        return DigitsNetwork(samples.outputs, channels=channels, block=block)
    return SeriesNetwork(
        samples.x_train.shape[-1],
        samples.outputs,
        state=_STATE,
        width=config.width or _WIDTH,
        block=block,
    )
