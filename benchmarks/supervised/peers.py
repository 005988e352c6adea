"""The peers: how each is made from a learning rate, and the grid it is tuned over.

A grid is widened while its best point is at an end. Everything but the learning rate is at the
package's default, except where a line below says otherwise; weight decay is zero but for AdamW,
Muon and schedule-free AdamW, which have AdamW's 0.01.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from benchmarks.supervised.kfac import KFACTrainer
from benchmarks.supervised.tasks import Task
from benchmarks.supervised.trainers import AveragingTrainer, GradientTrainer, Trainer

WEIGHT_DECAY = 0.01
REFRESH = 10  # steps between the preconditioners of Shampoo, as SOAP's default
Parameters = Iterator[nn.Parameter]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """An optimizer to compare with.

    Attributes:
        name: Its name in commands.
        title: Its name in the report.
        grid: Learning rates it is tuned over.
        make: Makes its trainer from network, loss, learning rate and number of steps.
        needs: Module of the package that it needs besides torch.
    """

    name: str
    title: str
    grid: tuple[float, ...]
    make: Callable[[nn.Module, nn.Module, float, int], Trainer]
    needs: str | None = None

    @property
    def installed(self) -> bool:
        """Whether its package can be imported."""
        return self.needs is None or find_spec(self.needs) is not None

    def trainer(self, task: Task, seed: int, lr: float) -> Trainer:
        """Make its trainer for a run."""
        return self.make(task.model(seed), task.loss(), lr, task.steps)


def _one(
    make: Callable[..., torch.optim.Optimizer], **settings: Any
) -> Callable[[nn.Module, nn.Module, float, int], Trainer]:
    def trainer(model: nn.Module, loss: nn.Module, lr: float, steps: int) -> Trainer:
        return GradientTrainer(model, loss, [make(model.parameters(), lr=lr, **settings)], steps)

    return trainer


def _package(name: str) -> Callable[..., torch.optim.Optimizer]:
    def make(parameters: Parameters, **settings: Any) -> torch.optim.Optimizer:
        return getattr(import_module("pytorch_optimizer"), name)(parameters, **settings)

    return make


@dataclass
class _MuonTrainer(GradientTrainer):
    """torch's Muon for all matrices but the last layer's, AdamW for the rest.

    Weights of convolutions are matrices (out, the rest), seen through views that share memory.
    """

    views: list[tuple[nn.Parameter, nn.Parameter]] = field(default_factory=list)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        self.before = self._share_gradients
        return super().step(x, y)

    def _share_gradients(self) -> None:
        for parameter, view in self.views:
            assert parameter.grad is not None
            view.grad = parameter.grad.view(view.shape)


def _muon(model: nn.Module, loss: nn.Module, lr: float, steps: int) -> Trainer:
    matrices = [p for p in model.parameters() if p.ndim >= 2][:-1]
    views = [(p, nn.Parameter(p.detach().view(len(p), -1))) for p in matrices]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(
        [v for _, v in views], lr=lr, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
    )
    return _MuonTrainer(
        model,
        loss,
        [muon, torch.optim.AdamW(rest, lr=lr, weight_decay=WEIGHT_DECAY)],
        steps,
        views=views,
    )


def _schedule_free(model: nn.Module, loss: nn.Module, lr: float, _steps: int) -> Trainer:
    make = _package("ScheduleFreeAdamW")
    optimizer = make(model.parameters(), lr=lr, weight_decay=WEIGHT_DECAY)
    return AveragingTrainer(model, loss, [optimizer], None)


_ALL = (
    Peer(
        name="sgd",
        title="SGD, momentum 0.9",
        grid=(0.01, 0.03, 0.1, 0.3, 1.0),
        make=_one(torch.optim.SGD, momentum=0.9),
    ),
    Peer(
        name="rmsprop",
        title="RMSprop",
        grid=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
        make=_one(torch.optim.RMSprop),
    ),
    Peer(
        name="adam",
        title="Adam",
        grid=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        make=_one(torch.optim.Adam),
    ),
    Peer(
        name="adamw",
        title="AdamW",
        grid=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        make=_one(torch.optim.AdamW, weight_decay=WEIGHT_DECAY),
    ),
    Peer(name="muon", title="Muon", grid=(3e-3, 1e-2, 3e-2, 1e-1, 3e-1), make=_muon),
    Peer(
        name="soap",
        title="SOAP",
        grid=(3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
        make=_one(_package("SOAP"), weight_decay=0.0),
        needs="pytorch_optimizer",
    ),
    Peer(
        name="shampoo",
        title="Shampoo",
        grid=(3e-2, 1e-1, 3e-1, 1.0, 3.0),
        make=_one(
            _package("ScalableShampoo"),
            start_preconditioning_step=REFRESH,
            preconditioning_compute_steps=REFRESH,
        ),
        needs="pytorch_optimizer",
    ),
    Peer(
        name="psgd",
        title="PSGD (Kron)",
        grid=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        make=_one(_package("Kron")),
        needs="pytorch_optimizer",
    ),
    Peer(
        name="schedule-free",
        title="schedule-free AdamW",
        grid=(3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
        make=_schedule_free,
        needs="pytorch_optimizer",
    ),
    Peer(
        name="kfac",
        title="K-FAC",
        grid=(3e-2, 1e-1, 3e-1, 1.0),
        make=KFACTrainer,
        needs="approxngd",
    ),
)

PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}
