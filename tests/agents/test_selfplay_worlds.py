"""Self-play in worlds of others: PettingZoo's turn-based ones and OpenSpiel's, through `make`."""

import pytest

from ocngame.agents.selfplay import SelfPlayJob, make_turn_world
from ocngame.agents.training.worlds import make_world
from ocngame.envs import own_names, turn_names
from ocngame.envs.turns import require_turns
from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.training.selfplay_config import LearnerConfig, SelfPlayConfig

WORLDS = {
    "classic/leduc_holdem_v4": "rlcard",
    "classic/connect_four_v3": "pygame",
    "classic/tictactoe_v3": "pygame",
    "openspiel/kuhn_poker": "pyspiel",
    "openspiel/leduc_poker": "pyspiel",
    "openspiel/connect_four": "pyspiel",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WORLDS)
def test_a_run_is_measured_and_goes_on_bitwise(name, tmp_path):
    pytest.importorskip(WORLDS[name])
    config = SelfPlayConfig(
        world=name,
        steps=1024,
        copies=8,
        horizon=32,
        learner=LearnerConfig(width=32, policy_epochs=1, critic_epochs=1, minibatch=128),
        evaluate_every=2,
        episodes=8,
        checkpoint_every=1,
    )
    whole = SelfPlayJob.start(config, tmp_path / "whole")
    rows = [row for rows in whole.run() for row in rows]
    assert [row.decisions for row in rows] == [512, 1024]
    assert all(set(row.against_random) == {"player_0", "player_1"} for row in rows) or (
        set(rows[0].against_random) == {"player_1", "player_2"}
    )
    part = SelfPlayJob.start(config, tmp_path / "part")
    for _ in zip(range(2), part.run(), strict=False):
        pass
    part.world.close()
    resumed = SelfPlayJob.resume(tmp_path / "part")
    list(resumed.run())
    pairs = zip(whole.learner.policy.parameters(), resumed.learner.policy.parameters(), strict=True)
    assert all(bool((a == b).all()) for a, b in pairs)
    whole.world.close()
    resumed.world.close()


def test_worlds_that_are_not_for_two_in_turns():
    with pytest.raises(UnknownNameError, match="did you mean"):
        make_turn_world("classic/leduc_holdm_v4", 2)
    with pytest.raises(InvalidInputError, match="expected two players of equal observations"):
        SelfPlayJob(SelfPlayConfig(world="mpe2.simple_spread_v3"))
    with pytest.raises(UnknownNameError, match="did you mean 'leduc'"):
        make_turn_world("ledic", 2)
    with pytest.raises(UnknownNameError, match="known: connect_four, kuhn, leduc, spiel:NAME"):
        make_turn_world("simple_tag", 2)


def test_policy_gradients_and_self_play_get_the_same_worlds():
    assert set(turn_names()) < set(own_names())
    for name in turn_names():
        ours, theirs = make_turn_world(name, 2), make_world(name, 2, "cpu")
        require_turns(theirs)
        assert (type(ours), ours.groups) == (type(theirs), theirs.groups)


def test_a_game_of_open_spiel_is_a_tree_for_both():
    pytest.importorskip("pyspiel")
    ours, theirs = make_turn_world("spiel:kuhn_poker", 2), make_world("spiel:kuhn_poker", 2, "cpu")
    assert ours.groups == theirs.groups
