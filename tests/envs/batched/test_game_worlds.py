import pytest
import torch

import ocngame as og
from ocngame.envs import batched_world
from ocngame.envs.batched import GAMES, GameWorld, lq_pursuit
from ocngame.errors import InvalidInputError, NonFiniteError, UnknownNameError


@pytest.mark.parametrize("name", sorted(GAMES))
def test_returns_are_minus_the_costs_of_the_trajectory(name: str):
    world = batched_world(name, batch_size=2, seed=0, dtype=torch.float64, horizon=6)
    assert isinstance(world, GameWorld)
    generator = torch.Generator().manual_seed(0)
    xs, us, returns = [world.x], [], 0.0
    for t in range(6):
        actions = {
            group.name: torch.rand(2, 1, *group.action_space.shape, generator=generator).double()
            for group in world.groups
        }
        us.append(torch.cat([part[:, 0] for part in actions.values()], 1))
        found = world.step(actions)
        xs.append(found.last.state[:, :-1])
        returns = returns + torch.cat(list(found.rewards.values()), 1)
        assert bool(found.over.all()) == (t == 5)
    assert float(found.last.state[0, -1]) == pytest.approx(0)
    assert float(found.next.state[0, -1]) == 1
    torch.testing.assert_close(
        returns, -world.game.costs(torch.stack(xs, 1), torch.stack(us, 1)), atol=1e-9, rtol=1e-9
    )


def test_the_saddle_of_the_solver_is_one_in_the_world():
    game, x0 = lq_pursuit(20)
    solution = og.solve(game, information="feedback", x0=x0)
    world = GameWorld(game, x0, spread=0.0, bound=50.0, seed=0)

    def value(shift: torch.Tensor) -> float:
        world.reset()
        total = 0.0
        for t in range(20):
            k, K = solution.policies.feedforward[t], solution.policies.feedback[t]
            u = world.x @ K.mT + k + shift
            found = world.step({"player_0": u[:, None, :2], "player_1": u[:, None, 2:]})
            total += float(found.rewards["player_0"])
        return total

    base = value(torch.zeros(4))
    assert base == pytest.approx(-float(solution.value()[0]), rel=1e-9)
    assert value(torch.tensor([0.1, 0, 0, 0])) < base < value(torch.tensor([0, 0, 0.1, 0]))


def test_a_seed_repeats_and_a_state_goes_back():
    a, b = (batched_world("pursuit_evasion", batch_size=3, seed=5) for _ in range(2))
    push = {"player_0": torch.ones(3, 1, 1), "player_1": torch.zeros(3, 1, 1)}
    a.step(push)
    kept = a.state_dict()
    later = a.step(push).last.state
    assert torch.equal(a.load_state_dict(kept).state, b.step(push).last.state)
    assert torch.equal(a.step(push).last.state, later)


def test_bad_input_is_named():
    world = batched_world("pursuit_evasion", batch_size=2, seed=0)
    good = torch.zeros(2, 1, 1)
    with pytest.raises(InvalidInputError, match="player_1"):
        world.step({"player_0": good})
    with pytest.raises(InvalidInputError, match="up to 4"):
        world.step({"player_0": good, "player_1": good + 4})
    with pytest.raises(InvalidInputError, match="player_0"):
        world.step({"player_0": good + torch.nan, "player_1": good})
    with pytest.raises(UnknownNameError, match="price"):
        batched_world("pursuit_evasion", pric=2.0)
    with pytest.raises(UnknownNameError, match="pursuit_evasion"):
        batched_world("pursuit_evason")


def test_what_overflows_is_refused_and_the_last_state_kept():
    game, x0 = lq_pursuit(5)
    world = GameWorld(game, x0, spread=0.0, seed=0)
    world.x[0] = torch.finfo(torch.float64).max
    before = world.x.clone()
    zero = torch.zeros(1, 1, 2).double()
    with pytest.raises(NonFiniteError, match="copies"):
        world.step({"player_0": zero, "player_1": zero})
    assert torch.equal(world.x, before)
