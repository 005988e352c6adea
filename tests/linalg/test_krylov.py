"""GMRES and Lanczos against dense factorisations."""

import torch

from ocngame.linalg import gmres, lanczos


def _random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def test_gmres_solves_and_reports_the_true_residual():
    matrix, right = _random(12, 12) + 4 * torch.eye(12), _random(12, seed=1)
    found = gmres(lambda v: matrix @ v, right, tolerance=1e-12, max_products=12)
    assert found.converged
    assert torch.allclose(found.solution, torch.linalg.solve(matrix, right))
    part = gmres(lambda v: matrix @ v, right, tolerance=1e-12, max_products=5)
    left = (right - matrix @ part.solution).norm() / right.norm()
    assert not part.converged
    assert part.products == 5
    assert abs(part.residual - float(left)) < 1e-12
    assert 0.01 < part.residual < 1


def test_a_warm_start_saves_products():
    matrix, right = _random(30, 30) + 8 * torch.eye(30), _random(30, seed=1)
    answer = torch.linalg.solve(matrix, right)
    near = answer + 1e-5 * _random(30, seed=2)
    cold = gmres(lambda v: matrix @ v, right, tolerance=1e-6, max_products=40)
    warm = gmres(lambda v: matrix @ v, right, start=near, tolerance=1e-6, max_products=40)
    assert warm.products < cold.products
    assert torch.allclose(warm.solution, answer, atol=1e-4)
    away = gmres(lambda v: matrix @ v, right, start=-answer, tolerance=1e-6, max_products=40)
    assert torch.allclose(away.solution, answer, atol=1e-4)


def test_gmres_ends_where_nothing_is_left():
    zero = gmres(lambda v: v, torch.zeros(4, dtype=torch.float64))
    assert zero.converged
    assert float(zero.solution.norm()) == 0
    same = gmres(lambda v: 3 * v, torch.ones(4, dtype=torch.float64), tolerance=0.0)
    assert same.products == 1
    assert torch.allclose(same.solution, torch.full((4,), 1 / 3, dtype=torch.float64))
    singular = gmres(lambda v: 0 * v, torch.ones(4, dtype=torch.float64))
    assert not singular.converged
    assert bool(torch.isfinite(singular.solution).all())


def test_lanczos_is_exact_with_all_steps_and_bounds_the_error_with_fewer():
    half = _random(15, 15)
    matrix = half + half.T
    exact = torch.linalg.eigvalsh(matrix)
    whole = lanczos(lambda v: matrix @ v, _random(15, seed=1), steps=15)
    assert torch.allclose(whole.values, exact)
    part = lanczos(lambda v: matrix @ v, _random(15, seed=1), steps=8)
    assert part.vectors.shape == (15, 8)
    left = matrix @ part.vectors - part.vectors * part.values
    assert torch.allclose(left.norm(dim=0), part.residuals)
    assert float(part.values[0]) >= float(exact[0])
    nearest = (part.values[:, None] - exact).abs().amin(dim=1)
    assert bool((nearest <= part.residuals + 1e-12).all())
    assert float(nearest.max()) > 1e-3
