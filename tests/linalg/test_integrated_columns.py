"""Sums over uses in time, however these are put together, against sums one by one."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F

from ocngame.linalg import IntegratedColumns, Use, integrated_columns


@dataclass(frozen=True)
class Patches:
    """Windows of three entries over a signal, with a one appended."""

    shape: tuple[int, int] = (2, 4)

    def left(self, grad):
        return grad.mT

    def factors(self, x):
        return F.pad(x.unfold(1, 3, 1), (0, 1), value=1.0)


def uses_of(weights, *, late):
    generator = torch.Generator().manual_seed(4)
    positions = Patches()
    found, factors = [], []
    for weight in weights:
        g = torch.randn(3, 5, 2, 6, generator=generator, dtype=torch.float64)
        x = torch.randn(5, 8, generator=generator, dtype=torch.float64)
        left, right = positions.left(g), positions.factors(x)
        found.append(Use(g, x, weight, positions) if late else Use(left, right, weight))
        factors.append((left, right, weight))
    return IntegratedColumns(found, torch.float64), factors


WEIGHTS = {
    "one": [0.3],
    "alike": [0.5] * 3,
    "even steps": [1 / 6, 1 / 3, 1 / 3, 1 / 6] * 4,
    "all differ": [0.1, 0.25, 0.2, 0.05, 0.4],
    "some without a length": [0.0, 0.5, 0.0, 0.5, 0.25, 0.0],
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("piece", [1, 300, 1 << 20])
@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_sums_are_those_of_the_single_uses(weights, piece, late, monkeypatch):
    monkeypatch.setattr(integrated_columns, "_PIECE", piece)
    columns, factors = uses_of(weights, late=late)
    dense = sum(g.mT @ x for g, x, _ in factors)
    right = sum(w * torch.einsum("bsi,bsj->ij", x, x) for _, x, w in factors) / 5
    left = sum(torch.einsum("rbso,rbsp->op", g, g) / w for g, _, w in factors if w) / 5
    found = columns.densities((1, 1))
    torch.testing.assert_close(found[0], left[None])
    torch.testing.assert_close(found[1], right[None])
    torch.testing.assert_close(columns.dense, dense)
    fresh, _ = uses_of(weights, late=late)
    torch.testing.assert_close(fresh.dense, dense)
    assert columns.count == (3, 5)


def test_uses_of_other_shapes_are_summed_apart():
    short, long = uses_of([0.5, 0.5], late=True)[0], uses_of([0.25], late=False)[0]
    mixed = IntegratedColumns([*short.uses, *long.uses], torch.float64)
    torch.testing.assert_close(mixed.dense, short.dense + long.dense)
    for both, one, other in zip(
        mixed.densities((1, 1)), short.densities((1, 1)), long.densities((1, 1)), strict=True
    ):
        torch.testing.assert_close(both, one + other)


def test_some_columns_of_every_sample():
    columns, _ = uses_of([0.5, 0.25], late=True)
    torch.testing.assert_close(columns.rows(1, 3).dense, columns.dense[1:3])
