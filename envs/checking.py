"""Whether a world keeps its word, over whole episodes.

Two worlds made alike are reset with the same seed and play the same random actions. At every step:

    tensors   have the shapes, dtypes and device that `World` says
    numbers   are finite
    masks     allow an agent that is to act at least one action
    flags     no agent is terminated and truncated in one step; where a copy is over somebody has
              ended in that step; somebody is to act in `next`
    moments   `last` is `next` where a copy is not over
    seeds     all of it is the same bitwise in both worlds

PettingZoo's own tests compare the first step only; a generator that no seed reaches often shows
later, or in the second episode.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from gymnasium.spaces import Box, MultiDiscrete
from torch import Tensor

from ocngame._checks import integer
from ocngame.envs.masks import mask_parts, nothing_allowed, part_sizes
from ocngame.envs.world import Group, Moment, Transition, World
from ocngame.errors import ApiError, NonFiniteError

__all__ = ["check_world"]


def check_world(
    make_world: Callable[[], World], *, episodes: int = 3, seed: int = 0, limit: int = 10_000
) -> int:
    """Play random episodes in two worlds made alike and check every rule.

    Args:
        make_world: Makes a world; called twice, and both are closed at the end.
        episodes: Episodes that every copy ends.
        seed: Of the worlds and of the actions.
        limit: Most steps; episodes of a world need not end, and fewer are then played.

    Returns:
        Steps made.

    Raises:
        ApiError: if a rule is broken, naming it, the step and the group; NonFiniteError if it is
            that of finite numbers.
        InvalidInputError: if an argument is not as said.

    Examples:
        >>> from ocngame.envs import make
        >>> check_world(lambda: make("batched/simple_push", batch_size=2), episodes=2)
        50
    """
    integer("episodes", episodes, low=1)
    integer("seed", seed, low=0)
    integer("limit", limit, low=1)
    one, two = make_world(), make_world()
    try:
        return _play(one, two, episodes, seed, limit)
    finally:
        one.close()
        two.close()


def _play(one: World, two: World, episodes: int, seed: int, limit: int) -> int:
    generator = torch.Generator().manual_seed(seed)
    moment, twin = one.reset(seed), two.reset(seed)
    where = f"{one.name}, first moment"
    _check_moment(one, moment, where)
    _check_same(_entries(moment, "first"), _entries(twin, "first"), where)
    ended = torch.zeros(one.batch_size, dtype=torch.long, device=one.device)
    for count in range(1, limit + 1):
        actions = {group.name: _draw(group, moment, generator) for group in one.groups}
        step, twin_step = one.step(actions), two.step(actions)
        where = f"{one.name}, step {count}"
        _check_step(one, step, where)
        _check_same(_transition_entries(step), _transition_entries(twin_step), where)
        moment = step.next
        ended += step.over
        if int(ended.min()) >= episodes:
            return count
    return limit


def _draw(group: Group, moment: Moment, generator: torch.Generator) -> Tensor:
    acting, space = moment.acting[group.name], group.action_space
    if isinstance(space, Box):
        low, high = (torch.as_tensor(b, dtype=torch.float64) for b in (space.low, space.high))
        share = torch.rand((*acting.shape, *low.shape), generator=generator, dtype=torch.float64)
        dtype = moment.observations[group.name].dtype
        return torch.clamp(low + (high - low) * share, low, high).to(acting.device, dtype)
    sizes = part_sizes(space)
    if not sizes:
        raise ApiError(
            f"group {group.name!r}: expected actions in Discrete, MultiDiscrete or Box, got {space}"
        )
    allowed = moment.masks.get(group.name)
    if allowed is None:
        allowed = torch.ones((*acting.shape, sum(sizes)), dtype=torch.bool)
    drawn = []
    for part in mask_parts(allowed, space):
        weights = (part | ~part.any(-1, keepdim=True)).double().cpu().flatten(0, 1)
        one = torch.multinomial(weights, 1, generator=generator)
        drawn.append(one.reshape(acting.shape).to(acting.device))
    return torch.stack(drawn, -1) if isinstance(space, MultiDiscrete) else drawn[0]


def _entries(moment: Moment, title: str) -> Iterator[tuple[str, Tensor]]:
    for kind in ("observations", "acting", "masks"):
        for name, value in getattr(moment, kind).items():
            yield f"{title} {kind} of {name!r}", value
    yield f"{title} state", moment.state


def _transition_entries(step: Transition) -> Iterator[tuple[str, Tensor]]:
    for kind in ("rewards", "terminated", "truncated"):
        for name, value in getattr(step, kind).items():
            yield f"{kind} of {name!r}", value
    yield "over", step.over
    yield from _entries(step.last, "last")
    yield from _entries(step.next, "next")


def _check_same(
    mine: Iterator[tuple[str, Tensor]], twin: Iterator[tuple[str, Tensor]], where: str
) -> None:
    for (what, one), (_, two) in zip(mine, twin, strict=True):
        if not torch.equal(one, two):
            raise ApiError(
                f"{where}: expected the same numbers from the same seed and actions, the {what} "
                f"of two worlds made alike differ"
            )


def _check_tensor(
    value: object, shape: tuple[int, ...], dtype: torch.dtype, world: World, what: str
) -> Tensor:
    if not isinstance(value, Tensor):
        raise ApiError(f"{what}: expected a tensor, got {type(value).__name__}")
    if tuple(value.shape) != shape or value.dtype != dtype:
        raise ApiError(
            f"{what}: expected {dtype} of shape {shape}, got {value.dtype} of shape "
            f"{tuple(value.shape)}"
        )
    if value.device.type != world.device.type:
        raise ApiError(f"{what}: expected it on {world.device}, got it on {value.device}")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise NonFiniteError(f"{what}: expected finite numbers")
    return value


def _check_keys(world: World, values: Mapping[str, Tensor], what: str) -> None:
    names = {group.name for group in world.groups}
    if set(values) != names:
        raise ApiError(f"{what}: expected groups {sorted(names)}, got {sorted(values)}")


def _check_moment(world: World, moment: Moment, where: str) -> None:
    _check_keys(world, moment.observations, f"{where}, observations")
    _check_keys(world, moment.acting, f"{where}, acting")
    for group in world.groups:
        name, lead = group.name, (world.batch_size, len(group.agents))
        seen = moment.observations[name]
        size = (*lead, group.observation_size)
        _check_tensor(seen, size, world.dtype, world, f"{where}, observations of {name!r}")
        acting = moment.acting[name]
        _check_tensor(acting, lead, torch.bool, world, f"{where}, acting of {name!r}")
        if name in moment.masks:
            sizes = part_sizes(group.action_space)
            if not sizes:
                raise ApiError(f"{where}, masks of {name!r}: expected none, actions are a Box")
            masks = _check_tensor(
                moment.masks[name],
                (*lead, sum(sizes)),
                torch.bool,
                world,
                f"{where}, masks of {name!r}",
            )
            if bool((acting & nothing_allowed(masks, group.action_space)).any()):
                raise ApiError(f"{where}, masks of {name!r}: an agent to act is allowed no action")
    size = (world.batch_size, world.state_size)
    _check_tensor(moment.state, size, world.dtype, world, f"{where}, state")


def _check_step(world: World, step: Transition, where: str) -> None:
    kinds = {"rewards": world.dtype, "terminated": torch.bool, "truncated": torch.bool}
    for kind, dtype in kinds.items():
        values = getattr(step, kind)
        _check_keys(world, values, f"{where}, {kind}")
        for group in world.groups:
            lead = (world.batch_size, len(group.agents))
            what = f"{where}, {kind} of {group.name!r}"
            _check_tensor(values[group.name], lead, dtype, world, what)
    for group in world.groups:
        if bool((step.terminated[group.name] & step.truncated[group.name]).any()):
            raise ApiError(f"{where}: an agent of {group.name!r} is terminated and truncated")
    over = _check_tensor(step.over, (world.batch_size,), torch.bool, world, f"{where}, over")
    _check_moment(world, step.last, f"{where}, last")
    _check_moment(world, step.next, f"{where}, next")
    if not bool(_somebody(step.next).all()):
        raise ApiError(f"{where}, next: expected somebody to act in every copy")
    if bool((over & _ending_missing(step)).any()):
        raise ApiError(f"{where}: a copy is over in whose last step nobody has ended")
    stay = ~over
    for (what, last), (_, following) in zip(
        _entries(step.last, "last"), _entries(step.next, "next"), strict=True
    ):
        if not torch.equal(last[stay], following[stay]):
            raise ApiError(f"{where}, {what}: expected that of next where a copy is not over")


def _somebody(moment: Moment) -> Tensor:
    return torch.cat(list(moment.acting.values()), dim=1).any(1)


def _ending_missing(step: Transition) -> Tensor:
    ended = [*step.terminated.values(), *step.truncated.values()]
    return ~torch.cat(ended, dim=1).any(1)
