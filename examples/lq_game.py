"""Two vehicles on a line: what each can gain by deviating, and what depends on who knows what.

Run it with `.venv/bin/python examples/lq_game.py`.
"""

import torch

import ocngame as og
from ocngame.equilibria import classify, deviation_gain

F64 = torch.float64


def pursuit(horizon: int = 12) -> og.LQGame:
    """A pursuer and an evader that accelerate on a line; the state is (gap, closing speed)."""
    dt = 0.1
    A = torch.tensor([[1.0, dt], [0.0, 1.0]], dtype=F64)
    push = torch.tensor([[0.5 * dt**2], [dt]], dtype=F64)
    gap = torch.diag(torch.tensor([1.0, 0.1], dtype=F64))
    effort = torch.ones(1, 1, dtype=F64)
    return og.LQGame.time_invariant(
        A, [push, -push], [gap, -gap], [0.05 * effort, 0.5 * effort], horizon=horizon
    )


def main() -> None:
    game, x0 = pursuit(), torch.tensor([1.0, 0.0], dtype=F64)
    feedback = og.solve(game, information="feedback", x0=x0)
    open_loop = og.solve(game, information="open_loop", x0=x0)

    for solution in (feedback, open_loop):
        gain = deviation_gain(game, solution)
        kinds = classify(game, solution, tolerance=1e-6)
        print(f"{solution.information}: costs {solution.value().tolist()}")
        print(f"  gain by deviating, relative to the costs: {gain.relative.tolist()}")
        print(f"  equilibrium of: {', '.join(kind for kind, yes in kinds.items() if yes)}")
        assert float(gain.relative.max()) < 1e-9
        assert [kind for kind, yes in kinds.items() if yes] == [solution.information]

    # The feedback policies, played as fixed sequences, leave each player something to gain.
    committed = deviation_gain(game, feedback, og.InformationStructure.OPEN_LOOP)
    print(f"feedback solution, judged as open loop: gains {committed.relative.tolist()}")
    assert float(committed.relative.min()) > 1e-6

    # With a longer horizon a committed pursuer lets the evader run away: no open-loop equilibrium.
    longer = pursuit(horizon=30)
    assert og.solve(longer, x0=x0).status is og.Status.SOLVED
    refused = og.solve(longer, information="open_loop", raise_on_failure=False)
    print(f"horizon 30 in open loop, player {int(refused.fault.player)}: {refused.status}")
    assert refused.status is og.Status.CONDENSED_CURVATURE


if __name__ == "__main__":
    main()
