"""The nearest point of a polytope against a slow search and the conditions of optimality."""

import pytest
import torch
from scipy.optimize import minimize

from ocngame.errors import InvalidInputError
from ocngame.solvers.horizon import nearest_in_polytope


def problem(seed, size, count):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    root = draw(size, size)
    metric = root @ root.T + 0.1 * torch.eye(size, dtype=torch.float64)
    inside = draw(size)
    rows = draw(count, size)
    limits = rows @ inside + 0.1 * draw(count).abs()
    return 2 * draw(size), metric, rows, limits


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("size", "count"), [(1, 2), (2, 3), (4, 9)])
def test_nearest_point_equals_a_general_search(seed, size, count):
    centre, metric, rows, limits = problem(seed, size, count)
    found, active = nearest_in_polytope(centre, metric, rows, limits)
    assert bool((rows @ found <= limits + 1e-9).all())
    a, b, m, c = (value.numpy() for value in (rows, limits, metric, centre))
    slow = minimize(
        lambda d: (d - c) @ m @ (d - c) / 2,
        c,
        jac=lambda d: m @ (d - c),
        constraints={"type": "ineq", "fun": lambda d: b - a @ d, "jac": lambda _: -a},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    torch.testing.assert_close(found, torch.from_numpy(slow.x), rtol=1e-5, atol=1e-6)
    held = [i for i in range(count) if float((rows[i] @ found - limits[i]).abs()) < 1e-8]
    assert set(active) <= set(held)
    if active:
        push = torch.linalg.lstsq(rows[active].T, -metric @ (found - centre)).solution
        assert bool((push > 0).all())
    else:
        torch.testing.assert_close(found, centre)


def test_an_empty_polytope_is_refused():
    rows = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    limits = torch.tensor([-1.0, -1.0], dtype=torch.float64)
    with pytest.raises(InvalidInputError, match="none"):
        nearest_in_polytope(torch.zeros(1, dtype=torch.float64), torch.eye(1), rows, limits)
