"""Adam and OCNOpt on every kind of policy: simple_spread, 300,000 frames.

`OMP_NUM_THREADS=1 python -m benchmarks.policies --kinds separate gated box pictures --seeds 1 2`;
a run takes 15 to 60 CPU seconds. Returns are of 256 episodes whose starts are the same for all.
With "pictures", agents see the relative positions as a picture of two channels, landmarks and
others, and their own velocity and position as numbers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
import tyro
from torch import Tensor

from ocngame.agents.training import MarlJob
from ocngame.agents.training.worlds import WorldMaker, make_world
from ocngame.envs import Moment, Picture, Transition, World, batched_world
from ocngame.training.marl_config import MarlConfig, NetworkSettings

Kind = Literal["separate", "gated", "box", "pictures"]
NETWORKS: dict[Kind, NetworkSettings] = {
    "separate": NetworkSettings(sharing="separate"),
    "gated": NetworkSettings(memory="gated"),
    "box": NetworkSettings(),
    "pictures": NetworkSettings(pictures="convolutional"),
}
SIDE, REACH = 12, 1.5


class PaintedSpread(World):
    """simple_spread whose agents see pictures."""

    def __init__(self, name: str, copies: int, device: str):
        """Make the copies.

        Args:
            name: simple_spread.
            copies: Their number.
            device: Where its tensors are.
        """
        self._world = world = batched_world(name, batch_size=copies, seed=0, device=device)
        self.name, self.batch_size, self.horizon = "painted_spread", copies, world.horizon
        self.device, self.dtype, self.state_size = world.device, world.dtype, world.state_size
        picture = Picture(height=SIDE, width=SIDE, channels=2)
        size = picture.size + 4
        self.groups = tuple(
            replace(g, observation_size=size, picture=picture) for g in world.groups
        )

    def reset(self, seed: int | None = None) -> Moment:
        """Start anew; see `World.reset`."""
        return self._seen(self._world.reset(seed))

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        """Make a step; see `World.step`."""
        found = self._world.step(actions)
        return replace(found, last=self._seen(found.last), next=self._seen(found.next))

    def state_dict(self) -> dict[str, object]:
        """Give the state; see `World.state_dict`."""
        return self._world.state_dict()

    def load_state_dict(self, state: dict[str, object]) -> Moment:
        """Go back; see `World.load_state_dict`."""
        return self._seen(self._world.load_state_dict(state))

    def _seen(self, moment: Moment) -> Moment:
        painted = {}
        for group in self.groups:
            x = moment.observations[group.name]
            agents = len(group.agents)
            own, landmarks, others = x.split([4, 2 * agents, x.shape[-1] - 4 - 2 * agents], -1)
            others = others[..., : 2 * (agents - 1)]
            channels = [_painted(places.unflatten(-1, (-1, 2))) for places in (landmarks, others)]
            painted[group.name] = torch.cat([torch.stack(channels, -1).flatten(-3), own], -1)
        return replace(moment, observations=painted)


def _painted(places: Tensor) -> Tensor:
    """Give each place's weight to the four pixels around it, [..., n, 2] to [..., SIDE, SIDE]."""
    where = ((places / REACH).clamp(-1, 1) + 1) / 2 * (SIDE - 1)
    grid = torch.arange(SIDE, dtype=places.dtype, device=places.device)
    near = (1 - (where[..., None] - grid).abs()).clamp_min(0)
    return torch.einsum("...ni,...nj->...ij", near[..., 1, :], near[..., 0, :])


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Attributes:
        kinds: Of policies.
        seeds: Of each.
        frames: Of each run.
        out: A file that rows are added to, as JSON.
    """

    kinds: tuple[Kind, ...] = get_args(Kind)
    seeds: tuple[int, ...] = (1, 2)
    frames: int = 300_000
    out: Path | None = None


def maker(kind: Kind) -> WorldMaker:
    """Give what makes a kind's world.

    Args:
        kind: Of policies.

    Returns:
        The maker.
    """
    if kind == "box":
        return lambda name, copies, device: batched_world(
            name, batch_size=copies, seed=0, device=device, continuous_actions=True
        )
    if kind == "pictures":
        return PaintedSpread
    return make_world


def main(settings: Settings) -> None:
    """Train and print rows.

    Args:
        settings: What is measured.
    """
    for seed in settings.seeds:
        for kind in settings.kinds:
            for optimizer in ("ocnopt", "adam"):
                config = MarlConfig(
                    frames=settings.frames,
                    optimizer=optimizer,
                    seed=seed,
                    network=NETWORKS[kind],
                    evaluate_every=settings.frames,
                )
                job = MarlJob(config, maker(kind))
                *_, (row,) = (rows for rows in job.run() if rows)
                line = json.dumps(
                    {
                        "kind": kind,
                        "optimizer": optimizer,
                        "seed": seed,
                        "drawn": round(row.drawn, 2),
                        "deterministic": round(row.deterministic, 2),
                        "cpu_seconds": round(row.cpu_seconds, 1),
                    }
                )
                print(line, flush=True)
                if settings.out is not None:
                    with settings.out.open("a") as file:
                        file.write(line + "\n")


if __name__ == "__main__":
    main(tyro.cli(Settings))
