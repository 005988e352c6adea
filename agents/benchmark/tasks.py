"""What a benchmark makes, piece by piece: each task gives one result, named by what decides it.

Tasks are plain data, so that they can be sent to other processes. Trainings and players without
training come first; responses, pairings and videos read the run folders of trainings.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ocngame.agents.benchmark.contenders import PLAYER_LABELS, Contender
from ocngame.agents.benchmark.crossplay import play_pair
from ocngame.agents.benchmark.entrants import Entrant, as_decider
from ocngame.agents.benchmark.store import Store, content_key
from ocngame.agents.benchmark.suite import RunConfig, Suite
from ocngame.agents.benchmark.trainings import Training, curves_of, read_points
from ocngame.agents.benchmark.videos import draw_video
from ocngame.agents.decider import Decider
from ocngame.agents.evaluation import EpisodeReturns, evaluate, evaluate_both
from ocngame.agents.exact import exact_gains
from ocngame.agents.training.worlds import WorldMaker
from ocngame.envs import World

__all__ = [
    "PairTask",
    "PlayerTask",
    "Task",
    "Tell",
    "TrainingTask",
    "VideoTask",
    "player_tasks",
    "safe",
    "training_tasks",
]

Tell = Callable[[int, int], None]
"""Is told how much of a task is done, of how much."""


def safe(world: str) -> str:
    """Make a world's name a part of a file's name.

    Args:
        world: The name.

    Returns:
        It, with dots for what paths and modules are written with.
    """
    return world.replace(":", ".").replace("/", ".")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where players of a world are measured.

    Attributes:
        world: The world of the suite.
        name: The world to play in.
        copies: Its copies.
        device: Where.
        threads: Threads of torch.
    """

    world: str
    name: str
    copies: int
    device: str
    threads: int

    @classmethod
    def of(cls, suite: Suite, world: str) -> "Place":
        """Read the place off a suite.

        Args:
            suite: The suite.
            world: Name of a world of it.

        Returns:
            The place.
        """
        name, copies, device, threads = suite.measured(world)
        return cls(world=world, name=name, copies=copies, device=device, threads=threads)

    def make(self, make: WorldMaker) -> World:
        """Make the world to play in.

        Args:
            make: Makes worlds.

        Returns:
            The world, to be closed by the caller.
        """
        torch.set_num_threads(self.threads)
        return make(self.name, self.copies, self.device)


class Task(ABC):
    """One result."""

    @property
    @abstractmethod
    def stem(self) -> str:
        """Name of its file, ending in a hash of all that decides it."""

    @property
    @abstractmethod
    def title(self) -> str:
        """How progress calls it."""

    @abstractmethod
    def produce(self, store: Store, make: WorldMaker, tell: Tell) -> dict[str, Any]:
        """Make the result.

        Args:
            store: Where run folders are.
            make: Makes worlds.
            tell: Is told of the progress.

        Returns:
            The result, as plain data.
        """


@dataclass(frozen=True, kw_only=True)
class TrainingTask(Task):
    """A training, and its measurement.

    Attributes:
        contender: Who is trained.
        config: Its settings.
        place: Where it is measured.
        episodes: Episodes of the last measurement.
        evaluation_seed: Of its starts and draws.
    """

    contender: Contender
    config: RunConfig
    place: Place
    episodes: int
    evaluation_seed: int

    @property
    def stem(self) -> str:
        """See `Task.stem`."""
        settings = {
            "config": self.config.as_dict(),
            "place": asdict(self.place),
            "episodes": self.episodes,
            "seed": self.evaluation_seed,
        }
        name = f"{safe(self.place.world)}-{self.contender.label.replace(' ', '-')}"
        return f"{name}-{self.config.seed}-{content_key(settings)}"

    @property
    def title(self) -> str:
        """See `Task.title`."""
        return f"{self.place.world} {self.contender.label} seed {self.config.seed}"

    def produce(self, store: Store, make: WorldMaker, tell: Tell) -> dict[str, Any]:
        """Train, or go on training, and measure; see `Task.produce`."""
        path = store.runs / self.stem
        torch.set_num_threads(self.config.threads)
        training = Training(self.config, path, make)
        try:
            place = training.place(self.place.name, self.place.copies, self.place.device)
            training.run(place, tell)
            deciders = training.deciders()
            teams = _measure(place, deciders, self.episodes, self.evaluation_seed)
            gains = exact_gains(place, deciders)
            training.job.draw()
            frames, seconds = training.frames, training.job.cpu_seconds
        finally:
            training.close()
        curves, exploitability = curves_of(read_points(path))
        return {
            "kind": "training",
            "cell": self.stem,
            "run": f"runs/{self.stem}",
            "label": self.contender.label,
            "world": self.place.world,
            "algorithm": self.contender.algorithm,
            "optimizer": self.contender.optimizer,
            "seed": self.config.seed,
            "frames": frames,
            "cpu_seconds": seconds,
            "config": self.config.as_dict(),
            "gains": gains,
            "exploitability_curve": exploitability,
            "teams": {t: numbers | {"curve": curves[t]} for t, numbers in teams.items()},
        }


