import pytest
import torch

from ocngame.equilibria import exploitability
from ocngame.errors import InvalidInputError
from ocngame.games.tree import kuhn, leduc, matrix_tree, root_value
from ocngame.solvers.tree import CFRPlus, MagneticDescent


def test_cfr_plus_solves_both_poker_games():
    tree = kuhn()
    policy = CFRPlus().solve(tree, 150)
    assert exploitability(tree, policy) < 1.5e-3
    assert float(root_value(tree, policy)) == pytest.approx(-1 / 18, abs=2e-3)
    tree = leduc()
    policy = CFRPlus().solve(tree, 150)
    assert exploitability(tree, policy) < 0.012
    assert float(root_value(tree, policy)) == pytest.approx(-0.0856, abs=0.012)


def test_a_fixed_reference_gives_the_regularised_equilibrium():
    """Matching pennies with unequal stakes: the fixed point is the logit (quantal) equilibrium."""
    payoffs = torch.tensor([[3.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    tree = matrix_tree(payoffs)
    policy = MagneticDescent(step_size=0.1, weight=0.5).solve(tree, 1000)
    expected_row = torch.softmax(payoffs @ policy[1] / 0.5, 0)
    expected_column = torch.softmax(-(policy[0] @ payoffs) / 0.5, 0)
    torch.testing.assert_close(policy[0], expected_row)
    torch.testing.assert_close(policy[1], expected_column)
    assert exploitability(tree, policy) > 0.01


def test_a_slow_reference_drives_the_bias_out_and_none_cycles():
    tree = kuhn()
    slow = MagneticDescent(step_size=0.1, weight=0.1, reference_rate=0.01)
    assert exploitability(tree, slow.solve(tree, 800)) < 5e-4
    fixed = MagneticDescent(step_size=0.1, weight=0.1)
    assert exploitability(tree, fixed.solve(tree, 800)) > 1e-3
    without = MagneticDescent(step_size=0.1, weight=0.0)
    assert exploitability(tree, without.solve(tree, 800)) > 1e-2


def test_settings_are_checked():
    with pytest.raises(InvalidInputError, match="step_size"):
        MagneticDescent(step_size=0)
    with pytest.raises(InvalidInputError, match="iterations"):
        CFRPlus().solve(kuhn(), 0)
