"""All stationary equilibria of games whose equilibria are known in closed form."""

from itertools import product

import pytest
import torch
from lq_games import normal

from ocngame.errors import InvalidInputError
from ocngame.games import LQGame
from ocngame.solvers.lq import find_stationary, scattered_values, solve_stationary

ONE = torch.ones(1, 1, dtype=torch.float64)


def starts(game: LQGame, count: int) -> torch.Tensor:
    return scattered_values(game, count, generator=torch.Generator().manual_seed(0))


def scalar(a: float, q: float) -> LQGame:
    """x+ = a x + u + w, both pay q x^2 and their own control squared."""
    return LQGame.time_invariant(a * ONE, [ONE, ONE], [q * ONE] * 2, [ONE, ONE], horizon=1)


def closed_form(a: float, q: float) -> list[tuple[float, float]]:
    """Values (p1, p2) of all stabilising equilibria with positive values.

    With the closed loop c, each Riccati equation is `c^2 p^2 - (1 - c^2) p + q = 0`, so
    `p = (1 - c^2 +- D) / (2 c^2)`, `D^2 = (1 - c^2)^2 - 4 q c^2`, and the loop closes if
    `a c = 1 + (+-D +-D) / 2`: opposite signs give c = 1/a, equal ones are found by bisection.
    """

    def root(c: float) -> float:
        return ((1 - c * c) ** 2 - 4 * q * c * c) ** 0.5

    def value(c: float, sign: int) -> float:
        return (1 - c * c + sign * root(c)) / (2 * c * c)

    found = []
    if (1 - 1 / a**2) ** 2 > 4 * q / a**2:
        found += [(value(1 / a, 1), value(1 / a, -1)), (value(1 / a, -1), value(1 / a, 1))]
    high = (1 + q) ** 0.5 - q**0.5  # where D is zero
    sign = 1 if a * high > 1 else -1
    low = 1 / a if sign == 1 else 1e-3
    for _ in range(200):
        c = 0.5 * (low + high)
        low, high = (c, high) if sign * (a * c - 1 - sign * root(c)) < 0 else (low, c)
    return [*found, (value(low, sign),) * 2]


@pytest.mark.parametrize(("a", "q", "count"), [(2.0, 0.1, 3), (3.0, 0.2, 3), (1.3, 0.5, 1)])
def test_scalar_games_have_the_equilibria_of_the_closed_form(a, q, count):
    known = closed_form(a, q)
    game = scalar(a, q)
    found = find_stationary(game, starts=starts(game, 40))
    assert len(known) == count
    values = sorted(tuple(v) for v in found.solution.v_xx.flatten(1).tolist())
    torch.testing.assert_close(
        torch.tensor(values), torch.tensor(sorted(known)), rtol=1e-6, atol=1e-8
    )
    assert bool(found.solution.solved.all())
    assert float(found.solution.spectral_radius.max()) < 1


def test_every_equilibrium_satisfies_the_coupled_equations_of_the_book():
    """Two channels, each with three equilibria, in rotated coordinates: nine of the whole.

    There are others in which the channels are coupled.
    """
    turn, _ = torch.linalg.qr(normal(torch.Generator().manual_seed(1), 2, 2))
    A = turn @ torch.diag(torch.tensor([2.0, 3.0], dtype=torch.float64)) @ turn.T
    Q = turn @ torch.diag(torch.tensor([0.1, 0.2], dtype=torch.float64)) @ turn.T
    Q = 0.5 * (Q + Q.T)
    eye = torch.eye(2, dtype=torch.float64)
    game = LQGame.time_invariant(A, [eye, eye], [Q, Q], [eye, eye], horizon=1)
    known = [
        torch.stack(
            [turn @ torch.diag(torch.tensor(d)).double() @ turn.T for d in zip(*pair, strict=True)]
        )
        for pair in product(closed_form(2.0, 0.1), closed_form(3.0, 0.2))
    ]
    found = find_stationary(game, starts=starts(game, 300))
    assert len(found) >= 9
    for other in known:
        assert float((found.solution.v_xx - other).abs().flatten(1).amax(-1).min()) < 1e-6
    for V, K in zip(found.solution.v_xx, found.solution.feedback, strict=True):
        F = A + K[:2] + K[2:]
        for i, own in enumerate((K[:2], K[2:])):
            right = Q + own.T @ own + F.T @ V[i] @ F
            torch.testing.assert_close(V[i], right, rtol=1e-10, atol=1e-10)
            assert float((own + V[i] @ F).abs().max()) < 1e-9
        assert float(torch.linalg.eigvals(F).abs().max()) < 1


def test_the_recursion_ends_at_one_of_them():
    game = scalar(2.0, 0.1)
    found = find_stationary(game, starts=starts(game, 30)).solution.v_xx
    limit = solve_stationary(game).v_xx
    assert float((found - limit).abs().flatten(1).amax(-1).min()) < 1e-10


def test_starts_that_lead_nowhere_are_said_so():
    lost = LQGame.time_invariant(2 * ONE, [0 * ONE], [ONE], [ONE], horizon=1)
    found = find_stationary(lost, starts=starts(lost, 4))
    assert len(found) == 0
    assert found.found_from.tolist() == [-1] * 4


def test_bad_input_is_named():
    game = scalar(2.0, 0.1)
    good = starts(game, 2)
    for call, message in (
        (lambda: find_stationary(game, starts=good[0]), "^starts: expected shape"),
        (lambda: find_stationary(game, starts=good[:0]), "^starts: expected at least one"),
        (lambda: find_stationary(game, starts=good, information="open_loop"), "^information: "),
        (lambda: find_stationary(game.repeated((2,)), starts=good), "^game: expected no batch"),
        (lambda: starts(game, 0), "^count: "),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
