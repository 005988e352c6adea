r"""The output Hessian of a mean over the actions that count.

A sample b of a game has several positions s: agents, steps of a sequence. With a loss
`sum_bs w_bs l_bs / W`, `W = sum_bs w_bs`, and Hessians `E E'` of the l_bs, the Hessian of the loss
is the mean over the B samples of `sum_s (w_bs B / W) E E'`. So the columns are
`sqrt(w_bs B / W) E`; where all count they are `E / sqrt(S)`.

Of the Fisher matrix of a policy this makes the second derivative of the mean divergence per action
that counts.
"""

from torch import Tensor

from ocngame.curvature import OutputHessian

__all__ = ["CountedHessian"]


class CountedHessian(OutputHessian):
    """Scales the columns of another Hessian.

    Attributes:
        weight: w of the batch that is read next, [B, ...]; None where all positions count.
    """

    def __init__(self, each: OutputHessian):
        """Keep the Hessian.

        Args:
            each: Of the loss of one action, in its last dimension.
        """
        self._each, self.weight = each, None
        self.lower_bound = each.lower_bound  # pyright: ignore[reportAttributeAccessIssue]

    weight: Tensor | None

    def root(self, output: Tensor, right: Tensor) -> Tensor:
        """Give `sqrt(w B / W) E right`; see `OutputHessian.root`."""
        columns = self._each.root(output, right)
        if self.weight is None:
            return columns / output.shape[1:-1].numel() ** 0.5
        share = self.weight * (len(output) / self.weight.sum().clamp_min(1.0))
        return columns * share.sqrt().unsqueeze(-1)
