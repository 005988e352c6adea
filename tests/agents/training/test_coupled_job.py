"""Coupled players as an optimizer of the multi-agent job."""

from pathlib import Path

import pytest
import torch

from ocngame.agents import RandomDecider, evaluate
from ocngame.agents.training import MarlJob, load_team, read_marl_rows
from ocngame.envs import batched_world
from ocngame.errors import InvalidInputError
from ocngame.training.marl_config import (
    CoupledSettings,
    MarlConfig,
    NetworkSettings,
    marl_config_from_dict,
)


def config(updates: int, **changes) -> MarlConfig:
    settings = {"copies": 8, "episodes": 8, "evaluation_copies": 8, "evaluate_every": 2} | changes
    frames = settings["copies"] * 25 * updates
    return MarlConfig(
        world="simple_push", optimizer="coupled", frames=frames, checkpoint_every=2, **settings
    )


def test_a_run_is_resumed_bitwise_measured_and_read_back(tmp_path: Path):
    whole = MarlJob.start(config(4), tmp_path / "whole")
    assert whole.collector is None
    for _ in whole.run():
        pass
    part = MarlJob.start(config(4), tmp_path / "part")
    for _, _ in zip(range(2), part.run(), strict=False):
        pass
    part.close()
    resumed = MarlJob.resume(tmp_path / "part")
    assert resumed.step == 2
    for _ in resumed.run():
        pass
    for name, policy in whole.policies.items():
        for a, b in zip(policy.parameters(), resumed.policies[name].parameters(), strict=True):
            assert torch.equal(a, b)
    rows = read_marl_rows(tmp_path / "whole" / "metrics.jsonl")
    assert {row.team for row in rows} == {"adversary", "agent"}
    agent = next(row for row in rows if row.team == "agent")
    assert agent.details.keys() == {"agent/return", "agent/residual", "agent/solve_residual"}
    assert agent.details["agent/return"] < 0
    world = batched_world("simple_push", batch_size=8, seed=0)
    teams = [load_team(tmp_path / "whole", world, team) for team in ("adversary", "agent")]
    again = evaluate(world, teams, episodes=8, seed=3)
    same = evaluate(world, whole.deciders(), episodes=8, seed=3)
    assert torch.equal(again.by_team["agent"], same.by_team["agent"])


@pytest.mark.slow
def test_both_sides_of_simple_push_learn():
    job = MarlJob(config(40, copies=64, episodes=64, evaluation_copies=64, evaluate_every=40))
    for _ in job.run():
        pass
    world = batched_world("simple_push", batch_size=64, seed=0)
    random = {g.name: RandomDecider([g]) for g in world.groups}
    learnt = {d.groups[0]: d for d in job.deciders()}
    for side, other in (("adversary", "agent"), ("agent", "adversary")):
        before, after = (
            evaluate(world, [mine[side], random[other]], episodes=64, seed=2).by_team[side]
            for mine in (random, learnt)
        )
        gain = (after - before).double()
        assert float(gain.mean()) > 3 * float(gain.std()) / len(gain) ** 0.5


def test_settings_are_checked_and_read_back():
    made = config(4, coupled=CoupledSettings(information="open_loop"))
    assert marl_config_from_dict(made.as_dict()) == made
    with pytest.raises(InvalidInputError, match="memory"):
        config(4, network=NetworkSettings(memory="gated"))
    with pytest.raises(InvalidInputError, match="single copy"):
        config(4, copies=1)
    with pytest.raises(InvalidInputError, match=r"coupled\.step"):
        CoupledSettings(step=0.0)
