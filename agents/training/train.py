"""Training in one call."""

import logging

from ocngame.agents.decider import Decider
from ocngame.agents.training.job import MarlJob
from ocngame.agents.training.worlds import WorldMaker, make_world
from ocngame.training.marl_config import MarlConfig

__all__ = ["train"]

_log = logging.getLogger(__name__)


def train(config: MarlConfig, make: WorldMaker = make_world) -> list[Decider]:
    """Train without a run folder.

    Args:
        config: Settings.
        make: Makes a world by name, copies and device.

    Returns:
        One decider for every team.
    """
    job = MarlJob(config, make)
    for rows in job.run():
        for row in rows:
            _log.info("%s: %d frames, return %.3f", row.team, row.frames, row.drawn)
    job.close()
    return job.deciders()
