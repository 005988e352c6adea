"""Games of getting stones in a line: tic-tac-toe and connect four, as batched worlds.

A board is two planes of H x W fields, those of player 0 and of player 1, and a line is found by
comparing with a table of all lines. Who has a full line wins 1 and the other one loses 1; a full
board without a line is a draw. Observations are the planes of the player's own stones and of the
other's, so that one network can play both seats; the state is what the player to move sees. With
`gravity` an action is a column, whose lowest free field is taken; without, it is a field.
"""

from collections.abc import Mapping

import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from ocngame._checks import integer
from ocngame.envs.world import Group, Moment, Transition, World
from ocngame.errors import InvalidInputError

__all__ = ["LineWorld", "connect_four", "tictactoe"]


class LineWorld(World):
    """Copies of a game of lines."""

    def __init__(
        self,
        name: str,
        players: tuple[str, str],
        *,
        height: int,
        width: int,
        length: int,
        gravity: bool,
        batch_size: int,
        device: str | torch.device = "cpu",
    ):
        """Lay the lines out.

        Args:
            name: The game's name.
            players: Names of the players, the first to move first.
            height: H.
            width: W.
            length: Stones of a line.
            gravity: Whether stones fall down the columns.
            batch_size: Number of copies.
            device: Where to play.
        """
        for what, value in (("height", height), ("width", width), ("batch_size", batch_size)):
            integer(what, value, low=1)
        integer("length", length, low=2)
        self.name, self.batch_size, self.horizon = name, batch_size, height * width
        self.height, self.width, self.gravity = height, width, gravity
        self.device, self.dtype = torch.device(device), torch.float32
        self.state_size = 2 * height * width
        self.groups = tuple(
            Group(
                name=player,
                agents=(player,),
                team=player,
                observation_size=self.state_size,
                action_space=Discrete(width if gravity else height * width),
            )
            for player in players
        )
        self.lines = _lines(height, width, length).to(self.device)
        self.fields = height * width
        self._length = length
        self._stones = torch.zeros(batch_size, 2, self.fields, device=self.device)
        self._turn = torch.zeros(batch_size, dtype=torch.long, device=self.device)

    def reset(self, seed: int | None = None) -> Moment:
        """Clear every board; see `World.reset`.

        Args:
            seed: Not used: nothing is random.

        Returns:
            The first moment.
        """
        self._stones = torch.zeros_like(self._stones)
        self._turn = torch.zeros_like(self._turn)
        return self._moment(self._stones, self._turn, None)

    def step(self, actions: Mapping[str, Tensor]) -> Transition:
        """Set a stone in every copy; see `World.step`.

        Args:
            actions: Per player [B, 1]; only the one to move is asked.

        Returns:
            What it brought.

        Raises:
            InvalidInputError: if a field is taken, a column full or an action out of range.
        """
        stones, turn = self._stones, self._turn
        chosen = torch.where(turn == 0, *(actions[group.name].view(-1) for group in self.groups))
        field = self._landing(stones, chosen, turn)
        every = torch.arange(self.batch_size, device=self.device)
        stones = stones.clone()
        stones[every, turn, field] = 1.0
        own = stones[every, turn]
        won = self.complete(own)
        full = stones.sum((1, 2)) == self.fields
        over = won | full
        gain = torch.where(turn == 0, 1.0, -1.0) * won
        other = 1 - turn
        last = self._moment(stones, other, over)
        self._stones = torch.where(over[:, None, None], 0.0, stones)
        self._turn = torch.where(over, 0, other)
        first, second = (group.name for group in self.groups)
        ends = over[:, None]
        return Transition(
            rewards={first: gain[:, None], second: -gain[:, None]},
            terminated={first: ends, second: ends},
            truncated={first: torch.zeros_like(ends), second: torch.zeros_like(ends)},
            over=over,
            last=last,
            next=self._moment(self._stones, self._turn, None),
        )

    def state_dict(self) -> dict[str, object]:
        """Give the boards.

        Returns:
            Tensors.
        """
        return {"stones": self._stones.clone(), "turn": self._turn.clone()}

    def load_state_dict(self, state: dict[str, object]) -> Moment:
        """Go back to the boards; see `World.load_state_dict`.

        Args:
            state: What `state_dict` gave.

        Returns:
            The moment to act on.
        """
        self._stones = torch.as_tensor(state["stones"]).to(self.device).clone()
        self._turn = torch.as_tensor(state["turn"]).to(self.device).clone()
        return self._moment(self._stones, self._turn, None)

    def complete(self, stones: Tensor) -> Tensor:
        """Say whether a line is complete.

        Args:
            stones: Of one player [..., fields], ones and zeros.

        Returns:
            [...], bool.
        """
        return (stones @ self.lines.to(stones).T == self._length).any(-1)

    def _landing(self, stones: Tensor, chosen: Tensor, turn: Tensor) -> Tensor:
        """Give the field of each action, or refuse."""
        actions = self.width if self.gravity else self.fields
        inside = (chosen >= 0) & (chosen < actions)
        free = self._allowed(stones).gather(1, chosen.clamp(0, actions - 1)[:, None])[:, 0]
        wrong = ~(inside & free)
        if bool(wrong.any()):
            b = int(wrong.nonzero()[0])
            allowed = self._allowed(stones)[b].nonzero().view(-1).tolist()
            raise InvalidInputError(
                f"actions: expected one of {allowed} of {self.groups[int(turn[b])].name} in copy "
                f"{b} of {self.name!r}, got {int(chosen[b])}"
            )
        if not self.gravity:
            return chosen
        heights = stones.sum(1).view(-1, self.height, self.width).sum(1).long()
        row = self.height - 1 - heights.gather(1, chosen[:, None])[:, 0]
        return row * self.width + chosen

    def _allowed(self, stones: Tensor) -> Tensor:
        free = stones.sum(1) == 0
        return free[:, : self.width] if self.gravity else free

    def _moment(self, stones: Tensor, turn: Tensor, over: Tensor | None) -> Moment:
        first, second = (group.name for group in self.groups)
        own, other = stones, stones.flip(1)
        acts = {first: (turn == 0)[:, None], second: (turn == 1)[:, None]}
        if over is not None:
            acts = {name: acting & ~over[:, None] for name, acting in acts.items()}
        views = {first: self._view(own), second: self._view(other)}
        allowed = self._allowed(stones)[:, None]
        return Moment(
            observations={name: view[:, None] for name, view in views.items()},
            acting=acts,
            masks={name: allowed & acting[:, :, None] for name, acting in acts.items()},
            state=torch.where(turn[:, None] == 0, views[first], views[second]),
        )

    def _view(self, stones: Tensor) -> Tensor:
        """Give the planes as PettingZoo flattens them: own and other innermost."""
        return stones.mT.reshape(len(stones), -1)


