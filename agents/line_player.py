r"""A scripted player of games of lines (tic-tac-toe, connect four): one or two moves ahead.

With one move it completes a line where it can. With two it else makes no move after which the other
one can complete a line, which also blocks the lines that the other one has begun, as long as there
is such a move. Among the moves that are left it draws evenly.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ocngame.agents.decider import Decider
from ocngame.envs import Moment, World
from ocngame.envs.boards import LineWorld
from ocngame.errors import InvalidInputError

__all__ = ["LinePlayer"]


class LinePlayer(Decider):
    """Plays some seats of a game of lines by looking ahead."""

    def __init__(self, world: World, groups: Sequence[str] | None = None, *, moves: int = 2):
        """Read the rules.

        Args:
            world: A game of lines.
            groups: Which seats; both if None.
            moves: How far it looks, 1 or 2.

        Raises:
            InvalidInputError: if the world is another one.
        """
        if not isinstance(world, LineWorld):
            raise InvalidInputError(
                f"world: expected tictactoe or connect_four, got {getattr(world, 'name', world)!r}"
            )
        if moves not in (1, 2):
            raise InvalidInputError(f"moves: expected 1 or 2, got {moves!r}")
        self.name = f"{moves}-ply"
        self.groups = tuple(g.name for g in world.groups) if groups is None else tuple(groups)
        self._world, self._moves = world, moves

    def act(
        self,
        moment: Moment,
        memory: object,
        generator: torch.Generator,
        *,
        deterministic: bool = False,
    ) -> tuple[dict[str, Tensor], object]:
        """Choose; see `Decider.act`.

        Args:
            moment: What is known.
            memory: Not used.
            generator: For the draws.
            deterministic: The first of the best moves instead of a drawn one.

        Returns:
            Actions per seat, and the memory unchanged.
        """
        actions = {}
        for name in self.groups:
            seen = moment.observations[name][:, 0]
            own, other = seen.unflatten(-1, (-1, 2)).unbind(-1)
            best = self.best_moves(own, other).float()
            chosen = (
                best.argmax(-1, keepdim=True)
                if deterministic
                else torch.multinomial(best, 1, generator=generator)
            )
            actions[name] = chosen
        return actions, memory

    def best_moves(self, own: Tensor, other: Tensor) -> Tensor:
        """Say which moves it may make.

        Args:
            own: Its stones [B, fields], ones and zeros.
            other: Those of the other one.

        Returns:
            [B, actions], bool; on a full board all are.
        """
        allowed, after = self._after(own, other)
        wins = allowed & self._world.complete(after)
        best = torch.where(wins.any(-1, keepdim=True), wins, allowed)
        if self._moves == 2:
            replies, answered = self._after(other[:, None].expand_as(after), after)
            loses = (replies & self._world.complete(answered)).any(-1) & ~wins
            safe = best & ~loses
            best = torch.where(safe.any(-1, keepdim=True), safe, best)
        return torch.where(best.any(-1, keepdim=True), best, True)

    def _after(self, own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Say which moves there are [..., actions], and the stones after them."""
        world, free = self._world, own + other == 0
        if world.gravity:
            rows = free.unflatten(-1, (world.height, world.width))
            lowest = rows.sum(-2).long() - 1
            depth = torch.arange(world.height, device=own.device)[:, None]
            # Field (row, column) is set by a move in its column if the row is the lowest free one.
            hits = (depth == lowest.unsqueeze(-2)).flatten(-2)
            columns = torch.arange(own.shape[-1], device=own.device) % world.width
            moves = columns == torch.arange(world.width, device=own.device)[:, None]
            placed = hits.unsqueeze(-2) & moves
            allowed = lowest >= 0
        else:
            placed = torch.eye(own.shape[-1], dtype=torch.bool, device=own.device)
            allowed = free
        return allowed, torch.maximum(own.unsqueeze(-2), placed.to(own))
