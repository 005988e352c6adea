r"""Functional optimizers of other libraries as the first-order rules of players.

A functional optimizer is a pair of pure functions, as in TorchOpt (Ren et al., 2211.06934) and the
libraries that it follows: `init(params)` gives a state, `update(gradients, state, params=..,
inplace=False)` gives the change of the parameters, step size and sign included, and the next state.
With `xi_i` player i's own gradient, every player moves by its own rule at once,

    u^i <- u^i + lr update_i(xi_i)

Any object with these two functions will do; TorchOpt itself is not imported.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_structure, tree_unflatten

from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.games import PlayerGame
from ocngame.solvers.players.baselines.base import FirstOrder

__all__ = ["FunctionalPlayers", "FunctionalRule"]


@runtime_checkable
class FunctionalRule(Protocol):
    """An optimizer as two pure functions."""

    def init(self, params: Any) -> Any:
        """Give the state before the first step."""
        ...

    def update(self, updates: Any, state: Any, *, params: Any, inplace: bool) -> Any:
        """Give the changes of the parameters and the next state."""
        ...


class FunctionalPlayers(FirstOrder):
    """Every player moves by a functional optimizer of its own.

    Attributes:
        rules: One per player.
    """

    def __init__(self, game: PlayerGame, rules: Any, *, lr: float = 1.0):
        """Take a game and its players' rules.

        Args:
            game: The game; its players' tensors are moved in place.
            rules: One rule for all, or one per player in a list.
            lr: Multiple of what the rules say.

        Raises:
            InvalidInputError: if the rules are too few or too many, or one is no functional
                optimizer.
        """
        super().__init__(game, lr=lr)
        listed: list[Any] = list(rules) if isinstance(rules, list) else [rules] * game.player_count
        if len(listed) != game.player_count:
            raise InvalidInputError(
                f"rules: expected one, or {game.player_count} in a list, got {len(listed)}"
            )
        for rule in listed:
            if not isinstance(rule, FunctionalRule):
                raise InvalidInputError(
                    "rules: expected objects with the functions init and update, as torchopt.adam "
                    f"gives, got {rule!r}"
                )
        self.rules = listed
        values = game.values()
        self._states = [rule.init(own) for rule, own in zip(listed, values, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on: the leaves of the rules' states.

        Returns:
            Plain data and tensors.
        """
        return {"states": [tree_leaves(state) for state in self._states]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.

        Raises:
            CheckpointError: if it belongs to other rules or another game.
        """
        kept, forms = state.get("states", []), [tree_structure(own) for own in self._states]
        if [len(leaves) for leaves in kept] != [form.num_leaves for form in forms]:
            raise CheckpointError("state: expected the state of the same rules on the same game")
        pairs = zip(kept, forms, strict=True)
        self._states = [tree_unflatten(leaves, form) for leaves, form in pairs]

    def _advance(self, control: Tensor, slope: Tensor, batch: tuple[Any, ...]) -> Tensor:
        values, slopes = self.game.split(control), self.game.split(slope)
        moved = []
        for i, (rule, own, gradient) in enumerate(zip(self.rules, values, slopes, strict=True)):
            kept = [part.clone() for part in gradient]
            changes, self._states[i] = rule.update(kept, self._states[i], params=own, inplace=False)
            moved.append([v + self.lr * d for v, d in zip(own, changes, strict=True)])
        return torch.cat([part.reshape(-1) for own in moved for part in own])
