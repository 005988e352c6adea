r"""Own blocks from the players' network games: Kronecker, other stage-wise curvature, and gram.

Player i's network is a single-player network game (`ocngame.games`), and its own block is that
game's `Q_uu` in Gauss-Newton form, `(1/B) sum_b Z_b Z_b'` with the columns of
`ocngame.solvers.players.output_columns` backpropagated to its stages:

* `NetworkOwn`: block by block over the stages, `M = diag(M_1, .., M_T)`, each by a rule of
  `ocngame.curvature` (Kronecker factors by default) with that rule's own damping;
* `GramOwn`: all stages jointly, `M = lambda I + (1/B) Z Z'`. With `G = (1/B) Z' Z`, r x r for r
  columns of the batch,

      M^{-1} v = (v - (1/B) Z (lambda I + G)^{-1} Z' v) / lambda

  the solution of the stacked Bellman recursion of the network (`ocngame.bellman.sample_space`), for
  any right-hand side.

Nothing of the size of the control squared is formed. With one player the stage game is that
network's own: `NetworkOwn` makes `OCNOpt`'s moves without feedback, `GramOwn` those with exact
feedback. What a cost says of a network by other ways than the outputs of its calls (a penalty on
its gradients or weights) is in the slope, but not in the block.

Parameters that are no control of a stage have the diagonal of `DiagonalOwn`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ocngame._checks import integer
from ocngame.curvature import Curvature, KroneckerCurvature, rule_for
from ocngame.errors import InvalidInputError
from ocngame.games import PlayerGame
from ocngame.games.player_calls import PlayerNetwork, record_calls
from ocngame.games.player_derivatives import leaves_of
from ocngame.linalg import Columns, joined_samples
from ocngame.solvers.ocnopt.rhythm import Rhythm
from ocngame.solvers.players.curvature import DiagonalOwn, OwnCurvature, OwnReading
from ocngame.solvers.players.network_blocks import GramBlock, Layout, StagewiseBlock
from ocngame.solvers.players.output_columns import HessianColumns, OutputColumns
from ocngame.solvers.players.own_block import OwnBlock

__all__ = ["GramOwn", "NetworkOwn"]

State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class NetworkOwn(OwnCurvature):
    """Curvature stage by stage; every player is a network.

    Attributes:
        curvature: Rule for a stage's block.
        columns: Columns at the outputs.
        rhythm: Which steps measure, and which factorise.
        others: Rule for parameters that are no control of a stage.
    """

    curvature: Curvature = field(default_factory=KroneckerCurvature)
    columns: OutputColumns = field(default_factory=HessianColumns)
    rhythm: Rhythm = field(default_factory=Rhythm)
    others: DiagonalOwn = field(default_factory=DiagonalOwn)

    def __post_init__(self) -> None:
        """Validate the settings."""
        _check(self, curvature=Curvature, columns=OutputColumns, rhythm=Rhythm, others=DiagonalOwn)

    def networks(self, game: PlayerGame) -> dict[int, PlayerNetwork]:
        """Trace every player's module."""
        return _networks(game)

    def init(self, game: PlayerGame, networks: Mapping[int, PlayerNetwork]) -> State:
        """Give the empty states of all stages."""
        state = self.others.init(game, {}) | _counters()
        for i, network in networks.items():
            like = game.parameters[i][0].detach()
            for t, control in enumerate(network.controls):
                found = rule_for(self.curvature, control.factored).init(control.shape, like)
                state |= {f"{i}.{t}.{name}": value for name, value in found.items()}
        return state

    def update(self, state: State, reading: OwnReading) -> State:
        """Measure and factorise where it is due; factorise where lambda has changed as well."""
        step, last = int(state["count"]), int(state["refreshed"])
        measured = not self.curvature.needs_columns or self.rhythm.measures(step)
        refresh = measured and self.rhythm.refreshes(step, last)
        refresh = refresh or float(state["damping"]) != reading.damping
        new = state | self.others.update(state, reading)
        columns = _measure(self.columns, reading, step) if measured else {}
        for i, network in reading.networks.items():
            slopes = []
            if measured:
                slopes = Layout(network, reading.point.game, i).split(_own(reading, i))
            for t, control in enumerate(network.controls):
                rule = rule_for(self.curvature, control.factored)
                own = _stage(state, i, t)
                if measured:
                    own = rule.update(own, columns[i][t], slopes[t])
                if refresh:
                    own = rule.refresh(own, reading.damping)
                new |= {f"{i}.{t}.{name}": value for name, value in own.items()}
        if refresh:
            new["refreshed"] = torch.tensor(float(step), dtype=torch.float64)
            new["damping"] = torch.tensor(reading.damping, dtype=torch.float64)
        return new

    def blocks(self, state: State, reading: OwnReading) -> list[OwnBlock]:
        """Give every player's block."""
        rest = self.others.diagonal(state)
        found: list[OwnBlock] = []
        for i, network in reading.networks.items():
            controls = network.controls
            found.append(
                StagewiseBlock(
                    layout=Layout(network, reading.point.game, i),
                    rules=[rule_for(self.curvature, c.factored) for c in controls],
                    states=[_stage(state, i, t) for t in range(len(controls))],
                    factorised=float(state["damping"]),
                    rest=rest[reading.point.game.control_slices[i]],
                )
            )
        return found


