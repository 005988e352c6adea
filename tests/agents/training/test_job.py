"""The multi-agent job: it learns, repeats bitwise, and goes on after being killed."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from matching_world import MatchingWorld
from small_envs import Dials

from ocngame.agents import evaluate
from ocngame.agents.training import MarlJob, load_team, read_marl_rows, train
from ocngame.envs import make
from ocngame.errors import CheckpointError, InvalidInputError, NonFiniteError, UnknownNameError
from ocngame.training.marl_config import (
    MarlConfig,
    NetworkSettings,
    PolicyAdamSettings,
    PolicyOCNOptSettings,
    SurrogateSettings,
    marl_config_from_dict,
)

SEPARATE = NetworkSettings(sharing="separate")
OCNOPT = PolicyOCNOptSettings(divergence=3e-3)
SEEING = NetworkSettings(pictures="convolutional", channels=8)
GATED = NetworkSettings(memory="gated", observations=True)


def _config(updates=20, **changes):
    settings = {
        "adam": PolicyAdamSettings(lr=1e-3, critic_lr=1e-3, epochs=5),
        "copies": 16,
        "steps": 8,
        "episodes": 32,
        "evaluation_copies": 16,
        "evaluate_every": 5,
        "checkpoint_every": 3,
    } | changes
    return MarlConfig(frames=16 * 8 * updates, **settings)


def _maker(**options):
    return lambda name, copies, device: MatchingWorld(copies, **options)


def _finish(job):
    return [row for rows in job.run() for row in rows]


def _numbers(job):
    return [
        tensor.clone()
        for learner in job.learners.values()
        for network in (learner.policy, learner.critic)
        for tensor in network.state_dict().values()
    ]


@pytest.mark.parametrize(
    ("world", "settings"),
    [
        ({}, {}),
        ({"masked": True}, {"algorithm": "mappo", "network": SEPARATE}),
        ({"masked": True, "cut": True}, {"optimizer": "ocnopt", "ocnopt": OCNOPT}),
        ({"actions": "multi"}, {"optimizer": "ocnopt", "algorithm": "mappo", "ocnopt": OCNOPT}),
        ({"cut": True}, {"optimizer": "ocnopt", "network": SEPARATE, "ocnopt": OCNOPT}),
        pytest.param(
            *({"masked": True}, {"optimizer": "ocnopt", "network": GATED, "ocnopt": OCNOPT}),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *({"actions": "box"}, {"optimizer": "ocnopt", "ocnopt": OCNOPT}), marks=pytest.mark.slow
        ),
        pytest.param(
            *({"pictures": True}, {"optimizer": "ocnopt", "network": SEEING, "ocnopt": OCNOPT}),
            marks=pytest.mark.slow,
        ),
    ],
    ids=[
        "adam",
        "mappo separate",
        "ocnopt masked",
        "ocnopt multi",
        "ocnopt separate",
        "ocnopt gated",
        "ocnopt box",
        "ocnopt pictures",
    ],
)
def test_both_teams_learn(world, settings):
    job = MarlJob(_config(**settings), _maker(**world))
    rows = _finish(job)
    for team in ("team", "rest"):
        own = [row for row in rows if row.team == team]
        assert own[-1].deterministic == pytest.approx(4.0, abs=0.1)
        assert own[-1].play > own[0].play
        assert own[-1].frames == 16 * 8 * 20
        assert own[-1].length == 4.0


@pytest.mark.parametrize(
    ("optimizer", "masks"),
    [
        ("adam", "info"),
        ("ocnopt", "info"),
        pytest.param("adam", "", marks=pytest.mark.slow),
        pytest.param("ocnopt", "", marks=pytest.mark.slow),
    ],
)
def test_choices_of_several_parts_are_learned_in_an_environment_of_others(optimizer, masks):
    def maker(name, copies, device):
        return make(lambda: Dials(masks=masks), batch_size=copies, seed=0)

    job = MarlJob(_config(16, optimizer=optimizer, ocnopt=OCNOPT), maker)
    untrained = job.measure(deterministic=False).means
    rows = _finish(job)
    # Four steps; at random two dials earn (1/3 + 1/2) / 2 of each, with masks (1/2 + 1) / 2.
    for team in ("a", "b"):
        assert untrained[team] == pytest.approx(3.0 if masks else 5 / 3, abs=0.35)
        last = [row for row in rows if row.team == team][-1]
        assert last.deterministic == pytest.approx(4.0, abs=0.1)
        assert last.drawn > untrained[team] + 0.5


def test_turns_are_learned_and_only_own_steps_are_counted():
    rows = _finish(MarlJob(_config(), _maker(turns=True)))
    assert {row.team: round(row.deterministic, 1) for row in rows[-2:]} == {
        "team": 2.0,
        "rest": 4.0,
    }


@pytest.mark.slow
def test_what_was_shown_once_is_remembered_only_by_a_recurrent_policy():
    means = []
    for network in (NetworkSettings(), GATED):
        config = _config(30, network=network)
        rows = _finish(MarlJob(config, _maker(recall=True)))
        means.append(rows[-1].deterministic)
    assert means[0] < 2.6 < 3.8 < means[1]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "ocnopt"])
def test_continuous_actions_find_their_target(optimizer):
    own = PolicyOCNOptSettings(divergence=1e-2)
    surrogate = SurrogateSettings(discount=0.0)
    config = _config(40, optimizer=optimizer, ocnopt=own, surrogate=surrogate)
    rows = _finish(MarlJob(config, _maker(actions="box")))
    first, last = rows[0], rows[-2]
    assert last.drawn > first.drawn + 0.2


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"network": GATED},
        {"optimizer": "ocnopt", "schedule": "constant"},
        pytest.param({"optimizer": "ocnopt", "network": SEPARATE}, marks=pytest.mark.slow),
        {"optimizer": "ocnopt", "network": GATED},
        pytest.param({"optimizer": "ocnopt", "world": {"actions": "box"}}, marks=pytest.mark.slow),
        pytest.param(
            {"optimizer": "ocnopt", "network": SEEING, "world": {"pictures": True}},
            marks=pytest.mark.slow,
        ),
    ],
    ids=[
        "adam",
        "gated",
        "ocnopt",
        "ocnopt separate",
        "ocnopt gated",
        "ocnopt box",
        "ocnopt pictures",
    ],
)
@pytest.mark.parametrize("stopped", [1, 5])
def test_a_resumed_run_is_bitwise_the_run_that_never_stopped(settings, stopped, tmp_path):
    settings = dict(settings)
    make = _maker(**settings.pop("world", {}))
    config = _config(7, **settings)
    whole = MarlJob.start(config, tmp_path / "whole", make)
    _finish(whole)
    cut = MarlJob.start(config, tmp_path / "cut", make)
    for _, _ in zip(range(stopped), cut.run(), strict=False):
        pass
    del cut
    again = MarlJob.resume(tmp_path / "cut", make)
    assert again.step == stopped - stopped % 3
    _finish(again)
    for a, b in zip(_numbers(whole), _numbers(again), strict=True):
        assert torch.equal(a, b)
    rows, others = (read_marl_rows(tmp_path / n / "metrics.jsonl") for n in ("whole", "cut"))
    assert [(r.step, r.team, r.play, r.drawn) for r in rows] == [
        (r.step, r.team, r.play, r.drawn) for r in others
    ]


def test_another_seed_gives_another_run():
    one, same, other = (MarlJob(_config(2, seed=seed), _maker()) for seed in (0, 0, 1))
    for job in (one, same, other):
        _finish(job)
    assert all(torch.equal(a, b) for a, b in zip(_numbers(one), _numbers(same), strict=True))
    assert not torch.equal(_numbers(one)[0], _numbers(other)[0])


class _Forgetful(MatchingWorld):
    """A world that cannot be copied within an episode."""

    def state_dict(self):
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state):
        self._generator.set_state(state["generator"])
        return self.reset()


def test_worlds_that_start_anew_at_a_checkpoint_do_so_in_every_run(tmp_path):
    def make(name, copies, device):
        return _Forgetful(copies, length=5)

    config = _config(6)
    whole = MarlJob.start(config, tmp_path / "whole", make)
    _finish(whole)
    cut = MarlJob.start(config, tmp_path / "cut", make)
    for _, _ in zip(range(5), cut.run(), strict=False):
        pass
    again = MarlJob.resume(tmp_path / "cut", make)
    _finish(again)
    assert all(torch.equal(a, b) for a, b in zip(_numbers(whole), _numbers(again), strict=True))


_KILLED = """
import sys
from pathlib import Path
from ocngame.agents.training import MarlJob
from ocngame.training.marl_config import MarlConfig
config = MarlConfig(frames=20 * 80, copies=4, steps=20, checkpoint_every=2, evaluate_every=100,
                    episodes=4, evaluation_copies=4)
