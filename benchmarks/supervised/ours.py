"""OCNOpt, at its defaults or with some of them changed.

A contender is named `ocnopt`, or `ocnopt:key=value,...` with the keys

    lr         multiple of the step, 1 by default
    damping    multiple of the first damping
    feedback   off, per_sample, stacked, exact
    curvature  identity, diagonal, kronecker, gram (the batch's own blocks, in sample space)
    decay      weight decay
    schedule   cosine, as the peers have, or constant
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from benchmarks.supervised.tasks import Task
from benchmarks.supervised.trainers import Trainer
from ocngame.curvature import (
    DampingMetric,
    DiagonalCurvature,
    GramCurvature,
    IdentityCurvature,
    KroneckerCurvature,
)
from ocngame.solvers.ocnopt import Feedback, LevenbergMarquardt, OCNOpt, OCNOptConfig
from ocngame.solvers.ocnopt.decay import WEIGHT_DECAY

CURVATURES = {
    "identity": IdentityCurvature,
    "diagonal": DiagonalCurvature,
    "kronecker": KroneckerCurvature,
    "gram": GramCurvature,
}


def is_ours(optimizer: str) -> bool:
    """Whether a contender is OCNOpt."""
    return optimizer.partition(":")[0] == "ocnopt"


def changes_of(optimizer: str) -> dict[str, str]:
    """Give the changed defaults of a contender by key."""
    _, _, text = optimizer.partition(":")
    changes = dict(item.split("=", 1) for item in text.split(",") if item)
    unknown = set(changes) - {"lr", "damping", "decay", "feedback", "curvature", "schedule"}
    if unknown:
        raise SystemExit(f"{optimizer}: unknown {', '.join(sorted(unknown))}")
    return changes


@dataclass
class OCNOptTrainer(Trainer):
    """Steps of OCNOpt.

    Attributes:
        optimizer: OCNOpt.
        steps: Length of the cosine schedule of its `lr`; None for a constant.
    """

    optimizer: OCNOpt
    steps: int | None

    def __post_init__(self) -> None:
        self.schedule = (
            CosineAnnealingLR(self.optimizer, self.steps) if self.steps is not None else None
        )

    def step(self, x: Tensor, y: Tensor) -> float:
        info = self.optimizer.step(x, y)
        if self.schedule is not None:
            self.schedule.step()
        return info.loss

    def state(self) -> Any:
        return self.optimizer.state_dict()["state"]


def ocnopt_trainer(optimizer: str, task: Task, seed: int) -> Trainer:
    """Make the trainer of a contender for a run."""
    changes = changes_of(optimizer)
    config = _config(changes)
    model, loss = task.model(seed), task.loss()
    made = OCNOpt(
        model,
        loss,
        lr=float(changes.get("lr", "1")),
        weight_decay=float(changes.get("decay", WEIGHT_DECAY)),
        config=config,
        hessian=task.hessian(),
        seed=seed,
    )
    constant = changes.get("schedule") == "constant"
    return OCNOptTrainer(model, loss, made, None if constant else task.steps)


def _config(changes: Mapping[str, str]) -> OCNOptConfig:
    config = OCNOptConfig()
    if changes.get("feedback", "off") != "off":
        config = OCNOptConfig.with_feedback(changes["feedback"])
    if changes.get("curvature") == "gram":
        # The batch's own columns are all there is: every batch is read and factorised.
        if config.feedback is Feedback.OFF:
            config = OCNOptConfig.with_feedback(Feedback.STACKED)
            config = replace(config, feedback=Feedback.OFF)
        joint = config.feedback is Feedback.EXACT
        config = replace(config, curvature=DampingMetric() if joint else GramCurvature())
    elif "curvature" in changes:
        config = replace(config, curvature=CURVATURES[changes["curvature"]]())
    if "damping" in changes:
        rule: Any = config.damping
        name = "start" if isinstance(rule, LevenbergMarquardt) else "damping"
        rule = replace(rule, **{name: rule.initial * float(changes["damping"])})
        config = replace(config, damping=rule)
    return config