@dataclass(frozen=True, kw_only=True)
class PlayerTask(Task):
    """Play of all teams by a player that needs no training.

    Attributes:
        player: random, greedy or planner.
        place: Where.
        episodes: Episodes.
        evaluation_seed: Of starts and draws.
    """

    player: str
    place: Place
    episodes: int
    evaluation_seed: int

    @property
    def stem(self) -> str:
        """See `Task.stem`."""
        return f"{safe(self.place.world)}-{self.player}-{content_key(asdict(self))}"

    @property
    def title(self) -> str:
        """See `Task.title`."""
        return f"{self.place.world} {PLAYER_LABELS[self.player]}"

    def produce(self, store: Store, make: WorldMaker, tell: Tell) -> dict[str, Any]:
        """Play; see `Task.produce`."""
        tell(0, 1)
        place = self.place.make(make)
        try:
            entrant = Entrant(label=self.player, run=None, player=self.player)
            names = dict.fromkeys(group.team for group in place.groups)
            deciders = [as_decider(entrant, place, team) for team in names]
            # These players make no difference between drawn and most probable actions.
            played = evaluate(place, deciders, episodes=self.episodes, seed=self.evaluation_seed)
            teams = _summed_up(played, played)
            gains = exact_gains(place, deciders)
        finally:
            place.close()
        tell(1, 1)
        return {
            "kind": "player",
            "world": self.place.world,
            "label": PLAYER_LABELS[self.player],
            "player": self.player,
            "gains": gains,
            "teams": teams,
        }


@dataclass(frozen=True, kw_only=True)
class PairTask(Task):
    """A pairing of two entrants.

    Attributes:
        first: What names the one that plays the first team: a cell or a player.
        second: The same of the second team.
        entrants: Both.
        place: Where.
        episodes: Episodes.
        evaluation_seed: Of starts and draws.
    """

    first: str
    second: str
    entrants: tuple[Entrant, Entrant]
    place: Place
    episodes: int
    evaluation_seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result."""
        return {
            "first": self.first,
            "second": self.second,
            "place": asdict(self.place),
            "episodes": self.episodes,
            "seed": self.evaluation_seed,
        }

    @property
    def stem(self) -> str:
        """See `Task.stem`."""
        return f"{safe(self.place.world)}-crossplay-{content_key(self.settings)}"

    @property
    def title(self) -> str:
        """See `Task.title`."""
        return f"{self.place.world} cross-play"

    def produce(self, store: Store, make: WorldMaker, tell: Tell) -> dict[str, Any]:
        """Play; see `Task.produce`."""
        place = self.place.make(make)
        try:
            pair = play_pair(
                place, *self.entrants, episodes=self.episodes, seed=self.evaluation_seed
            )
        finally:
            place.close()
        return {"kind": "crossplay", **self.settings, "returns": pair}


@dataclass(frozen=True, kw_only=True)
class VideoTask(Task):
    """An episode of a contender, drawn.

    Attributes:
        cell: What names the entrant: a cell or a player.
        entrant: Who plays all teams.
        place: Where it is measured; the picture is of the world of our own of that name.
        evaluation_seed: Of the start.
    """

    cell: str
    entrant: Entrant
    place: Place
    evaluation_seed: int

    @property
    def stem(self) -> str:
        """See `Task.stem`."""
        key = content_key(
            {"cell": self.cell, "place": asdict(self.place), "seed": self.evaluation_seed}
        )
        return f"{safe(self.place.world)}-video-{self.entrant.label.replace(' ', '-')}-{key}"

    @property
    def title(self) -> str:
        """See `Task.title`."""
        return f"{self.place.world} videos"

    def produce(self, store: Store, make: WorldMaker, tell: Tell) -> dict[str, Any]:
        """Play and draw; see `Task.produce`."""
        torch.set_num_threads(self.place.threads)
        file = f"{safe(self.place.world)}-{self.entrant.label.replace(' ', '-')}.gif"
        frames = draw_video(
            self.place.world,
            lambda world, team: as_decider(self.entrant, world, team),
            store.videos / file,
            seed=self.evaluation_seed,
        )
        return {
            "kind": "video",
            "world": self.place.world,
            "label": self.entrant.label,
            "file": f"videos/{file}",
            "frames": frames,
        }


def training_tasks(suite: Suite) -> list[TrainingTask]:
    """List the trainings of a suite.

    Args:
        suite: The suite.

    Returns:
        Its trainings; seeds vary slowest, so that every contender has a result early.
    """
    return [
        TrainingTask(
            contender=contender,
            config=suite.config(world, contender, seed),
            place=Place.of(suite, world),
            episodes=suite.episodes,
            evaluation_seed=suite.evaluation_seed,
        )
        for seed in suite.seeds
        for world in suite.worlds
        for contender in suite.contenders(world)
    ]


def player_tasks(suite: Suite) -> list[PlayerTask]:
    """List the players of a suite that need no training.

    Args:
        suite: The suite.

    Returns:
        One task per world and player.
    """
    return [
        PlayerTask(
            player=player,
            place=Place.of(suite, world),
            episodes=suite.episodes,
            evaluation_seed=suite.evaluation_seed,
        )
        for world in suite.worlds
        for player in suite.players_of(world)
    ]


def _measure(
    world: World, deciders: Sequence[Decider], episodes: int, seed: int
) -> dict[str, dict[str, Any]]:
    return _summed_up(*evaluate_both(world, deciders, episodes=episodes, seed=seed))


def _summed_up(drawn: EpisodeReturns, most: EpisodeReturns) -> dict[str, dict[str, Any]]:
    return {
        team: {
            "drawn": float(drawn.by_team[team].mean()),
            "deterministic": float(most.by_team[team].mean()),
            "episodes": len(drawn.lengths),
        }
        for team in drawn.by_team
    }
