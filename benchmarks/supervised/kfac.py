"""K-FAC from the package approxngd, with labels sampled from the network's own distribution.

The package takes its factors from whatever backward pass it is shown; here, as Martens & Grosse
(1503.05671) have it, one from sampled labels (for squared error: the output plus standard normal
noise), which costs a backward pass more. Damping and the bound of the squared Fisher norm of a step
(the package's "norm constraint") are fixed at the best of a small grid on digits; the learning rate
is tuned and has the cosine schedule.
"""

import math
import warnings
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.supervised.tasks import HalfSquaredError
from benchmarks.supervised.trainers import Trainer

DAMPING = 0.1
NORM_CONSTRAINT = 1e-3


class KFACTrainer(Trainer):
    """Steps of approxngd's K-FAC."""

    def __init__(self, model: nn.Module, loss: nn.Module, lr: float, steps: int):
        super().__init__(model, loss)
        self.lr, self.steps, self.made = lr, steps, 0
        self.kfac: Any = import_module("approxngd").KFAC(
            model,
            lr,
            damping=DAMPING,
            norm_constraint=NORM_CONSTRAINT,
            update_cov_manually=True,
        )

    def step(self, x: Tensor, y: Tensor) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's about cholesky, NumPy's about its scalars
            return self._step(x, y)

    def _step(self, x: Tensor, y: Tensor) -> float:
        self.kfac.learning_rate = 0.5 * self.lr * (1 + math.cos(math.pi * self.made / self.steps))
        self.made += 1
        self.model.zero_grad()  # what the package leaves there are its velocities
        with self.kfac.track_forward():
            output = self.model(x)
        with self.kfac.track_backward():
            self.loss(output, self._sampled(output.detach())).backward(retain_graph=True)
        self.kfac.update_cov()
        self.model.zero_grad()
        loss = self.loss(output, y)
        loss.backward()
        self.kfac.step()
        return float(loss.detach())

    def _sampled(self, output: Tensor) -> Tensor:
        if isinstance(self.loss, HalfSquaredError):
            return output + torch.randn_like(output)
        return torch.multinomial(output.softmax(-1), 1)[:, 0]

    def state(self) -> Any:
        velocities = [list(v) for v in self.kfac._velocities.values()]
        return [velocities, [list(pair) for pair in self.kfac.covariances]]
