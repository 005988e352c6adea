"""Learners by settings: one for every group of a world."""

from collections.abc import Mapping

import torch

from ocngame.agents.networks import (
    AgentInputs,
    Body,
    Critic,
    FeedForward,
    Gated,
    Head,
    Look,
    Policy,
    RunningMoments,
    make_head,
)
from ocngame.agents.policy_gradient.descent import AdamDescent, Descent
from ocngame.agents.policy_gradient.learner import GroupLearner
from ocngame.agents.policy_gradient.ocnopt_descent import critic_descent, policy_descent
from ocngame.agents.policy_gradient.passes import Pass, SequencePass, StepPass
from ocngame.agents.policy_gradient.samples import Layout
from ocngame.envs import Group, World
from ocngame.training.marl_config import MarlConfig

__all__ = ["make_critic", "make_learners", "make_policies", "make_policy"]

_FIRST_GAIN = 0.01
"""Scale of a policy's last layer: all actions are about equally probable at first."""


def make_policy(group: Group, config: MarlConfig, generator: torch.Generator) -> Policy:
    """Make the policy of a group.

    Args:
        group: The agents.
        config: Settings.
        generator: For the weights.

    Returns:
        The policy.
    """
    head = make_head(group.action_space, config.network.squash)
    inputs = _inputs([group.observation_size], group, config)
    look = _look(group, 0, config)
    body = _body((inputs.size, head.size), group, config, _FIRST_GAIN, look, generator)
    return Policy(inputs, body, head).to(config.device)


def make_policies(world: World, config: MarlConfig) -> dict[str, Policy]:
    """Make the policies of all groups of a world.

    Args:
        world: The world.
        config: Settings.

    Returns:
        Policies by the groups' names.
    """
    generator = torch.Generator().manual_seed(config.seed)
    return {group.name: make_policy(group, config, generator) for group in world.groups}


def make_critic(
    group: Group, state_size: int, config: MarlConfig, generator: torch.Generator
) -> Critic:
    """Make the critic of a group.

    Args:
        group: The agents.
        state_size: S.
        config: Settings.
        generator: For the weights.

    Returns:
        The critic.
    """
    central = config.algorithm == "mappo"
    sizes = [state_size, group.observation_size] if central else [group.observation_size]
    inputs = _inputs(sizes, group, config)
    look = _look(group, sum(sizes[:-1]), config)
    body = _body((inputs.size, 1), group, config, 1.0, look, generator)
    returns = RunningMoments(1) if config.network.values else None
    return Critic(inputs, body, central=central, returns=returns).to(config.device)


def make_learners(world: World, config: MarlConfig) -> Mapping[str, GroupLearner]:
    """Make a learner for every group of a world.

    Args:
        world: The world.
        config: Settings.

    Returns:
        Learners by the groups' names.
    """
    generator = torch.Generator().manual_seed(config.seed)
    learners = {}
    network = config.network
    sequences = network.memory == "gated"
    run = SequencePass if sequences else StepPass
    layout = Layout(rows=network.sharing == "shared" and not sequences, sequences=sequences)
    for group in world.groups:
        policy = make_policy(group, config, generator)
        critic = make_critic(group, world.state_size, config, generator)
        own = config.adam if config.optimizer == "adam" else config.ocnopt
        passes = run(policy), run(critic)
        learners[group.name] = GroupLearner(
            group,
            policy,
            critic,
            passes,
            _descents(passes, policy.head, config),
            config.surrogate,
            layout=layout,
            epochs=own.epochs,
            minibatches=own.minibatches,
            copies=world.batch_size,
        )
    return learners


def _descents(passes: tuple[Pass, Pass], head: Head, config: MarlConfig) -> tuple[Descent, Descent]:
    policy, critic = passes
    if config.optimizer == "ocnopt":
        return (
            policy_descent(policy, head, config.ocnopt, config.seed),
            critic_descent(critic, config.ocnopt, config.seed),
        )
    adam = config.adam
    return (
        AdamDescent(policy, lr=adam.lr, clip_gradient=adam.clip_gradient),
        AdamDescent(critic, lr=adam.critic_lr, clip_gradient=adam.clip_gradient),
    )


def _inputs(sizes: list[int], group: Group, config: MarlConfig) -> AgentInputs:
    network = config.network
    return AgentInputs(
        sizes,
        agents=len(group.agents),
        identity=network.sharing == "shared",
        normalise=network.observations,
    )


def _look(group: Group, start: int, config: MarlConfig) -> Look | None:
    network, picture = config.network, group.picture
    if picture is None or network.pictures == "flat":
        return None
    scale = 1.0 if network.observations else 1.0 / picture.largest
    return Look(picture=picture, start=start, channels=network.channels, scale=scale)


def _body(
    ends: tuple[int, int],
    group: Group,
    config: MarlConfig,
    gain: float,
    look: Look | None,
    generator: torch.Generator,
) -> Body:
    network = config.network
    inputs, outputs = ends
    kind = Gated if network.memory == "gated" else FeedForward
    return kind(
        [inputs, *[network.width] * network.depth, outputs],
        agents=len(group.agents) if network.sharing == "separate" else None,
        activation=network.activation,
        gain=gain,
        generator=generator,
        look=look,
    )
