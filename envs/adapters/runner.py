"""Some copies of an environment in one process: starts, steps and replays them.

Every start has a seed of its own, a function of the world's seed, of which copy it is and of how
many episodes that copy has begun. What a copy does therefore depends neither on the other copies
nor on which process it runs in.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ocngame.envs.adapters.copies import Copy, copy_of
from ocngame.envs.adapters.layout import Layout
from ocngame.envs.adapters.record import Record
from ocngame.errors import ApiError, OcnGameError

__all__ = ["Runner", "seed_of"]


def seed_of(seed: int, copy: int, episode: int) -> int:
    """Give the seed of an episode.

    Args:
        seed: Of the world.
        copy: Which copy, counted over all processes.
        episode: How many it has begun before.

    Returns:
        A number of 31 bits.
    """
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(copy, episode))
    return int(sequence.generate_state(1)[0] >> 1)


class Runner:
    """Copies in rows of a record."""

    def __init__(
        self,
        factory: Callable[[], Any],
        layout: Layout,
        record: Record[np.ndarray],
        first: int,
        horizon: int | None,
    ):
        """Make the copies.

        Args:
            factory: Makes an environment.
            layout: What there is.
            record: The rows of these copies.
            first: Which copy the first row is, counted over all processes.
            horizon: Steps after which an episode is truncated, None for the environment's own.
        """
        self._layout, self._record, self._first, self._horizon = layout, record, first, horizon
        self._copies: list[Copy] = [
            copy_of(factory(), layout, record, row) for row in range(len(record.over))
        ]
        self._ages = [0] * len(self._copies)
        self._episodes = [0] * len(self._copies)
        self._seed = 0

    def start(self, seed: int, episodes: Sequence[int]) -> None:
        """Start every copy.

        Args:
            seed: Of the world.
            episodes: How many each copy has begun before.
        """
        self._seed, self._episodes = seed, list(episodes)
        self._clear()
        for row in range(len(self._copies)):
            self._begin(row)

    def step(self, actions: Sequence[np.ndarray]) -> None:
        """Step every copy, and start anew those that are over.

        Args:
            actions: Per group [B, A] or [B, A, m], of these copies.
        """
        self._clear()
        decoded = [d(a) for d, a in zip(self._layout.decoders, actions, strict=True)]
        for row, copy in enumerate(self._copies):
            if self._advance(row, [group[row] for group in decoded]):
                copy.keep_last()
                self._record.over[row] = True
                self._begin(row)

    def replay(
        self,
        seed: int,
        episodes: Sequence[int],
        ages: Sequence[int],
        actions: Sequence[np.ndarray],
    ) -> None:
        """Play the episodes that were under way again.

        Args:
            seed: Of the world.
            episodes: How many each copy had begun, the one under way included.
            ages: Steps made in it.
            actions: Per group [T, B, A] or [T, B, A, m], the last T steps.

        Raises:
            ApiError: if an episode ends earlier than it did.
        """
        self.start(seed, [episode - 1 for episode in episodes])
        for row, age in enumerate(ages):
            for t in range(len(actions[0]) - age, len(actions[0])):
                decoded = [
                    d(a[t, row : row + 1])[0]
                    for d, a in zip(self._layout.decoders, actions, strict=True)
                ]
                if self._advance(row, decoded):
                    raise ApiError(
                        f"{self._layout.title}, copy {self._first + row}: a replayed episode has "
                        f"ended earlier than it did; the same seed and actions give something else"
                    )
        self._clear()

    def close(self) -> None:
        """Close the environments."""
        for copy in self._copies:
            copy.close()

    def _clear(self) -> None:
        record = self._record
        for array in (*record.rewards, *record.terminated, *record.truncated, record.over):
            array[...] = 0

    def _begin(self, row: int) -> None:
        seed = seed_of(self._seed, self._first + row, self._episodes[row])
        self._episodes[row] += 1
        self._ages[row] = 0
        try:
            self._copies[row].start(seed)
        except Exception as error:
            raise self._named(error, row, "reset") from error

    def _advance(self, row: int, actions: list[Any]) -> bool:
        copy = self._copies[row]
        try:
            over = copy.step(actions)
        except Exception as error:
            raise self._named(error, row, "step") from error
        self._ages[row] += 1
        if not over and self._horizon is not None and self._ages[row] >= self._horizon:
            copy.cut()
            return True
        return over

    def _named(self, error: Exception, row: int, what: str) -> OcnGameError:
        where = f"{self._layout.title}, copy {self._first + row}"
        if isinstance(error, ApiError):
            return ApiError(f"{where}: {error}")
        return ApiError(f"{where}: its {what} raised {type(error).__name__}: {error}")
