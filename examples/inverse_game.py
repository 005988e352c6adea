"""An inverse game: what do two drivers care about? Read off how they were seen to move.

Two cars on one road each keep a speed of their own and dislike being near the other. How much they
dislike it is not known, and is found from noisy positions of one encounter: the weights at which
the feedback equilibrium runs through them. Gradients come from the equilibrium's own conditions, by
the implicit function theorem.

Run it with `.venv/bin/python examples/inverse_game.py`.
"""

import torch
from torch import Tensor

import ocngame as og

HORIZON, STEP = 12, 0.3
START = torch.tensor([0.0, 1.6, 1.5, 0.8], dtype=torch.float64)
SPEEDS = (1.6, 0.8)


def road(caution: Tensor) -> og.NonlinearGame:
    """The game of two cars with state (place, speed) each; `caution` is what is to be found."""

    def move(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
        place, speed = x[0::2], x[1::2]
        return torch.stack(
            [place + STEP * speed + 0.5 * STEP**2 * u, speed + STEP * u], 1
        ).flatten()

    def running(i: int):
        def cost(x: Tensor, u: Tensor, _t: Tensor) -> Tensor:
            near = torch.exp(-((x[0] - x[2]) ** 2))
            return (x[2 * i + 1] - SPEEDS[i]) ** 2 + u[i] ** 2 + caution[i] * near

        return cost

    def terminal(i: int):
        return lambda x: caution[i] * torch.exp(-((x[0] - x[2]) ** 2))

    return og.NonlinearGame(
        dynamics=move,
        running_costs=[running(0), running(1)],
        terminal_costs=[terminal(0), terminal(1)],
        control_slices=[slice(0, 1), slice(1, 2)],
        state_size=4,
        horizon=HORIZON,
    )


def main() -> None:
    true = torch.tensor([1.5, 0.4], dtype=torch.float64)
    played = og.solve(road(true), information="feedback", x0=START)
    noise = torch.randn(played.states.shape, generator=torch.Generator().manual_seed(0))
    seen = played.states + 1e-3 * noise

    logs = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    last: list[og.NonlinearSolution] = []

    def misfit() -> Tensor:
        start = last[-1] if last else None
        found = og.solve(road(logs.exp()), information="feedback", x0=START, initial=start)
        last.append(found)
        return (found.states - seen).square().sum()

    search = torch.optim.LBFGS([logs], max_iter=12, line_search_fn="strong_wolfe")

    def closure() -> float:
        search.zero_grad()
        loss = misfit()
        loss.backward()
        return loss.item()

    first = closure()
    search.step(closure)
    loss, found = misfit().item(), logs.detach().exp()
    print(f"misfit {first:.3g} -> {loss:.3g} after {len(last)} games")
    print(f"weights {found.tolist()}, true ones {true.tolist()}")
    assert float((found - true).abs().max()) < 0.05
    assert loss < 1e-2 * first


if __name__ == "__main__":
    main()
