"""Games of policies: the Fisher matrix against torch.func's, and the bound on the divergence."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, jacrev

from ocngame.agents.networks import (
    AgentInputs,
    CategoricalHead,
    FeedForward,
    Gated,
    GaussianHead,
    Look,
    Policy,
)
from ocngame.agents.policy_gradient.counted import CountedHessian
from ocngame.agents.policy_gradient.ocnopt_descent import policy_descent
from ocngame.agents.policy_gradient.passes import SequencePass, StepPass
from ocngame.envs import Picture
from ocngame.games import GameGraph
from ocngame.games.rollout import record_rollout
from ocngame.linalg import Columns
from ocngame.training.marl_config import PolicyOCNOptSettings

STEPS, COPIES, AGENTS, SEEN = 4, 3, 2, 5

KINDS = {
    "separate": (FeedForward, True, "discrete"),
    "multi": (FeedForward, False, "multi"),
    "multi separate": (FeedForward, True, "multi"),
    "gated": (Gated, False, "discrete"),
    "gated separate": (Gated, True, "multi"),
    "gaussian": (FeedForward, False, "box"),
    "gaussian gated": (Gated, False, "box"),
    "picture": (FeedForward, False, "discrete"),
    "picture gated": (Gated, False, "discrete"),
    "picture separate": (FeedForward, True, "discrete"),
}
LOOK = Look(picture=Picture(height=3, width=2, channels=2), start=1, channels=2, scale=0.5)


def _head(actions: str):
    if actions == "box":
        return GaussianHead(-torch.ones(2), torch.ones(2), "clip")
    return CategoricalHead([3] if actions == "discrete" else [3, 2], several=actions == "multi")


def _policy(kind: str, width: int = 4) -> Policy:
    body, separate, actions = KINDS[kind]
    head = _head(actions)
    generator = torch.Generator().manual_seed(1)
    look, seen = (LOOK, 2 + LOOK.picture.size) if "picture" in kind else (None, SEEN)
    network = body(
        [seen, width, head.size],
        agents=AGENTS if separate else None,
        activation="tanh",
        gain=1.0,
        generator=generator,
        look=look,
    )
    inputs = AgentInputs([seen], agents=AGENTS, identity=False, normalise=False)
    policy = Policy(inputs, network, head).double()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator).double())
    return policy


def _pass(kind: str, policy: Policy, copies: int = COPIES):
    """A pass through a policy, and what it is called with."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(
        STEPS, copies, AGENTS, policy.inputs.size, generator=generator, dtype=torch.float64
    )
    memory = torch.zeros(copies, AGENTS, policy.body.memory_size, dtype=torch.float64)
    over = torch.rand(STEPS, copies, generator=generator) < 0.3
    if KINDS[kind][0] is Gated:
        return SequencePass(policy), (x, None, memory, over)
    return StepPass(policy), (x.flatten(0, 1), None, memory, over)


def _joined(columns: list[Columns]) -> Tensor:
    """All controls' columns side by side, [R B, n]."""
    return torch.cat([z.dense.flatten(2) for z in columns], -1).flatten(0, 1)


def _fisher_of_torch(run, inputs, weight: Tensor) -> tuple[Tensor, list[str]]:
    """The second derivative of the mean divergence from the policy as it is, by torch.func."""
    values = {name: p.detach().clone() for name, p in run.named_parameters()}
    sizes = [p.numel() for p in values.values()]
    before = run(*inputs).detach()

    def mean_divergence(flat: Tensor) -> Tensor:
        parts = zip(values.items(), flat.split(sizes), strict=True)
        moved = {name: part.view(p.shape) for (name, p), part in parts}
        after = functional_call(run, moved, inputs)
        each = run.network.head.divergence(before, after)
        return (each * weight).sum() / weight.sum()

    flat = torch.cat([p.flatten() for p in values.values()])
    return jacrev(jacrev(mean_divergence))(flat), list(values)


MASKED = ("separate", "multi", "multi separate", "gated separate")


def _mask(policy: Policy, x: Tensor) -> Tensor:
    """A drawn mask that leaves every part of a choice something."""
    head = policy.head
    assert isinstance(head, CategoricalHead)
    generator = torch.Generator().manual_seed(5)
    mask = torch.rand((*x.shape[:-1], head.size), generator=generator) < 0.6
    for part in mask.split(head.sizes, -1):
        part[..., 0] |= ~part.any(-1)
    assert not mask.all()
    return mask


