"""The end of a step size."""

import pytest

from ocngame.errors import InvalidInputError
from ocngame.solvers.players import LinearEnd


def test_it_holds_then_falls_to_zero():
    end = LinearEnd(hold=0.6)
    found = [end.factor(p) for p in (-1.0, 0.0, 0.6, 0.8, 1.0, 2.0)]
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.0, 0.0])
    assert LinearEnd(hold=0.0).factor(0.25) == pytest.approx(0.75)


def test_a_run_that_never_ends_its_hold_is_refused():
    with pytest.raises(InvalidInputError, match="hold"):
        LinearEnd(hold=1.0)
