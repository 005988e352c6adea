"""Whatever is installed of the known collections is played and learnt in.

300 random frames each, twice, bitwise alike; then 1,000 frames of training: ten segments of four
copies with an IPPO update after each. Pistonball draws every frame (about 0.15 s), so it gets 60
random frames. Atari needs ROMs and is left out.
"""

from importlib.util import find_spec

import pytest
import torch

from ocngame.agents.policy_gradient.collector import Collector
from ocngame.agents.policy_gradient.make import make_learners
from ocngame.agents.training.worlds import make_world
from ocngame.envs import check_world, make
from ocngame.envs.adapters.names import known_names
from ocngame.training.marl_config import MarlConfig, PolicyAdamSettings

NEEDS = {"mpe2.": "mpe2", "sisl/": "pygame", "butterfly/": "pygame", "classic/": "rlcard"}

NAMES = [name for name in known_names() if name.startswith(tuple(NEEDS))]


def _needs(name: str) -> None:
    package = next(package for start, package in NEEDS.items() if name.startswith(start))
    if find_spec(package) is None:
        pytest.skip(f"needs {package}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_three_hundred_frames(name: str) -> None:
    _needs(name)
    check_world(
        lambda: make(name, batch_size=2), episodes=10**6, limit=30 if "pistonball" in name else 150
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_frames_of_training(name: str) -> None:
    _needs(name)
    config = MarlConfig(
        world=name, frames=1000, copies=4, steps=25, adam=PolicyAdamSettings(epochs=2)
    )
    world = make_world(name, config.copies, config.device)
    try:
        learners = make_learners(world, config)
        policies = {name: learner.policy for name, learner in learners.items()}
        first = {n: [p.detach().clone() for p in q.parameters()] for n, q in policies.items()}
        collector = Collector(world, policies, config.seed)
        for _ in range(config.updates):
            segment = collector.collect(config.steps)
            for learner in learners.values():
                report = learner.update(segment, collector.generator, 1.0)
                assert report.passes == 2
        assert config.updates * config.frames_per_update == 1000
        for name, policy in policies.items():
            pairs = list(zip(policy.parameters(), first[name], strict=True))
            assert all(bool(torch.isfinite(p).all()) for p, _ in pairs)
            assert any(not torch.equal(p, before) for p, before in pairs)
    finally:
        world.close()
