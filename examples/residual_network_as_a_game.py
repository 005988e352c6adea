"""A residual network as a game: who acts where, and what the state is while a skip is open.

Run it with `.venv/bin/python examples/residual_network_as_a_game.py`; it writes `game.png` into the
current folder.
"""

import torch
from torch import Tensor, nn

import ocngame as og


class Residual(nn.Module):
    """Two linear stages and a skip edge around the second."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 8)
        self.inner = nn.Linear(8, 8)
        self.last = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return self.last(x + torch.tanh(self.inner(x)))


def main() -> None:
    # Two players share the three controls: one at the ends, one in between.
    players = {"first": "ends", "inner": "middle", "last": "ends"}
    game = og.GameGraph.from_module(Residual(), torch.zeros(4, 2), players=players)

    for player in game.players:
        print(f"player {player.name} acts at {', '.join(player.stages)}")
    for stage in game.stages:
        print(f"live state at {stage.name}: {', '.join(game.live_state(stage.name))}")

    assert [player.name for player in game.players] == ["ends", "middle"]
    # While the skip is open, its state is alive beside the one that the main path carries.
    (addition,) = (stage for stage in game.stages if stage.kind == "add")
    assert len(game.live_state(addition.name)) == 2

    game.draw("game.png")


if __name__ == "__main__":
    main()
