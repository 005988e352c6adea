"""Any PettingZoo environment as a `World`, in this process or over worker processes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from ocngame._checks import integer
from ocngame.envs.adapters.layout import StateSource, layout_of
from ocngame.envs.adapters.record import MomentArrays, Record, carve, sizes
from ocngame.envs.adapters.runner import Runner
from ocngame.envs.adapters.workers import Workers
from ocngame.envs.masks import mask_parts, nothing_allowed, part_sizes
from ocngame.envs.world import Group, Moment, Transition, World
from ocngame.errors import ApiError, CheckpointError, InvalidInputError, NonFiniteError

__all__ = ["AdaptedWorld"]

_DTYPES = {torch.float32: np.float32, torch.float64: np.float64}


class AdaptedWorld(World):
    """Copies of a PettingZoo environment, stepped together.

    What `state_dict` keeps is the seed, which episode every copy is in, and the actions since the
    episode's start: to load it is to play these again.
    """

    def __init__(
        self,
        factory: Callable[[], Any],
        *,
        name: str,
        batch_size: int = 1,
        seed: int | None = None,
        workers: int = 0,
        teams: Mapping[str, Sequence[str]] | None = None,
        horizon: int | None = None,
        state: StateSource = "auto",
        image_side: int | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        """Make the copies.

        Args:
            factory: Makes one environment, a ParallelEnv or an AECEnv. With workers it must be
                something that cloudpickle can send.
            name: Of the world, in messages and tables.
            batch_size: B.
            seed: Of all starts; None for one from the operating system.
            workers: Processes that the copies are spread over; 0 for this process.
            teams: From a team to its agents; None for teams by the agents' names.
            horizon: Steps after which an episode is truncated; None for the environment's own.
            state: Where the state comes from; "auto" for the environment's own where it has one.
            image_side: Largest side of images in observations and state, which are made smaller
                by means of blocks and brought to [0, 1]; None for images as they are.
            device: Where tensors are given.
            dtype: float32 or float64.

        Raises:
            InvalidInputError: if an argument is not as said.
            ApiError: if what the factory makes is not a PettingZoo environment.
        """
        integer("batch_size", batch_size, low=1)
        integer("workers", workers, low=0)
        if workers > batch_size:
            raise InvalidInputError(
                f"workers: expected at most batch_size, {batch_size}, got {workers}"
            )
        if horizon is not None:
            integer("horizon", horizon, low=1)
        if seed is not None:
            integer("seed", seed, low=0)
        if image_side is not None:
            integer("image_side", image_side, low=1)
        if dtype not in _DTYPES:
            raise InvalidInputError(f"dtype: expected float32 or float64, got {dtype}")
        if state not in {"auto", "own", "observations"}:
            raise InvalidInputError(
                f"state: expected 'auto', 'own' or 'observations', got {state!r}"
            )
        probe = factory()
        if not all(hasattr(probe, part) for part in ("reset", "step", "action_space")):
            raise ApiError(
                f"{name}: expected a ParallelEnv or an AECEnv, got {type(probe).__name__}"
            )
        layout = layout_of(probe, title=name, teams=teams, state=state, image_side=image_side)
        probe.close()
        self.name, self.batch_size = name, batch_size
        self.groups, self.state_size = layout.groups, layout.state_size
        own = layout.horizon
        self.horizon = min(horizon, own) if horizon and own else horizon or own
        self.device, self.dtype = torch.device(device), dtype
        self._layout = layout
        counts = sizes(layout, batch_size)
        self._runner: Runner | Workers
        if workers:
            self._runner = Workers(
                factory, layout, batch_size, workers, horizon, _DTYPES[dtype], counts
            )
            self._numbers, self._flags = self._runner.numbers, self._runner.flags
            self._record = carve(layout, batch_size, self._numbers, self._flags)
        else:
            self._numbers = np.zeros(counts[0], dtype=_DTYPES[dtype])
            self._flags = np.zeros(counts[1], dtype=bool)
            self._record = carve(layout, batch_size, self._numbers, self._flags)
            self._runner = Runner(factory, layout, self._record, 0, horizon)
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._episodes = np.zeros(batch_size, dtype=np.int64)
        self._ages = np.zeros(batch_size, dtype=np.int64)
        self._history: list[list[np.ndarray]] = []
        self._started = False

    def reset(self, seed: int | None = None) -> Moment:
        """Start every copy anew; see `World.reset`.

        Args:
            seed: Of this and all later starts.

        Returns:
            The first moment.
        """
        if seed is not None:
            integer("seed", seed, low=0)
            self._seed = seed
            self._episodes[:] = 0
        self._started = False
        self._runner.start(self._seed, self._episodes.tolist())
        self._episodes += 1
        self._ages[:] = 0
        self._history.clear()
        self._started = True
        self._check()
        return self._moments()[0]

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        """Make one step of every copy; see `World.step`.

        Args:
            actions: Per group; entries of agents that do not act are ignored.

        Returns:
            What it brought.

        Raises:
            InvalidInputError: if the world has not been reset, at first or after an error.
        """
        if not self._started:
            raise InvalidInputError(
                f"{self.name}: expected reset before the first step and after an error"
            )
        chosen = [self._checked(index, group, actions) for index, group in enumerate(self.groups)]
        # After an error copies may have made the step or not: only a new start is sound.
        self._started = False
        self._runner.step(chosen)
        self._started = True
        over = self._record.over
        self._history.append(chosen)
        self._ages += 1
        if over.any():
            self._ages[over] = 0
            self._episodes[over] += 1
        longest = int(self._ages.max())
        if len(self._history) > 2 * longest + 64:
            del self._history[: len(self._history) - longest]
        self._check()
        following, last, record = self._moments()
        return Transition(
            rewards=self._named(record.rewards),
            terminated=self._named(record.terminated),
            truncated=self._named(record.truncated),
            over=record.over,
            last=last,
            next=following,
        )

    def state_dict(self) -> dict[str, object]:
        """Give what a resumed run needs to go on bitwise; see `World.state_dict`.

        Returns:
            The seed, the episode of every copy and the actions since its start.
        """
        longest = int(self._ages.max())
        steps = self._history[len(self._history) - longest :]
        return {
            "name": self.name,
            "started": self._started,
            "seed": self._seed,
            "episodes": torch.from_numpy(self._episodes.copy()),
            "ages": torch.from_numpy(self._ages.copy()),
            "actions": {
                group.name: torch.from_numpy(
                    np.stack([step[index] for step in steps]) if steps else np.zeros(0)
                )
                for index, group in enumerate(self.groups)
            },
        }

    def load_state_dict(self, state: dict[str, object]) -> Moment:
        """Go back to a state that `state_dict` gave; see `World.load_state_dict`.

        Args:
            state: It.

        Returns:
            The moment to act on.

        Raises:
            CheckpointError: if it is of another world, or was taken before the first start.
        """
        if state.get("name") != self.name or not state.get("started"):
            raise CheckpointError(
                f"state: expected one of {self.name} after its reset, got one of "
                f"{state.get('name')}{'' if state.get('started') else ' before it'}"
            )
        episodes = cast("Tensor", state["episodes"]).numpy().copy()
        ages = cast("Tensor", state["ages"]).numpy().copy()
        saved = cast("Mapping[str, Tensor]", state["actions"])
        if len(episodes) != self.batch_size or set(saved) != {g.name for g in self.groups}:
            raise CheckpointError(
                f"state: expected {self.batch_size} copies and groups "
                f"{[g.name for g in self.groups]}, got {len(episodes)} and {list(saved)}"
            )
        actions = [saved[group.name].numpy() for group in self.groups]
        self._seed = int(cast("int", state["seed"]))
        self._runner.replay(self._seed, episodes.tolist(), ages.tolist(), actions)
        self._episodes, self._ages, self._started = episodes, ages, True
        self._history = [[group[t] for group in actions] for t in range(len(actions[0]))]
        self._check()
        return self._moments()[0]

    def close(self) -> None:
        """Close the environments and end the processes."""
        self._runner.close()

    def _moments(self) -> tuple[Moment, Moment, Record[Tensor]]:
        record = self._record
        over = record.over
        some = bool(over.any())
        if some and not over.all():
            stay = ~over
            for mine, its in zip(_arrays(record.last), _arrays(record.next), strict=True):
                mine[stay] = its[stay]
        numbers = torch.from_numpy(self._numbers.copy())
        flags = torch.from_numpy(self._flags.copy())
        if self.device.type != "cpu":
            numbers, flags = numbers.to(self.device), flags.to(self.device)
        tensors = carve(self._layout, self.batch_size, numbers, flags)
        following = self._moment(tensors.next)
        return following, self._moment(tensors.last) if some else following, tensors

    def _moment(self, arrays: MomentArrays[Tensor]) -> Moment:
        return Moment(
            observations=self._named(arrays.observations),
            acting=self._named(arrays.acting),
            masks={
                group.name: masks
                for group, masks in zip(self.groups, arrays.masks, strict=True)
                if masks is not None
            },
            state=arrays.state,
        )

    def _named(self, values: Sequence[Tensor]) -> dict[str, Tensor]:
        return {group.name: value for group, value in zip(self.groups, values, strict=True)}

    def _checked(self, index: int, group: Group, actions: Mapping[str, Tensor]) -> np.ndarray:
        """Give the actions of a group as an array, those that are ignored set to an allowed one."""
        if group.name not in actions:
            raise InvalidInputError(f"actions: expected group {group.name!r}, got {list(actions)}")
        space, acting = group.action_space, self._record.next.acting[index]
        given = actions[group.name].detach().cpu().numpy()
        shape = (*acting.shape, *(space.shape or ()))
        kind = "f" if isinstance(space, Box) else "iu"
        if given.shape != shape or given.dtype.kind not in kind:
            raise InvalidInputError(
                f"actions: {group.name!r}: expected "
                f"{'floats' if kind == 'f' else 'integers'} of shape {tuple(shape)}, "
                f"got {given.dtype} of shape {given.shape}"
            )
        if isinstance(space, Box):
            fine = (given >= space.low) & (given <= space.high)
            harmless = (space.low + space.high) / 2
        elif isinstance(space, Discrete):
            fine = self._allowed(index, group, given[..., None])[..., 0]
            harmless = 0
        else:
            fine = self._allowed(index, group, given)
            harmless = 0
        if given.ndim > acting.ndim:
            fine = fine.all(-1)
        if not fine.all():
            bad = acting & ~fine
            if bad.any():
                copy, slot = np.argwhere(bad)[0]
                raise InvalidInputError(
                    f"actions: {group.agents[slot]}, copy {copy}: expected an allowed action of "
                    f"{space}, got {given[copy, slot].tolist()}"
                )
            given = given.copy()
            given[~fine] = harmless
            return given
        return given.copy()

    def _allowed(self, index: int, group: Group, given: np.ndarray) -> np.ndarray:
        """Say which parts of choices [B, A, n] there are and are allowed."""
        fine = (given >= 0) & (given < np.array(part_sizes(group.action_space)))
        masks = self._record.next.masks[index]
        if masks is not None:
            inside = np.where(fine, given, 0)
            for j, part in enumerate(mask_parts(masks, group.action_space)):
                fine[..., j] &= np.take_along_axis(part, inside[..., j : j + 1], -1)[..., 0]
        return fine

    def _check(self) -> None:
        # Whatever is not finite makes the sum so.
        if not np.isfinite(self._numbers.sum(dtype=np.float64)):
            self._find_non_finite()
        for group, acting, masks in zip(
            self.groups, self._record.next.acting, self._record.next.masks, strict=True
        ):
            if masks is not None:
                stuck = acting & nothing_allowed(masks, group.action_space)
                if stuck.any():
                    copy, slot = np.argwhere(stuck)[0]
                    self._started = False
                    raise ApiError(
                        f"{self.name}, copy {copy}: {group.agents[slot]} is to act and its mask "
                        f"allows no action"
                    )

    def _find_non_finite(self) -> None:
        record = self._record
        for index, group in enumerate(self.groups):
            for what, values in (
                ("reward", record.rewards[index][..., None]),
                ("observation", record.next.observations[index]),
                ("last observation", record.last.observations[index]),
            ):
                bad = ~np.isfinite(values)
                if bad.any():
                    copy, slot, entry = np.argwhere(bad)[0]
                    self._started = False
                    raise NonFiniteError(
                        f"{self.name}, copy {copy}: expected finite numbers, the {what} of "
                        f"{group.agents[slot]} has {values[copy, slot, entry]} (entry {entry})"
                    )
        for state in (record.next.state, record.last.state):
            bad = ~np.isfinite(state)
            if bad.any():
                copy, entry = np.argwhere(bad)[0]
                self._started = False
                raise NonFiniteError(
                    f"{self.name}, copy {copy}: expected finite numbers, the state has "
                    f"{state[copy, entry]} (entry {entry})"
                )


def _arrays(moment: MomentArrays[np.ndarray]) -> list[np.ndarray]:
    masks = [mask for mask in moment.masks if mask is not None]
    return [*moment.observations, moment.state, *moment.acting, *masks]
