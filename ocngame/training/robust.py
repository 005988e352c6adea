"""The robust job: ways to train one classifier against perturbed inputs, measured alike.

Every rival starts from the same network and sees the same batches; a run resumed from a checkpoint
is bitwise equal to one never stopped. Inputs are scaled to [0, 1], and so are perturbed ones kept.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import isnan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ocngame.errors import CheckpointError
from ocngame.games.perturbation import PerturbationBall
from ocngame.training.adversarial_config import (
    ROBUST_DATA,
    AdversarialConfig,
    adversarial_config_from_dict,
)
from ocngame.training.datasets import load_data
from ocngame.training.job import Job, read_run
from ocngame.training.networks import build_network
from ocngame.training.robust_pictures import draw_robust_curves, draw_robustness
from ocngame.training.robust_rivals import make_robust_rivals
from ocngame.training.robust_rows import RobustRow, read_robust_rows
from ocngame.training.robustness import (
    Attack,
    accuracy,
    has_torchattacks,
    randomly_perturbed_accuracy,
    robust_accuracy,
    robustness_curve,
    transferred_accuracy,
)
from ocngame.training.run_folder import RunFolder

__all__ = ["RobustJob", "RobustReport"]

_FORMAT = 1
_QUICK = Attack(steps=10, restarts=1)
_MULTIPLES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Radii of the curve, in units of the radius trained for."""


@dataclass(frozen=True, kw_only=True)
class RobustReport:
    """How robust a rival's network is, and whether its gradients can be trusted.

    Attributes:
        clean: Share of test samples that are right.
        robust: Share that stays right under the attack.
        attack: The attack's name, which says whose it is.
        curve: Share that stays right, by multiples of the radius.
        transferred: Share that stays right under perturbations made for the other rivals, the
            least of them; NaN if there is no other.
        random: Share that stays right under 100 random far points of the ball.
    """

    clean: float
    robust: float
    attack: str
    curve: dict[float, float]
    transferred: float
    random: float

    @property
    def masked(self) -> bool:
        """Whether an attack that knows no gradients succeeds more than the one that does.

        Also, whether a larger ball makes the attack succeed less. One sample in a hundred is
        allowed for the chance in the starts.
        """
        shares = list(self.curve.values())
        rises = any(later > earlier + 0.01 for earlier, later in pairwise(shares))
        blind = self.random if isnan(self.transferred) else min(self.random, self.transferred)
        return rises or blind < self.robust - 0.01