@pytest.mark.parametrize("kind", MASKED)
def test_the_fisher_matrix_of_masked_actions_is_that_of_torch(kind):
    policy = _policy(kind)
    run, (x, _, memory, over) = _pass(kind, policy)
    inputs = (x, _mask(policy, x), memory, over)
    weight = torch.ones(run(*inputs).shape[:-1], dtype=torch.float64)
    found, controls = _found_fisher(run, inputs)
    expected, names = _fisher_of_torch(run, inputs, weight)
    order = _positions(run, controls, names)
    torch.testing.assert_close(found, expected[order][:, order], atol=1e-12, rtol=1e-9)
    free, _ = _fisher_of_torch(run, (x, None, memory, over), weight)
    assert float((free - expected).abs().max()) > 0.01


@pytest.mark.parametrize("counted", [False, True], ids=["all", "some count"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_columns_are_those_of_the_fisher_matrix_of_torch(kind, counted):
    policy = _policy(kind)
    run, inputs = _pass(kind, policy)
    weight = torch.ones(run(*inputs).shape[:-1], dtype=torch.float64)
    if counted:
        weight = (torch.arange(weight.numel()) % 3 > 0).double().view(weight.shape)
    found, controls = _found_fisher(run, inputs, weight if counted else None)
    expected, names = _fisher_of_torch(run, inputs, weight)
    order = _positions(run, controls, names)
    torch.testing.assert_close(found, expected[order][:, order], atol=1e-12, rtol=1e-9)
    assert float(expected.abs().max()) > 0.01


def _found_fisher(run, inputs, weight: Tensor | None = None):
    """The game's Fisher matrix from one column for every output of a sample, and its controls."""
    game = GameGraph.from_module(run, players="single")
    assert game.uncovered == ()
    rollout = record_rollout(
        game.program, game.control_stages, lambda: run(*inputs), twins=game.twins
    )
    output = rollout.output.detach()
    hessian = CountedHessian(run.network.head.fisher())
    hessian.weight = weight
    size = output[0].numel()
    right = torch.eye(size, dtype=torch.float64).view(size, 1, *output.shape[1:])
    columns = rollout.backpropagate(hessian.root(output, right.expand(size, *output.shape)))
    stacked = _joined(columns)
    return stacked.mT @ stacked / len(output), rollout.controls


def _positions(run, controls, names: list[str]) -> Tensor:
    """Where the entries of the controls' matrices are among all parameters."""
    number, start = {}, 0
    for name in names:
        parameter = run.get_parameter(name)
        number[id(parameter)] = torch.arange(start, start + parameter.numel()).view(parameter.shape)
        start += parameter.numel()
    return torch.cat([c.join([number[id(p)] for p in c.parameters]).flatten() for c in controls])


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_moves_the_policy_as_far_as_the_bound(kind):
    policy = _policy(kind, width=8)
    run, inputs = _pass(kind, policy, copies=64)
    bound = 1e-3
    settings = PolicyOCNOptSettings(divergence=bound, damping=1e-2)
    descent = policy_descent(run, policy.head, settings, seed=0)
    generator = torch.Generator().manual_seed(3)
    choices = policy.head.draw(run(*inputs).detach(), generator)
    wanted = torch.randn(choices.shape[:3][: run(*inputs).ndim - 1], generator=generator).double()

    def closure() -> Tensor:
        return -(policy.head.score(run(*inputs), choices)[0] * wanted).mean()

    moved = []
    for _ in range(12):
        before = run(*inputs).detach()
        assert descent.step(closure)
        moved.append(float(policy.head.divergence(before, run(*inputs).detach()).mean()))
    # The model of the length is an average of sketches.
    assert 0.4 * bound < sum(moved[4:]) / len(moved[4:]) < 2.0 * bound


def test_a_recurrent_policy_has_one_control_for_all_steps_and_separate_ones_each_their_own():
    run, _ = _pass("gated", _policy("gated"))
    stages = [s.operation for s in GameGraph.from_module(run, players="single").control_stages]
    assert len(stages) == len(set(stages)) == 4
    run, _ = _pass("separate", _policy("separate"))
    game = GameGraph.from_module(run, players="branch")
    assert len(game.control_stages) == 2 * AGENTS
