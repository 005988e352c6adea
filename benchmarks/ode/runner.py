"""One run of an optimizer on a problem."""

import math
import time

import torch
from torch import nn

from benchmarks.ode.store import Cell, Run
from benchmarks.supervised.trainers import state_bytes
from ocngame.solvers.ocnopt import OCNOpt
from ocngame.training.ode.config import WEIGHT_DECAY, ODEConfig
from ocngame.training.ode.contenders import SETTINGS
from ocngame.training.ode.problem import Problem, make_problem
from ocngame.training.ode.solver import evaluations_of

BLOWN_UP = 50.0  # times the first batch's loss at which a run has diverged
EVERY = 2  # steps between measurements
WATCHED = 256  # training samples on which the loss is measured


class FirstOrder:
    """Adam or SGD with momentum 0.9, with a constant learning rate."""

    def __init__(self, optimizer: str, problem: Problem, lr: float):
        parameters = problem.network.parameters()
        self.optimizer = (
            torch.optim.Adam(parameters, lr=lr)
            if optimizer == "adam"
            else torch.optim.SGD(parameters, lr=lr, momentum=0.9)
        )
        self.network, self.loss, self.refused = problem.network, problem.loss, 0

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(self.network(x), y)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


class Ours:
    """OCNOpt as `ocngame train ode` has it."""

    def __init__(self, problem: Problem, lr: float):
        self.optimizer = OCNOpt(
            problem.network,
            problem.loss,
            lr=lr,
            groups=[{"params": problem.network.parameters(), "weight_decay": WEIGHT_DECAY}],
            hessian=problem.hessian,
            config=SETTINGS,
        )
        self.refused = 0

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        info = self.optimizer.step(x, y)
        self.refused += not info.accepted
        return info.loss


def run(cell: Cell, stop: float | None = None) -> Run:
    """Train a network and measure it every few steps; end where the loss is at `stop`."""
    config = ODEConfig(problem=cell.task, seed=cell.seed, solver=cell.solver, steps=cell.steps)  # pyright: ignore[reportArgumentType]
    problem = make_problem(config)
    network: nn.Module = problem.network
    ours = cell.optimizer == "ocnopt"
    trainer = Ours(problem, cell.lr) if ours else FirstOrder(cell.optimizer, problem, cell.lr)
    curve: list[tuple[int, float, int, float]] = []
    first, seconds, evaluations, refused = math.nan, 0.0, 0, 0
    for step in range(cell.steps):
        x, y = problem.batch(step, config.batch_size, cell.seed)
        before, start = evaluations_of(network), time.process_time()
        loss = trainer.step(x, y)
        seconds += time.process_time() - start
        evaluations += evaluations_of(network) - before
        first = loss if step == 0 else first
        # of a density the loss may be negative: what counts is how far it has risen
        if not loss - first <= BLOWN_UP * abs(first):
            refused = -1
            break
        if (step + 1) % EVERY == 0 or step + 1 == cell.steps:
            found = watched_loss(problem)
            curve.append((step + 1, float(f"{found:.5g}"), evaluations, round(seconds, 4)))
            if stop is not None and found <= stop:
                break
    end = problem.measure(network)
    return Run(
        cell=cell,
        curve=tuple(curve),
        test_loss=end.test_loss,
        test_accuracy=end.test_accuracy,
        state_bytes=state_bytes(trainer.optimizer.state_dict()),
        parameters=sum(p.numel() for p in network.parameters()),
        refused=refused if refused else trainer.refused,
    )


def watched_loss(problem: Problem) -> float:
    """Give the mean loss over the first training samples."""
    x, y = problem.samples.x_train[:WATCHED], problem.samples.y_train[:WATCHED]
    with torch.no_grad():
        return float(problem.loss(problem.network(x), y))