class RobustJob(Job[RobustRow]):
    """A robust run between two of its steps.

    Attributes:
        config: Its settings.
        rivals: The methods with their networks.
        step: Number of steps made.
        folder: Where its files are, None if it is not kept.
        ball: The perturbations.
    """

    def __init__(self, config: AdversarialConfig):
        """Make the rivals.

        Args:
            config: Settings of a robust problem.
        """
        super().__init__(config)
        robust = config.robust
        data = load_data(
            ROBUST_DATA[config.problem], scaling="none", test_fraction=0.2, seed=config.seed
        )
        top = float(data.x_train.max())
        self.data = data
        self._x, self._x_test = data.x_train / top, data.x_test / top
        self.ball = PerturbationBall(radius=robust.radius, norm=robust.norm, low=0.0, high=1.0)
        model = build_network(
            "mlp",
            features=data.x_train.shape[1],
            classes=data.classes,
            width=robust.width,
            depth=2,
            activation="relu",
            seed=config.seed,
        )
        self.rivals = make_robust_rivals(config, model, self._x, self.ball)
        self._reports: dict[str, RobustReport] | None = None

    @classmethod
    def start(cls, config: AdversarialConfig, path: Path) -> "RobustJob":
        """Start a run that is kept in a new folder.

        Args:
            config: Settings.
            path: The folder.

        Returns:
            The job before its first step.
        """
        job = cls(config)
        job.keep(path)
        return job

    @classmethod
    def resume(cls, path: Path) -> "RobustJob":
        """Go back to the last whole checkpoint of a run.

        Args:
            path: The run folder.

        Returns:
            The job at that checkpoint.

        Raises:
            CheckpointError: if no checkpoint can be read or it does not belong to the settings or
                the data.
        """
        config, content = read_run(path, adversarial_config_from_dict, _FORMAT)
        job = cls(config)
        if content["data"] != job.data.fingerprint:
            raise CheckpointError(f"{path}: the data are not those that the run began with")
        job.folder = RunFolder(path)
        for rival in job.rivals:
            rival.load_state_dict(content["rivals"][rival.name])
        job.step = content["step"]
        job._metrics_size = content["metrics_size"]
        return job

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole run."""
        return self.config.steps

    def batch(self, step: int) -> Tensor:
        """Give the samples of a step.

        Args:
            step: Number of the step, from 0.

        Returns:
            Their numbers; every sample comes once in an epoch.
        """
        size = min(self.config.batch_size, len(self._x))
        per_epoch = len(self._x) // size
        epoch, place = divmod(step, per_epoch)
        seed = (self.config.seed * 1_000_003 + epoch) & (2**63 - 1)
        order = torch.randperm(len(self._x), generator=torch.Generator().manual_seed(seed))
        return order[place * size : (place + 1) * size]

    def examine(self) -> dict[str, RobustReport]:
        """Attack every rival's network: 50 ascents with 10 restarts, and checks for masking.

        Returns:
            Reports by the rivals' names.
        """
        if self._reports is not None:
            return self._reports
        library = "torchattacks" if has_torchattacks() else "ours"
        attack = Attack(steps=50, restarts=10, library=library)
        moderate = Attack(steps=20, restarts=1)
        x, y = self._x_test, self.data.y_test
        models = {rival.name: rival.judged() for rival in self.rivals}
        reports = {}
        for name, model in models.items():
            others = [other for key, other in models.items() if key != name]
            transferred = [
                transferred_accuracy(model, other, x, y, ball=self.ball, attack=moderate)
                for other in others
            ]
            shares = robustness_curve(
                model, x, y, ball=self.ball, multiples=_MULTIPLES, attack=moderate
            )
            reports[name] = RobustReport(
                clean=accuracy(model, x, y),
                robust=robust_accuracy(model, x, y, ball=self.ball, attack=attack),
                attack=attack.name,
                curve=dict(zip(_MULTIPLES, shares, strict=True)),
                transferred=min(transferred, default=float("nan")),
                random=randomly_perturbed_accuracy(model, x, y, ball=self.ball),
            )
        if self.finished:
            self._reports = reports
        return reports

    def draw(self) -> list[str]:
        """Draw the pictures of the run into its folder.

        Returns:
            Their names.
        """
        folder = self.folder
        if folder is None:
            return []
        rows = read_robust_rows(folder.metrics)
        folder.draw(folder.curves, lambda path: draw_robust_curves(rows, path))
        place = folder.path / "robustness.png"
        curves = {
            name: {radius * self.ball.radius: share for radius, share in found.curve.items()}
            for name, found in self.examine().items()
        }
        folder.draw(place, lambda path: draw_robustness(curves, self.ball.radius, path))
        return [folder.curves.name, place.name]

    def _advance(self) -> list[RobustRow]:
        rows = self.batch(self.step)
        y = self.data.y_train[rows]
        infos = [rival.step(rows, y) for rival in self.rivals]
        self.step += 1
        if self.step % self.config.evaluate_every != 0 and not self.finished:
            return []
        found = []
        for rival, info in zip(self.rivals, infos, strict=True):
            model, (x, classes) = rival.judged(), (self._x_test, self.data.y_test)
            found.append(
                RobustRow(
                    step=self.step,
                    method=rival.name,
                    loss=info.clean,
                    gap=info.gap,
                    accepted=info.accepted,
                    clean=accuracy(model, x, classes),
                    robust=robust_accuracy(model, x, classes, ball=self.ball, attack=_QUICK),
                    passes=rival.passes,
                    cpu_seconds=rival.cpu_seconds,
                )
            )
        return found

    def _checkpoint(self, metrics_size: int) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "config": self.config.as_dict(),
            "data": self.data.fingerprint,
            "step": self.step,
            "metrics_size": metrics_size,
            "rivals": {rival.name: rival.state_dict() for rival in self.rivals},
        }
