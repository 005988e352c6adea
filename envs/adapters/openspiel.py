"""Games of OpenSpiel (optional package `open_spiel`) as a PettingZoo environment, turn by turn.

The observation is the information state of the player who looks, the mask the legal actions; chance
is drawn with the episode's seed; rewards are the game's own per step (for Kuhn and Leduc poker the
returns at the end, which sum to zero). Games with simultaneous moves are played in turns, each
player without knowledge of the others' move.
"""

from importlib import import_module
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv

from ocngame.errors import InvalidInputError, UnknownNameError

__all__ = ["OpenSpielEnv", "openspiel_names"]


def _pyspiel() -> Any:
    try:
        pyspiel: Any = import_module("pyspiel")
    except ImportError as error:
        raise InvalidInputError(
            "name: OpenSpiel's games need the package open_spiel, which is not installed: "
            "pip install 'ocngame[openspiel]'"
        ) from error
    return pyspiel


def openspiel_names() -> list[str]:
    """List the games.

    Returns:
        Their short names; empty where OpenSpiel is not installed.
    """
    try:
        return list(_pyspiel().registered_names())
    except InvalidInputError:
        return []


class OpenSpielEnv(AECEnv):
    """A game of OpenSpiel with players `player_0`, `player_1`, ...

    Attributes:
        state_of_play: OpenSpiel's state, for those who look behind the cards.
    """

    def __init__(self, game: str, **parameters: Any):
        """Load the game.

        Args:
            game: Its short name.
            **parameters: Of the game.

        Raises:
            UnknownNameError: if there is no such game.
            InvalidInputError: if it has no observation as numbers, or not these parameters.
        """
        super().__init__()
        pyspiel = _pyspiel()
        known = pyspiel.registered_names()
        if game not in known:
            raise UnknownNameError("name", f"openspiel/{game}", [f"openspiel/{n}" for n in known])
        try:
            loaded = pyspiel.load_game(game, parameters)
        except pyspiel.SpielError as error:
            raise InvalidInputError(f"openspiel/{game}: {error}") from error
        if loaded.get_type().dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS:
            loaded = pyspiel.convert_to_turn_based(loaded)
        kind = loaded.get_type()
        self._terminal = pyspiel.PlayerId.TERMINAL
        if kind.provides_information_state_tensor:
            self._tensor, size = "information_state_tensor", loaded.information_state_tensor_size()
        elif kind.provides_observation_tensor:
            self._tensor, size = "observation_tensor", loaded.observation_tensor_size()
        else:
            raise InvalidInputError(f"openspiel/{game}: has no observation as numbers")
        self._game = loaded
        self.metadata = {"name": f"openspiel_{game}", "is_parallelizable": False}
        self.render_mode = None
        self.possible_agents = [f"player_{i}" for i in range(loaded.num_players())]
        actions = loaded.num_distinct_actions()
        seen = spaces.Dict(
            {
                "observation": spaces.Box(-np.inf, np.inf, (size,), np.float32),
                "action_mask": spaces.Box(0, 1, (actions,), np.int8),
            }
        )
        self.observation_spaces = dict.fromkeys(self.possible_agents, seen)
        self.action_spaces = {a: spaces.Discrete(actions) for a in self.possible_agents}
        self._random = np.random.default_rng()

    def observation_space(self, agent: str) -> spaces.Space:
        """Give the space of an agent's observations.

        Args:
            agent: Whose.

        Returns:
            A dict of the observation and the mask.
        """
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """Give the space of an agent's actions.

        Args:
            agent: Whose.

        Returns:
            Discrete.
        """
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start a game.

        Args:
            seed: Of chance; None goes on with the generator.
            options: Not used.
        """
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self.state_of_play = self._game.new_initial_state()
        self._draw()
        self._select()

    def step(self, action: int | None) -> None:
        """Make the move of the player whose turn it is.

        Args:
            action: Its move; None for a player whose game is over.

        Raises:
            InvalidInputError: if it is not a legal move.
        """
        agent = self.agent_selection
        if self.terminations[agent]:
            self._was_dead_step(action)  # pyright: ignore[reportArgumentType]
            return
        state = self.state_of_play
        if action is None or action not in state.legal_actions():
            raise InvalidInputError(
                f"action: expected one of {state.legal_actions()} of {agent}, got {action}"
            )
        self._cumulative_rewards[agent] = 0.0
        before = state.returns()
        state.apply_action(int(action))
        self._draw()
        after = state.returns()
        self.rewards = {a: after[i] - before[i] for i, a in enumerate(self.agents)}
        if state.is_terminal():
            self.terminations = dict.fromkeys(self.agents, True)
        self._accumulate_rewards()
        self._select()

    def observe(self, agent: str) -> dict[str, np.ndarray]:
        """Give what an agent knows.

        Args:
            agent: Who looks.

        Returns:
            `observation` [size] and `action_mask` [actions], zero unless it is its turn.
        """
        state, player = self.state_of_play, self.possible_agents.index(agent)
        mask = np.zeros(self._game.num_distinct_actions(), dtype=np.int8)
        if not state.is_terminal() and state.current_player() == player:
            mask[state.legal_actions()] = 1
        tensor = np.array(getattr(state, self._tensor)(player), dtype=np.float32)
        return {"observation": tensor, "action_mask": mask}

    def render(self) -> str:
        """Show the game.

        Returns:
            OpenSpiel's text.
        """
        return str(self.state_of_play)

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def _draw(self) -> None:
        state = self.state_of_play
        while state.is_chance_node():
            outcomes, chances = zip(*state.chance_outcomes(), strict=True)
            state.apply_action(int(self._random.choice(outcomes, p=chances)))

    def _select(self) -> None:
        player = self.state_of_play.current_player()
        self.agent_selection = self.agents[max(player, 0)]
