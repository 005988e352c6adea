r"""Networks with a differential equation inside.

* Images: `z(0) = conv(x)`, `z' = F(t, z)` with F two convolutions whose input has the time as one
  more channel, then a linear layer on `z(1)`.
* Series (neural controlled differential equation, arXiv 2005.08926): `z(0) = A X(0)`,
  `z' = F(z) X'(t)` with F a network from the state to a matrix, then a linear layer on `z(1)`.
* Densities: a flow on the plane.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError
from ocngame.games.continuous import append_time
from ocngame.solvers.flows import ContinuousFlow, FlowField
from ocngame.training.ode.paths import path_derivative, path_start
from ocngame.training.ode.solver import MakeBlock

__all__ = [
    "ControlledField",
    "ConvField",
    "DigitsNetwork",
    "EquationNetwork",
    "SeriesNetwork",
    "plane_flow",
]


class EquationNetwork(nn.Module, ABC):
    """A network whose middle is a differential equation from t = 0 to 1."""

    @abstractmethod
    def begin(self, x: Tensor) -> Tensor:
        """Give the state at 0 of inputs, and let the field know what it depends on besides.

        Args:
            x: Inputs, shape (B, ...).

        Returns:
            States, shape (B, ...).
        """

    @property
    @abstractmethod
    def field(self) -> nn.Module:
        """The right-hand side, called as (t, z)."""


class ConvField(nn.Module):
    """Two convolutions with the time as a channel."""

    def __init__(self, channels: int):
        """Make the layers.

        Args:
            channels: Channels of the state.
        """
        super().__init__()
        self.first = nn.Conv2d(channels + 1, channels, 3, padding=1)
        self.second = nn.Conv2d(channels + 1, channels, 3, padding=1)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """Give the field.

        Args:
            t: Time, a scalar.
            z: States, shape (B, channels, height, width).

        Returns:
            The same shape.
        """
        hidden = torch.tanh(self.first(append_time(t, z)))
        return self.second(append_time(t, hidden))


class DigitsNetwork(EquationNetwork):
    """Convolution, differential equation, linear layer."""

    def __init__(self, classes: int, *, channels: int, block: MakeBlock):
        """Make the layers.

        Args:
            classes: Number of classes.
            channels: Channels of the state.
            block: Makes the block that solves the equation.
        """
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.ode = block(ConvField(channels))
        self.head = nn.Linear(channels * 16, classes)

    @property
    def field(self) -> nn.Module:
        """Two convolutions."""
        return self.ode.get_submodule("field")

    def begin(self, x: Tensor) -> Tensor:
        """Give the first convolution of images (B, 1, 8, 8)."""
        return self.stem(x)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits.

        Args:
            x: Images, shape (B, 1, 8, 8).

        Returns:
            Shape (B, classes).
        """
        z = self.ode(self.begin(x))
        return self.head(nn.functional.avg_pool2d(torch.tanh(z), 2).flatten(1))


class ControlledField(nn.Module):
    """A field that is linear in the derivative of a path.

    Attributes:
        path: Paths of the batch that is being solved, shape (B, K, 2, C).
    """

    def __init__(self, state: int, channels: int, width: int):
        """Make the layers.

        Args:
            state: Size of the state.
            channels: C.
            width: Width of the hidden layer.
        """
        super().__init__()
        self.first = nn.Linear(state, width)
        self.second = nn.Linear(width, state * channels)
        self.channels = channels
        self.path: Tensor | None = None

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """Give the field along the batch's paths.

        Args:
            t: Time, a scalar.
            z: States, shape (B, state).

        Returns:
            The same shape.

        Raises:
            InvalidInputError: if no paths are set.
        """
        matrix = torch.tanh(self.second(torch.tanh(self.first(z))))
        if self.path is None:
            raise InvalidInputError("path: expected the paths of a batch, got None")
        speed = path_derivative(self.path, t)
        return (matrix.unflatten(1, (-1, self.channels)) @ speed[:, :, None])[:, :, 0]


class SeriesNetwork(EquationNetwork):
    """Linear layer, controlled differential equation, linear layer."""

    def __init__(self, channels: int, outputs: int, *, state: int, width: int, block: MakeBlock):
        """Make the layers.

        Args:
            channels: Channels of a path, the time's among them.
            outputs: Classes, or numbers to regress on.
            state: Size of the state.
            width: Width of the field's hidden layer.
            block: Makes the block that solves the equation.
        """
        super().__init__()
        self.stem = nn.Linear(channels, state)
        self.ode = block(ControlledField(state, channels, width))
        self.head = nn.Linear(state, outputs)

    @property
    def field(self) -> nn.Module:
        """A network from the state to a matrix, times the derivative of the batch's paths."""
        return self.ode.get_submodule("field")

    def begin(self, x: Tensor) -> Tensor:
        """Give a linear function of where paths (B, K, 2, channels) start."""
        self.field.path = x  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        return self.stem(path_start(x))

    def forward(self, x: Tensor) -> Tensor:
        """Give logits or numbers.

        Args:
            x: Paths, shape (B, K, 2, channels).

        Returns:
            Shape (B, outputs).
        """
        return self.head(self.ode(self.begin(x)))


def plane_flow(width: int, block: MakeBlock) -> ContinuousFlow:
    """Make a flow on the plane with exact divergence.

    Args:
        width: Width of the field's two hidden layers.
        block: Makes the block that solves its equation.

    Returns:
        The flow.
    """
    return ContinuousFlow(FlowField(2, (width, width)), 2, block=block)
