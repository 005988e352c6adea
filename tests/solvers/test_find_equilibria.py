"""Several equilibria of one nonlinear game: found, told apart, and each of them one."""

import pytest
import torch

from ocngame.equilibria import DeviationSearch, deviation_gain, is_equilibrium
from ocngame.errors import InvalidInputError
from ocngame.games import NonlinearGame
from ocngame.games.zoo import intersection, lane_merge
from ocngame.solvers.find_equilibria import find_equilibria, scattered
from ocngame.solvers.nonlinear import IterationOptions


def crossing(horizon: int = 12) -> tuple[NonlinearGame, torch.Tensor]:
    """Two cars on crossing roads, equally far from the crossing: either may go first."""

    def move(x, u, _t):
        place, speed = x[:2], x[2:]
        return torch.cat([place + 0.3 * speed + 0.045 * u, speed + 0.3 * u])

    def running(i):
        def cost(x, u, _t):
            near = 4 * torch.exp(-2 * (x[0] ** 2 + x[1] ** 2))
            return (x[2 + i] - 1) ** 2 + u[i] ** 2 + near

        return cost

    game = NonlinearGame(
        dynamics=move,
        running_costs=[running(0), running(1)],
        terminal_costs=[lambda x: 0 * x.sum()] * 2,
        control_slices=[slice(0, 1), slice(1, 2)],
        state_size=4,
        horizon=horizon,
    )
    return game, torch.tensor([-1.5, -1.5, 1.0, 1.0], dtype=torch.float64)


def first_across(states: torch.Tensor) -> int:
    return int((states[:, :2] > 0).double().sum(0).argmax())


@pytest.mark.parametrize("information", ["feedback", "open_loop"])
def test_either_car_may_go_first(information):
    game, x0 = crossing()
    starts = scattered(
        torch.zeros(12, 2).double(), 6, spread=0.5, generator=torch.Generator().manual_seed(0)
    )
    starts[0] = torch.tensor([0.3, -0.3])
    starts[1] = torch.tensor([-0.3, 0.3])
    found = find_equilibria(game, x0=x0, starts=starts, information=information)
    assert {first_across(states) for states in found.solution.states} == {0, 1}
    assert bool(found.solution.solved.all())
    assert int(found.counts.sum()) == int((found.found_from >= 0).sum())
    assert len(found.table().splitlines()) == len(found) + 2
    gain = deviation_gain(game, found.solution, search=DeviationSearch(starts=1))
    assert float(gain.relative.max()) < 1e-6
    a, b = (found.solution.costs[int(found.found_from[k])] for k in range(2))
    torch.testing.assert_close(a, b.flip(0), rtol=1e-8, atol=0)  # the cars are alike
    # The list has no two that are equal, and attempts are where they say.
    for s, k in enumerate(found.found_from.tolist()):
        if k >= 0:
            near = (found.attempts.states[s] - found.solution.states[k]).abs().max()
            assert float(near) < 1e-4


@pytest.mark.slow
def test_lane_merge_has_two_orders():
    ready = lane_merge(30)
    push = torch.tensor([0.0, 1.5, 0.0, -1.5], dtype=torch.float64)
    turn = torch.where(torch.arange(30) < 15, 1.0, -1.0).double().unsqueeze(-1)
    starts = torch.stack([ready.controls + turn * push, ready.controls - turn * push])
    found = find_equilibria(
        ready.game,
        x0=ready.x0,
        starts=starts,
        information="open_loop",
        options=IterationOptions(max_iterations=ready.max_iterations),
    )
    assert found.found_from.tolist() == [0, 1]
    ahead = found.solution.states[:, -1, 0] > found.solution.states[:, -1, 4]
    assert ahead.tolist() == [True, False]
    assert bool(is_equilibrium(ready.game, found.solution, tolerance=1e-6).all())


@pytest.mark.slow
def test_the_intersection_has_two_orders():
    ready = intersection()
    push = torch.zeros(100, 6, dtype=torch.float64)
    push[:25, 1], push[:25, 5], push[25:50, 1], push[25:50, 5] = 0.4, -0.4, -0.4, 0.4
    found = find_equilibria(
        ready.game,
        x0=ready.x0,
        starts=torch.stack([ready.controls, ready.controls + push]),
        options=IterationOptions(max_iterations=60),
    )
    assert found.found_from.tolist() == [0, 1]
    assert float((found.solution.costs[0] - found.solution.costs[1]).abs().min()) > 0.5
    gain = deviation_gain(ready.game, found.solution, search=DeviationSearch(starts=0))
    assert float(gain.relative.max()) < 1e-6


def test_none_found_is_an_empty_list():
    game, x0 = crossing(4)
    starts = torch.zeros(2, 4, 2, dtype=torch.float64)
    few = IterationOptions(max_iterations=1)
    found = find_equilibria(game, x0=x0, starts=starts, options=few)
    assert len(found) == 0
    assert found.found_from.tolist() == [-1, -1]
    assert "2 of 2 starts led to no equilibrium" in found.table()


def test_bad_input_is_named():
    game, x0 = crossing(4)
    starts = torch.zeros(2, 4, 2, dtype=torch.float64)
    for call, message in (
        (lambda: find_equilibria(game, x0=x0, starts=starts[0]), "^starts: expected shape"),
        (lambda: find_equilibria(game, x0=x0, starts=starts[:0]), "^starts: expected at least"),
        (lambda: find_equilibria(game, x0=x0, starts=starts, same=0.0), "^same: "),
        (
            lambda: scattered(starts[0], 0, spread=1.0, generator=torch.Generator()),
            "^count: ",
        ),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
