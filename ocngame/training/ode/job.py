"""The continuous-time job: contenders on the same weights and batches, stopped and resumed.

What a step does follows from the settings, the number of the step and the contenders' states alone,
as in the supervised job: a run resumed from a checkpoint is bitwise equal to one never stopped.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from ocngame.errors import CheckpointError
from ocngame.training.job import Job, read_run
from ocngame.training.ode.config import ODEConfig, ode_config_from_dict
from ocngame.training.ode.contenders import ODEContender, make_ode_contenders
from ocngame.training.ode.curves import draw_ode_curves
from ocngame.training.ode.pictures import draw_density, draw_phase_portrait
from ocngame.training.ode.problem import make_problem
from ocngame.training.ode.rows import ODERow, read_ode_rows
from ocngame.training.ode.times_picture import draw_times
from ocngame.training.run_folder import RunFolder

__all__ = ["ODEJob"]

_FORMAT = 1


class ODEJob(Job[ODERow]):
    """A continuous-time run between two of its steps.

    Attributes:
        config: Its settings.
        problem: Samples, first network and loss.
        contenders: The networks and their optimizers.
        step: Number of steps made.
        reached: Per contender, the first measured step at which the training loss was at most
            `config.target`.
        folder: Where its files are, None if it is not kept.
    """

    def __init__(self, config: ODEConfig):
        """Load the data and make the contenders.

        Args:
            config: Settings.
        """
        super().__init__(config)
        self.problem = make_problem(config)
        self.contenders: list[ODEContender] = make_ode_contenders(config, self.problem)

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole run."""
        return self.config.steps

    @classmethod
    def start(cls, config: ODEConfig, path: Path) -> "ODEJob":
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
    def resume(cls, path: Path) -> "ODEJob":
        """Go back to the last whole checkpoint of a run.

        Args:
            path: The run folder.

        Returns:
            The job at that checkpoint.

        Raises:
            CheckpointError: if no checkpoint can be read or it does not belong to the settings or
                the data.
        """
        config, content = read_run(path, ode_config_from_dict, _FORMAT)
        job = cls(config)
        if content["data"] != job.problem.samples.fingerprint:
            raise CheckpointError(
                f"{path}: the data {config.problem} have changed since the run started"
            )
        job.folder = RunFolder(path)
        for contender in job.contenders:
            contender.load_state_dict(content["contenders"][contender.name])
        job.step, job.reached = content["step"], dict(content["reached"])
        job._metrics_size = content["metrics_size"]
        return job

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Give the samples of a step.

        Args:
            step: Number of the step, from 0.

        Returns:
            Inputs and targets.
        """
        return self.problem.batch(step, self.config.batch_size, self.config.seed)

    def draw(self) -> list[str]:
        """Draw the pictures of the run into its folder.

        Returns:
            Their names.
        """
        folder = self.folder
        if folder is None:
            return []
        rows = read_ode_rows(folder.metrics)
        folder.draw(folder.curves, lambda path: draw_ode_curves(rows, path))
        drawn = [folder.curves.name]
        if self.config.times.rule != "fixed":
            place = folder.path / "times.png"
            bounds = self.config.time_bounds
            folder.draw(place, lambda path: draw_times(rows, bounds, path))
            drawn.append(place.name)
        networks = {c.name: c.model for c in self.contenders}
        samples, seed = self.problem.samples, self.config.seed
        if samples.outputs:
            place = folder.path / "phase_portrait.png"
            folder.draw(place, lambda path: draw_phase_portrait(networks, samples, path))
        else:
            place = folder.path / "density.png"
            folder.draw(place, lambda path: draw_density(networks, samples, seed, path))
        return [*drawn, place.name]

    def _advance(self) -> list[ODERow]:
        x, y = self.batch(self.step)
        results = [contender.step(x, y) for contender in self.contenders]
        self.step += 1
        if self.step % self.config.evaluate_every != 0 and not self.finished:
            return []
        rows = []
        for contender, result in zip(self.contenders, results, strict=True):
            found = self.problem.measure(contender.model)
            if found.train_loss <= self.config.target:
                self.reached.setdefault(contender.name, self.step)
            rows.append(
                ODERow(
                    step=self.step,
                    optimizer=contender.name,
                    batch_loss=result.loss,
                    accepted=result.accepted,
                    train_loss=found.train_loss,
                    test_loss=found.test_loss,
                    test_accuracy=found.test_accuracy,
                    evaluations=contender.evaluations,
                    cpu_seconds=contender.contender.cpu_seconds,
                    details=result.details,
                )
            )
        return rows

    def _checkpoint(self, metrics_size: int) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "config": self.config.as_dict(),
            "data": self.problem.samples.fingerprint,
            "step": self.step,
            "reached": self.reached,
            "metrics_size": metrics_size,
            "contenders": {c.name: c.state_dict() for c in self.contenders},
        }
