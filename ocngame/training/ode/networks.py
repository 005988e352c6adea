r"""Networks with a differential equation inside.

* Images: `z(0) = conv(x)`, `z' = F(t, z)` with F two convolutions whose input has the time as one more
  channel, then a linear layer on `z(T)`.
* Series (neural controlled differential equation, arXiv 2005.08926): `z(0) = A X(0)`,
  `z' = F(z) X'(t)` with F a network from the state to a matrix, then a linear layer on `z(1)`.
* Densities: a flow on the plane.
"""

import torch
from torch import Tensor, nn

from ocngame.solvers.flows import ContinuousFlow, FlowField
from ocngame.solvers.flows.solve import SolverChoice, solve_ode
from ocngame.training.ode.paths import path_derivative, path_start

__all__ = ["ControlledField", "ConvField", "DigitsNetwork", "SeriesNetwork", "plane_flow"]


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
        hidden = torch.tanh(self.first(_with_time(t, z)))
        return self.second(_with_time(t, hidden))


class DigitsNetwork(nn.Module):
    """Convolution, differential equation, linear layer."""

    def __init__(self, classes: int, *, channels: int, solver: SolverChoice):
        """Make the layers.

        Args:
            classes: Number of classes.
            channels: Channels of the state.
            solver: How the equation is solved.
        """
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.field = ConvField(channels)
        self.head = nn.Linear(channels * 16, classes)
        self.solver = solver

    def forward(self, x: Tensor) -> Tensor:
        """Give logits.

        Args:
            x: Images, shape (B, 1, 8, 8).

        Returns:
            Shape (B, classes).
        """
        z = solve_ode(self.field, self.stem(x), 0.0, 1.0, self.solver)
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
        """
        matrix = torch.tanh(self.second(torch.tanh(self.first(z))))
        path = self.path if self.path is not None else z.new_zeros(len(z), 2, 2, self.channels)
        speed = path_derivative(path, t)
        return (matrix.unflatten(1, (z.shape[1], self.channels)) @ speed[:, :, None])[:, :, 0]


class SeriesNetwork(nn.Module):
    """Linear layer, controlled differential equation, linear layer."""

    def __init__(
        self, channels: int, outputs: int, *, state: int, width: int, solver: SolverChoice
    ):
        """Make the layers.

        Args:
            channels: Channels of a path, the time's among them.
            outputs: Classes, or numbers to regress on.
            state: Size of the state.
            width: Width of the field's hidden layer.
            solver: How the equation is solved.
        """
        super().__init__()
        self.stem = nn.Linear(channels, state)
        self.field = ControlledField(state, channels, width)
        self.head = nn.Linear(state, outputs)
        self.solver = solver

    def forward(self, x: Tensor) -> Tensor:
        """Give logits or numbers.

        Args:
            x: Paths, shape (B, K, 2, channels).

        Returns:
            Shape (B, outputs).
        """
        self.field.path = x
        z = solve_ode(self.field, self.stem(path_start(x)), 0.0, 1.0, self.solver)
        return self.head(z)


def plane_flow(width: int, solver: SolverChoice) -> ContinuousFlow:
    """Make a flow on the plane with exact divergence.

    Args:
        width: Width of the field's two hidden layers.
        solver: How its equation is solved.

    Returns:
        The flow.
    """
    return ContinuousFlow(FlowField(2, (width, width)), 2, solver=solver)


def _with_time(t: Tensor, z: Tensor) -> Tensor:
    time = torch.as_tensor(t, dtype=z.dtype, device=z.device)
    return torch.cat([z, time.expand(len(z), 1, *z.shape[2:])], 1)
