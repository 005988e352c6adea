"""The forward sweep: play affine policies along a rollout of the true dynamics."""

from collections.abc import Callable, Sequence

from torch import Tensor

from ocngame.bellman.policy import AffinePolicy

__all__ = ["forward_sweep"]


def forward_sweep(
    policies: Sequence[AffinePolicy],
    advance: Callable[[int, Tensor, Tensor], Tensor],
    dx0: Tensor,
    feedforward_scale: float | Tensor = 1.0,
) -> tuple[list[Tensor], list[Tensor]]:
    """Apply `du_t = scale k_t + K_t dx_t` stage after stage.

    Args:
        policies: One policy per stage, in forward order.
        advance: Maps (t, dx_t, du_t) to dx_{t+1}: linear dynamics or a nonlinear rollout in
            deviations.
        dx0: Deviation of the initial state, shape (..., n).
        feedforward_scale: Step length on the feedforward part only, a number or a tensor of the
            batch's shape.

    Returns:
        The control deviations of the stages 0 .. T-1 and the state deviations of 0 .. T.
    """
    dx, controls, states = dx0, [], [dx0]
    for t, policy in enumerate(policies):
        scale = feedforward_scale
        if isinstance(scale, Tensor):
            scale = scale.unsqueeze(-1)
        du = scale * policy.feedforward + (policy.feedback @ dx.unsqueeze(-1)).squeeze(-1)
        dx = advance(t, dx, du)
        controls.append(du)
        states.append(dx)
    return controls, states
