"""Trained teams read back from run folders."""

from pathlib import Path

import torch

from ocngame.agents.policy_gradient.decider import PolicyDecider
from ocngame.agents.policy_gradient.make import make_policy
from ocngame.envs import World
from ocngame.errors import CheckpointError, UnknownNameError
from ocngame.training.checkpoint import read_checkpoint
from ocngame.training.marl_config import marl_config_from_dict
from ocngame.training.run_folder import RunFolder

__all__ = ["load_team"]


def load_team(path: Path, world: World, team: str, *, name: str | None = None) -> PolicyDecider:
    """Read the policies of a team from the last checkpoint of a run.

    Args:
        path: The run folder.
        world: The world to play in; its groups have the names, observations and actions of those
            of the training.
        team: Name of a team of the world.
        name: As tables show it; that of the run folder if None.

    Returns:
        The decider of the team, on the device of the world.

    Raises:
        UnknownNameError: if the world has no such team.
        CheckpointError: if the run has no policy for a group of the team, or one of other shapes.
    """
    groups = [group for group in world.groups if group.team == team]
    if not groups:
        raise UnknownNameError("team", team, [group.team for group in world.groups])
    config = marl_config_from_dict(RunFolder(path).read_config())
    learners = read_checkpoint(path)["learners"]
    policies = {}
    for group in groups:
        if group.name not in learners:
            raise CheckpointError(
                f"{path}: expected a policy of group {group.name!r}, got those of {list(learners)}"
            )
        policy = make_policy(group, config, torch.Generator().manual_seed(0))
        try:
            policy.load_state_dict(learners[group.name]["policy"])
        except RuntimeError as error:
            raise CheckpointError(
                f"{path}: the policy of group {group.name!r} does not fit {world.name} "
                f"({str(error).splitlines()[-1].strip()})"
            ) from error
        policies[group.name] = policy.to(world.device)
    return PolicyDecider(name if name is not None else path.name, policies)
