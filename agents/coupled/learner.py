"""Coupled players: every step solves the stage game between the policies of a world's groups.

The groups are the players of a differentiable game (`PlayerGame`) whose costs are minus the
returns of `ocngame.agents.coupled.returns`, and `PlayerOpt` moves them: with feedback information
everybody expects everybody's move, by the mixed second derivatives of the returns; with open-loop
information, identity curvature and plain steps it is simultaneous policy gradient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from gymnasium.spaces import Discrete
from torch import Tensor, nn

from ocngame._checks import in_range, integer, positive
from ocngame.agents.coupled.returns import Plays, differentiable_returns, discounted_to_go
from ocngame.agents.selfplay.networks import masked_log_softmax
from ocngame.envs import Moment, World
from ocngame.errors import InvalidInputError
from ocngame.games import PlayerGame
from ocngame.solvers.players import PlayerOpt, PlayerOptConfig, PlayerStepInfo

__all__ = ["CoupledConfig", "CoupledLearner"]


@dataclass(frozen=True, kw_only=True)
class CoupledConfig:
    """Settings.

    Attributes:
        steps: Steps that every copy makes before each move of the players; the world's horizon if
            None.
        discount: gamma.
        lr: Multiple of the stage game's move.
        players: How the stage game is posed and solved; by default under feedback information with
            full curvature, each move judged on the plays it was made from.
        seed: Of the world and of actions.
    """

    steps: int | None = None
    discount: float = 0.99
    lr: float = 1.0
    players: PlayerOptConfig = field(default_factory=PlayerOptConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        if self.steps is not None:
            integer("steps", self.steps, low=1)
        in_range("discount", self.discount, low=0.0, high=1.0)
        positive("lr", self.lr)
        integer("seed", self.seed, low=0)


@dataclass(frozen=True)
class _Recorded:
    """What the costs need of a batch of plays; per group [T, B, A, ..]."""

    observations: dict[str, Tensor]
    masks: dict[str, Tensor]
    acting: dict[str, Tensor]
    actions: dict[str, Tensor]
    plays: Plays


class CoupledLearner:
    """The policies of a world's groups, and how they move together.

    Attributes:
        world: The world.
        config: Settings.
        game: The differentiable game; its costs take a recorded batch.
        steps: Number of moves made.
    """

    def __init__(
        self, world: World, policies: Mapping[str, nn.Module], config: CoupledConfig | None = None
    ):
        """Take a world and a network for every group.

        Args:
            world: The world; at least two copies, as each is judged against the others' mean.
            policies: By group, a network of an agent's observation [.., O] whose outputs are the
                logits of its actions [.., k].
            config: Settings.

        Raises:
            InvalidInputError: if a group has no policy or has other than discrete actions, if there
                is one copy only, or if neither the settings nor the world say how many steps to
                make.
        """
        self.config = config if config is not None else CoupledConfig()
        names = [group.name for group in world.groups]
        if sorted(policies) != sorted(names):
            raise InvalidInputError(
                f"policies: expected one for each of {names}, got {sorted(policies)}"
            )
        for group in world.groups:
            if not isinstance(group.action_space, Discrete):
                raise InvalidInputError(
                    f"world: expected discrete actions, got {group.action_space} of {group.name!r}"
                )
        if world.batch_size < 2:
            raise InvalidInputError("world: expected at least two copies, got one")
        length = self.config.steps if self.config.steps is not None else world.horizon
        if length is None:
            raise InvalidInputError(
                f"steps: expected a number, as {world.name!r} has no horizon, got None"
            )
        self.world, self._length = world, length
        self._names = names
        self._policies = {name: policies[name] for name in names}
        self.game = PlayerGame(self._policies, self._costs)
        self._opt = PlayerOpt(self.game, lr=self.config.lr, config=self.config.players)
        self._generator = torch.Generator().manual_seed(self.config.seed)
        self.steps = 0
        world.reset(self.config.seed)

    def step(self, scale: float = 1.0) -> PlayerStepInfo:
        """Play every copy anew and make one move.

        Args:
            scale: Of the settings' multiple of the stage game's move.

        Returns:
            What happened; costs are minus the mean returns.
        """
        self._opt.lr = self.config.lr * scale
        info = self._opt.step(self.record())
        self.steps += 1
        return info

    @torch.no_grad()
    def record(self) -> _Recorded:
        """Play every copy from its start.

        Returns:
            The batch that the game's costs take.
        """
        moment = self.world.reset()
        rows: list[dict[str, dict[str, Tensor]]] = []
        logs, rewards, overs = [], [], []
        for _ in range(self._length):
            row, log = self._choose(moment)
            transition = self.world.step(row["actions"])
            rows.append(row)
            logs.append(log)
            rewards.append(torch.stack([transition.rewards[n].mean(1) for n in self._names], 1))
            overs.append(transition.over)
            moment = transition.next
        parts = {
            key: {name: torch.stack([row[key][name] for row in rows]) for name in rows[0][key]}
            for key in rows[0]
        }
        plays = _plays(torch.stack(logs), torch.stack(rewards), torch.stack(overs), self.config)
        return _Recorded(**parts, plays=plays)

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on.

        Returns:
            Plain data and tensors.
        """
        return {
            "control": self.game.control,
            "opt": self._opt.state_dict(),
            "generator": self._generator.get_state(),
            "world": self.world.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: It.
        """
        self.game.assign(state["control"])
        self._opt.load_state_dict(state["opt"])
        self._generator.set_state(state["generator"])
        self.world.load_state_dict(state["world"])
        self.steps = state["steps"]

    def _choose(self, moment: Moment) -> tuple[dict[str, dict[str, Tensor]], Tensor]:
        """Draw actions; give what is recorded and their joint log probability."""
        masks, actions = {}, {}
        joint = torch.zeros(self.world.batch_size, dtype=self.world.dtype)
        for group in self.world.groups:
            name = group.name
            logits = self._policies[name](moment.observations[name])
            mask = moment.masks.get(name)
            masks[name] = torch.ones_like(logits, dtype=torch.bool) if mask is None else mask
            log = masked_log_softmax(logits, masks[name])
            drawn = torch.multinomial(log.exp().flatten(0, -2), 1, generator=self._generator)
            actions[name] = drawn.view(log.shape[:-1])
            taken = log.gather(-1, actions[name][..., None])[..., 0]
            joint = joint + (taken * moment.acting[name]).sum(1)
        row = {
            "observations": dict(moment.observations),
            "masks": masks,
            "acting": dict(moment.acting),
            "actions": actions,
        }
        return row, joint

    def _costs(self, *arguments: Any) -> list[Tensor]:
        *policies, batch = arguments
        joint = torch.zeros((), dtype=self.world.dtype)
        for name, policy in zip(self._names, policies, strict=True):
            log = masked_log_softmax(policy(batch.observations[name]), batch.masks[name])
            taken = log.gather(-1, batch.actions[name][..., None])[..., 0]
            joint = joint + (taken * batch.acting[name]).sum(2)
        returns = differentiable_returns(joint, batch.plays, self.config.discount)
        return list(-returns)


def _plays(log: Tensor, rewards: Tensor, over: Tensor, config: CoupledConfig) -> Plays:
    """Judge every copy's returns to go against the mean of the others."""
    to_go = discounted_to_go(rewards, over, config.discount)
    copies = to_go.shape[1]
    others = (to_go.sum(1, keepdim=True) - to_go) / (copies - 1)
    first = torch.cat([torch.ones_like(over[:1]), over[:-1]])
    age = torch.zeros(over.shape, dtype=torch.long)
    for t in range(1, len(age)):
        age[t] = torch.where(first[t], 0, age[t - 1] + 1)
    episodes = first.sum()
    return Plays(
        behaviour=log,
        advantages=to_go - others,
        returns=to_go[first].sum(0) / episodes,
        first=first,
        age=age,
        weights=torch.full(over.shape, 1.0 / float(episodes), dtype=rewards.dtype),
    )
