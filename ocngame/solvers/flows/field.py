r"""A vector field that pushes forward tangents through its own layers.

Layer l, with hidden states h and weights W without a bias (Grathwohl et al., arXiv 1810.01367,
"concatsquash" with a gate of 1 in the middle, with the context `c = (t, condition)`):

    h_{l+1} = phi( (W_l h_l) * 2 sigmoid(G_l c) + S_l c ),      the last without phi = tanh.

A tangent v of h is carried along by

    v_{l+1} = phi'(.) * ( (W_l v_l) * 2 sigmoid(G_l c) ).

State and tangents pass each `W_l` in one call, as positions of one sample: the input of the layer
is `(B, 1 + R, features)`, position 0 the state. As `W_l` has no bias, the sum over positions of
`g h'` of what a hook on the layer sees is the whole gradient of `W_l`, the path through the
divergence included; a divergence by a second call of autograd would hide that path from hooks.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ocngame._checks import integer
from ocngame.errors import InvalidInputError

__all__ = ["FlowField", "TangentField"]


@runtime_checkable
class TangentField(Protocol):
    """A vector field that a flow can take the divergence of."""

    def with_tangents(
        self, t: Tensor, x: Tensor, tangents: Tensor, condition: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Give the field and its Jacobian times tangents.

        Args:
            t: Time, a scalar.
            x: States, shape (B, d).
            tangents: R directions per sample, shape (B, R, d).
            condition: What the flow is conditioned on, shape (B, c), or None.

        Returns:
            `F(t, x)`, shape (B, d), and `F_x v`, shape (B, R, d).
        """
        ...


class FlowField(nn.Module):
    """A network of gated linear layers as a field; see the module's head."""

    def __init__(self, size: int, hidden: Sequence[int] = (64, 64), *, conditions: int = 0):
        """Make the layers.

        Args:
            size: d, number of coordinates of the state.
            hidden: Widths of the hidden layers.
            conditions: c, number of conditioning features.
        """
        super().__init__()
        integer("size", size, low=1)
        integer("conditions", conditions, low=0)
        for width in hidden:
            integer("hidden", width, low=1)
        widths = [size, *hidden, size]
        pairs = list(pairwise(widths))
        self.size, self.conditions = size, conditions
        self.weights = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairs)
        self.gates = nn.ModuleList(nn.Linear(1 + conditions, b) for _, b in pairs)
        self.shifts = nn.ModuleList(nn.Linear(1 + conditions, b, bias=False) for _, b in pairs)

    def forward(self, t: Tensor, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Give the field.

        Args:
            t: Time, a scalar.
            x: States, shape (B, d).
            condition: Shape (B, c), or None if c is 0.

        Returns:
            Shape (B, d).
        """
        return self._push(t, x[:, None], condition)[:, 0]

    def with_tangents(
        self, t: Tensor, x: Tensor, tangents: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Give the field and its Jacobian times tangents, see `TangentField`.

        Args:
            t: Time, a scalar.
            x: States, shape (B, d).
            tangents: Shape (B, R, d).
            condition: Shape (B, c), or None if c is 0.

        Returns:
            Shapes (B, d) and (B, R, d).
        """
        pushed = self._push(t, torch.cat([x[:, None], tangents], 1), condition)
        return pushed[:, 0], pushed[:, 1:]

    def _push(self, t: Tensor, rows: Tensor, condition: Tensor | None) -> Tensor:
        context = self._context(t, rows, condition)
        last = len(self.weights) - 1
        layers = zip(self.weights, self.gates, self.shifts, strict=True)
        for number, (weight, gate, shift) in enumerate(layers):
            gated = weight(rows) * (2 * torch.sigmoid(gate(context)))[:, None]
            state = gated[:, :1] + shift(context)[:, None]
            if number == last:
                return torch.cat([state, gated[:, 1:]], 1)
            state = torch.tanh(state)
            rows = torch.cat([state, gated[:, 1:] * (1 - state * state)], 1)
        return rows

    def _context(self, t: Tensor, rows: Tensor, condition: Tensor | None) -> Tensor:
        if (condition is None) != (self.conditions == 0):
            raise InvalidInputError(
                f"condition: expected {self.conditions} features per sample, got "
                f"{'none' if condition is None else 'some'}"
            )
        time = torch.ones_like(rows[:, 0, :1]) * t
        return time if condition is None else torch.cat([time, condition], 1)
