"""What `draw` does: builds a network, makes it a game, writes the picture and the files."""

from collections import Counter

import torch
from rich.console import Console

from ocngame.cli.commands import Draw
from ocngame.errors import InvalidInputError
from ocngame.games import GameGraph, StageKind
from ocngame.training.networks import build_network

__all__ = ["draw_network"]


def draw_network(command: Draw) -> None:
    """Draw a network as a game.

    Args:
        command: Settings.

    Raises:
        InvalidInputError: if the network does not take such an input, or a file cannot be written.
    """
    network = build_network(
        command.model,
        features=torch.Size(command.input).numel(),
        classes=command.classes,
        width=64,
        depth=4,
        activation="tanh",
        seed=0,
    )
    shape = (2, *command.input)
    example = torch.zeros(shape)
    if command.tokens:
        example = torch.randint(0, command.tokens, shape)
    try:
        with torch.no_grad():
            network.eval()(example)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise InvalidInputError(
            f"input: expected the shape of a sample that {command.model} takes, got "
            f"{' '.join(map(str, command.input))} ({str(error).splitlines()[0]})"
        ) from error
    game = GameGraph.from_module(network.train(), example, players=command.players)
    paths = [path for path in (command.out, command.graphml, command.json) if path is not None]
    try:
        game.draw(command.out)
        for path in paths[1:]:
            game.write(path)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"out: expected files that can be written, got {error}") from error
    console = Console()
    console.print(_summary(game, network), highlight=False, soft_wrap=True)
    if game.uncovered:
        listed = ", ".join(game.uncovered)
        console.print(f"no stage covers: {listed}", highlight=False, soft_wrap=True)
    console.print(", ".join(str(path) for path in paths), highlight=False, soft_wrap=True)


def _summary(game: GameGraph, network: torch.nn.Module) -> str:
    kinds = Counter(stage.kind for stage in game.control_stages)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    live = max(
        sum(torch.Size(game.stages_by_name[name].shape or ()).numel() for name in live)
        for live in (game.live_state(stage.name) for stage in game.control_stages)
    )
    states = sum(stage.kind is not StageKind.CONSTANT for stage in game.stages)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return (
        f"{states} stages, {len(game.control_stages)} with a control ({counted}); "
        f"{len(game.players)} players; {parameters} parameters; largest live state {live} numbers"
    )
