"""Linear-quadratic games for tests: random well-posed ones, and a few with known answers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from ocngame import LQGame
from ocngame.games.control_slices import slices_of


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def definite(generator: torch.Generator, *shape: int, scale: float) -> Tensor:
    root = normal(generator, *shape)
    square = scale * root @ root.mT / shape[-1]
    return 0.5 * (square + square.mT)


def random_game(
    seed: int,
    *,
    sizes: Sequence[int] = (1, 2),
    states: int = 3,
    horizon: int = 4,
    batch: Sequence[int] = (),
    affine: bool = True,
) -> LQGame:
    """A time-varying game that is well posed under every information structure."""
    generator = torch.Generator().manual_seed(seed)
    N, m, n, T = len(sizes), sum(sizes), states, horizon
    eye = torch.eye(m, dtype=torch.float64)
    pieces = {
        "A": torch.eye(n) * 0.9 + 0.3 * normal(generator, *batch, T, n, n) / n**0.5,
        "B": normal(generator, *batch, T, n, m) / n**0.5,
        "Q": definite(generator, *batch, N, T + 1, n, n, scale=1.0),
        "R": definite(generator, *batch, N, T, m, m, scale=0.2) + 2 * eye,
    }
    if affine:
        pieces["c"] = 0.2 * normal(generator, *batch, T, n)
        pieces["q"] = normal(generator, *batch, N, T + 1, n)
        pieces["r"] = normal(generator, *batch, N, T, m)
        pieces["M"] = 0.15 * normal(generator, *batch, N, T, n, m) / n**0.5
    return LQGame(control_slices=slices_of(sizes), **pieces)


def random_state(seed: int, game: LQGame) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1000)
    return normal(generator, *game.batch_shape, game.state_size)


@dataclass(frozen=True)
class Recipe:
    """A game to be made in the test itself (the library's annotations are checked at random, which
    hypothesis does not allow inside a strategy)."""

    seed: int
    sizes: tuple[int, ...]
    states: int
    horizon: int
    affine: bool

    def make(self) -> tuple[LQGame, Tensor]:
        game = random_game(**asdict(self))
        return game, random_state(self.seed, game)


def games() -> st.SearchStrategy[Recipe]:
    """Well-posed games with one to three players and unequal controls, and an initial state."""
    return st.builds(
        Recipe,
        seed=st.integers(0, 10_000),
        sizes=st.lists(st.integers(1, 2), min_size=1, max_size=3).map(tuple),
        states=st.integers(1, 4),
        horizon=st.integers(1, 6),
        affine=st.booleans(),
    )


def altered(game: LQGame, **pieces: Tensor) -> LQGame:
    """The game with some pieces replaced."""
    names = ("A", "B", "Q", "R", "c", "q", "r", "M")
    kept = {name: getattr(game, name) for name in names}
    return LQGame(control_slices=game.control_slices, **{**kept, **pieces})


def elements(game: LQGame, index: tuple[int, ...]) -> LQGame:
    """One element of a batch of games."""
    names = ("A", "B", "Q", "R", "c", "q", "r", "M")
    return altered(game, **{name: getattr(game, name)[index] for name in names})


def attenuation(gamma: float, horizon: int) -> LQGame:
    """Scalar disturbance attenuation, x+ = x + u + w, cost x^2 + u^2 - gamma^2 w^2."""
    one = torch.ones(1, 1, dtype=torch.float64)
    cost = torch.diag(torch.tensor([1.0, -(gamma**2)], dtype=torch.float64))
    return LQGame.time_invariant(one, [one, one], [one, -one], [cost, -cost], horizon=horizon)
