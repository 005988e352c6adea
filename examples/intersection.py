"""Two ways to share an intersection: vehicles that react, and vehicles that commit.

The same three unicycles, once with feedback policies and once with fixed plans. Each answer is an
equilibrium of its own kind only: if the others reacted, the fixed plans would not be stationary.
"""

import torch

import ocngame as og
from ocngame.equilibria import examine
from ocngame.games.zoo import intersection

torch.set_num_threads(1)
ready = intersection(horizon=40)
solutions = {
    kind: og.solve(ready.game, information=kind, x0=ready.x0, initial=ready.controls)
    for kind in ("feedback", "open_loop")
}
for kind, solution in solutions.items():
    costs = ", ".join(f"{cost:.2f}" for cost in solution.costs.tolist())
    print(f"{kind}: costs {costs}; {int(solution.iterations)} iterations, ", end="")
    print(f"residual {float(solution.residual):.1e}")
    assert bool(solution.solved)
    assert float(solution.residual) < 1e-8

play = solutions["open_loop"]
good = examine(ready.game, play, starts=0)
other = examine(ready.game, play, og.InformationStructure.FEEDBACK, starts=0)
assert bool(good.passes(residual=1e-8, gain=1e-6))
assert not bool(other.passes(residual=1e-8, gain=1e-6))
print(f"fixed plans: own gradients of {float(good.residuals.max()):.0e}, and of ", end="")
print(f"{float(other.residuals.max()):.2g} if the others reacted to the state")

warm = og.solve(
    ready.game, information="feedback", x0=ready.x0 + 1e-3, initial=solutions["feedback"]
)
assert int(warm.iterations) < int(solutions["feedback"].iterations)
print(f"from a start nearby, a warm start takes {int(warm.iterations)} iterations")
