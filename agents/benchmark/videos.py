"""Episodes as GIF files, of worlds of our own that can be drawn."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ocngame.agents.decider import Decider, act_all, forget_all
from ocngame.envs import World, batched_names, batched_world, make
from ocngame.envs.batched import SCENARIOS, GameWorld, ParticleWorld
from ocngame.envs.view import WorldView
from ocngame.errors import InvalidInputError
from ocngame.training.checkpoint import replace_file

__all__ = ["can_be_drawn", "draw_video", "record_episodes", "write_gif"]

_PIXELS = 240
_MILLISECONDS = 80
_EPISODES = 2
_MOST_FRAMES = 200


def can_be_drawn(world: str) -> bool:
    """Say whether a world of our own has a picture.

    Args:
        world: Its name.

    Returns:
        Whether it is one of particles, or a game with positions in the plane.
    """
    if world in SCENARIOS:
        return True
    if world not in batched_names():
        return False
    made = batched_world(world, batch_size=1, seed=0)
    return isinstance(made, GameWorld) and bool(made.positions)


def draw_video(
    name: str,
    seat: Callable[[World, str], Decider],
    path: Path,
    *,
    seed: int,
) -> int:
    """Play two episodes of a world of our own and keep them as a GIF.

    Args:
        name: Name of the world.
        seat: Gives who plays a team of a world.
        path: File to write.
        seed: Of the starts and draws.

    Returns:
        Number of pictures.

    Raises:
        InvalidInputError: if the world cannot be drawn.
    """
    if not can_be_drawn(name):
        raise InvalidInputError(f"world: expected one that can be drawn, got {name!r}")
    views: list[WorldView] = []

    def view() -> WorldView:
        inside = batched_world(name, batch_size=1, seed=seed)
        if not isinstance(inside, ParticleWorld | GameWorld):
            raise InvalidInputError(f"world: expected one that can be drawn, got {name!r}")
        views.append(WorldView(inside, render_mode="rgb_array", pixels=_PIXELS))
        return views[-1]

    # The world is seen as any other PettingZoo environment; its last copy is the one that plays.
    groups = batched_world(name, batch_size=1, seed=seed).groups
    of_team: dict[str, list[str]] = {}
    for group in groups:
        of_team.setdefault(group.team, []).extend(group.agents)
    world = make(view, batch_size=1, seed=seed, teams=of_team)
    world.name = name
    teams = dict.fromkeys(group.team for group in world.groups)
    frames = record_episodes(
        world,
        [seat(world, team) for team in teams],
        lambda: views[-1].render(),
        seed=seed,
        episodes=_EPISODES,
    )
    world.close()
    write_gif(frames, path)
    return len(frames)


def record_episodes(
    world: World,
    deciders: Sequence[Decider],
    render: Callable[[], Any],
    *,
    seed: int,
    episodes: int,
) -> list[np.ndarray]:
    """Play and keep a picture of every moment.

    Args:
        world: Of one copy.
        deciders: One for every group.
        render: Gives the picture of the moment, [H, W, 3] bytes.
        seed: Of the starts and draws.
        episodes: Their number.

    Returns:
        The pictures, 200 at most.
    """
    generator = torch.Generator(world.device).manual_seed(seed)
    memories = [decider.start(world) for decider in deciders]
    moment = world.reset(seed)
    frames, over = [np.asarray(render())], 0
    with torch.no_grad():
        while over < episodes and len(frames) < _MOST_FRAMES:
            transition = world.step(act_all(deciders, moment, memories, generator))
            frames.append(np.asarray(render()))
            forget_all(deciders, memories, transition.over)
            over += int(transition.over[0])
            moment = transition.next
    return frames


def write_gif(frames: Sequence[np.ndarray], path: Path) -> None:
    """Write pictures as a GIF that is never seen half written.

    Args:
        frames: At least one, [H, W, 3] bytes.
        path: File to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = (Image.fromarray(frame) for frame in frames)
    temporary = path.with_name(f".{path.stem}.tmp.gif")
    first.save(temporary, save_all=True, append_images=rest, duration=_MILLISECONDS, loop=0)
    replace_file(temporary, path)
