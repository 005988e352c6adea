"""Derivatives of the returns against enumeration of all plays, and what coupling is good for."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from ocngame.agents.coupled import (
    CoupledConfig,
    CoupledLearner,
    Plays,
    differentiable_returns,
    discounted_to_go,
)
from ocngame.envs.matrix import matching_pennies, prisoners_dilemma, rock_paper_scissors
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure
from ocngame.solvers.players import IdentityOwn, PlainStep, PlayerOptConfig

REWARDS = torch.tensor([[[-1.0, -3.0], [0.0, -2.0]], [[-1.0, 0.0], [-3.0, -2.0]]]).double()
DISCOUNT, ROUNDS = 0.9, 3


def log_policies(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Log probabilities [5, 2] after the start and after each joint action, own action first."""
    order = torch.tensor([0, 1, 3, 2, 4])
    return x.view(5, 2).log_softmax(1), y.view(5, 2).log_softmax(1)[order]


def exact(u: Tensor) -> Tensor:
    """Both players' discounted returns, by summing over the state of the last joint action."""
    p, q = (log.exp() for log in log_policies(u[:10], u[10:]))
    at = torch.zeros(5, dtype=u.dtype)
    at[0] = 1
    total = torch.zeros(2, dtype=u.dtype)
    for t in range(ROUNDS):
        joint = torch.einsum("s,sa,sb->ab", at, p, q)
        total = total + DISCOUNT**t * torch.einsum("nab,ab->n", REWARDS, joint)
        at = torch.cat([torch.zeros(1, dtype=u.dtype), joint.reshape(-1)])
    return total


def every_play() -> tuple[Tensor, Tensor, Tensor]:
    """States [T, B] and actions [T, B] of both players in all 4 ** T plays."""
    plays = torch.tensor(list(itertools.product(range(4), repeat=ROUNDS))).T
    states = torch.cat([torch.zeros_like(plays[:1]), plays[:-1] + 1])
    return states, plays // 2, plays % 2


def enumerated(u: Tensor, at: Tensor, *, baseline: float = 0.0, drop: bool = False) -> Tensor:
    """The estimate from all plays, weighted by their probability under the policies at `at`."""
    states, first, second = every_play()

    def log_of(v: Tensor) -> Tensor:
        p, q = log_policies(v[:10], v[10:])
        return p[states, first] + q[states, second]

    behaviour = log_of(at).detach()
    rewards = REWARDS[:, first, second].permute(1, 2, 0)
    over = torch.zeros(states.shape, dtype=torch.bool)
    over[-1] = True
    start = torch.zeros_like(over)
    start[0] = True
    to_go = discounted_to_go(rewards, over, DISCOUNT)
    chance = behaviour.sum(0).exp()
    plays = Plays(
        behaviour=behaviour,
        # Any function of the past is a baseline: here of the state.
        advantages=to_go - baseline * (1 + states[..., None]),
        returns=torch.einsum("b,bn->n", chance, to_go[0]),
        first=start,
        age=torch.arange(ROUNDS)[:, None].expand(states.shape),
        weights=chance.expand(states.shape),
    )
    log = log_of(u)
    if drop:
        # The usual surrogate: scores without the products of different steps and players.
        return plays.returns + torch.einsum(
            "tb,tbn->n", plays.weights * (log - behaviour) * DISCOUNT**plays.age, plays.advantages
        )
    return differentiable_returns(log, plays, DISCOUNT)


