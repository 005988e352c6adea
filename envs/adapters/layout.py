"""How a PettingZoo environment maps to groups: read off one copy, then the same for all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv

from ocngame.envs.adapters.images import is_image, shrunk_shape
from ocngame.envs.adapters.spaces import (
    Writer,
    action_decoder,
    canonical_action_space,
    observation_writer,
    picture_of,
)
from ocngame.envs.adapters.teams import teams_of
from ocngame.envs.masks import part_sizes
from ocngame.envs.world import Group
from ocngame.errors import ApiError, InvalidInputError

__all__ = ["Layout", "Seat", "StateSource", "layout_of"]

StateSource = Literal["auto", "own", "observations"]


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Where an agent of the environment is in the groups.

    Attributes:
        group: Index of its group.
        slot: Its index on the group's axis.
        key: Under which its observation is in a dict that has a mask beside it; None elsewhere.
        write: Writes a flattened observation into a row.
    """

    group: int
    slot: int
    key: str | None
    write: Writer


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What does not change from copy to copy.

    Attributes:
        title: The world's name in messages.
        groups: As learners see them.
        agents: All agents that may appear, as the environment calls them.
        seats: Per agent.
        masked: Per group, whether its agents have masks.
        decoders: Per group, from actions to what the environment takes.
        own_state: Whether the state is the environment's; the observations otherwise.
        state_side: Largest side of a state that is an image; None for a state as it is.
        state_size: S.
        horizon: Most steps of an episode, None if it has no limit that is known.
        turn_based: Whether one agent moves at a time.
    """

    title: str
    groups: tuple[Group, ...]
    agents: tuple[Any, ...]
    seats: Mapping[Any, Seat]
    masked: tuple[bool, ...]
    decoders: tuple[Callable[[np.ndarray], list[Any]], ...]
    own_state: bool
    state_side: int | None
    state_size: int
    horizon: int | None
    turn_based: bool


def layout_of(
    env: AECEnv | ParallelEnv,
    *,
    title: str,
    teams: Mapping[str, Sequence[str]] | None,
    state: StateSource,
    image_side: int | None = None,
) -> Layout:
    """Read the layout off an environment, which is reset for that.

    Args:
        env: One copy.
        title: The world's name in messages.
        teams: From a team to its agents; None for teams by name.
        state: Where the state comes from; "auto" for the environment's own where it has one.
        image_side: Largest side of images; None for images as they are.

    Returns:
        The layout.

    Raises:
        ApiError: if the environment has no `possible_agents`, or cannot be reset.
        InvalidInputError: if a space is of a kind that learners cannot use.
    """
    turn_based = isinstance(env, AECEnv)
    try:
        if isinstance(env, AECEnv):
            env.reset(seed=0)
            infos = env.infos
        else:
            _, infos = env.reset(seed=0)
        agents = tuple(env.possible_agents)
    except AttributeError as error:
        raise ApiError(f"{title}: has no {error.name or 'possible_agents'}") from error
    except Exception as error:
        raise ApiError(f"{title}: reset failed: {type(error).__name__}: {error}") from error
    if not agents or len({str(agent) for agent in agents}) < len(agents):
        raise ApiError(f"{title}: expected different names in possible_agents, got {agents}")
    in_infos = {a for a in agents if "action_mask" in (infos or {}).get(a, {})}
    kinds: dict[Any, tuple[Any, Any, str | None]] = {}
    for agent in agents:
        seen, acts = env.observation_space(agent), env.action_space(agent)
        key = _key(seen)
        kinds[agent] = (seen, acts, key)
    metadata = getattr(env, "metadata", None) or {}
    team = teams_of(
        [str(agent) for agent in agents],
        environment=str(metadata.get("name", title)),
        turn_based=turn_based,
        teams=teams,
    )
    members: list[tuple[str, Any, list[Any]]] = []
    for agent in agents:
        for name, kind, inside in members:
            if name == team[str(agent)] and kind == kinds[agent]:
                inside.append(agent)
                break
        else:
            members.append((team[str(agent)], kinds[agent], [agent]))
    names = _names([(name, [str(a) for a in inside]) for name, _, inside in members])
    groups, masked, decoders, seats = [], [], [], {}
    for index, (name, (seen, acts, key), inside) in enumerate(members):
        unmasked = _without_mask(seen, key)
        size, write = observation_writer(unmasked, image_side)
        for slot, agent in enumerate(inside):
            seats[agent] = Seat(group=index, slot=slot, key=key, write=write)
        has_mask = "action_mask" in seen.spaces if isinstance(seen, spaces.Dict) else bool(in_infos)
        canonical = canonical_action_space(str(inside[0]), acts)
        if has_mask and not part_sizes(canonical):
            raise InvalidInputError(
                f"{title}: expected masks for Discrete and MultiDiscrete actions only, got {acts} "
                f"of {inside[0]}"
            )
        masked.append(has_mask)
        decoders.append(action_decoder(acts))
        groups.append(
            Group(
                name=names[index],
                agents=tuple(str(agent) for agent in inside),
                team=name,
                observation_size=size,
                action_space=canonical,
                picture=picture_of(unmasked, image_side),
            )
        )
    own, state_size, state_side = _state(env, title, groups, state, image_side)
    return Layout(
        title=title,
        groups=tuple(groups),
        agents=agents,
        seats=seats,
        masked=tuple(masked),
        decoders=tuple(decoders),
        own_state=own,
        state_side=state_side,
        state_size=state_size,
        horizon=None if turn_based else _horizon(env),
        turn_based=turn_based,
    )


def _key(space: Any) -> str | None:
    """The single other part of a dict with a mask; None where there are several, or no mask."""
    if isinstance(space, spaces.Dict) and "action_mask" in space.spaces:
        others = [key for key in space.spaces if key != "action_mask"]
        return others[0] if len(others) == 1 else None
    return None


def _without_mask(space: Any, key: str | None) -> spaces.Space:
    if not (isinstance(space, spaces.Dict) and "action_mask" in space.spaces):
        return space
    if key is not None:
        return space.spaces[key]
    return spaces.Dict({k: part for k, part in space.spaces.items() if k != "action_mask"})


def _names(groups: list[tuple[str, list[str]]]) -> list[str]:
    """The team's name; with several groups in a team, the prefix of its agents or a number."""
    names = []
    for index, (team, agents) in enumerate(groups):
        same = [i for i, (other, _) in enumerate(groups) if other == team]
        prefixes = [{a.rstrip("0123456789").rstrip("_") for a in groups[i][1]} for i in same]
        mine = prefixes[same.index(index)]
        if len(same) == 1:
            names.append(team)
        elif len(mine) == 1 and sum(bool(mine & p) for p in prefixes) == 1:
            names.append(next(iter(mine)))
        else:
            names.append(f"{team}_{agents[0]}")
    return names if len(set(names)) == len(names) else [f"{t}_{a[0]}" for t, a in groups]


