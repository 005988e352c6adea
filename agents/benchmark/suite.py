"""Suites: which runs a benchmark makes, built in or read from a TOML file."""

import dataclasses
import itertools
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from ocngame._checks import in_range, integer, one_of
from ocngame.envs import batched_names
from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.training.marl_config import (
    Algorithm,
    MarlConfig,
    Optimizer,
    marl_config_from_dict,
)

__all__ = ["SUITES", "Suite", "load_suite"]

_OWN = ("world", "algorithm", "optimizer", "seed", "frames", "evaluate_every", "episodes", "job")
"""Settings of a run that a suite decides by itself."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Every world with every algorithm, optimizer and seed.

    Attributes:
        name: As reports show it.
        worlds: Names of worlds.
        algorithms: ippo, mappo.
        optimizers: adam, ocnopt.
        seeds: Of the runs.
        frames: Of each run.
        points: Measurements along a run, at equal distances in frames.
        point_episodes: Episodes of such a measurement.
        episodes: Episodes of the last measurement, and of random play.
        crossplay_episodes: Episodes of each pairing.
        evaluation_seed: Of the starts and draws of last measurements and pairings, the same for
            all.
        draws: Bootstrap draws.
        confidence: Of the intervals.
        settings: Other settings of every run, by their names in `MarlConfig`.
    """

    name: str
    worlds: tuple[str, ...]
    algorithms: tuple[str, ...] = ("ippo",)
    optimizers: tuple[str, ...] = ("adam", "ocnopt")
    seeds: tuple[int, ...] = (0, 1, 2)
    frames: int = 300_000
    points: int = 10
    point_episodes: int = 128
    episodes: int = 512
    crossplay_episodes: int = 128
    evaluation_seed: int = 20_000
    draws: int = 2000
    confidence: float = 0.95
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate the settings, those of the runs included.

        Raises:
            InvalidInputError: if one is not what is expected.
        """
        if not isinstance(self.name, str) or not self.name:
            raise InvalidInputError(f"name: expected a text that is not empty, got {self.name!r}")
        for name in ("worlds", "algorithms", "optimizers"):
            self._distinct(name, str, "texts")
        self._distinct("seeds", int, "integers")
        for name in ("frames", "points", "point_episodes", "episodes", "crossplay_episodes"):
            integer(name, getattr(self, name), low=1)
        integer("draws", self.draws, low=100)
        integer("evaluation_seed", self.evaluation_seed, low=0)
        in_range("confidence", self.confidence, low=0.0, high=1.0, low_open=True, high_open=True)
        for world in self.worlds:
            if set(".:/").isdisjoint(world):
                one_of("worlds", world, batched_names())
        for name, known in (("algorithms", Algorithm), ("optimizers", Optimizer)):
            for value in getattr(self, name):
                one_of(name, value, get_args(known))
        if not isinstance(self.settings, Mapping):
            raise InvalidInputError(f"settings: expected a table, got {self.settings!r}")
        for name in self.settings:
            if name in _OWN:
                raise InvalidInputError(
                    f"settings.{name}: a suite decides this by itself; leave it"
                )
        for algorithm, optimizer in itertools.product(self.algorithms, self.optimizers):
            self.config(self.worlds[0], algorithm, optimizer, self.seeds[0])

    def config(self, world: str, algorithm: str, optimizer: str, seed: int) -> MarlConfig:
        """Give the settings of one run.

        Args:
            world: Name of its world.
            algorithm: Its algorithm.
            optimizer: Its optimizer.
            seed: Its seed.

        Returns:
            The settings.

        Raises:
            UnknownNameError: if the suite has another setting that is not known.
            InvalidInputError: if one has a wrong value.
        """
        plain = MarlConfig().as_dict()
        for name, value in self.settings.items():
            if name not in plain:
                raise UnknownNameError("settings", name, plain)
            if isinstance(plain[name], dict):
                if not isinstance(value, Mapping):
                    raise InvalidInputError(f"settings.{name}: expected a table, got {value!r}")
                for key in value:
                    one_of(f"settings.{name}", key, plain[name])
                plain[name] = plain[name] | dict(value)
            else:
                plain[name] = value
        plain |= {
            "world": world,
            "algorithm": algorithm,
            "optimizer": optimizer,
            "seed": seed,
            "frames": self.frames,
            "episodes": self.point_episodes,
        }
        updates = marl_config_from_dict(plain).updates
        return marl_config_from_dict(plain | {"evaluate_every": max(1, updates // self.points)})

    def _distinct(self, name: str, kind: type, what: str) -> None:
        values = getattr(self, name)
        good = isinstance(values, tuple) and values and len(set(values)) == len(values)
        if not good or any(not isinstance(v, kind) or isinstance(v, bool) for v in values):
            raise InvalidInputError(
                f"{name}: expected a list of different {what}, at least one, got {values!r}"
            )


SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            name="smoke",
            worlds=("simple_spread", "simple_push"),
            frames=64_000,
            episodes=256,
        ),
        Suite(
            name="cooperative",
            worlds=("simple_spread",),
            algorithms=("ippo", "mappo"),
            seeds=(0, 1, 2, 3, 4),
        ),
        Suite(
            name="adversarial",
            worlds=("simple_tag", "simple_adversary", "simple_push"),
            seeds=(0, 1, 2, 3, 4),
        ),
    )
}
"""The built-in suites."""


def load_suite(name: str) -> Suite:
    """Find a suite by its name or read it from a file.

    Args:
        name: One of `SUITES`, or a path that ends in .toml.

    Returns:
        The suite.

    Raises:
        UnknownNameError: if there is no such suite, or an entry is not known.
        InvalidInputError: if the file cannot be read, or an entry is wrong.
    """
    if not name.endswith(".toml"):
        one_of("suite", name, SUITES)
        return SUITES[name]
    path = Path(name)
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"suite: cannot read {path} ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"suite: expected TOML in {path} ({error})") from error
    known = [f.name for f in dataclasses.fields(Suite)]
    for key in content:
        if key not in known:
            raise UnknownNameError(f"{path}", key, known)
    if "worlds" not in content:
        raise InvalidInputError(f"{path}: expected an entry worlds, such as ['simple_spread']")
    for key in ("worlds", "algorithms", "optimizers", "seeds"):
        if not isinstance(content.get(key, []), list):
            raise InvalidInputError(f"{path}: {key}: expected a list, got {content[key]!r}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    try:
        json.dumps(values)
    except TypeError as error:
        raise InvalidInputError(f"{path}: expected texts, numbers and tables ({error})") from error
    try:
        return Suite(**{"name": path.stem, **values})
    except UnknownNameError:
        raise
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
