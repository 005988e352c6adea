"""A game tree as a batch of worlds: every copy is a node, and a step is a look-up.

Each player is a group of its own with one agent, named `player_0` and `player_1`. Chance moves as
part of the step that leads to it, so that a step of the world is one decision. The state is what
both players see.
"""

from collections.abc import Mapping

import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from ocngame._checks import integer
from ocngame.envs.world import Group, Moment, Transition, World
from ocngame.errors import InvalidInputError
from ocngame.games.tree import CHANCE, TERMINAL, GameTree

__all__ = ["TreeWorld"]


class TreeWorld(World):
    """Copies of a two-player zero-sum game in extensive form.

    Attributes:
        tree: The game.
    """

    def __init__(
        self, tree: GameTree, batch_size: int, *, device: str | torch.device = "cpu", seed: int = 0
    ):
        """Lay the tables out.

        Args:
            tree: The game.
            batch_size: Number of copies.
            device: Where to play.
            seed: Of chance, until `reset` gets another.
        """
        integer("batch_size", batch_size, low=1)
        self.tree, self.name, self.batch_size = tree, tree.name, batch_size
        self.device, self.dtype = torch.device(device), torch.float32
        views = tree.states.shape[1] // 2
        self.state_size = 2 * views
        self.groups = tuple(
            Group(
                name=f"player_{i}",
                agents=(f"player_{i}",),
                team=f"player_{i}",
                observation_size=views,
                action_space=Discrete(tree.actions),
            )
            for i in (0, 1)
        )
        self._children = torch.full((tree.size, tree.actions), -1)
        moved = tree.action >= 0
        nodes = torch.arange(tree.size)
        self._children[tree.parent[moved], tree.action[moved]] = nodes[moved]
        self._first = torch.searchsorted(tree.parent, nodes)
        self._first = self._first.to(self.device)
        self._cumulative = _cumulative(tree).to(self.device)
        self._children = self._children.to(self.device)
        self._actor, self._payoff = tree.actor.to(self.device), tree.payoff.to(self.device).float()
        self._states = tree.states.to(self.device)
        self._legal = (self._children >= 0).to(self.device)
        self.horizon = _most_decisions(tree)
        self._generator = torch.Generator(self.device).manual_seed(seed)
        self._node = self._start(batch_size)

    def reset(self, seed: int | None = None) -> Moment:
        """Start every copy anew; see `World.reset`.

        Args:
            seed: Of chance from here on.

        Returns:
            The first moment.
        """
        if seed is not None:
            self._generator.manual_seed(seed)
        self._node = self._start(self.batch_size)
        return self._moment(self._node)

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        """Make one decision in every copy; see `World.step`.

        Args:
            actions: Per player [B, 1]; only the one to move is asked.

        Returns:
            What it brought.

        Raises:
            InvalidInputError: if an action is not allowed.
        """
        node, actor = self._node, self._actor[self._node]
        chosen = torch.where(actor == 0, *(actions[g.name].view(-1) for g in self.groups))
        inside = (chosen >= 0) & (chosen < self.tree.actions)
        reached = self._children[node, chosen.clamp(0, self.tree.actions - 1)]
        wrong = ~inside | (reached < 0)
        if bool(wrong.any()):
            b = int(wrong.nonzero()[0])
            allowed = self._legal[node[b]].nonzero().view(-1).tolist()
            raise InvalidInputError(
                f"actions: expected one of {allowed} of player_{int(actor[b])} in copy {b} of "
                f"{self.name!r}, got {int(chosen[b])}"
            )
        reached = self._chance(reached)
        over = self._actor[reached] == TERMINAL
        payoff = self._payoff[reached]
        last = self._moment(reached)
        if bool(over.any()):
            reached = torch.where(over, self._start(self.batch_size), reached)
        self._node = reached
        ends = over[:, None]
        return Transition(
            rewards={"player_0": payoff[:, None], "player_1": -payoff[:, None]},
            terminated=dict.fromkeys(("player_0", "player_1"), ends),
            truncated=dict.fromkeys(("player_0", "player_1"), torch.zeros_like(ends)),
            over=over,
            last=last,
            next=self._moment(reached),
        )

    def state_dict(self) -> dict[str, object]:
        """Give the nodes and the generator.

        Returns:
            Tensors.
        """
        return {"node": self._node.clone(), "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, object]) -> Moment:
        """Go back to the nodes; see `World.load_state_dict`.

        Args:
            state: What `state_dict` gave.

        Returns:
            The moment to act on.
        """
        self._node = torch.as_tensor(state["node"]).to(self.device).clone()
        self._generator.set_state(torch.as_tensor(state["generator"]))
        return self._moment(self._node)

    def _start(self, copies: int) -> Tensor:
        return self._chance(torch.zeros(copies, dtype=torch.long, device=self.device))

    def _chance(self, node: Tensor) -> Tensor:
        """Let chance move until it is a player's turn or the game is over."""
        while bool((waits := self._actor[node] == CHANCE).any()):
            u = torch.rand(len(node), 1, generator=self._generator, device=self.device)
            drawn = self._first[node] + (u > self._cumulative[node]).sum(1)
            node = torch.where(waits, drawn, node)
        return node

    def _moment(self, node: Tensor) -> Moment:
        state, actor = self._states[node], self._actor[node]
        views = state.view(len(node), 2, -1)
        acting = {g.name: (actor == i)[:, None] for i, g in enumerate(self.groups)}
        legal = self._legal[node][:, None]
        return Moment(
            observations={g.name: views[:, i : i + 1] for i, g in enumerate(self.groups)},
            acting=acting,
            masks={name: legal & acts[:, :, None] for name, acts in acting.items()},
            state=state,
        )


def _cumulative(tree: GameTree) -> Tensor:
    """Give chance's cumulative probabilities without the last, [S, C - 1]; 2 elsewhere."""
    chance = tree.actor == CHANCE
    below = chance[tree.parent.clamp(min=0)] & (tree.parent >= 0)
    counts = torch.bincount(tree.parent[below], minlength=tree.size)
    found = torch.full((tree.size, max(1, int(counts.max()) - 1)), 2.0)
    for h in chance.nonzero().view(-1).tolist():
        steps = tree.probability[tree.parent == h].cumsum(0)[:-1]
        found[h, : len(steps)] = steps.float()
    return found


def _most_decisions(tree: GameTree) -> int:
    count = torch.zeros(tree.size, dtype=torch.long)
    for start, stop in tree.levels[1:]:
        up = tree.parent[start:stop]
        count[start:stop] = count[up] + (tree.actor[up] >= 0)
    return int(count.max())
