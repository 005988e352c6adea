"""A slow, independent evaluation of small network games: autograd Jacobians, explicit recursion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Advance = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class DenseSolution:
    """Policies du = k + K dX of every stage, and the columns of the live state."""

    feedforward: list[Tensor]
    feedback: list[Tensor]
    state_columns: list[Tensor]
    control_columns: list[Tensor]


def solve_densely(
    advance: Sequence[Advance],
    controls: Sequence[Tensor],
    x0: Tensor,
    terminal: Callable[[Tensor], Tensor],
    root: Callable[[Tensor], Tensor],
    damping: float,
) -> DenseSolution:
    """Solve `min terminal(X_T) + damping/2 sum |du|^2` to second order in the stacked state.

    `root` maps the terminal state to a matrix whose outer product is the (Gauss-Newton) Hessian of
    `terminal`, one column per column of the result.
    """
    states = [x0]
    for step, control in zip(advance, controls, strict=True):
        states.append(step(states[-1], control))
    jacobians = [
        torch.autograd.functional.jacobian(step, (x, u))
        for step, x, u in zip(advance, states[:-1], controls, strict=True)
    ]
    v_x = torch.autograd.functional.jacobian(terminal, states[-1])
    columns = root(states[-1])
    v_xx = columns @ columns.T
    solution = DenseSolution([], [], [], [])
    for f_x, f_u in reversed(jacobians):
        q_x, q_u = f_x.T @ v_x, f_u.T @ v_x
        q_xx, q_ux = f_x.T @ v_xx @ f_x, f_u.T @ v_xx @ f_x
        q_uu = f_u.T @ v_xx @ f_u + damping * torch.eye(len(q_u), dtype=q_u.dtype)
        inverse = torch.linalg.inv(q_uu)
        k, gain = -inverse @ q_u, -inverse @ q_ux
        v_x, v_xx = q_x + q_ux.T @ k, q_xx + q_ux.T @ gain
        solution.control_columns.insert(0, f_u.T @ columns)
        columns = f_x.T @ columns
        solution.feedforward.insert(0, k)
        solution.feedback.insert(0, gain)
        solution.state_columns.insert(0, columns)
    return solution
