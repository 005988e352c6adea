"""A trained best response wins what an exact one does, where that is known."""

from dataclasses import replace

import pytest

from ocngame.agents.benchmark.responses import ResponseTask
from ocngame.agents.benchmark.store import Store
from ocngame.agents.benchmark.tasks import Place
from ocngame.agents.exact import exact_gains
from ocngame.agents.training import MarlJob
from ocngame.agents.training.worlds import make_world
from ocngame.training.marl_config import (
    CoupledSettings,
    MarlConfig,
    NetworkSettings,
    SurrogateSettings,
)


def test_it_finds_the_gain_against_a_player_that_prefers_an_action(tmp_path):
    store = Store(tmp_path)
    run = MarlConfig(
        world="rock_paper_scissors",
        optimizer="coupled",
        frames=8,
        copies=8,
        steps=1,
        network=NetworkSettings(width=8),
        coupled=CoupledSettings(curvature="full"),
        schedule="constant",
        episodes=8,
        evaluation_copies=8,
    )
    job = MarlJob.start(run, store.runs / "cell")
    policy = job.policies["player_0"]
    # Rock far more often than the others: the best response is paper.
    policy.body.last.bias.data[:] = policy.body.last.bias.new_tensor([3.0, 0.0, 0.0])
    list(job.run())
    exact = exact_gains(make_world(run.world, 1, "cpu"), job.deciders())
    assert exact is not None
    assert exact["player_1"] > 0.5
    task = ResponseTask(
        cell="cell",
        run=run.as_dict(),
        label="coupled",
        team="player_1",
        place=Place(world=run.world, name=run.world, copies=256, device="cpu", threads=1),
        config=MarlConfig(copies=64, steps=4, surrogate=SurrogateSettings(discount=1.0)),
        frames=2560,
        episodes=1024,
        evaluation_seed=3,
    )
    result = task.produce(store, make_world, lambda *_: None)
    assert result["from_own_policy"]
    assert result["gain"] == pytest.approx(exact["player_1"], abs=0.12)
    # Who has nothing to win wins nothing: a response that is worse counts as none.
    other = replace(task, frames=256, team="player_0")
    assert other.produce(store, make_world, lambda *_: None)["gain"] >= 0
    assert other.stem != task.stem
