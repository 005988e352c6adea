import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ocngame import _checks
from ocngame.errors import InvalidInputError, UnknownNameError

NOT_NUMBERS = ["1", None, True, 1j, torch.ones(2)]


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("value", [1, 1e-300, 0.5, np.float32(2)])
def test_positive_accepts(value):
    _checks.positive("lr", value)


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan])
def test_positive_refuses(value):
    with pytest.raises(InvalidInputError, match=r"^lr: expected a finite number above 0, got "):
        _checks.positive("lr", value)


@pytest.mark.parametrize("value", [-1e-9, math.inf, math.nan])
def test_non_negative_refuses(value):
    _checks.non_negative("lr", 0)
    with pytest.raises(InvalidInputError, match=r"^lr: expected .* at least 0, got "):
        _checks.non_negative("lr", value)


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_what_is_not_a_number_is_refused(value):
    for check in (_checks.positive, _checks.non_negative):
        with pytest.raises(InvalidInputError):
            check("lr", value)
    with pytest.raises(InvalidInputError):
        _checks.in_range("lr", value, low=0, high=2)


@given(
    value=st.floats(),
    low_open=st.booleans(),
    high_open=st.booleans(),
)
def test_in_range_is_the_interval(value, low_open, high_open):
    inside = 0.0 <= value <= 1.0
    inside = inside and not (low_open and value == 0.0) and not (high_open and value == 1.0)
    if inside:
        _checks.in_range("x", value, low=0, high=1, low_open=low_open, high_open=high_open)
    else:
        with pytest.raises(InvalidInputError, match=r"^x: expected a number in [(\[]0, 1[)\]]"):
            _checks.in_range("x", value, low=0, high=1, low_open=low_open, high_open=high_open)


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("value", [0, 1.0, True, "2"])
def test_integer_refuses(value):
    _checks.integer("count", 1, low=1)
    _checks.integer("count", np.int64(3), low=1)
    with pytest.raises(InvalidInputError, match=r"^count: expected an integer of at least 1, got "):
        _checks.integer("count", value, low=1)


def test_one_of():
    _checks.one_of("player", "a", ["a", "b"])
    with pytest.raises(UnknownNameError, match="did you mean 'stage'"):
        _checks.one_of("players", "stages", ["stage", "network"])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_finite_names_count_and_place(bad):
    tensor = torch.zeros(2, 3)
    _checks.finite("x", tensor)
    tensor[1, 2] = bad
    with pytest.raises(
        InvalidInputError, match=r"^x: .* got 1 non-finite of 6 \(first at \(1, 2\)"
    ):
        _checks.finite("x", tensor)


def test_shaped_returns_the_sizes_of_the_names():
    assert _checks.shaped("A", torch.zeros(5, 4, 4), "T n n", n=4) == {"T": 5, "n": 4}
    assert _checks.shaped("A", torch.zeros(7, 2, 4, 3), "... n m", n=4) == {"n": 4, "m": 3}
    assert _checks.shaped("x", torch.zeros(()), "...") == {}


@pytest.mark.parametrize(
    ("shape", "dims", "sizes", "message"),
    [
        ((3, 4, 5), "T n n", {"n": 4}, "A: expected shape (T, n, n) with n=4, got (3, 4, 5)"),
        ((3, 4, 5), "T n n", {}, "A: expected shape (T, n, n), got (3, 4, 5)"),
        ((4, 4), "T n n", {"n": 4}, "A: expected shape (T, n, n) with n=4, got (4, 4)"),
        ((2, 3, 4, 4), "T n n", {"n": 4}, "A: expected shape (T, n, n) with n=4, got (2, 3, 4, 4)"),
        ((4,), "... n n", {"n": 4}, "A: expected shape (..., n, n) with n=4, got (4,)"),
        ((3,), "n", {"n": 4}, "A: expected shape (n,) with n=4, got (3,)"),
    ],
)
def test_shaped_refuses(shape, dims, sizes, message):
    with pytest.raises(InvalidInputError) as caught:
        _checks.shaped("A", torch.zeros(shape), dims, **sizes)
    assert str(caught.value) == message


def test_symmetric_allows_rounding_and_batches():
    a = torch.randn(3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrices = a @ a.mT
    _checks.symmetric("R", matrices)
    _checks.symmetric("R", torch.zeros(0, 2, 2))
    matrices[1, 0, 2] *= 1 + 1e-6
    with pytest.raises(InvalidInputError, match=r"^R: expected symmetric matrices, got a"):
        _checks.symmetric("R", matrices)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_symmetric_refuses_non_finite(bad):
    with pytest.raises(InvalidInputError, match="symmetric"):
        _checks.symmetric("R", torch.full((2, 2), bad))


def test_symmetric_refuses_what_is_not_square():
    with pytest.raises(InvalidInputError, match=r"shape \(\.\.\., n, n\), got \(2, 3\)"):
        _checks.symmetric("R", torch.zeros(2, 3))


def test_same_kind_names_both():
    a, b = torch.zeros(1), torch.zeros(1, dtype=torch.float64)
    _checks.same_kind("x0", a, a, "A")
    with pytest.raises(InvalidInputError, match=r"^x0: expected torch.float64 on cpu as A, got t"):
        _checks.same_kind("x0", a, b, "A")