def tictactoe(batch_size: int, *, device: str | torch.device = "cpu") -> LineWorld:
    """Make tic-tac-toe, as in PettingZoo.

    Args:
        batch_size: Number of copies.
        device: Where to play.

    Returns:
        The world.
    """
    return LineWorld(
        "tictactoe",
        ("player_1", "player_2"),
        height=3,
        width=3,
        length=3,
        gravity=False,
        batch_size=batch_size,
        device=device,
    )


def connect_four(batch_size: int, *, device: str | torch.device = "cpu") -> LineWorld:
    """Make connect four, as in PettingZoo.

    Args:
        batch_size: Number of copies.
        device: Where to play.

    Returns:
        The world.
    """
    return LineWorld(
        "connect_four",
        ("player_0", "player_1"),
        height=6,
        width=7,
        length=4,
        gravity=True,
        batch_size=batch_size,
        device=device,
    )


def _lines(height: int, width: int, length: int) -> Tensor:
    """Give every line as fields, [number, H * W], ones on it."""
    found = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        for row in range(height):
            for column in range(width):
                end = row + down * (length - 1), column + right * (length - 1)
                if not (0 <= end[0] < height and 0 <= end[1] < width):
                    continue
                line = torch.zeros(height * width)
                for k in range(length):
                    line[(row + down * k) * width + column + right * k] = 1
                found.append(line)
    return torch.stack(found)