@dataclass(frozen=True, kw_only=True)
class GramOwn(OwnCurvature):
    """All stages of a network jointly, in the space of the batch's columns.

    Attributes:
        columns: Columns at the outputs.
        largest: Most columns r of a batch; the solve factorises a matrix of r x r.
        others: Rule for parameters that are no control of a stage.
    """

    needs_damping: ClassVar[bool] = True

    columns: OutputColumns = field(default_factory=HessianColumns)
    largest: int = 4096
    others: DiagonalOwn = field(default_factory=DiagonalOwn)

    def __post_init__(self) -> None:
        """Validate the settings."""
        _check(self, columns=OutputColumns, others=DiagonalOwn)
        integer("largest", self.largest, low=1)

    def networks(self, game: PlayerGame) -> dict[int, PlayerNetwork]:
        """Trace every player's module."""
        return _networks(game)

    def init(self, game: PlayerGame, networks: Mapping[int, PlayerNetwork]) -> State:
        """Give the state of the other parameters: blocks are those of the batch alone."""
        return self.others.init(game, {})

    def update(self, state: State, reading: OwnReading) -> State:
        """Take the step into the state of the other parameters, which counts it."""
        return self.others.update(state, reading)

    def blocks(self, state: State, reading: OwnReading) -> list[OwnBlock]:
        """Measure the batch and give every player's block."""
        rest = self.others.diagonal(state)
        found: list[OwnBlock] = []
        for i, columns in _measure(self.columns, reading, int(state["count"]) - 1).items():
            layout = Layout(reading.networks[i], reading.point.game, i)
            count = columns[0].count[0] * columns[0].count[1]
            if count > self.largest:
                raise InvalidInputError(
                    f"largest: expected at least the {count} columns of this batch for player "
                    f"{reading.networks[i].name!r}, got {self.largest}"
                )
            own = reading.point.game.control_slices[i]
            found.append(GramBlock(layout=layout, columns=columns, rest=rest[own]))
        return found


def _check(rule: OwnCurvature, **kinds: type) -> None:
    for name, kind in kinds.items():
        value = getattr(rule, name)
        if not isinstance(value, kind):
            raise InvalidInputError(f"{name}: expected a {kind.__name__}, got {value!r}")


def _networks(game: PlayerGame) -> dict[int, PlayerNetwork]:
    found = {}
    for i, name in enumerate(game.names):
        module = game.module(i)
        if module is None:
            raise InvalidInputError(
                f"curvature: expected players that are modules, but {name!r} was given as tensors"
            )
        found[i] = PlayerNetwork(name, module)
    return found


def _counters() -> State:
    """Give the step of the last factorisation and its damping; `others` counts the steps."""
    names = {"refreshed": -1.0, "damping": float("nan")}
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in names.items()}


def _stage(state: State, player: int, stage: int) -> State:
    start = f"{player}.{stage}."
    return {name[len(start) :]: v for name, v in state.items() if name.startswith(start)}


def _own(reading: OwnReading, player: int) -> Tensor:
    return reading.slope[reading.point.game.control_slices[player]]


def _measure(rule: OutputColumns, reading: OwnReading, step: int) -> dict[int, list[Columns]]:
    """Give the columns of every player's stages."""
    game = reading.point.game
    values = leaves_of(game.values())
    with torch.enable_grad():
        costs, rollouts = record_calls(game, reading.networks, values, *reading.batch)
        if reading.weights is not None:
            whole = torch.stack(costs) @ reading.weights.to(costs[0])
            costs = [whole] * len(costs)
        found = {}
        for i, calls in rollouts.items():
            seeds = rule.columns(costs[i], [call.output for call in calls], step)
            used = [
                call.backpropagate(seed)
                for call, seed in zip(calls, seeds, strict=True)
                if seed is not None
            ]
            if not used:
                raise InvalidInputError(
                    f"costs: expected the cost of player {game.names[i]!r} to depend on what its "
                    "module returns, but it does not"
                )
            found[i] = [joined_samples(parts) for parts in zip(*used, strict=True)]
    return found
