"""A `World` of particles from a scenario: episodes, seeds, groups and checks."""

from collections.abc import Mapping

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from ocngame._checks import integer
from ocngame.envs.batched.physics import Physics
from ocngame.envs.batched.scenario import Draw, Scenario
from ocngame.envs.batched.shapes import Shapes
from ocngame.envs.world import Group, Moment, Transition, World
from ocngame.errors import InvalidInputError, NonFiniteError

__all__ = ["ACTIONS", "ParticleWorld", "physics_of"]

ACTIONS = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
"""Directions of the five discrete actions: none, left, right, down, up."""


def physics_of(
    scenario: Scenario,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    shapes: Shapes | None = None,
    margin: float = 1e-3,
) -> Physics:
    """Make the formulas of a scenario's motion.

    Args:
        scenario: The scenario.
        dtype: Of the numbers.
        device: Where.
        shapes: How nonsmooth pieces are computed; exactly if None.
        margin: k of the contacts.

    Returns:
        The formulas, for `scenario.advance` and `scenario.rewards`.
    """
    return Physics(
        scenario.agents,
        scenario.landmarks,
        scenario.extra,
        dtype=dtype,
        device=torch.device(device),
        shapes=shapes,
        margin=margin,
    )


class ParticleWorld(World):
    """B copies in lockstep.

    `state` of a moment is all agents' observations one after the other, as `mpe2` has it; `x` is
    what moves. Actions are Discrete(5), or a Box of five numbers in [0, 1] whose differences (third
    minus second, fifth minus fourth) are the force.

    Attributes:
        scenario: Its rules.
        physics: Its motion.
        x: State of all copies, shape (F, B).
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        batch_size: int = 1,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        continuous_actions: bool = False,
    ):
        """Make the copies, at a start.

        Args:
            scenario: The rules.
            batch_size: B.
            seed: Of the starts; drawn by torch if None.
            device: Where its tensors are.
            dtype: Of its numbers.
            continuous_actions: Whether actions are a Box.
        """
        integer("batch_size", batch_size, low=1)
        self.scenario, self.name = scenario, scenario.name
        self.batch_size, self.horizon = batch_size, scenario.max_cycles
        self.device, self.dtype = torch.device(device), dtype
        self.continuous_actions = continuous_actions
        self.physics = physics_of(scenario, dtype=dtype, device=self.device)
        reads = [scenario.observation(i) for i in range(len(scenario.agents))]
        self._read = torch.cat([w for w, _ in reads]).T.to(self.device, dtype).contiguous()
        self._shift = torch.cat([b for _, b in reads]).to(self.device, dtype)
        self.state_size = len(self._shift)
        space = Box(0.0, 1.0, (5,), np.float32) if continuous_actions else Discrete(5)
        self.groups = tuple(
            Group(
                name=name,
                agents=tuple(scenario.agents[i].name for i in members),
                team=name,
                observation_size=len(reads[members[0]][1]),
                action_space=space,
            )
            for name, members in scenario.groups.items()
        )
        self._acting = {
            group.name: torch.ones(
                batch_size, len(group.agents), dtype=torch.bool, device=self.device
            )
            for group in self.groups
        }
        table = torch.tensor(ACTIONS, dtype=dtype, device=self.device)
        self._moves = table.T.contiguous()
        self._generator = torch.Generator(self.device)
        self._stage = 0
        self._time = torch.zeros(batch_size, dtype=torch.long, device=self.device)
        if seed is None:
            self._generator.seed()
        self.reset(seed)

    @property
    def stage(self) -> int:
        """Stage of the curriculum, from 0."""
        return self._stage

    def set_stage(self, stage: int) -> None:
        """Go to a stage of the curriculum; what it changes of the start is seen at the next start.

        Args:
            stage: The stage.

        Raises:
            InvalidInputError: if there is no such stage.
        """
        integer("stage", stage, low=0)
        if stage >= self.scenario.stages:
            raise InvalidInputError(
                f"stage: expected one of 0..{self.scenario.stages - 1}, got {stage}"
            )
        self._stage = stage
        self.x = self.scenario.at_stage(self.x.clone(), stage)

    def reset(self, seed: int | None = None) -> Moment:
        """Start every copy anew; see `World.reset`.

        Args:
            seed: Of this and all later starts.

        Returns:
            The first moment.
        """
        if seed is not None:
            self._generator.manual_seed(seed)
        self.x = self._start()
        self._time = torch.zeros_like(self._time)
        return self.moment(self.x)

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        """Make one step of every copy; see `World.step`.

        Args:
            actions: Per group, [B, A] long or [B, A, 5] float.

        Returns:
            What it brought.

        Raises:
            InvalidInputError: if an action is not in its space.
            NonFiniteError: if a copy's numbers overflow; the world stays as it was.
        """
        x = self.scenario.advance(self.physics, self.x, self._forces(actions))
        rewards = self.scenario.rewards(self.physics, x)
        self._require_finite(x, rewards)
        time = self._time + 1
        limit = time >= self.scenario.max_cycles
        ended = self.scenario.ended(self.physics, x)
        terminated = torch.zeros_like(limit) if ended is None else ended & ~limit
        over = limit | terminated
        last = self.moment(x)
        following = last
        if bool(over.any()):
            x = torch.where(over, self._start(), x)
            time = torch.where(over, 0, time)
            following = self.moment(x)
        self.x, self._time = x, time
        paid, members = rewards.T, self.scenario.groups
        return Transition(
            rewards={name: paid[:, m[0] : m[-1] + 1] for name, m in members.items()},
            terminated={
                name: terminated[:, None].expand(-1, len(m)) for name, m in members.items()
            },
            truncated={name: limit[:, None].expand(-1, len(m)) for name, m in members.items()},
            over=over,
            last=last,
            next=following,
        )

    def moment(self, x: Tensor) -> Moment:
        """Give what is known of states.

        Args:
            x: Shape (F, B).

        Returns:
            The moment; observations are views of its state.
        """
        state = torch.addmm(self._shift, x.T, self._read)
        observations, begin = {}, 0
        for group in self.groups:
            count, size = len(group.agents), group.observation_size
            part = state[:, begin : begin + count * size]
            observations[group.name] = part.unflatten(1, (count, size))
            begin += count * size
        return Moment(observations=observations, acting=self._acting, masks={}, state=state)

    def state_dict(self) -> dict[str, object]:
        """Give everything that changes; see `World.state_dict`.

        Returns:
            Tensors and the stage of the curriculum.
        """
        return {
            "x": self.x.clone(),
            "time": self._time.clone(),
            "generator": self._generator.get_state(),
            "stage": self._stage,
        }

    def load_state_dict(self, state: dict[str, object]) -> Moment:
        """Go back; see `World.load_state_dict`.

        Args:
            state: From `state_dict`.

        Returns:
            The moment to act on.

        Raises:
            InvalidInputError: if it is of another world.
        """
        x = torch.as_tensor(state["x"]).to(self.device, self.dtype)
        if x.shape != self.x.shape:
            raise InvalidInputError(
                f"state: expected x of shape {tuple(self.x.shape)}, got {tuple(x.shape)}"
            )
        self.x, self._time = x.clone(), torch.as_tensor(state["time"]).to(self.device).clone()
        self._generator.set_state(torch.as_tensor(state["generator"]).cpu())
        self._stage = int(str(state["stage"]))
        return self.moment(self.x)

    def _start(self) -> Tensor:
        draw = Draw(self._generator, self.dtype, self.device)
        return self.scenario.start(self.batch_size, draw, self._stage)

    def _forces(self, actions: Mapping[str, Tensor]) -> Tensor:
        parts = []
        for group in self.groups:
            if group.name not in actions:
                raise InvalidInputError(
                    f"actions: expected those of group {group.name!r}, got none"
                )
            part = actions[group.name]
            shape: tuple[int, ...] = (self.batch_size, len(group.agents))
            if self.continuous_actions:
                shape = (*shape, 5)
            if tuple(part.shape) != shape:
                raise InvalidInputError(
                    f"actions[{group.name!r}]: expected shape {shape}, got {tuple(part.shape)}"
                )
            parts.append(part)
        joint = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
        low, high = joint.aminmax()
        top = 1 if self.continuous_actions else 4
        if not (bool(low >= 0) and bool(high <= top)) or (
            not self.continuous_actions and joint.is_floating_point()
        ):
            raise InvalidInputError(
                f"actions: expected {'numbers' if self.continuous_actions else 'integers'} in "
                f"[0, {top}], got {joint.dtype} from {float(low):.6g} to {float(high):.6g}"
            )
        if self.continuous_actions:
            joint = joint.to(self.dtype)
            return torch.cat([joint[..., 2] - joint[..., 1], joint[..., 4] - joint[..., 3]], 1).T
        return self._moves[:, joint.T].flatten(0, 1)

    def _require_finite(self, x: Tensor, rewards: Tensor) -> None:
        # Whatever is not finite makes the sum so: one pass for what is nearly always fine.
        if bool(torch.isfinite(x.sum() + rewards.sum())):
            return
        bad = ~(torch.isfinite(x).all(0) & torch.isfinite(rewards).all(0))
        raise NonFiniteError(
            f"{self.name}: expected finite states and rewards, got others in {int(bad.sum())} of "
            f"{self.batch_size} copies (first: {int(bad.int().argmax())})"
        )
