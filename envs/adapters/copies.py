"""One copy of a PettingZoo environment that writes what happens into its row of a record.

Parallel: every live agent acts at once. Turn-based (AEC): the agent that `agent_selection` names
acts; the rewards of all agents come in the step in which they are given, and agents that are done
are stepped over. A parallel face made of an AEC environment by `aec_to_parallel` is driven at the
AEC environment itself: the face asks for every observation twice. Wrappers that only check what is
checked here already are taken off.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pettingzoo import AECEnv
from pettingzoo.utils import wrappers
from pettingzoo.utils.conversions import aec_to_parallel_wrapper

from ocngame.envs.adapters.images import shrink
from ocngame.envs.adapters.layout import Layout
from ocngame.envs.adapters.record import MomentArrays, Record
from ocngame.errors import ApiError

__all__ = ["Copy", "ParallelCopy", "TurnCopy", "copy_of"]

_CHECKS = (wrappers.OrderEnforcingWrapper, wrappers.AssertOutOfBoundsWrapper)


def _peel(env: Any) -> Any:
    while type(env) in _CHECKS:
        env = env.env
    return env


class _Cycle:
    """The parallel face of an AEC environment whose agents move once each in every cycle."""

    def __init__(self, env: Any):
        self._env = env

    @property
    def agents(self) -> list[Any]:
        return self._env.agents

    def reset(self, seed: int) -> tuple[dict[Any, Any], dict[Any, Any]]:
        env = self._env
        env.reset(seed=seed)
        return {agent: env.observe(agent) for agent in env.agents}, env.infos

    def step(self, actions: Mapping[Any, Any]) -> tuple[Any, ...]:
        env = self._env
        rewards: dict[Any, Any] = dict.fromkeys(env.agents, 0)
        for agent in list(env.agents):
            if env.agent_selection != agent:
                raise ApiError(
                    f"expected {agent!r} to move in its cycle, got {env.agent_selection!r}"
                )
            env.step(actions[agent])
            for other, reward in env.rewards.items():
                rewards[other] += reward
        terminated, truncated, infos = dict(env.terminations), dict(env.truncations), env.infos
        observations = {agent: env.observe(agent) for agent in env.agents}
        infos = dict(infos)
        while env.agents and (
            env.terminations[env.agent_selection] or env.truncations[env.agent_selection]
        ):
            env.step(None)
        return observations, rewards, terminated, truncated, infos

    def state(self) -> Any:
        return self._env.state()

    def close(self) -> None:
        self._env.close()


class Copy:
    """What both kinds share: the views of a row, by agent."""

    def __init__(self, env: Any, layout: Layout, record: Record[np.ndarray], row: int):
        """Bind an environment to a row.

        Args:
            env: It.
            layout: What there is.
            record: Where to write.
            row: The row of this copy.
        """
        self._env, self._layout = env, layout
        self._next = _Row(layout, record.next, row)
        self._last = _Row(layout, record.last, row)
        self._rewards = [rewards[row] for rewards in record.rewards]
        self._terminated = [flags[row] for flags in record.terminated]
        self._truncated = [flags[row] for flags in record.truncated]
        self._live: list[Any] = []
        self._seats = {a: (seat.group, seat.slot) for a, seat in layout.seats.items()}

    def start(self, seed: int) -> None:
        """Reset the environment and write the first moment.

        Args:
            seed: Of the episode.
        """
        raise NotImplementedError

    def step(self, actions: list[Any]) -> bool:
        """Make a step and write what it brought.

        Args:
            actions: Per group, per agent.

        Returns:
            Whether the episode is over.
        """
        raise NotImplementedError

    def cut(self) -> None:
        """End the episode by a limit: everyone that is still there is truncated."""
        for agent in self._live:
            group, slot = self._seats[agent]
            self._truncated[group][slot] = True
        self._live = []
        self._next.nobody()

    def keep_last(self) -> None:
        """Keep the moment reached, before a new start."""
        self._last.assign(self._next)

    def close(self) -> None:
        """Free what the environment holds."""
        self._env.close()

    def _flag(self, agent: Any, terminated: Any, truncated: Any) -> bool:
        group, slot = self._seats[agent]
        if terminated:
            self._terminated[group][slot] = True
        elif truncated:
            self._truncated[group][slot] = True
        return bool(terminated or truncated)

    def _write_state(self) -> None:
        if self._layout.own_state:
            state = np.asarray(self._env.state())
            if self._layout.state_side is not None:
                state = shrink(state, self._layout.state_side)
            state = state.ravel()
            if state.shape != self._next.state.shape:
                raise ApiError(
                    f"expected a state of size {self._next.state.size}, got {state.size}"
                )
            self._next.state[:] = state
        else:
            self._next.join()


class ParallelCopy(Copy):
    """A copy whose agents act at once."""

    def start(self, seed: int) -> None:
        """Reset the environment and write the first moment.

        Args:
            seed: Of the episode.
        """
        observations, infos = self._env.reset(seed=seed)
        self._next.clear()
        self._live = list(self._env.agents)
        for agent in self._live:
            self._next.observe(agent, _get(observations, agent), infos.get(agent))
            self._next.act(agent, True)
        self._write_state()

    def step(self, actions: list[Any]) -> bool:
        """Make a step and write what it brought.

        Args:
            actions: Per group, per agent.

        Returns:
            Whether the episode is over.

        Raises:
            ApiError: if an agent goes without being terminated or truncated, or an observation that
                is needed is missing.
        """
        live, seats = self._live, self._seats
        chosen = {}
        for agent in live:
            group, slot = seats[agent]
            chosen[agent] = actions[group][slot]
        observations, rewards, terminated, truncated, infos = self._env.step(chosen)
        here = self._env.agents
        changed = False
        for agent in live:
            group, slot = seats[agent]
            self._rewards[group][slot] = rewards[agent]
            left = self._flag(agent, terminated[agent], truncated[agent])
            if left:
                changed = True
                self._next.act(agent, False)
                if agent in observations or not terminated[agent]:
                    self._next.observe(agent, _get(observations, agent), infos.get(agent))
                continue
            self._next.observe(agent, _get(observations, agent), infos.get(agent))
        if changed or len(here) != len(live):
            self._recount(here, observations, infos)
        self._write_state()
        return not self._live

    def _recount(self, here: Any, observations: Any, infos: Any) -> None:
        gone = {a for a in self._live if self._terminated_of(a) or self._truncated_of(a)}
        for agent in self._live:
            if agent not in here and agent not in gone:
                raise ApiError(f"agent {agent!r} has gone without being terminated or truncated")
        for agent in here:
            if agent not in self._live:
                self._next.observe(agent, _get(observations, agent), infos.get(agent))
                self._next.act(agent, True)
        self._live = [agent for agent in here if agent not in gone]

    def _terminated_of(self, agent: Any) -> bool:
        group, slot = self._seats[agent]
        return bool(self._terminated[group][slot])

    def _truncated_of(self, agent: Any) -> bool:
        group, slot = self._seats[agent]
        return bool(self._truncated[group][slot])


class TurnCopy(Copy):
    """A copy whose agents move one at a time."""

    def start(self, seed: int) -> None:
        """Reset the environment and write the first moment.

        Args:
            seed: Of the episode.
        """
        env = self._env
        env.reset(seed=seed)
        self._next.clear()
        self._live = list(env.agents)
        self._look()

    def step(self, actions: list[Any]) -> bool:
        """Make a step and write what it brought.

        Args:
            actions: Per group, per agent.

        Returns:
            Whether the episode is over.
        """
        env, seats = self._env, self._seats
        group, slot = seats[env.agent_selection]
        env.step(actions[group][slot])
        rewards, terminated, truncated = env.rewards, env.terminations, env.truncations
        left = []
        for agent in self._live:
            group, slot = seats[agent]
            self._rewards[group][slot] = rewards[agent]
            if self._flag(agent, terminated[agent], truncated[agent]):
                left.append(agent)
        for agent in left:
            self._next.observe(agent, env.observe(agent), env.infos.get(agent))
        known = set(self._live)
        while env.agents:
            selected = env.agent_selection
            if not (env.terminations[selected] or env.truncations[selected]):
                break
            env.step(None)
        self._live = [
            a for a in env.agents if a not in left and (a in known or a not in self._seen)
        ]
        self._look()
        return not self._live

    def _look(self) -> None:
        env = self._env
        self._next.nobody()
        for agent in self._live:
            self._next.observe(agent, env.observe(agent), env.infos.get(agent))
        self._seen = {*getattr(self, "_seen", ()), *self._live}
        if self._live:
            if env.agent_selection not in self._live:
                raise ApiError(
                    f"agent_selection is {env.agent_selection!r}, which is not among the agents "
                    f"that are still there, {self._live}"
                )
            self._next.act(env.agent_selection, True)
        self._write_state()


class _Row:
    """One row of a moment."""

    def __init__(self, layout: Layout, moment: MomentArrays[np.ndarray], row: int):
        self.observations = [observations[row] for observations in moment.observations]
        self.state = moment.state[row]
        self.acting = [acting[row] for acting in moment.acting]
        self.masks = [None if masks is None else masks[row] for masks in moment.masks]
        self._seats = {
            agent: (
                self.observations[seat.group][seat.slot],
                self.acting[seat.group],
                seat.slot,
                None if (masks := self.masks[seat.group]) is None else masks[seat.slot],
                seat.key,
                seat.write,
            )
            for agent, seat in layout.seats.items()
        }

    def clear(self) -> None:
        for group in (*self.observations, *self.acting):
            group[:] = 0
        for masks in self.masks:
            if masks is not None:
                masks[:] = True

    def nobody(self) -> None:
        for acting in self.acting:
            acting[:] = False

    def act(self, agent: Any, acts: bool) -> None:
        _, acting, slot, *_ = self._seats[agent]
        acting[slot] = acts

    def observe(self, agent: Any, observation: Any, info: Any) -> None:
        seat = self._seats.get(agent)
        if seat is None:
            raise ApiError(f"agent {agent!r} is not among possible_agents")
        row, _, _, mask, key, write = seat
        try:
            write(observation if key is None else observation[key], row)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise ApiError(
                f"the observation of {agent!r} does not fit its space: {error}"
            ) from error
        if mask is not None:
            allowed = None
            if isinstance(observation, Mapping):
                allowed = observation.get("action_mask")
            if allowed is None and info is not None:
                allowed = info.get("action_mask")
            if allowed is None:
                mask[:] = True
            else:
                allowed = _joined(allowed)
                if allowed.shape != mask.shape:
                    raise ApiError(
                        f"expected an action_mask of shape {mask.shape} for {agent!r}, "
                        f"got {allowed.shape}"
                    )
                mask[:] = allowed
        elif info and "action_mask" in info:
            raise ApiError(f"an action_mask of {agent!r} has appeared that was not there at first")

    def join(self) -> None:
        begin = 0
        for observations in self.observations:
            flat = observations.reshape(-1)
            self.state[begin : begin + flat.size] = flat
            begin += flat.size

    def assign(self, other: "_Row") -> None:
        self.state[:] = other.state
        for mine, its in zip(self.observations, other.observations, strict=True):
            mine[:] = its
        for mine, its in zip(self.acting, other.acting, strict=True):
            mine[:] = its
        for mine, its in zip(self.masks, other.masks, strict=True):
            if mine is not None and its is not None:
                mine[:] = its


def _joined(mask: Any) -> np.ndarray:
    """Put the parts of a mask, where they come one by one, side by side."""
    if isinstance(mask, list | tuple):
        return np.concatenate([np.ravel(part) for part in mask])
    return np.asarray(mask)


def _get(observations: Any, agent: Any) -> Any:
    try:
        return observations[agent]
    except KeyError:
        raise ApiError(f"the observation of {agent!r} is missing") from None


def copy_of(env: Any, layout: Layout, record: Record[np.ndarray], row: int) -> Copy:
    """Bind an environment of either kind to a row.

    Args:
        env: It.
        layout: What there is.
        record: Where to write.
        row: The row of this copy.

    Returns:
        The copy.
    """
    if layout.turn_based:
        return TurnCopy(_peel(env), layout, record, row)
    if type(env) is aec_to_parallel_wrapper and isinstance(env.aec_env, AECEnv):
        env = _Cycle(_peel(env.aec_env))
    return ParallelCopy(env, layout, record, row)
