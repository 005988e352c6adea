"""Steps of OCNOpt in one process, and in two that share every batch."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ocngame.curvature import ExactColumns, SketchedColumns
from ocngame.errors import OcnGameError
from ocngame.solvers.ocnopt import (
    LevenbergMarquardt,
    ModelStep,
    OCNOpt,
    OCNOptConfig,
    Rhythm,
    Sweep,
)

STEPS = 6
_OFTEN = Rhythm(first=2, measure_every=2, refresh_every=2)
CONFIGS: dict[str, OCNOptConfig] = {
    "defaults": OCNOptConfig(rhythm=_OFTEN),
    "thinned": OCNOptConfig(rhythm=_OFTEN, columns=SketchedColumns(2, one_in=2, least=4)),
    "judged": OCNOptConfig(
        columns=ExactColumns(), step=ModelStep(), damping=LevenbergMarquardt(), rhythm=_OFTEN
    ),
    "per_sample": OCNOptConfig.with_feedback("per_sample"),
    "exact": OCNOptConfig.with_feedback("exact"),
}


class Network(nn.Module):
    """A table, a convolution, a normalisation, a linear layer, a parameter without a stage."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 4)
        self.convolution = nn.Conv1d(4, 6, 3)
        self.norm = nn.GroupNorm(2, 6)
        self.head = nn.Linear(6, 3)
        self.shift = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.convolution(self.table(x).mT)).tanh().mean(-1)
        return self.head(h) + self.shift


def network() -> Network:
    torch.manual_seed(0)
    return Network().double()


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    made = [torch.randint(0, 11, (24, 5), generator=generator) for _ in range(STEPS)]
    return [(x, (x[:, 0] + x[:, 2]) % 3) for x in made]


def run(
    name: str, wrap: Callable[[nn.Module], nn.Module] = lambda m: m, part: slice = slice(None)
) -> tuple[Tensor, list[float], list[float]]:
    """Give the weights, the losses and the ratios of a run."""
    model = network()
    opt = OCNOpt(wrap(model), config=CONFIGS[name])
    infos = [opt.step(x[part], y[part]) for x, y in batches()]
    assert all(info.accepted for info in infos)
    weights = nn.utils.parameters_to_vector(model.parameters()).detach()
    return weights, [info.loss for info in infos], [info.ratio for info in infos]


def accumulated(wrap: Callable[[nn.Module], nn.Module], part: slice) -> Tensor:
    """Give the weights after steps from `backward` and `step`, and a poisoned batch of one rank."""
    model = network()
    wrapped = wrap(model)
    opt = OCNOpt(wrapped, config=CONFIGS["defaults"])
    for number, (x, y) in enumerate(batches()):
        if number == 3:  # the first half of the samples is not finite
            weight = torch.where(torch.arange(24)[part] < 12, torch.nan, 1.0)
            info = opt.step(
                lambda x=x, y=y, w=weight: (opt.loss(wrapped(x[part]), y[part]) * w).mean()
            )
            assert not info.accepted
            continue
        opt.zero_grad()
        opt.backward(lambda x=x, y=y: opt.loss(wrapped(x[part]), y[part]))
        opt.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def refusals(wrap: Callable[[nn.Module], nn.Module], rank: int) -> list[str]:
    """Give what a rank hears of different batches and lengths, and of a second pass."""
    heard = []
    x, y = batches()[0]
    opt = OCNOpt(wrap(network()))
    for make in (
        lambda: opt.step(x[: 8 + rank], y[: 8 + rank]),
        lambda: opt.step(x[:8, : 5 - rank], y[:8]),
        lambda: OCNOpt(wrap(network()), config=OCNOptConfig(sweep=Sweep.ROLLOUT)),
    ):
        try:
            make()
        except OcnGameError as error:
            heard.append(str(error))
    return heard


def rank_of_two(rank: int, folder: str) -> None:
    """Make all runs as one of two ranks and write the results."""
    torch.set_num_threads(1)
    place = Path(folder)
    dist.init_process_group("gloo", f"file://{place / 'meet'}", rank=rank, world_size=2)
    part = slice(12 * rank, 12 * rank + 12)
    found: dict[str, object] = {name: run(name, DistributedDataParallel, part) for name in CONFIGS}
    found["accumulated"] = accumulated(DistributedDataParallel, part)
    found["refusals"] = refusals(DistributedDataParallel, rank)
    estimate = OCNOpt(DistributedDataParallel(network())).estimate(*(t[part] for t in batches()[0]))
    found["estimate"] = estimate.bytes_per_parameter
    torch.save(found, place / f"rank{rank}.pt")
    dist.destroy_process_group()
