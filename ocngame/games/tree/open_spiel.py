"""Trees of OpenSpiel's games; the package is asked for only when one is made."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.games.tree.game_tree import CHANCE, TERMINAL, GameTree
from ocngame.games.tree.position import Position, grow

__all__ = ["tree_from_open_spiel"]


class _Spiel(Position):
    def __init__(self, state: Any, size: int):
        self._state, self._size = state, size

    @property
    def actor(self) -> int:
        if self._state.is_terminal():
            return TERMINAL
        return CHANCE if self._state.is_chance_node() else self._state.current_player()

    def moves(self) -> Sequence[tuple[int, float]]:
        if self._state.is_chance_node():
            return self._state.chance_outcomes()
        return [(a, 1.0) for a in self._state.legal_actions()]

    def after(self, action: int) -> "_Spiel":
        return _Spiel(self._state.child(action), self._size)

    def information(self) -> str:
        return self._state.information_state_string()

    def view(self, player: int) -> Sequence[float]:
        if self._state.is_chance_node() and not self._state.history():
            return [0.0] * self._size
        return self._state.information_state_tensor(player)

    def payoff(self) -> float:
        return self._state.returns()[0]


def tree_from_open_spiel(game: str, *, most_nodes: int = 2_000_000) -> GameTree:
    """Make the tree of a two-player zero-sum game of OpenSpiel.

    Args:
        game: As `pyspiel.load_game` takes it, with parameters if any: "leduc_poker".
        most_nodes: Largest tree that is made.

    Returns:
        The game; observations are its information state tensors.

    Raises:
        InvalidInputError: if OpenSpiel is not installed or the game is not of this kind.
        UnknownNameError: if there is no such game.
    """
    try:
        pyspiel: Any = import_module("pyspiel")
    except ImportError as error:
        raise InvalidInputError(
            "game: games of OpenSpiel need the package open_spiel (pip install open_spiel)"
        ) from error
    known = pyspiel.registered_names()
    if game.split("(")[0] not in known:
        raise UnknownNameError("game", game, known)
    try:
        loaded = pyspiel.load_game(game)
    except pyspiel.SpielError as error:
        raise InvalidInputError(f"game: expected parameters of {game!r} ({error})") from error
    kind = loaded.get_type()
    sequential = kind.dynamics == pyspiel.GameType.Dynamics.SEQUENTIAL
    zero_sum = kind.utility == pyspiel.GameType.Utility.ZERO_SUM
    if loaded.num_players() != 2 or not sequential or not zero_sum:
        raise InvalidInputError(
            f"game: expected a turn-based zero-sum game for two, got {game!r} with "
            f"{loaded.num_players()} players, {kind.dynamics}, {kind.utility}"
        )
    size = loaded.information_state_tensor_size()
    root = _Spiel(loaded.new_initial_state(), size)
    return grow(game, root, loaded.num_distinct_actions(), most_nodes=most_nodes)
