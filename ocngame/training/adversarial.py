"""The adversarial job: rivals on the same game, start and batches, measured, stopped and resumed.

What a step does follows from the settings, the number of the step and the rivals' states alone, as
in the supervised job: a run resumed from a checkpoint is bitwise equal to one never stopped.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ocngame._checks import one_of
from ocngame.equilibria import PlayerReport, examine_players
from ocngame.errors import InvalidInputError
from ocngame.training.adversarial_config import (
    ROBUST_DATA,
    AdversarialConfig,
    adversarial_config_from_dict,
)
from ocngame.training.adversarial_pictures import (
    draw_player_curves,
    draw_samples,
    draw_trajectories,
)
from ocngame.training.job import Job, read_run
from ocngame.training.player_problems import PROBLEMS
from ocngame.training.player_rows import PlayerRow, read_player_rows
from ocngame.training.rivals import Rival, make_rivals
from ocngame.training.run_folder import RunFolder

__all__ = ["AdversarialJob"]

_FORMAT = 2
_SNAPSHOTS = 6
_SMALL = 64
"""Numbers of a joint control up to which every player is examined as a leader."""
_LARGE = 100_000
"""Numbers of a joint control from which best responses are trained for a few steps only."""
_FEW = 4
"""Joint controls up to this size are kept in the metrics, for trajectories."""


class AdversarialJob(Job[PlayerRow]):
    """An adversarial run between two of its steps.

    Attributes:
        config: Its settings.
        rivals: The methods with their games.
        step: Number of steps made.
        reached: Per rival, the first measured step at which the error was at most
            `config.target_error`.
        folder: Where its files are, None if it is not kept.
    """

    def __init__(self, config: AdversarialConfig):
        """Make the rivals.

        Args:
            config: Settings.

        Raises:
            InvalidInputError: if the problem is a robust one.
            UnknownNameError: if there is no such problem.
        """
        one_of("problem", config.problem, [*ROBUST_DATA, *PROBLEMS])
        if config.is_robust:
            raise InvalidInputError(f"problem: {config.problem!r} is for RobustJob")
        super().__init__(config)
        self.rivals = make_rivals(config)
        self._snapshots: dict[str, list[tuple[int, Tensor]]] = {r.name: [] for r in self.rivals}

    @classmethod
    def start(cls, config: AdversarialConfig, path: Path) -> "AdversarialJob":
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
    def resume(cls, path: Path) -> "AdversarialJob":
        """Go back to the last whole checkpoint of a run.

        Args:
            path: The run folder.

        Returns:
            The job at that checkpoint.

        Raises:
            CheckpointError: if no checkpoint can be read or it does not belong to the settings.
        """
        config, content = read_run(path, adversarial_config_from_dict, _FORMAT)
        job = cls(config)
        job.folder = RunFolder(path)
        for rival in job.rivals:
            rival.load_state_dict(content["rivals"][rival.name])
        job.step, job.reached = content["step"], dict(content["reached"])
        job._metrics_size = content["metrics_size"]
        job._snapshots = {name: list(kept) for name, kept in content["snapshots"].items()}
        return job

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole run."""
        return self.config.steps

    def batch(self, step: int, stream: int = 0) -> tuple[Tensor, ...]:
        """Give the batch of a step.

        Args:
            step: Number of the step, from 0.
            stream: Another number gives other batches.

        Returns:
            What the costs take beside the players.
        """
        draw = self.rivals[0].ready.batch
        if draw is None:
            return ()
        seed = ((self.config.seed * 1_000_003 + step) * 2 + stream) & (2**63 - 1)
        return draw(self.config.batch_size, torch.Generator().manual_seed(seed))

    def examine(self) -> dict[str, PlayerReport]:
        """Examine every rival's end on a batch that no step has seen.

        Returns:
            Reports by the rivals' names.
        """
        large = self.rivals[0].ready.game.control_size > _LARGE
        responses = 2 if large else 10
        return {
            rival.name: self._report(rival, self.config.leader, responses) for rival in self.rivals
        }

    def examine_leaders(self) -> dict[str, list[PlayerReport]]:
        """Examine every rival's end with each player as the leader of all others.

        Returns:
            Reports by the rivals' names, one per leader; empty for games of more than 64 numbers,
            where the followers' answers take too many products.
        """
        game = self.rivals[0].ready.game
        if game.control_size > _SMALL:
            return {}
        leaders = range(game.player_count)
        return {rival.name: [self._report(rival, i, 0) for i in leaders] for rival in self.rivals}

    def _report(self, rival: Rival, leader: int | None, responses: int) -> PlayerReport:
        with rival.judged() as ready:
            return examine_players(
                ready.game,
                *self.batch(0, 1),
                generator=torch.Generator().manual_seed(self.config.seed),
                leader=leader,
                lanczos_steps=20,
                response_steps=responses,
            )

    def draw(self) -> list[str]:
        """Draw the pictures of the run into its folder.

        Returns:
            Their names.
        """
        folder = self.folder
        if folder is None:
            return []
        rows = read_player_rows(folder.metrics)
        names = self.rivals[0].ready.game.names
        drawn = ["curves.png"]
        folder.draw(folder.curves, lambda path: draw_player_curves(rows, names, path))
        if any(row.control for row in rows):
            goal = self.rivals[0].ready.equilibrium
            target = None if goal is None else goal.tolist()
            first = self.rivals[0].start.tolist()
            place = folder.path / "trajectories.png"
            folder.draw(place, lambda path: draw_trajectories(rows, first, target, path))
            drawn.append(place.name)
        data = self.rivals[0].ready.data
        if data is not None:
            place = folder.path / "samples.png"
            folder.draw(place, lambda path: draw_samples(self._snapshots, data, path))
            drawn.append(place.name)
        return drawn

    def _advance(self) -> list[PlayerRow]:
        batch = self.batch(self.step)
        progress = self.step / self.config.steps
        infos = [rival.step(batch, progress) for rival in self.rivals]
        self.step += 1
        every = math.ceil(self.config.steps / _SNAPSHOTS)
        for rival in self.rivals:
            if rival.ready.samples is not None and (self.step % every == 0 or self.finished):
                with rival.judged():
                    self._snapshots[rival.name].append((self.step, rival.ready.samples()))
        if self.step % self.config.evaluate_every != 0 and not self.finished:
            return []
        pairs = zip(self.rivals, infos, strict=True)
        return [self._row(rival, info) for rival, info in pairs]

    def _row(self, rival: Rival, info: Any) -> PlayerRow:
        error = rival.ready.error(rival.start)
        if error <= self.config.target_error:
            self.reached.setdefault(rival.name, self.step)
        control = rival.ready.game.control
        with rival.judged() as ready:
            measures = {name: measure() for name, measure in ready.measures.items()}
        return PlayerRow(
            step=self.step,
            method=rival.name,
            costs=list(info.costs),
            residuals=list(info.residuals),
            accepted=info.accepted,
            error=error,
            measures=measures,
            control=control.tolist() if len(control) <= _FEW else [],
            evaluations=rival.evaluations,
            products=rival.products,
            damping=info.damping,
            cpu_seconds=rival.cpu_seconds,
        )

    def _checkpoint(self, metrics_size: int) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "config": self.config.as_dict(),
            "step": self.step,
            "reached": self.reached,
            "metrics_size": metrics_size,
            "rivals": {rival.name: rival.state_dict() for rival in self.rivals},
            "snapshots": self._snapshots,
        }
