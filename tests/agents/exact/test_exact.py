"""Gains of best responses against enumeration of plays, at equilibria, and by other code."""

import functools
import itertools

import pytest
import torch
from line_oracle import won

from ocngame.agents import RandomDecider
from ocngame.agents.exact import board_gains, exact_gains, repeated_gains
from ocngame.agents.selfplay import PolicyDecider
from ocngame.agents.selfplay.networks import perceptron
from ocngame.agents.training.worlds import make_world
from ocngame.envs.boards import LineWorld, connect_four, tictactoe
from ocngame.envs.matrix import matching_pennies, prisoners_dilemma, rock_paper_scissors
from ocngame.equilibria import exploitability, matrix_exploitability
from ocngame.errors import InvalidInputError


def linear(observations: int, actions: int, seed: int):
    weights = torch.randn(observations, actions, generator=torch.Generator().manual_seed(seed))

    def choose(seen, mask):
        return (seen @ weights).masked_fill(~mask, -1e9).softmax(-1)

    return choose


def slow_values(world, choose, stones=None, ply=0):
    """v, b_0, b_1 by playing every game."""
    stones = torch.zeros(2, world.fields) if stones is None else stones
    mover = ply % 2
    free = stones.sum(0) == 0
    own = stones if mover == 0 else stones.flip(0)
    p = choose[mover](own.T.reshape(1, -1), free[None])[0].double()
    found = []
    for field in free.nonzero().view(-1).tolist():
        after = stones.clone()
        after[mover, field] = 1
        if bool((after[mover] @ world.lines.T == world.lines.sum(1)).any()):
            payoff = 1.0 if mover == 0 else -1.0
            found.append((float(p[field]), payoff, payoff, payoff))
        elif ply + 1 == world.fields:
            found.append((float(p[field]), 0.0, 0.0, 0.0))
        else:
            found.append((float(p[field]), *slow_values(world, choose, after, ply + 1)))
    mean = [sum(row[0] * row[i] for row in found) for i in (1, 2, 3)]
    pick = max if mover == 0 else min
    mean[1 + mover] = pick(row[2 + mover] for row in found)
    return tuple(mean)


@pytest.mark.parametrize("seed", range(3))
def test_a_small_board_is_that_of_all_its_games(seed: int):
    world = LineWorld("small", ("a", "b"), height=2, width=3, length=2, gravity=False, batch_size=1)
    choose = [linear(12, 6, seed), linear(12, 6, seed + 10)]
    v, first, second = slow_values(world, choose)
    wanted = [first - v, v - second]
    assert board_gains(world, choose) == pytest.approx(wanted, abs=1e-6)
    assert max(wanted) > 0.1


def test_optimal_play_of_tic_tac_toe_cannot_be_exploited_and_random_play_can():
    world = tictactoe(1)

    def optimal(seen, mask):
        planes = seen.view(-1, 9, 2)
        rows = torch.zeros(len(seen), 9)
        for i, board in enumerate(planes):
            own, other = (tuple(board[:, k].nonzero().view(-1).tolist()) for k in (0, 1))
            free = mask[i].nonzero().view(-1).tolist()
            best = max(free, key=lambda f: -minimax(other, tuple(sorted((*own, f)))))
            rows[i, best] = 1
        return rows

    assert board_gains(world, [optimal, optimal]) == pytest.approx([0, 0], abs=1e-9)
    found = exact_gains(world, [RandomDecider(world.groups)])
    assert found is not None
    # Against random play first wins all but .005 of games, and second wins or draws nearly all.
    v = 0.5849 - 0.2881
    assert found["player_1"] == pytest.approx(0.9947 - v, abs=3e-3)
    assert found["player_2"] > 0.9


@functools.cache
def minimax(own: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Value for the player to move under optimal play: 1, 0 or -1."""
    if won(other):
        return -1
    free = [f for f in range(9) if f not in own + other]
    return max((-minimax(other, tuple(sorted((*own, f)))) for f in free), default=0)


def test_single_rounds_agree_with_the_matrix_game():
    for make in (matching_pennies, rock_paper_scissors):
        world = make(1)
        k = len(world.rewards[0])
        p, q = (torch.rand(k, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
        p, q = p / p.sum(), q / q.sum()
        gains = repeated_gains(world, [lambda *_, p=p: p[None], lambda *_, q=q: q[None]])
        wanted = matrix_exploitability(world.rewards[0], p, q)
        assert sum(gains) / 2 == pytest.approx(wanted, abs=1e-6)


def test_a_repeated_dilemma_is_that_of_all_plans():
    world = prisoners_dilemma(1, rounds=2)
    choose = [linear(5, 2, 3), linear(5, 2, 4)]
    every = torch.ones(1, 2, dtype=torch.bool)

    def mixed(player, state):
        own = state if player == 0 else state[::-1]
        view = world.view_of(torch.tensor([own]))
        return choose[player](view, every)[0].double()

    def value(player, plan):
        """The player follows a plan (first action, action per joint action), or its policy."""

        def of(who, state):
            if who != player or plan is None:
                return mixed(who, state)
            action = plan[0] if state[0] < 0 else plan[1 + 2 * state[0] + state[1]]
            return torch.eye(2, dtype=torch.float64)[action]

        total, at = 0.0, {(-1, -1): 1.0}
        for _ in range(2):
            following: dict = {}
            for state, chance in at.items():
                for a, b in itertools.product((0, 1), repeat=2):
                    p = chance * float(of(0, state)[a] * of(1, state)[b])
                    total += p * float(world.rewards[player, a, b])
                    following[a, b] = following.get((a, b), 0.0) + p
            at = following
        return total

    wanted = [
        max(value(player, plan) for plan in itertools.product((0, 1), repeat=5))
        - value(player, None)
        for player in (0, 1)
    ]
    assert repeated_gains(world, choose) == pytest.approx(wanted, abs=1e-6)
    always = [lambda seen, _: torch.tensor([[1.0, 0.0]]).expand(len(seen), 2)] * 2
    assert repeated_gains(prisoners_dilemma(1, rounds=16), always) == pytest.approx([16, 16])


def test_trees_are_those_of_the_equilibria():
    world = make_world("kuhn", 1, "cpu")
    group = world.groups[0]
    net = perceptron(group.observation_size, 8, 1, 2, torch.Generator().manual_seed(0))
    torch.nn.init.normal_(net[-1].weight, generator=torch.Generator().manual_seed(1))
    gains = exact_gains(world, [PolicyDecider("net", net, world.groups)])
    assert gains is not None

    def choose(seen, legal):
        return net(seen).masked_fill(~legal, -1e9).softmax(-1)

    wanted = exploitability(world.tree, world.tree.policy(choose))
    assert sum(gains.values()) / 2 == pytest.approx(wanted, abs=1e-6)
    # One seat random, the other by the network: each has rows of its own.
    mixed = [PolicyDecider("net", net, world.groups[:1]), RandomDecider(world.groups[1:])]
    other = exact_gains(world, mixed)
    assert other is not None
    assert other["player_1"] != pytest.approx(gains["player_1"], abs=1e-3)


def test_what_is_too_large_or_tells_no_probabilities():
    world = connect_four(1)
    assert exact_gains(world, [RandomDecider(world.groups)]) is None
    with pytest.raises(InvalidInputError, match="without gravity"):
        board_gains(world, [])
    tag = make_world("simple_tag", 1, "cpu")
    assert exact_gains(tag, [RandomDecider(tag.groups)]) is None