def at_random(seed: int = 0) -> Tensor:
    return torch.randn(20, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("baseline", [0.0, -1.7])
def test_value_slopes_and_all_second_derivatives_are_exact(baseline: float):
    u = at_random()

    def estimate(v: Tensor) -> Tensor:
        return enumerated(v, u, baseline=baseline)

    torch.testing.assert_close(estimate(u), exact(u))
    jacobian = torch.autograd.functional.jacobian
    torch.testing.assert_close(jacobian(estimate, u), jacobian(exact, u))
    for n in (0, 1):
        found = torch.autograd.functional.hessian(lambda v, n=n: estimate(v)[n], u)
        wanted = torch.autograd.functional.hessian(lambda v, n=n: exact(v)[n], u)
        torch.testing.assert_close(found, wanted)
        assert float(wanted[:10, 10:].abs().max()) > 0.01


def test_the_usual_surrogate_has_no_mixed_derivatives():
    u = at_random()
    found = torch.autograd.functional.hessian(lambda v: enumerated(v, u, drop=True)[0], u)
    assert float(found[:10, 10:].abs().max()) == 0
    jacobian = torch.autograd.functional.jacobian
    torch.testing.assert_close(
        jacobian(lambda v: enumerated(v, u, drop=True), u), jacobian(exact, u)
    )


def test_away_from_the_policies_that_played_it_is_the_return_there():
    u, elsewhere = at_random(0), at_random(0) + 0.3 * at_random(1)
    torch.testing.assert_close(enumerated(elsewhere, u, baseline=0.4), exact(elsewhere))


def test_a_sampled_gradient_is_near_the_exact_one():
    """The learner's own recording on the repeated prisoner's dilemma, with its baseline."""
    world = prisoners_dilemma(20_000, rounds=ROUNDS)
    policies = {group.name: nn.Linear(5, 2, bias=False) for group in world.groups}
    u = 0.5 * at_random(2)
    learner = CoupledLearner(world, policies, CoupledConfig(discount=DISCOUNT))
    # A linear map of one-hot views: its weights [2, 5] are logits by action and state.
    halves = [half.view(5, 2).T.reshape(-1) for half in u.split(10)]
    learner.game.assign(torch.cat(halves).float())
    batch = learner.record()
    leaves = [[p.detach().requires_grad_() for p in own] for own in learner.game.values()]
    costs = learner.game.evaluate(leaves, batch)
    for n, cost in enumerate(costs):
        grads = torch.autograd.grad(cost, [own[0] for own in leaves], retain_graph=True)
        found = -torch.cat([g.T.reshape(-1) for g in grads])
        wanted = torch.autograd.functional.jacobian(exact, u)[n].float()
        assert float((found - wanted).norm() / wanted.norm()) < 0.1
        assert -float(cost.detach()) == pytest.approx(float(exact(u)[n]), abs=0.075)


def distance_to_mixed(make, config: PlayerOptConfig, steps: int, seed: int) -> float:
    world = make(512)
    k = len(world.rewards[0])
    generator = torch.Generator().manual_seed(seed)
    policies = {group.name: nn.Linear(1, k, bias=False) for group in world.groups}
    settings = CoupledConfig(discount=1.0, seed=seed, players=config)
    learner = CoupledLearner(world, policies, settings)
    learner.game.assign(torch.randn(2 * k, generator=generator))
    for _ in range(steps):
        learner.step()
    with torch.no_grad():
        mixed = [p.weight[:, 0].softmax(0) for p in policies.values()]
    return max(float((p - 1 / k).abs().max()) for p in mixed)


@pytest.mark.parametrize("make", [matching_pennies, rock_paper_scissors])
def test_coupled_players_settle_where_simultaneous_gradients_go_round(make):
    settle, rounds = [], []
    alone = PlayerOptConfig(
        information=InformationStructure.OPEN_LOOP,
        curvature=IdentityOwn(step=2.0),
        step=PlainStep(),
    )
    for seed in (0, 1):
        settle.append(distance_to_mixed(make, PlayerOptConfig(), 50, seed))
        rounds.append(distance_to_mixed(make, alone, 60, seed))
    assert max(settle) < 0.12
    assert min(rounds) > 0.3


def test_a_resumed_learner_goes_on_bitwise():
    def fresh() -> CoupledLearner:
        world = matching_pennies(32)
        policies = {group.name: nn.Linear(1, 2, bias=False) for group in world.groups}
        learner = CoupledLearner(world, policies)
        learner.game.assign(torch.tensor([0.3, -0.2, 0.1, 0.4]))
        return learner

    whole, part = fresh(), fresh()
    for _ in range(6):
        whole.step()
    for _ in range(3):
        part.step()
    resumed = fresh()
    resumed.load_state_dict(part.state_dict())
    for _ in range(3):
        resumed.step()
    assert torch.equal(whole.game.control, resumed.game.control)


def test_what_does_not_fit_is_refused():
    world = matching_pennies(4)
    with pytest.raises(InvalidInputError, match="policies"):
        CoupledLearner(world, {"player_0": nn.Linear(1, 2)})
    both = {group.name: nn.Linear(1, 2) for group in world.groups}
    with pytest.raises(InvalidInputError, match="two copies"):
        CoupledLearner(matching_pennies(1), both)
    with pytest.raises(InvalidInputError, match="discount"):
        CoupledConfig(discount=1.5)
