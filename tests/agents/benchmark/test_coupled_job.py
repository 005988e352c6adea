"""Coupled runs are kept, resumed bitwise, and read back."""

from dataclasses import replace

import pytest
import torch

from ocngame.agents import evaluate
from ocngame.agents.benchmark import Suite, as_decider, entrant_of
from ocngame.agents.training import MarlJob, read_marl_rows
from ocngame.agents.training.worlds import make_world
from ocngame.errors import InvalidInputError
from ocngame.training.marl_config import (
    CoupledSettings,
    MarlConfig,
    NetworkSettings,
    SurrogateSettings,
)

TINY = MarlConfig(
    world="matching_pennies",
    optimizer="coupled",
    frames=32,
    copies=8,
    steps=1,
    network=NetworkSettings(width=8, depth=1),
    surrogate=SurrogateSettings(discount=1.0),
    coupled=CoupledSettings(curvature="full"),
    schedule="constant",
    evaluate_every=1,
    episodes=8,
    evaluation_copies=8,
    checkpoint_every=1,
)


def test_a_resumed_run_is_bitwise_the_same(tmp_path):
    whole = MarlJob.start(TINY, tmp_path / "whole")
    list(whole.run())
    assert whole.frames == 32
    part = MarlJob.start(TINY, tmp_path / "part")
    for _ in zip(range(2), part.run(), strict=False):
        pass
    resumed = MarlJob.resume(tmp_path / "part")
    assert 0 < resumed.step < resumed.total_steps
    list(resumed.run())
    for name, policy in whole.policies.items():
        pairs = zip(policy.parameters(), resumed.policies[name].parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    rows = [read_marl_rows(tmp_path / n / "metrics.jsonl") for n in ("whole", "part")]
    assert [replace(r, cpu_seconds=0.0) for r in rows[0]] == [
        replace(r, cpu_seconds=0.0) for r in rows[1]
    ]
    assert whole.draw() == ["curves.png"]


def test_a_run_is_read_back_as_players(tmp_path):
    job = MarlJob.start(TINY, tmp_path / "run")
    list(job.run())
    world = make_world("matching_pennies", 64, "cpu")
    entrant = entrant_of(str(tmp_path / "run"))
    loaded = [as_decider(entrant, world, group.team) for group in world.groups]
    returns = [evaluate(world, d, episodes=64, seed=1) for d in (loaded, job.deciders())]
    assert torch.equal(returns[0].by_group["player_0"], returns[1].by_group["player_0"])


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidInputError, match="single copy"):
        replace(TINY, copies=1)
    with pytest.raises(InvalidInputError, match="discrete actions"):
        MarlJob(replace(TINY, world="pursuit_evasion"))


def test_coupled_players_are_no_optimizer_of_others():
    with pytest.raises(InvalidInputError, match="optimizers"):
        Suite(name="x", worlds=("simple_push",), optimizers=("coupled",))