path = Path(sys.argv[1])
job = MarlJob.resume(path) if path.exists() else MarlJob.start(config, path)
for _ in job.run():
    print(job.step, flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_end(tmp_path):
    def begin(path: Path):
        return subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )

    with begin(tmp_path / "killed") as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "7":
            time.sleep(0)
        os.kill(process.pid, signal.SIGKILL)
    for name in ("killed", "whole"):
        with begin(tmp_path / name) as process:
            process.communicate()
        assert process.returncode == 0
    a, b = (MarlJob.resume(tmp_path / name) for name in ("killed", "whole"))
    assert a.step == b.step == 20
    assert all(torch.equal(x, y) for x, y in zip(_numbers(a), _numbers(b), strict=True))


def test_a_team_is_read_back_from_its_folder(tmp_path):
    job = MarlJob.start(_config(10), tmp_path / "run", _maker())
    rows = _finish(job)
    world = MatchingWorld(16)
    teams = [load_team(tmp_path / "run", world, team) for team in ("team", "rest")]
    found = evaluate(world, teams, episodes=32, seed=1_000_003, deterministic=True)
    assert found.means["team"] == pytest.approx(rows[-2].deterministic)
    assert teams[0].name == "run"
    with pytest.raises(UnknownNameError, match="team: unknown name 'teem'; did you mean 'team'"):
        load_team(tmp_path / "run", world, "teem")
    with pytest.raises(CheckpointError, match="does not fit"):
        load_team(tmp_path / "run", MatchingWorld(4, actions="multi"), "team")


