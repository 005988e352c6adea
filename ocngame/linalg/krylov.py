r"""Linear systems and eigenvalues of operators that are only known by their products.

`gmres`: the x in `x_0 + span(r, A r, .., A^{k-1} r)` with the least `|b - A x|` (Saad & Schultz,
1986), by Arnoldi's process with Gram-Schmidt made twice. No symmetry or definiteness is asked for,
which the coupled systems of games do not have.

`lanczos`: Ritz pairs of a symmetric operator, every vector orthogonalised against all others. The
residual of each pair bounds the distance of its value to an eigenvalue.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.linalg.symmetric import symmetrise

__all__ = ["KrylovResult", "RitzPairs", "gmres", "lanczos"]

Operator = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class KrylovResult:
    """The end of a Krylov solve.

    Attributes:
        solution: x, shape (m,).
        residual: `|b - A x| / |b|`.
        products: Products with the operator.
        converged: Whether the residual is at most the tolerance.
    """

    solution: Tensor
    residual: float
    products: int
    converged: bool


@dataclass(frozen=True)
class RitzPairs:
    """Approximate eigenpairs of a symmetric operator, values ascending.

    Attributes:
        values: Shape (k,).
        vectors: Orthonormal columns, shape (m, k).
        residuals: `|A v - value v|`, shape (k,).
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor


def gmres(
    operator: Operator,
    right: Tensor,
    *,
    start: Tensor | None = None,
    tolerance: float = 1e-2,
    max_products: int = 20,
) -> KrylovResult:
    """Solve `A x = b`.

    Args:
        operator: Gives A x for x of shape (m,).
        right: b, shape (m,).
        start: First guess; it is used where it is better than zero.
        tolerance: Relative residual at which to stop.
        max_products: Most products with the operator; the Krylov space is never restarted.

    Returns:
        The best solution found; the last residual is a recurrence's, exact up to rounding.
    """
    norm = float(right.norm())
    if norm == 0:
        return KrylovResult(torch.zeros_like(right), 0.0, 0, converged=True)
    products, residual, origin = 0, right, torch.zeros_like(right)
    if start is not None:
        image = operator(start)
        products += 1
        scale = float(image @ right) / max(float(image @ image), torch.finfo(image.dtype).tiny)
        if scale > 0:
            residual, origin = right - scale * image, scale * start
    size = float(residual.norm())
    steps = min(max_products - products, right.numel())
    basis, heights = [residual / size] if size > 0 else [], []
    inner, found = torch.zeros(0), size
    while basis and found > tolerance * norm and len(heights) < steps:
        image = operator(basis[-1])
        products += 1
        image, height = _orthogonalise(image, basis)
        heights.append(height)
        inner, found = _least_squares(heights, size)
        if not height[-1] > 1e-14 * float(sum(height[:-1].abs())):
            break
        basis.append(image / height[-1].to(image))
    solution = origin
    if inner.numel():
        stack = torch.stack(basis[: inner.numel()])
        solution = origin + inner.to(stack) @ stack
    return KrylovResult(solution, found / norm, products, converged=found <= tolerance * norm)


def lanczos(operator: Operator, start: Tensor, *, steps: int) -> RitzPairs:
    """Approximate extreme eigenpairs of a symmetric operator.

    Args:
        operator: Gives A x for x of shape (m,).
        start: First vector, not zero, shape (m,).
        steps: Most products; with m of them the pairs are exact.

    Returns:
        The pairs of the Krylov space.
    """
    basis = [start / start.norm()]
    columns: list[Tensor] = []
    for _ in range(min(steps, start.numel())):
        image = operator(basis[-1])
        image, height = _orthogonalise(image, basis)
        columns.append(height)
        if not height[-1] > 1e-12 * float(height[:-1].abs().sum()):
            break
        basis.append(image / height[-1].to(image))
    size = len(columns)
    values, vectors = torch.linalg.eigh(symmetrise(_hessenberg(columns)[:size]))
    last = float(columns[-1][-1])
    stack = torch.stack(basis[:size], dim=1)
    return RitzPairs(
        values.to(start), stack @ vectors.to(start), (last * vectors[-1].abs()).to(start)
    )


def _orthogonalise(image: Tensor, basis: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Take a basis out of a vector; give what is left and the coefficients with its norm."""
    stack = torch.stack(basis)
    first = stack @ image
    image = image - first @ stack
    second = stack @ image
    image = image - second @ stack
    height = torch.cat([first + second, image.norm().unsqueeze(0)])
    return image, height.double().cpu()


def _hessenberg(columns: list[Tensor]) -> Tensor:
    size = len(columns)
    matrix = torch.zeros(size + 1, size, dtype=torch.float64)
    for j, column in enumerate(columns):
        matrix[: j + 2, j] = column
    return matrix


def _least_squares(columns: list[Tensor], size: float) -> tuple[Tensor, float]:
    matrix = _hessenberg(columns)
    right = torch.zeros(len(matrix), 1, dtype=torch.float64)
    right[0] = size
    inner = torch.linalg.lstsq(matrix, right, driver="gelsd").solution
    return inner[:, 0], float((right - matrix @ inner).norm())
