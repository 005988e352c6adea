"""Teams with costs in conflict: modules of several owners, and scores on held-out digits.

* pairs: two digits laid over each other, told apart by two heads on one trunk, and drawn again by a
  decoder, whose squared error is summed over all pixels;
* halves: two encoders that see a half of a digit each write three numbers for two decoders, one per
  half; the second counts its error in units a hundred times smaller;
* experts: four experts and a gate. All pay for the mixture's likelihood; an expert pays besides
  for the share of samples it is asked about, the gate for how evenly it asks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from ocngame.games import PlayerGame
from ocngame.training.datasets import LabelledData, load_data

__all__ = ["TASKS", "Team"]

_LOAD = 0.5
"""What an expert pays for being asked about everything."""


@dataclass(frozen=True, kw_only=True)
class Team:
    """A game of a team, with data.

    Attributes:
        game: The players with their costs.
        train: Training samples; a batch is the same rows of all.
        scores: Gives held-out scores by name, the higher the better, at most 1.
        alone: The cost behind each score, for those that one cost alone is enough for.
    """

    game: PlayerGame
    train: tuple[Tensor, ...]
    scores: Callable[[], Mapping[str, float]]
    alone: Mapping[str, int] = field(default_factory=dict)


def _digits() -> LabelledData:
    return load_data("digits", scaling="none", test_fraction=0.25, seed=0)


def _layers(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _explained(found: Tensor, true: Tensor) -> float:
    return float(1 - (found - true).square().sum() / (true - true.mean(0)).square().sum())


def _accuracy(found: Tensor, classes: Tensor) -> float:
    return float((found.argmax(1) == classes).float().mean())


def pairs(seed: int) -> Team:
    data = _digits()
    noise = torch.Generator().manual_seed(7)

    def overlaid(x: Tensor, y: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        one, other = (torch.randint(len(x), (count,), generator=noise) for _ in range(2))
        canvas = torch.zeros(count, 10, 10)
        canvas[:, :8, :8] = x[one].reshape(-1, 8, 8) / 16
        canvas[:, 2:, 2:] = torch.maximum(canvas[:, 2:, 2:], x[other].reshape(-1, 8, 8) / 16)
        return canvas.flatten(1), y[one], y[other]

    train = overlaid(data.x_train, data.y_train, 6000)
    x_test, first_test, second_test = overlaid(data.x_test, data.y_test, 1000)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        trunk, first, second = _layers(100, 96, 48), _layers(48, 10), _layers(48, 10)
        decoder = _layers(48, 96, 100)
    drawing = nn.ModuleList([trunk, decoder])

    def costs(*given: Any) -> list[Tensor]:
        tells, tells_other, (sees, draws), x, one, other = given
        seen = sees(x).relu()
        return [
            cross_entropy(tells(seen), one),
            cross_entropy(tells_other(seen), other),
            100 * mse_loss(draws(seen), x),
        ]

    game = PlayerGame({"first": first, "second": second, "drawing": drawing}, costs)

    @torch.no_grad()
    def scores() -> dict[str, float]:
        seen = trunk(x_test).relu()
        return {
            "first digit": _accuracy(first(seen), first_test),
            "second digit": _accuracy(second(seen), second_test),
            "drawing": _explained(decoder(seen), x_test),
        }

    alone = {"first digit": 0, "second digit": 1, "drawing": 2}
    return Team(game=game, train=train, scores=scores, alone=alone)


def halves(seed: int) -> Team:
    data = _digits()
    x, x_test = data.x_train / 16, data.x_test / 16
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoders = [_layers(32, 48, 3) for _ in range(2)]
        decoders = [_layers(6, 48, 32) for _ in range(2)]
    owners = [nn.ModuleList(pair) for pair in zip(encoders, decoders, strict=True)]

    def drawn(who: int, a: nn.ModuleList, b: nn.ModuleList, x: Tensor) -> Tensor:
        code = torch.cat([a[0](x[:, :32]), b[0](x[:, 32:])], dim=1)
        return (a, b)[who][1](code)

    game = PlayerGame(
        {"upper": owners[0], "lower": owners[1]},
        [
            lambda a, b, x: mse_loss(drawn(0, a, b, x), x[:, :32]),
            lambda a, b, x: 100 * mse_loss(drawn(1, a, b, x), x[:, 32:]),
        ],
    )

    @torch.no_grad()
    def scores() -> dict[str, float]:
        return {
            name: _explained(drawn(who, owners[0], owners[1], x_test), x_test[:, part])
            for who, (name, part) in enumerate(
                {"upper half": slice(0, 32), "lower half": slice(32, 64)}.items()
            )
        }

    return Team(game=game, train=(x,), scores=scores, alone={"upper half": 0, "lower half": 1})


def experts(seed: int) -> Team:
    data = _digits()
    x, x_test = data.x_train / 16, data.x_test / 16
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        gate, *team = _layers(64, 16, 4), *(_layers(64, 8, 10) for _ in range(4))

    def mixed(players: Sequence[nn.Module], x: Tensor) -> tuple[Tensor, Tensor]:
        asked = players[0](x).log_softmax(1)
        said = torch.stack([expert(x).log_softmax(1) for expert in players[1:]], dim=1)
        return (asked[:, :, None] + said).logsumexp(1), asked.exp().mean(0)

    def costs(*given: Any) -> list[Tensor]:
        *players, x, y = given
        said, load = mixed(players, x)
        common = -said.gather(1, y[:, None]).mean()
        evenly = (load * load.clamp_min(1e-9).log()).sum()
        return [common + _LOAD * evenly, *(common + _LOAD * part for part in load)]

    names = {"gate": gate, **{f"expert {i}": expert for i, expert in enumerate(team)}}
    game = PlayerGame(names, costs)

    @torch.no_grad()
    def scores() -> dict[str, float]:
        said, load = mixed((gate, *team), x_test)
        evenness = float(-(load * load.clamp_min(1e-9).log()).sum() / torch.tensor(4.0).log())
        return {"accuracy": _accuracy(said, data.y_test), "evenness": evenness}

    return Team(game=game, train=(x, data.y_train), scores=scores)


TASKS: dict[str, Callable[[int], Team]] = {"pairs": pairs, "halves": halves, "experts": experts}
