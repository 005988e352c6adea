"""How each algorithm is trained within a benchmark: one face for both jobs.

Points of a run are what is measured along it, with exact gains of deviation where the world is
small enough. They stand in `points.jsonl` of the run folder, one line per point; where a run was
stopped and made a stretch again, the last line of a step counts.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ocngame.agents.benchmark.suite import RunConfig
from ocngame.agents.decider import Decider
from ocngame.agents.evaluation import EVALUATION_SEED, evaluate_both
from ocngame.agents.exact import exact_gains
from ocngame.agents.selfplay import SelfPlayJob, read_selfplay_rows
from ocngame.agents.training import MarlJob, MarlRow, read_marl_rows
from ocngame.agents.training.worlds import WorldMaker
from ocngame.envs import World
from ocngame.training.selfplay_config import SelfPlayConfig

__all__ = ["Training", "curves_of", "read_points"]


class Training:
    """A run in its folder, started or gone on with.

    Attributes:
        job: The job.
    """

    def __init__(self, config: RunConfig, path: Path, make: WorldMaker):
        """Open the run.

        Args:
            config: Settings; those of the folder where there is one.
            path: Its folder.
            make: Makes worlds.
        """
        self.job: MarlJob | SelfPlayJob
        there = path.exists()
        if isinstance(config, SelfPlayConfig):
            self.job = SelfPlayJob.resume(path) if there else SelfPlayJob.start(config, path)
        else:
            self.job = MarlJob.resume(path, make) if there else MarlJob.start(config, path, make)
        self._points = path / "points.jsonl"
        self._config, self._make = config, make
        self._place: World | None = None

    @property
    def frames(self) -> int:
        """Frames so far; in turn-based worlds, decisions."""
        return self.job.decisions if isinstance(self.job, SelfPlayJob) else self.job.frames

    def deciders(self) -> list[Decider]:
        """Give the policies as they are.

        Returns:
            They play all groups.
        """
        if isinstance(self.job, SelfPlayJob):
            return [self.job.decider()]
        return self.job.deciders()

    def place(self, name: str, copies: int, device: str) -> World:
        """Give the world to measure in.

        Args:
            name: Its name.
            copies: Copies.
            device: Where.

        Returns:
            The world, closed with the run.
        """
        if self._place is None:
            self._place = self._make(name, copies, device)
        return self._place

    def run(self, place: World, notify: Callable[[int, int], None]) -> None:
        """Make the steps that are left.

        Args:
            place: The world to measure in.
            notify: Is told the frames so far and of the whole run after every step.
        """
        job = self.job
        if rows := self._unkept():
            self._keep(place, rows)
        for rows in job.run():
            if rows:
                self._keep(place, rows)
            whole = self.frames * job.total_steps // max(1, job.step)
            notify(self.frames, whole)

    def close(self) -> None:
        """Free what worlds hold."""
        if isinstance(self.job, SelfPlayJob):
            self.job.world.close()
        else:
            self.job.close()
        if self._place is not None:
            self._place.close()

    def _unkept(self) -> list[Any]:
        """Give measured rows of the checkpoint that a kill kept from becoming a point."""
        folder = self.job.folder
        if folder is None or self.job.step == 0:
            return []
        known = self._points.read_text() if self._points.is_file() else ""
        if not known.endswith("\n"):
            self._points.write_text(known[: known.rfind("\n") + 1])
        if any(point["step"] == self.job.step for point in read_points(folder.path)):
            return []
        read = read_selfplay_rows if isinstance(self.job, SelfPlayJob) else read_marl_rows
        return [row for row in read(folder.metrics) if row.step == self.job.step]

    def _keep(self, place: World, rows: Sequence[Any]) -> None:
        if isinstance(rows[0], MarlRow):
            teams = {r.team: {"drawn": r.drawn, "deterministic": r.deterministic} for r in rows}
        else:
            both = evaluate_both(
                place, self.deciders(), episodes=self._config.episodes, seed=EVALUATION_SEED
            )
            drawn, most = (returns.means for returns in both)
            teams = {t: {"drawn": drawn[t], "deterministic": most[t]} for t in drawn}
        gains = exact_gains(place, self.deciders())
        point = {
            "step": self.job.step,
            "frames": self.frames,
            "cpu_seconds": self.job.cpu_seconds,
            "teams": teams,
            "exploitability": None if gains is None else sum(gains.values()) / len(gains),
        }
        with self._points.open("a") as file:
            file.write(json.dumps(point) + "\n")


def read_points(path: Path) -> list[dict[str, Any]]:
    """Read the points of a run.

    Args:
        path: Its folder.

    Returns:
        By steps; a line that was cut off is left out.
    """
    found: dict[int, dict[str, Any]] = {}
    file = path / "points.jsonl"
    for line in file.read_text().splitlines() if file.is_file() else []:
        try:
            point = json.loads(line)
        except ValueError:
            continue
        found[point["step"]] = point
    return [found[step] for step in sorted(found)]


def curves_of(points: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Turn points into curves.

    Args:
        points: Of a run, at least one.

    Returns:
        Per team `frames`, `cpu_seconds`, `drawn` and `deterministic`; and `frames`, `cpu_seconds`
        and `value` of the exploitability, None where it is not known.
    """
    axes = {name: [p[name] for p in points] for name in ("frames", "cpu_seconds")}
    teams = {
        team: axes | {m: [p["teams"][team][m] for p in points] for m in ("drawn", "deterministic")}
        for team in points[0]["teams"]
    }
    if points[-1]["exploitability"] is None:
        return teams, None
    return teams, axes | {"value": [p["exploitability"] for p in points]}
