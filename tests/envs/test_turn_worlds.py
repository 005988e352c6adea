"""Batched card and board worlds against their trees, PettingZoo and refused input."""

import pytest
import torch
from line_oracle import lost_games, minimax

from ocngame.agents import RandomDecider, evaluate
from ocngame.envs.boards import connect_four, tictactoe
from ocngame.envs.cards import TreeWorld
from ocngame.envs.turns import turn_of
from ocngame.errors import InvalidInputError
from ocngame.games.tree import kuhn, leduc, node_values


@pytest.mark.parametrize("make", [kuhn, leduc])
def test_random_play_in_the_world_has_the_value_of_the_tree(make):
    tree = make()
    world = TreeWorld(tree, 512)
    games = 8192
    played = evaluate(world, [RandomDecider(world.groups)], episodes=games, seed=0)
    returns = played.by_group["player_0"][:, 0]
    error = float(returns.std()) / games**0.5
    value = float(node_values(tree, tree.uniform())[0])
    assert abs(float(returns.mean()) - value) < 4 * error
    assert torch.equal(returns, -played.by_group["player_1"][:, 0])
    assert int(played.lengths.max()) <= world.horizon


def test_what_is_seen_in_the_world_is_what_the_tree_says():
    tree = leduc()
    world = TreeWorld(tree, 64)
    generator = torch.Generator().manual_seed(0)
    moment = world.reset(3)
    known = {tuple(row) for row in tree.observations.tolist()}
    for _ in range(20):
        turn = turn_of(world, moment)
        assert {tuple(row) for row in turn.observation.tolist()} <= known
        assert turn.mask.any(1).all()
        drawn = torch.multinomial(turn.mask.float(), 1, generator=generator)
        moment = world.step({"player_0": drawn, "player_1": drawn}).next


def test_a_card_world_goes_on_bitwise_from_its_state():
    world = TreeWorld(kuhn(), 16)
    world.reset(5)
    zeros = {g.name: torch.zeros(16, 1, dtype=torch.long) for g in world.groups}
    world.step(zeros)
    kept = world.state_dict()
    first = [world.step(zeros).next.state for _ in range(5)]
    world.load_state_dict(kept)
    second = [world.step(zeros).next.state for _ in range(5)]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("name", "make"), [("tictactoe", tictactoe), ("connect_four", connect_four)]
)
def test_boards_are_those_of_pettingzoo(name: str, make):
    module = pytest.importorskip(f"pettingzoo.classic.{name}_v3")
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        theirs, world = module.env(), make(1)
        theirs.reset()
        moment = world.reset()
        over = False
        while not over:
            agent = theirs.agent_selection
            seen = theirs.observe(agent)
            turn = turn_of(world, moment)
            assert bool(moment.acting[agent][0, 0])
            assert turn.observation[0].tolist() == seen["observation"].flatten().tolist()
            assert turn.mask[0].tolist() == seen["action_mask"].astype(bool).tolist()
            pick = torch.multinomial(turn.mask.float(), 1, generator=generator)
            theirs.step(int(pick))
            transition = world.step({group.name: pick for group in world.groups})
            over = bool(transition.over)
            assert over == any(theirs.terminations.values())
            for player, reward in theirs.rewards.items():
                assert float(transition.rewards[player]) == reward
            moment = transition.next
        assert not moment.observations[world.groups[0].name].any()


def test_a_move_that_is_not_allowed_is_refused():
    world = tictactoe(2)
    world.reset()
    taken = {group.name: torch.tensor([[4], [0]]) for group in world.groups}
    world.step(taken)
    with pytest.raises(InvalidInputError, match="player_2 in copy 0"):
        world.step(taken)
    cards = TreeWorld(leduc(), 3)
    with pytest.raises(InvalidInputError, match="actions"):
        cards.step({f"player_{i}": torch.zeros(3, 1, dtype=torch.long) for i in (0, 1)})


def test_the_oracle_knows_that_optimal_play_draws_and_that_first_fields_lose():
    assert minimax((0,), (1,)) == 1
    assert minimax((0, 1), (4, 2)) == 0
    lost, played = lost_games(lambda seen, mask: mask.float().argmax(1), 1)
    assert 0 < lost < played
