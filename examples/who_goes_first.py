"""Who goes first? Games in traffic have several equilibria, and the start decides which is found.

Two cars merge into one lane; either may go ahead. Run it with
`.venv/bin/python examples/who_goes_first.py`; with `intersection` as an argument, three vehicles
cross (that takes half a minute). Both write a picture.
"""

import sys

import torch
from torch import Tensor

import ocngame as og
from ocngame.equilibria import DeviationSearch, deviation_gain
from ocngame.games.draw_trajectory import draw_side_by_side
from ocngame.games.zoo import ReadyGame, intersection, lane_merge
from ocngame.solvers.nonlinear import IterationOptions


def hurry(ready: ReadyGame, fast: int, slow: int, push: float, stages: int) -> Tensor:
    """Start with one player (turn rate, acceleration) hurrying first and another waiting."""
    t = torch.arange(ready.game.horizon)
    wave = (t < stages).double() - ((t >= stages) & (t < 2 * stages)).double()
    start = ready.controls.clone()
    start[:, 2 * fast + 1] += push * wave
    start[:, 2 * slow + 1] -= push * wave
    return start


def show(ready: ReadyGame, starts: list[Tensor], information: str) -> None:
    found = og.find_equilibria(
        ready.game,
        x0=ready.x0,
        starts=torch.stack(starts),
        information=information,
        options=IterationOptions(max_iterations=60),
    )
    print(f"{ready.name}, {information}:\n{found.table()}")
    gain = deviation_gain(ready.game, found.solution, search=DeviationSearch(starts=0))
    print(f"largest gain by deviating that was found, relative: {float(gain.relative.max()):.1e}")
    assert len(found) > 1
    assert float(gain.relative.max()) < 1e-6
    costs = [", ".join(f"{cost:.3g}" for cost in each) for each in found.solution.costs.tolist()]
    draw_side_by_side(
        found.solution.states,
        f"{ready.name}.png",
        positions=ready.positions,
        titles=[f"equilibrium {k}: costs {each}" for k, each in enumerate(costs)],
    )


def main() -> None:
    if sys.argv[1:] == ["intersection"]:
        ready = intersection()
        pairs = [(2, 0), (0, 2), (1, 2)]
        starts = [ready.controls, *(hurry(ready, a, b, 0.4, 25) for a, b in pairs)]
        show(ready, starts, "feedback")
    else:
        ready = lane_merge(30)
        starts = [hurry(ready, 0, 1, 1.5, 15), hurry(ready, 1, 0, 1.5, 15)]
        show(ready, starts, "open_loop")


if __name__ == "__main__":
    main()
