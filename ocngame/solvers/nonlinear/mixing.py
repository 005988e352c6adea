r"""Anderson mixing: what makes the last steps of feedback play converge fast.

About a trajectory the quadratic game's feedback gains are taken as constant, though they change
with the trajectory; so the iteration is a fixed-point iteration `(x, u) -> G(x, u)` of linear
convergence. From the last trajectories with steps k_j, the weights of

    min | sum_j a_j k_j |   subject to   sum_j a_j = 1

give the mixed target `sum_j a_j G_j`, played as `u = u_mix + K (x - x_mix)` (Anderson, 1965; Walker
and Ni, 2011). Mixing only proposes a point; the line search's rule decides on it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["History"]

DEPTH = 5
RIDGE = 1e-13


@dataclass(frozen=True, kw_only=True)
class History:
    """The last steps of B elements, newest last; where there were none, `used` is False.

    Attributes:
        steps: k_j, shape (B, DEPTH, T m).
        xs: States of G_j, shape (B, DEPTH, T+1, n).
        us: Controls of G_j, shape (B, DEPTH, T, m).
        used: Which entries count, shape (B, DEPTH).
    """

    steps: Tensor
    xs: Tensor
    us: Tensor
    used: Tensor

    @classmethod
    def empty(cls, xs: Tensor, us: Tensor) -> "History":
        """Make a history without entries.

        Args:
            xs: States of any trajectories, shape (B, T+1, n).
            us: Their controls, shape (B, T, m).

        Returns:
            The empty history.
        """
        return cls(
            steps=us.new_zeros(len(us), DEPTH, us[0].numel()),
            xs=xs.new_zeros(len(us), DEPTH, *xs.shape[1:]),
            us=us.new_zeros(len(us), DEPTH, *us.shape[1:]),
            used=torch.zeros(len(us), DEPTH, dtype=torch.bool, device=us.device),
        )

    def extended(self, index: Tensor, k: Tensor, xs: Tensor, us: Tensor) -> "History":
        """Add a step to some elements, in the place of their oldest.

        Args:
            index: Which elements, shape (b,).
            k: Steps, shape (b, T, m).
            xs: States of G, shape (b, T+1, n).
            us: Controls of G, shape (b, T, m).

        Returns:
            The new history.
        """
        parts = {}
        new = {"steps": k.flatten(1), "xs": xs, "us": us, "used": torch.ones_like(index) > 0}
        for name, entry in new.items():
            part = getattr(self, name).clone()
            part[index] = torch.cat([part[index][:, 1:], entry.unsqueeze(1)], dim=1)
            parts[name] = part
        return History(**parts)

    def forgotten(self, mask: Tensor) -> "History":
        """Empty the history of some elements.

        Args:
            mask: Which, shape (B,).

        Returns:
            The new history.
        """
        return History(
            steps=self.steps, xs=self.xs, us=self.us, used=self.used & ~mask.unsqueeze(-1)
        )

    def mixed(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Give the mixed targets of some elements.

        Args:
            index: Which, shape (b,).

        Returns:
            States (b, T+1, n) and controls (b, T, m); they need not obey the dynamics.
        """
        steps, used = self.steps[index], self.used[index]
        newest = steps[:, -1]
        change = torch.where(used.unsqueeze(-1), newest.unsqueeze(1) - steps, 0)[:, :-1]
        gram = change @ change.mT
        size = gram.diagonal(dim1=-2, dim2=-1).sum(-1).clamp_min(torch.finfo(gram.dtype).tiny)
        eye = torch.eye(DEPTH - 1, dtype=gram.dtype, device=gram.device)
        right = (change @ newest.unsqueeze(-1)).squeeze(-1)
        weights = torch.linalg.solve(
            gram / size[:, None, None] + RIDGE * eye, right / size[:, None]
        )
        weights = torch.where(used[:, :-1], weights, 0)
        weights = torch.cat([weights, 1 - weights.sum(-1, keepdim=True)], dim=-1)
        return (
            torch.einsum("bj,bjtn->btn", weights, self.xs[index]),
            torch.einsum("bj,bjtm->btm", weights, self.us[index]),
        )
