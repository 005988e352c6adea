r"""Anderson mixing: what makes the steps of feedback play converge faster than linearly.

About a trajectory the quadratic game's feedback gains are taken as constant, though they change
with the trajectory; so the iteration is a fixed-point iteration `z -> G(z)`, z = (x, u), of linear
convergence, with a derivative G' of which few eigenvalues matter. Differences of two steps and of
their targets are secants, `dk = (G' - I) dz` and `dG = G' dz`, whatever the solution is; with

    min | k - sum_j g_j dk_j |,         the mixed target      G(z) - sum_j g_j dG_j

is a quasi-Newton step (Anderson, 1965; Walker and Ni, 2011). It is played as
`u = u_mix + K (x - x_mix)`, and only proposed; the line search's rule decides on it. Secants stay
good when the initial state moves or the horizon recedes, so a warm start brings them along.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["History", "Secants"]

DEPTH = 10
BEND = 1.0
NOISE = 1e3


@dataclass(frozen=True, kw_only=True)
class Secants:
    """Differences between steps of B elements, newest last; where there were none, zero.

    Attributes:
        k: Differences of the steps, shape (B, J, T, m), J at most `DEPTH`.
        xs: Differences of the targets' states, shape (B, J, T+1, n).
        us: Differences of their controls, shape (B, J, T, m).
        used: Which count, shape (B, J).
    """

    k: Tensor
    xs: Tensor
    us: Tensor
    used: Tensor

    @classmethod
    def none(cls, xs: Tensor, us: Tensor) -> "Secants":
        """Make secants that do not count.

        Args:
            xs: States of any trajectories, shape (B, T+1, n).
            us: Their controls, shape (B, T, m).

        Returns:
            The empty secants.
        """
        return cls(
            k=us.new_zeros(len(us), DEPTH, *us.shape[1:]),
            xs=xs.new_zeros(len(us), DEPTH, *xs.shape[1:]),
            us=us.new_zeros(len(us), DEPTH, *us.shape[1:]),
            used=torch.zeros(len(us), DEPTH, dtype=torch.bool, device=us.device),
        )

    def weights(self, k: Tensor, unit: Tensor) -> Tensor:
        """Fit steps by secants.

        Args:
            k: Steps, shape (B, T, m).
            unit: Norm of a large step, shape (B,).

        Returns:
            Weights g, shape (B, J).
        """
        columns = torch.where(self.used[..., None, None], self.k, 0).flatten(2)
        size = columns.norm(dim=-1, keepdim=True)
        columns = columns / torch.where(size > 0, size, 1)
        gram = columns @ columns.mT
        eps = torch.finfo(gram.dtype).eps
        length = (size / unit[:, None, None]).squeeze(-1)
        doubt = (BEND * length).square() + (NOISE * eps / length.clamp_min(eps)).square()
        ridge = torch.where(self.used, doubt + 10 * eps, 1)
        right = columns @ k.flatten(1).unsqueeze(-1)
        found = torch.linalg.solve(gram + torch.diag_embed(ridge), right)
        return (found / torch.where(size > 0, size, 1)).squeeze(-1)


@dataclass(frozen=True, kw_only=True)
class History:
    """Secants of B elements, and the step before this one.

    Attributes:
        secants: The secants.
        k: The last step, shape (B, T, m).
        xs: States of its target, shape (B, T+1, n).
        us: Controls of its target, shape (B, T, m).
        known: Whether there is a last step, shape (B,).
    """

    secants: Secants
    k: Tensor
    xs: Tensor
    us: Tensor
    known: Tensor

    @classmethod
    def begin(cls, secants: Secants) -> "History":
        """Start a history.

        Args:
            secants: Secants to start with.

        Returns:
            The history, without a last step.
        """
        return cls(
            secants=secants,
            k=torch.zeros_like(secants.k[:, 0]),
            xs=torch.zeros_like(secants.xs[:, 0]),
            us=torch.zeros_like(secants.us[:, 0]),
            known=torch.zeros_like(secants.used[:, 0]),
        )

    def extended(self, index: Tensor, k: Tensor, xs: Tensor, us: Tensor) -> "History":
        """Add a step to some elements, and the secant that it makes with the one before.

        Args:
            index: Which elements, shape (b,).
            k: Steps, shape (b, T, m).
            xs: States of their targets, shape (b, T+1, n).
            us: Controls of their targets, shape (b, T, m).

        Returns:
            The new history.
        """
        paired = self.known[index]
        new = {"k": k, "xs": xs, "us": us}
        old = self.secants
        pairs, lasts = {"used": old.used.clone()}, {}
        rows = index[paired]
        for name, entry in new.items():
            last = getattr(self, name)
            change = (entry - last[index])[paired].unsqueeze(1)
            part = getattr(old, name).clone()
            part[rows] = torch.cat([part[rows][:, 1:], change], dim=1)
            pairs[name] = part
            lasts[name] = last.index_put((index,), entry)
        fresh = torch.ones_like(rows).unsqueeze(1) > 0
        pairs["used"][rows] = torch.cat([old.used[rows][:, 1:], fresh], dim=1)
        known = self.known.index_put((index,), torch.ones_like(paired))
        return History(secants=Secants(**pairs), known=known, **lasts)

    def forgotten(self, mask: Tensor) -> "History":
        """Empty the history of some elements.

        Args:
            mask: Which, shape (B,).

        Returns:
            The new history.
        """
        secants = replace(self.secants, used=self.secants.used & ~mask.unsqueeze(-1))
        return replace(self, secants=secants, known=self.known & ~mask)

    def mixed(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Give the mixed targets of the last steps of some elements.

        Args:
            index: Which, shape (b,).

        Returns:
            States (b, T+1, n) and controls (b, T, m); they need not obey the dynamics.
        """
        s = self.secants
        part = Secants(k=s.k[index], xs=s.xs[index], us=s.us[index], used=s.used[index])
        weights = part.weights(self.k[index], 1 + self.us[index].flatten(1).norm(dim=-1))
        weights = torch.where(part.used, weights, 0)
        return (
            self.xs[index] - torch.einsum("bj,bjtn->btn", weights, part.xs),
            self.us[index] - torch.einsum("bj,bjtm->btm", weights, part.us),
        )
