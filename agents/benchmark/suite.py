"""Suites: which runs a benchmark makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ocngame._checks import in_range, integer, one_of
from ocngame.agents.benchmark.contenders import (
    ALGORITHMS,
    OPTIMIZED,
    OPTIMIZERS,
    PLAYERS,
    Contender,
    fits,
)
from ocngame.envs import own_names
from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.training.marl_config import CoupledSettings, MarlConfig, marl_config_from_dict
from ocngame.training.selfplay_config import SelfPlayConfig, selfplay_config_from_dict

__all__ = ["RunConfig", "Suite"]

RunConfig = MarlConfig | SelfPlayConfig

_USUAL = {
    "settings": MarlConfig(),
    "coupled": MarlConfig(
        optimizer="coupled", schedule="constant", coupled=CoupledSettings(curvature="full")
    ),
}
"""What runs are where a suite's table of that name says nothing else."""

_OWN = (
    "world",
    "algorithm",
    "optimizer",
    "seed",
    "frames",
    "points",
    "evaluate_every",
    "episodes",
    "job",
)
"""Settings of a run that a suite decides by itself."""

_PER_WORLD = ("frames", "settings", "selfplay", "coupled")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Every world with every contender that is for it, and every seed.

    Attributes:
        name: As reports show it.
        worlds: Names of worlds.
        algorithms: ippo, mappo, coupled, selfplay; each where it applies.
        optimizers: adam, ocnopt: of ippo, mappo and selfplay.
        players: random, greedy, planner: who plays without training, where it applies.
        seeds: Of the runs.
        frames: Of each run; in turn-based worlds a frame is a decision.
        points: Measurements along a run, at equal distances in frames.
        point_episodes: Episodes of such a measurement.
        episodes: Episodes of the last measurement, and of players without training.
        crossplay_episodes: Episodes of each pairing.
        response_frames: Frames of a trained best response to every team of a run, where gains
            of deviation cannot be computed; 0 for none.
        evaluation_seed: Of the starts and draws of last measurements and pairings, the same for
            all.
        draws: Bootstrap draws.
        confidence: Of the intervals.
        videos: Whether an episode of every contender is drawn, where a world can be drawn.
        settings: Other settings of ippo and mappo, by their names in `MarlConfig`.
        selfplay: The same of selfplay, in `SelfPlayConfig`.
        coupled: The same of coupled, in `MarlConfig`.
        per_world: By a world's name, a table of `frames`, `settings`, `selfplay`, `coupled` that
            are other there.
    """

    name: str
    worlds: tuple[str, ...]
    algorithms: tuple[str, ...] = ("ippo",)
    optimizers: tuple[str, ...] = ("adam", "ocnopt")
    players: tuple[str, ...] = ("random",)
    seeds: tuple[int, ...] = (0, 1, 2)
    frames: int = 300_000
    points: int = 10
    point_episodes: int = 128
    episodes: int = 512
    crossplay_episodes: int = 128
    response_frames: int = 0
    evaluation_seed: int = 20_000
    draws: int = 2000
    confidence: float = 0.95
    videos: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    selfplay: Mapping[str, Any] = field(default_factory=dict)
    coupled: Mapping[str, Any] = field(default_factory=dict)
    per_world: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate the settings, those of the runs included.

        Raises:
            InvalidInputError: if one is not what is expected.
        """
        if not isinstance(self.name, str) or not self.name:
            raise InvalidInputError(f"name: expected a text that is not empty, got {self.name!r}")
        for name in ("worlds", "algorithms", "optimizers", "players"):
            self._distinct(name, str, "texts")
        self._distinct("seeds", int, "integers")
        for name in ("frames", "points", "point_episodes", "episodes", "crossplay_episodes"):
            integer(name, getattr(self, name), low=1)
        integer("draws", self.draws, low=100)
        integer("response_frames", self.response_frames, low=0)
        integer("evaluation_seed", self.evaluation_seed, low=0)
        in_range("confidence", self.confidence, low=0.0, high=1.0, low_open=True, high_open=True)
        if not isinstance(self.videos, bool):
            raise InvalidInputError(f"videos: expected true or false, got {self.videos!r}")
        self._check_names()
        self._check_tables()
        for world in self.worlds:
            for contender in self.contenders(world):
                self.config(world, contender, self.seeds[0])

    def contenders(self, world: str) -> list[Contender]:
        """List who is trained in a world.

        Args:
            world: Its name.

        Returns:
            Algorithms with optimizers.
        """
        return [
            Contender(algorithm=algorithm, optimizer=optimizer)
            for algorithm in self.algorithms
            if fits(algorithm, world)
            for optimizer in (self.optimizers if algorithm in OPTIMIZED else ("",))
        ]

    def players_of(self, world: str) -> list[str]:
        """List who plays in a world without training.

        Args:
            world: Its name.

        Returns:
            Names of players.
        """
        return [player for player in self.players if fits(player, world)]

    def frames_of(self, world: str) -> int:
        """Give the frames of each run in a world.

        Args:
            world: Its name.

        Returns:
            Their number.
        """
        frames = self.per_world.get(world, {}).get("frames", self.frames)
        integer(f"per_world.{world}.frames", frames, low=1)
        return frames

    def config(self, world: str, contender: Contender, seed: int) -> RunConfig:
        """Give the settings of one run.

        Args:
            world: Name of its world.
            contender: Who is trained.
            seed: Its seed.

        Returns:
            The settings.
        """
        frames = self.frames_of(world)
        if contender.algorithm == "selfplay":
            plain = self._merged("selfplay", SelfPlayConfig().as_dict(), world)
            own = {"world": world, "steps": frames, "seed": seed, "episodes": self.point_episodes}
            plain["learner"] = plain["learner"] | {"optimizer": contender.optimizer}
            updates = selfplay_config_from_dict(plain | own).iterations
            every = max(1, updates // self.points)
            return selfplay_config_from_dict(plain | own | {"evaluate_every": every})
        own = {"world": world, "frames": frames, "seed": seed, "episodes": self.point_episodes}
        if contender.algorithm == "coupled":
            return self._marl(world, own, "coupled")
        own |= {"algorithm": contender.algorithm, "optimizer": contender.optimizer}
        return self._marl(world, own)

    def response_config(self, world: str) -> MarlConfig:
        """Give the settings of trained best responses, but for their length and seed.

        Args:
            world: Name of the world.

        Returns:
            The settings.
        """
        return self._marl(world, {"world": world, "algorithm": "ippo", "optimizer": "adam"})

    def measured(self, world: str) -> tuple[str, int, str, int]:
        """Say where players of a world are measured.

        Args:
            world: Its name.

        Returns:
            Name of the world to play in, its copies, device, and threads of torch.
        """
        config = self._marl(world, {"world": world})
        name = config.evaluation or world
        return name, config.evaluation_copies, config.device, config.threads

    def _check_names(self) -> None:
        for world in self.worlds:
            if set(".:/").isdisjoint(world):
                one_of("worlds", world, own_names())
        for name, known in (
            ("algorithms", ALGORITHMS),
            ("optimizers", OPTIMIZERS),
            ("players", PLAYERS),
        ):
            for value in getattr(self, name):
                one_of(name, value, known)
        for algorithm in self.algorithms:
            if not any(fits(algorithm, world) for world in self.worlds):
                raise InvalidInputError(
                    f"algorithms: expected such as fit a world of the suite, {algorithm!r} fits "
                    f"none of {', '.join(self.worlds)}"
                )

    def _check_tables(self) -> None:
        for name in ("settings", "selfplay", "coupled", "per_world"):
            self._table(name, getattr(self, name))
        for world, table in self.per_world.items():
            one_of("per_world", world, self.worlds)
            self._table(f"per_world.{world}", table)
            for name in table:
                one_of(f"per_world.{world}", name, _PER_WORLD)

    def _marl(self, world: str, own: dict[str, Any], table: str = "settings") -> MarlConfig:
        plain = self._merged(table, _USUAL[table].as_dict(), world) | own
        updates = marl_config_from_dict(plain).updates
        return marl_config_from_dict(plain | {"evaluate_every": max(1, updates // self.points)})

    def _merged(self, name: str, plain: dict[str, Any], world: str) -> dict[str, Any]:
        """Put the suite's settings, and those of the world, over the defaults."""
        tables = [(name, getattr(self, name))]
        if name in self.per_world.get(world, {}):
            where = f"per_world.{world}.{name}"
            table = self.per_world[world][name]
            self._table(where, table)
            tables.append((where, table))
        for where, table in tables:
            for key, value in table.items():
                if key in _OWN or (name == "selfplay" and key == "steps"):
                    raise InvalidInputError(
                        f"{where}.{key}: a suite decides this by itself; leave it"
                    )
                if key not in plain:
                    raise UnknownNameError(where, key, plain)
                if isinstance(plain[key], dict):
                    self._table(f"{where}.{key}", value)
                    for inner in value:
                        one_of(f"{where}.{key}", inner, plain[key])
                    plain[key] = plain[key] | dict(value)
                else:
                    plain[key] = value
        return plain

    @staticmethod
    def _table(name: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise InvalidInputError(f"{name}: expected a table, got {value!r}")

    def _distinct(self, name: str, kind: type, what: str) -> None:
        values = getattr(self, name)
        least = 0 if name == "players" else 1
        good = (
            isinstance(values, tuple) and len(values) >= least and len(set(values)) == len(values)
        )
        if not good or any(not isinstance(v, kind) or isinstance(v, bool) for v in values):
            few = ", at least one" if least else ""
            raise InvalidInputError(
                f"{name}: expected a list of different {what}{few}, got {values!r}"
            )
