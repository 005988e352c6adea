"""Calls of players' networks within one evaluation of the costs, recorded as rollouts.

A cost may call a player's module more than once (a discriminator sees real and generated samples).
Each call is a rollout of its own, with its own samples.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from ocngame.errors import InvalidInputError, UnsupportedModuleError
from ocngame.games.batch_statistics import BATCH_NORMS, StatisticsGate
from ocngame.games.continuous.block import NeuralODE
from ocngame.games.continuous.watch import FieldWatch
from ocngame.games.graph import GameGraph
from ocngame.games.players import PlayerGame, Values
from ocngame.games.replay import RandomState, replayed
from ocngame.games.rollout import Rollout, trained_controls
from ocngame.games.twins import installed
from ocngame.games.uses import StageUse, stage_use

__all__ = ["PlayerNetwork", "record_calls"]


class PlayerNetwork:
    """A player's module as a network game, with its controls.

    Attributes:
        name: The player's name.
        module: The module.
        graph: Its game graph.
        controls: The controls of its stages.
        parameters: The parameters of each of these.
    """

    def __init__(self, name: str, module: nn.Module):
        """Trace a module.

        Args:
            name: The player's name.
            module: The module.

        Raises:
            UnsupportedModuleError: if an equation within keeps no graph of its steps.
        """
        for part in module.modules():
            if isinstance(part, NeuralODE) and part.adjoint is not None:
                raise UnsupportedModuleError(
                    f"players: expected equations in the mode 'discretise' in {name!r}, got a "
                    "NeuralODE in the mode 'adjoint', which keeps nothing to take columns from"
                )
        self.name, self.module = name, module
        self.graph = GameGraph.from_module(module, players="single")
        self.controls = trained_controls(self.graph.program, self.graph.control_stages)
        # A control keeps what it is asked for first; later, other tensors may stand in its place.
        self.parameters = [control.parameters for control in self.controls]


class _Recorder:
    """Notes the uses of one network's controls, call by call."""

    def __init__(self, network: PlayerNetwork):
        self._network = network
        self._controls = {control.module: control for control in network.controls}
        self._gate = StatisticsGate()
        self._watch = FieldWatch(network.graph.fields)
        self._open: dict[nn.Module, list[StageUse]] | None = None
        self._samples: list[tuple[str, torch.Size]] = []
        self.rollouts: list[Rollout] = []

    def install(self, stack: ExitStack) -> None:
        """Put the hooks on the network until the stack closes."""
        network = self._network
        norms = {layer for layer in network.module.modules() if isinstance(layer, BATCH_NORMS)}
        for layer in norms.union(self._controls):
            stack.callback(layer.register_forward_hook(self._note).remove)
        stack.callback(network.module.register_forward_pre_hook(self._begin).remove)
        stack.callback(network.module.register_forward_hook(self._end).remove)
        stack.enter_context(replayed(network.module, RandomState.now()))
        stack.enter_context(installed(network.graph.twins))
        stack.enter_context(self._watch.watching())

    def _begin(self, _module: nn.Module, _args: Any) -> None:
        self._open = {layer: [] for layer in self._controls}
        self._samples.clear()

    def _note(self, layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if isinstance(layer, BATCH_NORMS):
            output = self._gate.attach(layer, args[0], output)
        if layer in self._controls and output.requires_grad:
            if self._open is None:
                raise InvalidInputError(
                    f"costs: expected the module of player {self._network.name!r} to be called as "
                    "a whole, but a layer of it was called by itself"
                )
            use = stage_use(self._controls[layer], args[0], output, self._watch.current)
            self._open[layer].append(use)
            self._samples.append((self._controls[layer].stage, output.shape))
        return output

    def _end(self, _module: nn.Module, _args: Any, output: Any) -> None:
        seen, self._open = self._open, None
        if not isinstance(output, Tensor):
            raise InvalidInputError(
                f"players: expected the module of {self._network.name!r} to return one tensor, got "
                f"{type(output).__name__}"
            )
        for stage, shape in self._samples:
            if len(shape) < 2 or shape[0] != output.shape[0]:
                raise InvalidInputError(
                    f"players: expected the {output.shape[0]} samples as first dimension of the "
                    f"state at stage {stage!r} of {self._network.name!r}, got shape {tuple(shape)}"
                )
        if seen is not None and output.requires_grad:
            uses = list(seen.values())
            found = Rollout(output, self._network.controls, uses, self._gate, watch=self._watch)
            self.rollouts.append(found)


def record_calls(
    game: PlayerGame, networks: Mapping[int, PlayerNetwork], values: Values, *batch: Any
) -> tuple[list[Tensor], dict[int, list[Rollout]]]:
    """Evaluate the costs and record what the players' networks do meanwhile.

    Args:
        game: The game.
        networks: Networks by the number of their player.
        values: The players' tensors, with gradients.
        *batch: Passed on to the costs.

    Returns:
        The costs with their graph, and a rollout for every call of each network.

    Raises:
        InvalidInputError: if a network was not called, not as a whole, or gives no single tensor.
    """
    recorders = {i: _Recorder(network) for i, network in networks.items()}
    with ExitStack() as stack:
        for recorder in recorders.values():
            recorder.install(stack)
        costs = game.evaluate(values, *batch)
    for i, recorder in recorders.items():
        if not recorder.rollouts:
            raise InvalidInputError(
                f"costs: expected a call of the module of player {networks[i].name!r}, got none"
            )
    return costs, {i: recorder.rollouts for i, recorder in recorders.items()}
