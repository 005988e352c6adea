r"""Recurrent layers unrolled: every time step is a stage, and all of them share one control.

With `a = W_ih x_t + b_ih` and `c = W_hh h + b_hh`, in blocks of the hidden size:

* RNN:  h <- act(a + c)
* GRU:  r = s(a_r + c_r),  z = s(a_z + c_z),  n = tanh(a_n + r c_n),  h <- n + z (h - n)
* LSTM: i, f, o = s(a + c) and g = tanh(a_g + c_g);  m <- f m + i g,  h <- o tanh(m)

in torch's order of blocks (r, z, n and i, f, g, o). `W_ih` acts on the whole sequence at once,
`W_hh` step after step.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from ocngame.errors import InvalidInputError
from ocngame.games.twins import SharedLinear, Traced, Twin

__all__ = ["recurrent_twin"]

Step = Callable[[Traced, Traced, tuple[Traced, ...]], tuple[Traced, ...]]


def recurrent_twin(module: nn.RNNBase, steps: int) -> Twin | None:
    """Give the twin of an RNN, GRU or LSTM.

    Args:
        module: The module.
        steps: Number of time steps while it is traced; any input has its own number.

    Returns:
        Its twin; None if the hidden state is projected.
    """
    if module.proj_size > 0:
        return None
    layers: dict[str, nn.Module] = {}
    for suffix in _suffixes(module):
        for way in ("ih", "hh"):
            weight = getattr(module, f"weight_{way}_{suffix}")
            bias = getattr(module, f"bias_{way}_{suffix}") if module.bias else None
            layers[f"{way}_{suffix}"] = SharedLinear(weight, bias)
    return Twin(module, partial(_forward, module, steps), layers, repeats=True)


def _suffixes(module: nn.RNNBase) -> list[str]:
    ways = ("", "_reverse") if module.bidirectional else ("",)
    return [f"l{layer}{way}" for layer in range(module.num_layers) for way in ways]


def _forward(self: Any, steps: int, x: Traced, hx: Any = None) -> tuple[Traced, Any]:
    if not isinstance(x, fx.Proxy):
        if not isinstance(x, Tensor) or x.ndim != 3:
            raise InvalidInputError(
                f"input of {type(self).__name__}: expected a batch of sequences of one length, "
                f"got {type(x).__name__}{f' of shape {tuple(x.shape)}' * isinstance(x, Tensor)}"
            )
        steps = x.shape[1 if self.batch_first else 0]
    x = x if self.batch_first else x.transpose(0, 1)
    _, parts = _STEPS[self.mode]
    hx = (hx,) if hx is not None and parts == 1 else hx
    ways = 1 + self.bidirectional
    last: list[tuple[Traced, ...]] = []
    for number in range(self.num_layers):
        if number and self.dropout and self.training:
            x = nn.functional.dropout(x, self.dropout)
        outputs: list[Traced] = []
        for suffix in _suffixes(self)[ways * number : ways * (number + 1)]:
            if hx is None:
                state = (x.new_zeros(x.shape[0], self.hidden_size),) * parts
            else:
                state = tuple(part[len(last)] for part in hx)
            reached, state = _unroll(self, suffix, steps, x, state)
            outputs.append(reached)
            last.append(state)
        x = torch.cat(outputs, -1) if ways == 2 else outputs[0]
    ends = tuple(torch.stack(states) for states in zip(*last, strict=True))
    return x if self.batch_first else x.transpose(0, 1), ends if parts == 2 else ends[0]


def _unroll(
    self: Any, suffix: str, steps: int, x: Traced, state: tuple[Traced, ...]
) -> tuple[Traced, tuple[Traced, ...]]:
    """Give the hidden states of one layer in one direction, (B, T, hidden), and its last state."""
    step, _ = _STEPS[self.mode]
    backward = suffix.endswith("_reverse")
    inputs = getattr(self, f"ih_{suffix}")(x)
    recurrence = getattr(self, f"hh_{suffix}")
    reached: list[Traced] = []
    for t in reversed(range(steps)) if backward else range(steps):
        state = step(inputs[:, t], recurrence(state[0]), state)
        reached.append(state[0])
    return torch.stack(reached[::-1] if backward else reached, 1), state


def _gru(a: Traced, c: Traced, state: tuple[Traced, ...]) -> tuple[Traced, ...]:
    (a_r, a_z, a_n), (c_r, c_z, c_n) = _blocks(a, 3), _blocks(c, 3)
    r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
    n = (a_n + r * c_n).tanh()
    return (n + z * (state[0] - n),)


def _lstm(a: Traced, c: Traced, state: tuple[Traced, ...]) -> tuple[Traced, ...]:
    i, f, g, o = _blocks(a + c, 4)
    memory = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * memory.tanh(), memory


def _tanh(a: Traced, c: Traced, _state: tuple[Traced, ...]) -> tuple[Traced, ...]:
    return ((a + c).tanh(),)


def _relu(a: Traced, c: Traced, _state: tuple[Traced, ...]) -> tuple[Traced, ...]:
    return ((a + c).relu(),)


def _blocks(x: Traced, count: int) -> tuple[Traced, ...]:
    parts = x.chunk(count, -1)
    return tuple(parts[i] for i in range(count))


_STEPS: dict[str, tuple[Step, int]] = {
    "GRU": (_gru, 1),
    "LSTM": (_lstm, 2),
    "RNN_TANH": (_tanh, 1),
    "RNN_RELU": (_relu, 1),
}