def test_train_gives_a_decider_for_every_team():
    deciders = train(_config(2), _maker())
    assert [decider.groups for decider in deciders] == [("team",), ("rest",)]


def test_pictures_are_drawn(tmp_path):
    job = MarlJob.start(_config(5), tmp_path / "run", _maker())
    _finish(job)
    assert job.draw() == ["curves.png"]
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_that_are_not_finite_change_nothing():
    job = MarlJob(_config(1), _maker())
    segment = job.collector.collect(8)
    own = segment.groups["team"]
    own.rewards[0, 0, 0] = math.nan
    before = _numbers(job)
    learner = job.learners["team"]
    with pytest.raises(NonFiniteError, match="segment: expected finite rewards"):
        learner.update(segment, job.collector.generator, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, _numbers(job), strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": "ipo"}, "algorithm: unknown name 'ipo'; did you mean 'ippo'"),
        ({"frames": 0}, "frames: expected an integer of at least 1, got 0"),
        ({"world": ""}, "world: expected a name, got an empty one"),
    ],
)
def test_settings_are_checked(changes, message, as_user):
    with pytest.raises(InvalidInputError, match=message):
        MarlConfig(**changes)


def test_settings_come_back_from_plain_data():
    config = _config(network=GATED, optimizer="adam")
    assert marl_config_from_dict(config.as_dict()) == config
    with pytest.raises(InvalidInputError, match="config: expected the settings"):
        marl_config_from_dict({"wurld": "x"})


def test_an_unknown_world_is_one_sentence_and_leaves_no_folder(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown name 'simple_spraed'; did you mean"):
        MarlJob.start(MarlConfig(world="simple_spraed"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
