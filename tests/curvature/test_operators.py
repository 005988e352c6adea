"""Every curvature operator agrees with its dense twin."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ocngame.curvature import (
    CurvatureOperator,
    DiagonalOperator,
    EigenOperator,
    FullOperator,
    GramOperator,
    IdentityOperator,
    KroneckerOperator,
)
from ocngame.linalg import OuterColumns, count_negative, damped_inverse, project_psd


def make(kind: str, shape: tuple[int, int], generator: torch.Generator) -> CurvatureOperator:
    def spd(n: int) -> torch.Tensor:
        root = torch.randn(n, n, generator=generator, dtype=torch.float64)
        return root @ root.T + torch.eye(n, dtype=torch.float64)

    o, i = shape
    match kind:
        case "identity":
            return IdentityOperator(2.5)
        case "diagonal":
            return DiagonalOperator(torch.rand(o, i, generator=generator).double() + 0.1)
        case "kronecker":
            left, right = spd(o)[None], spd(i)[None]
            shifts = torch.zeros(2, dtype=torch.float64)
            return KroneckerOperator(
                left, right, torch.linalg.inv(left), torch.linalg.inv(right), shifts
            )
        case "eigen":
            left, right = torch.linalg.eigh(spd(o))[1], torch.linalg.eigh(spd(i))[1]
            return EigenOperator(left, right, torch.rand(o, i, generator=generator).double() + 0.1)
        case "gram":
            left = torch.randn(2, 2, 1, o, generator=generator, dtype=torch.float64)
            z = OuterColumns(left, torch.randn(2, 1, i, generator=generator, dtype=torch.float64))
            return GramOperator(z, damped_inverse(z.gram(z), 0.5), 0.5)
        case _:
            return FullOperator(spd(o * i))


KINDS = ["identity", "diagonal", "kronecker", "eigen", "gram", "full"]


def test_every_operator_class_is_covered():
    generator = torch.Generator().manual_seed(0)
    made = {type(make(kind, (2, 3), generator)) for kind in KINDS}
    assert made == set(CurvatureOperator.__subclasses__())


@pytest.mark.parametrize("kind", KINDS)
@given(
    o=st.integers(1, 4), i=st.integers(1, 4), positions=st.integers(1, 2), seed=st.integers(0, 99)
)
def test_operator_equals_its_dense_twin(kind, o, i, positions, seed):
    generator = torch.Generator().manual_seed(seed)
    op = make(kind, (o, i), generator)
    control = torch.randn(o, i, generator=generator, dtype=torch.float64)
    dense = op.to_dense((o, i), control)
    torch.testing.assert_close(dense, dense.T, rtol=0, atol=1e-12)
    assert float(torch.linalg.eigvalsh(dense)[0]) > 0
    product = (dense @ control.flatten()).reshape(o, i)
    torch.testing.assert_close(op.matmul(control), product, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(op.matmul(op.solve(control)), control, rtol=1e-9, atol=1e-9)
    columns = OuterColumns(
        torch.randn(2, 3, positions, o, generator=generator, dtype=torch.float64),
        torch.randn(3, positions, i, generator=generator, dtype=torch.float64),
    )
    flat = columns.dense.flatten(0, 1).flatten(1)
    gram = flat @ torch.linalg.solve(dense, flat.T)
    torch.testing.assert_close(op.inverse_gram(columns), gram, rtol=1e-8, atol=1e-8)
    blocks = gram.reshape(2, 3, 2, 3).diagonal(dim1=1, dim2=3).permute(2, 0, 1)
    torch.testing.assert_close(op.inverse_gram(columns, True), blocks, rtol=1e-8, atol=1e-8)


@given(positions=st.integers(1, 3), seed=st.integers(0, 99))
def test_columns_equal_their_dense_form(positions, seed):
    generator = torch.Generator().manual_seed(seed)
    z = OuterColumns(
        torch.randn(2, 3, positions, 4, generator=generator, dtype=torch.float64),
        torch.randn(3, positions, 2, generator=generator, dtype=torch.float64),
    )
    flat = z.dense.flatten(0, 1).flatten(1)
    control = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    weights = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(z.inner(control).flatten(), flat @ control.flatten())
    torch.testing.assert_close(z.combine(weights).flatten(), flat.T @ weights.flatten())
    torch.testing.assert_close(z.gram(z), flat @ flat.T)


def test_damped_inverse_falls_back_where_cholesky_fails():
    matrix = torch.tensor([[1.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    matrix[0, 0] -= 1e-9
    inverse = damped_inverse(matrix, 0.0)
    assert bool(torch.isfinite(inverse).all())
    assert float(torch.linalg.eigvalsh(inverse)[0]) > 0
    well = torch.diag(torch.tensor([2.0, 4.0], dtype=torch.float64))
    expected = torch.diag(torch.tensor([1 / 3, 1 / 5], dtype=torch.float64))
    torch.testing.assert_close(damped_inverse(well, 1.0), expected)


def test_projection_keeps_what_is_positive_and_counts_what_is_not():
    matrices = torch.stack([torch.eye(2), torch.diag(torch.tensor([1.0, -3.0]))]).double()
    projected = project_psd(matrices)
    assert int(count_negative(matrices)) == 1
    assert int(count_negative(projected)) == 0
    torch.testing.assert_close(projected[0], matrices[0])
    torch.testing.assert_close(projected[1], torch.diag(torch.tensor([1.0, 0.0])).double())


def test_rounding_is_no_negative_curvature():
    root = torch.randn(30, 10, generator=torch.Generator().manual_seed(0))
    matrix = root @ root.T
    assert float(torch.linalg.eigvalsh(matrix).min()) < 0
    assert int(count_negative(matrix)) == 0
    assert torch.equal(project_psd(matrix), matrix)
