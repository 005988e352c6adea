"""The scripted player of lines: it wins when it can, blocks, and sees what a move opens."""

import pytest
import torch
from line_oracle import won

from ocngame.agents import LinePlayer, RandomDecider, evaluate
from ocngame.envs import batched_world
from ocngame.envs.boards import connect_four, tictactoe
from ocngame.errors import InvalidInputError


def _board(fields, size):
    stones = torch.zeros(1, size)
    stones[0, list(fields)] = 1.0
    return stones


def test_against_enumeration_on_all_boards_of_tic_tac_toe():
    boards = {}

    def visit(own, other):
        free = [f for f in range(9) if f not in own and f not in other]
        if (own, other) in boards or won(other) or not free:
            return
        wins = [f for f in free if won((*own, f))]
        safe = [f for f in free if not any(won((*other, g)) for g in free if g != f)]
        boards[own, other] = (wins or free, wins or safe or free)
        for f in free:
            visit(other, tuple(sorted((*own, f))))

    visit((), ())
    assert len(boards) > 4000
    own, other = (torch.cat([_board(pair[i], 9) for pair in boards]) for i in (0, 1))
    for moves in (1, 2):
        found = LinePlayer(tictactoe(1), moves=moves).best_moves(own, other)
        expected = torch.cat([_board(best[moves - 1], 9) for best in boards.values()])
        assert torch.equal(found, expected.bool())


def test_a_column_is_avoided_where_it_opens_the_field_above():
    # The other one has three in the second row from below; the field that ends it is in column 3.
    own = _board([35 + 0, 35 + 1, 35 + 2], 42)
    other = _board([28 + 0, 28 + 1, 28 + 2], 42)
    two = LinePlayer(connect_four(1), moves=2)
    # Column 3 completes the own row here; without the third stone it only opens the field above.
    assert two.best_moves(own, other)[0].nonzero().flatten().tolist() == [3]
    own[0, 37] = 0.0
    other[0, 37] = 1.0
    assert 3 not in two.best_moves(own, other)[0].nonzero().flatten().tolist()


def test_two_moves_ahead_beat_one_and_one_beats_random():
    world = connect_four(64)
    first, second = (group.name for group in world.groups)
    one = evaluate(
        world,
        [LinePlayer(world, [first], moves=2), LinePlayer(world, [second], moves=1)],
        episodes=64,
        seed=0,
    )
    assert one.means[first] > 0.3
    played = evaluate(
        world,
        [LinePlayer(world, [first], moves=1), RandomDecider([world.groups[1]])],
        episodes=64,
        seed=0,
    )
    assert played.means[first] > 0.5


def test_other_worlds_are_refused():
    with pytest.raises(InvalidInputError, match="world: expected tictactoe or connect_four"):
        LinePlayer(batched_world("simple_spread", batch_size=1, seed=0))
    with pytest.raises(InvalidInputError, match="moves"):
        LinePlayer(tictactoe(1), moves=3)
