"""Trees against OpenSpiel and against brute force over all pure policies."""

import itertools

import pytest
import torch

from ocngame.equilibria import exploitability, gains_of_deviation, matrix_exploitability
from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.games.tree import (
    GameTree,
    Position,
    best_response,
    counterfactual_values,
    grow,
    kuhn,
    kuhn_equilibrium,
    leduc,
    matrix_tree,
    node_values,
    reach,
    root_value,
    tree_from_open_spiel,
)

LEDUC_VALUE = -0.085606
"""Of player 0; from CFR+ at an exploitability of 1e-6, and in OpenSpiel's documentation."""


def random_policy(tree: GameTree, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(tree.legal.shape, generator=generator, dtype=torch.float64) * tree.legal
    return weights / weights.sum(1, keepdim=True)


def walk(tree: GameTree, policy: torch.Tensor, node: int = 0) -> float:
    """Player 0's value by recursion over nodes, one child at a time."""
    children = (tree.parent == node).nonzero().view(-1).tolist()
    if not children:
        return float(tree.payoff[node])
    if tree.actor[node] < 0:
        return sum(float(tree.probability[c]) * walk(tree, policy, c) for c in children)
    row = policy[tree.info[node]]
    return sum(float(row[tree.action[c]]) * walk(tree, policy, c) for c in children)


@pytest.mark.parametrize("make", [kuhn, leduc])
def test_values_are_those_of_a_walk_over_the_nodes(make):
    tree = make()
    policy = random_policy(tree, 0)
    assert float(root_value(tree, policy)) == pytest.approx(walk(tree, policy), abs=1e-12)


def test_reach_factors_multiply_to_a_distribution_over_ends():
    tree = leduc()
    parts = reach(tree, random_policy(tree, 1))
    ends = tree.actor == -2
    assert float(parts.prod(0)[ends].sum()) == pytest.approx(1.0, abs=1e-12)
    expected = (parts.prod(0) * tree.payoff).sum()
    assert float(expected) == pytest.approx(float(root_value(tree, random_policy(tree, 1))))


def test_best_response_is_the_best_of_all_pure_policies():
    tree = kuhn()
    policy = random_policy(tree, 2)
    for player, sign in ((0, 1), (1, -1)):
        own = (tree.owner == player).nonzero().view(-1)
        best = -float("inf")
        for choice in itertools.product((0, 1), repeat=len(own)):
            pure = policy.clone()
            pure[own] = torch.eye(2, dtype=torch.float64)[list(choice)]
            best = max(best, sign * float(root_value(tree, pure)))
        value, response = best_response(tree, policy, player)
        assert float(value) == pytest.approx(best, abs=1e-12)
        assert sign * float(root_value(tree, response)) == pytest.approx(best, abs=1e-12)
        assert torch.equal(response[tree.owner != player], policy[tree.owner != player])


def test_counterfactual_values_are_slopes_of_the_value_in_the_policy():
    """With perfect recall, d u_i / d pi(I, a) = own reach * q_i(I, a)."""
    tree = leduc()
    policy = random_policy(tree, 3).requires_grad_()
    (slope,) = torch.autograd.grad(node_values(tree, policy)[0], policy)
    policy = policy.detach()
    q, _ = counterfactual_values(tree, policy)
    parts = reach(tree, policy)
    mine = tree.info >= 0
    own = torch.zeros(tree.information_sets, dtype=torch.float64)
    own[tree.info[mine]] = torch.where(tree.actor == 1, parts[1], parts[0])[mine]
    sign = torch.where(tree.owner == 0, 1.0, -1.0)
    torch.testing.assert_close(sign[:, None] * slope, own[:, None] * q)


@pytest.mark.parametrize("a", [0.0, 0.1, 0.25, 1 / 3])
def test_the_equilibria_of_kuhn_poker_cannot_be_exploited(a: float):
    tree = kuhn()
    policy = kuhn_equilibrium(tree, a)
    assert float(root_value(tree, policy)) == pytest.approx(-1 / 18, abs=1e-12)
    assert exploitability(tree, policy) == pytest.approx(0, abs=1e-12)
    assert (gains_of_deviation(tree, policy) >= -1e-12).all()


def test_moving_away_from_the_family_is_exploited():
    tree = kuhn()
    policy = kuhn_equilibrium(tree, 0.1)
    row = tree.labels.index("1:Qb")
    policy[row] = torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert exploitability(tree, policy) > 0.01


def test_matrix_games():
    rps = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    third = torch.ones(3) / 3
    assert matrix_exploitability(rps, third, third) == pytest.approx(0, abs=1e-6)
    assert matrix_exploitability(rps, torch.tensor([1.0, 0, 0]), third) == pytest.approx(0.5)
    uneven = torch.tensor([[3.0, 0.0, 1.0], [1.0, 2.0, 4.0]])
    row, column = torch.tensor([0.25, 0.75]), torch.tensor([0.2, 0.3, 0.5])
    gains = (uneven @ column).max() - (row @ uneven).min()
    assert matrix_exploitability(uneven, row, column) == pytest.approx(float(gains) / 2)
    assert matrix_tree(uneven).legal.tolist() == [[True, True, False], [True, True, True]]


@pytest.mark.parametrize(
    ("name", "own"), [("kuhn_poker", kuhn), ("leduc_poker(suit_isomorphism=true)", leduc)]
)
def test_own_rules_are_those_of_open_spiel(name: str, own):
    pyspiel = pytest.importorskip("pyspiel")
    policies = pytest.importorskip("open_spiel.python.policy")
    judge = pytest.importorskip("open_spiel.python.algorithms.exploitability")
    tree, other = own(), tree_from_open_spiel(name)
    assert torch.equal(tree.parent, other.parent)
    assert torch.equal(tree.payoff, other.payoff)
    torch.testing.assert_close(tree.probability, other.probability)
    game = pyspiel.load_game(name)
    for seed in range(3):
        policy = random_policy(tree, seed)
        moved = torch.zeros_like(policy)
        mine = tree.info >= 0
        moved[other.info[mine]] = policy[tree.info[mine]]
        theirs = policies.TabularPolicy(game)
        known = {label[2:]: k for k, label in enumerate(other.labels)}
        for text, row in theirs.state_lookup.items():
            theirs.action_probability_array[row] = moved[known[text]].numpy()
        expected = judge.exploitability(game, theirs)
        assert exploitability(tree, policy) == pytest.approx(expected, abs=1e-9)
        assert exploitability(other, moved) == pytest.approx(expected, abs=1e-9)


def test_suits_do_not_matter():
    pytest.importorskip("pyspiel")
    full = tree_from_open_spiel("leduc_poker")
    assert full.information_sets == 936
    uniform = exploitability(full, full.uniform())
    assert uniform == pytest.approx(exploitability(leduc(), leduc().uniform()), abs=1e-12)


def test_bad_policies_and_games_are_refused():
    tree = kuhn()
    wrong = tree.uniform()
    wrong[3] = torch.tensor([0.7, 0.7])
    with pytest.raises(InvalidInputError, match="sum to 1"):
        exploitability(tree, wrong)
    with pytest.raises(InvalidInputError, match="finite"):
        exploitability(tree, wrong * torch.nan)
    with pytest.raises(InvalidInputError, match="row"):
        matrix_exploitability(torch.eye(2), torch.ones(3) / 3, torch.ones(2) / 2)


class _Forgetful(Position):
    """Two moves of player 0, who does not know its first when it makes the second."""

    def __init__(self, moves: tuple[int, ...] = ()):
        self._done = moves

    @property
    def actor(self) -> int:
        return -2 if len(self._done) == 2 else 0

    def moves(self):
        return [(0, 1.0), (1, 1.0)]

    def after(self, action: int) -> "_Forgetful":
        return _Forgetful((*self._done, action))

    def information(self) -> str:
        return str(len(self._done))

    def view(self, player: int):
        return [float(len(self._done))]

    def payoff(self) -> float:
        return float(sum(self._done))


def test_a_player_that_forgets_is_refused():
    with pytest.raises(InvalidInputError, match="perfect recall"):
        grow("forgetful", _Forgetful(), 2)


def test_unknown_and_unfit_games_of_open_spiel():
    pytest.importorskip("pyspiel")
    with pytest.raises(UnknownNameError, match="kuhn_poker"):
        tree_from_open_spiel("kuhn_pocker")
    with pytest.raises(InvalidInputError, match="zero-sum"):
        tree_from_open_spiel("bargaining")
