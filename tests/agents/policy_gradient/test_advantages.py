"""Advantages against a slow reading of the formula: one agent and episode at a time."""

import pytest
import torch

from ocngame.agents.policy_gradient.advantages import generalised_advantages

GAMMA, LAMBDA = 0.9, 0.8


def _play(seed, *, waits, steps=12, copies=4, agents=3):
    g = torch.Generator().manual_seed(seed)
    shape = (steps, copies, agents)

    def numbers(*size):
        return torch.randn(*size, generator=g, dtype=torch.float64)

    def chance(share, *size):
        return torch.rand(*size, generator=g) < share

    acting = chance(0.5, *shape) if waits else torch.ones(shape, dtype=torch.bool)
    ends, by_rules = chance(0.25, *shape), chance(0.5, *shape)
    return {
        "rewards": numbers(*shape),
        "values": numbers(*shape),
        "reached": numbers(*shape),
        "acting": acting,
        "acts_next": chance(0.5, copies, agents) if waits else acting[0],
        "terminated": ends & by_rules,
        "truncated": ends & ~by_rules,
    }


def _oracle(play, b, a):
    """Give {step: advantage} of one agent by the sum over its later actions."""
    found = {}
    steps = len(play["rewards"])
    start = 0
    while start < steps:
        end = start
        while end < steps - 1 and not (play["terminated"] | play["truncated"])[end, b, a]:
            end += 1
        acts = [t for t in range(start, end + 1) if play["acting"][t, b, a]]
        deltas = []
        for k, t in enumerate(acts):
            until = acts[k + 1] if k + 1 < len(acts) else end + 1
            reward = sum(float(play["rewards"][s, b, a]) for s in range(t, until))
            if k + 1 < len(acts):
                after = float(play["values"][until, b, a])
            elif play["terminated"][end, b, a]:
                after = 0.0
            elif play["truncated"][end, b, a] or play["acts_next"][b, a]:
                after = float(play["reached"][end, b, a])
            else:
                after = None
            if after is not None:
                deltas.append(reward + GAMMA * after - float(play["values"][t, b, a]))
        for k in range(len(deltas)):
            found[acts[k]] = sum((GAMMA * LAMBDA) ** j * d for j, d in enumerate(deltas[k:]))
        start = end + 1
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("waits", [False, True])
def test_every_action_has_the_advantage_of_the_formula(seed, waits):
    play = _play(seed, waits=waits)
    found = generalised_advantages(**play, discount=GAMMA, decay=LAMBDA)
    for b in range(4):
        for a in range(3):
            expected = _oracle(play, b, a)
            valid = torch.nonzero(found.valid[:, b, a]).flatten().tolist()
            assert valid == sorted(expected)
            for t, advantage in expected.items():
                assert float(found.advantages[t, b, a]) == pytest.approx(advantage)
                value = float(play["values"][t, b, a])
                assert float(found.returns[t, b, a]) == pytest.approx(advantage + value)


def test_an_end_by_the_rules_is_not_a_cut():
    play = _play(0, waits=False)
    swapped = play | {"terminated": play["truncated"], "truncated": play["terminated"]}
    one, other = (
        generalised_advantages(**p, discount=GAMMA, decay=LAMBDA).advantages
        for p in (play, swapped)
    )
    assert not torch.allclose(one, other)


def test_the_reward_of_a_win_by_the_other_belongs_to_the_last_own_action():
    # Two agents in turns; the second wins in step 3, and the first is told so while it waits.
    acting = torch.tensor([[1, 0], [0, 1], [1, 0], [0, 1]], dtype=torch.bool)[:, None]
    rewards = torch.zeros(4, 1, 2)
    rewards[3] = torch.tensor([-1.0, 1.0])
    ends = torch.zeros(4, 1, 2, dtype=torch.bool)
    ends[3] = True
    found = generalised_advantages(
        rewards=rewards,
        values=torch.zeros(4, 1, 2),
        reached=torch.full((4, 1, 2), 100.0),
        acting=acting,
        acts_next=torch.zeros(1, 2, dtype=torch.bool),
        terminated=ends,
        truncated=torch.zeros_like(ends),
        discount=0.5,
        decay=1.0,
    )
    torch.testing.assert_close(found.advantages[:, 0, 0], torch.tensor([-0.5, 0.0, -1.0, 0.0]))
    torch.testing.assert_close(found.advantages[:, 0, 1], torch.tensor([0.0, 0.5, 0.0, 1.0]))
    assert torch.equal(found.valid, acting)
