"""The rules of a game as positions, and the tree that grows from them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch

from ocngame._checks import integer
from ocngame.errors import InvalidInputError
from ocngame.games.tree.game_tree import CHANCE, TERMINAL, GameTree

__all__ = ["Position", "grow"]

_MOST_NODES = 2_000_000


class Position(ABC):
    """Where a play of a two-player zero-sum game stands."""

    @property
    @abstractmethod
    def actor(self) -> int:
        """Who moves: 0, 1, `CHANCE`, or `TERMINAL` where the game is over."""

    @abstractmethod
    def moves(self) -> Sequence[tuple[int, float]]:
        """Give the actor's legal actions, each with its probability where chance moves (else 1)."""

    @abstractmethod
    def after(self, action: int) -> "Position":
        """Give the position after an action of the actor."""

    @abstractmethod
    def information(self) -> str:
        """Give what the player to move knows, as text: equal text, equal information set."""

    @abstractmethod
    def view(self, player: int) -> Sequence[float]:
        """Give what a player sees as numbers; of one length over all positions and both players."""

    @abstractmethod
    def payoff(self) -> float:
        """Give player 0's payoff at the end of the game."""


def grow(name: str, root: Position, actions: int, *, most_nodes: int = _MOST_NODES) -> GameTree:
    """Visit every position.

    Args:
        name: The game's name.
        root: Its first position.
        actions: Number A of players' actions, which are numbered from 0.
        most_nodes: Largest tree that is made.

    Returns:
        The game.

    Raises:
        InvalidInputError: if it has more nodes, an information set has different legal actions at
            two of its nodes, or chance's probabilities do not sum to one.
    """
    integer("actions", actions, low=1)
    parent, actor, action, probability = [-1], [], [-1], [1.0]
    info, payoff, states = [], [], []
    known: dict[str, int] = {}
    owner: list[int] = []
    legal: list[list[bool]] = []
    observations: list[list[float]] = []
    levels = [(0, 1)]
    level: list[Position] = [root]
    while level:
        below: list[Position] = []
        start = levels[-1][0]
        for h, position in enumerate(level, start):
            who = position.actor
            actor.append(who)
            states.append([*position.view(0), *position.view(1)])
            payoff.append(float(position.payoff()) if who == TERMINAL else 0.0)
            moves = () if who == TERMINAL else position.moves()
            if who == CHANCE and abs(sum(p for _, p in moves) - 1) > 1e-9:
                raise InvalidInputError("game: expected probabilities of chance that sum to 1")
            info.append(-1)
            if who >= 0:
                row = [False] * actions
                for a, _ in moves:
                    row[a] = True
                label = f"{who}:{position.information()}"
                k = info[-1] = known.setdefault(label, len(known))
                if k == len(owner):
                    owner.append(who)
                    legal.append(row)
                    observations.append(list(position.view(who)))
                elif legal[k] != row:
                    raise InvalidInputError(
                        f"game: expected the same legal actions everywhere in information set "
                        f"{label!r}"
                    )
            for a, p in moves:
                parent.append(h)
                action.append(-1 if who == CHANCE else a)
                probability.append(p)
                below.append(position.after(a))
        if below:
            levels.append((len(actor), len(actor) + len(below)))
        if len(parent) > most_nodes:
            raise InvalidInputError(f"game: expected at most {most_nodes} nodes in {name!r}")
        level = below
    return GameTree(
        name=name,
        parent=torch.tensor(parent),
        actor=torch.tensor(actor),
        action=torch.tensor(action),
        probability=_doubles(probability),
        info=torch.tensor(info),
        payoff=_doubles(payoff),
        levels=tuple(levels),
        legal=torch.tensor(legal),
        owner=torch.tensor(owner),
        labels=tuple(known),
        observations=torch.tensor(observations, dtype=torch.float32),
        states=torch.tensor(states, dtype=torch.float32),
    )


def _doubles(values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)