def _state(
    env: Any,
    title: str,
    groups: list[Group],
    state: StateSource,
    image_side: int | None,
) -> tuple[bool, int, int | None]:
    flat = sum(len(group.agents) * group.observation_size for group in groups)
    # The state of the particle worlds is the observations, computed once more; that of multiwalker
    # cannot be asked for when a walker has fallen.
    module = type(env.unwrapped).__module__
    same = module.split(".")[0] == "mpe2" or "multiwalker" in module
    if state == "observations" or (state == "auto" and same):
        return False, flat, None
    try:
        own = np.asarray(env.state())
    # Worlds without a state raise whatever they like, or have something else under that name.
    except Exception as error:
        if state == "own":
            raise InvalidInputError(f"state: expected 'observations', {title} has none") from error
        return False, flat, None
    usable = own.dtype.kind in "fiub" and np.isfinite(own).all() and own.size > 0
    if not usable and state == "own":
        raise InvalidInputError(f"state: expected 'observations', that of {title} is not numbers")
    if not usable:
        return False, flat, None
    if image_side is not None and is_image(own.shape, own.dtype):
        return True, int(np.prod(shrunk_shape(own.shape, image_side))), image_side
    return True, own.size, None


def _horizon(env: Any) -> int | None:
    for holder in (env, getattr(env, "unwrapped", env)):
        steps = getattr(holder, "max_cycles", None)
        if isinstance(steps, int) and steps > 0:
            return steps
    return None
