r"""Network stages as linear-quadratic stages in sample space.

The value of a network stage is low rank: with `Z_t` the Gauss-Newton columns backpropagated to the
live state of stage t and `p_t` the ordinary gradient there,

    V_t(dx) = p_t' dx + v_x' s + 1/2 s' v_xx s,    s = Z_t' dx                  (coordinates)

and the columns themselves obey the chain rule, `F_x' Z_{t+1} = Z_t` and `F_u' Z_{t+1} = Z_{u,t}`.
Hence `s_{t+1} = s_t + Z_{u,t}' du_t`: in the coordinates s, whatever the layers are, the network is
an LQ game with identity dynamics, control matrix `Z_{u,t}'`, control cost `p_{u,t}' du +
1/2 du' M_t du` and terminal value `v_x = 0, v_xx = I`.

Every policy considered lies in the span of `M^{-1} [p_u, Z_u]`, so the control is written

    du = -M^{-1} [p_u, Z_u] y,        y = y_0 + Y s,        y in R^{1+r}

and with the bordered gram `Phi = [p_u, Z_u]' M^{-1} [p_u, Z_u]` the stage is dense and small:

    q_u = -Phi [1; v_x],  q_ux = -Phi[:, 1:] v_xx,  q_uu = Phi + exact * Phi[:, 1:] v_xx Phi[1:, :]

`exact` says what M is. If M is the metric of the running cost alone (damping), `Q_uu = M + Z_u v_xx
Z_u'` and the minimiser is `y = [1; (I + v_xx G)^{-1} (v_x + v_xx (s - b))]` with `G, b` the blocks
of Phi; over the stacked batch the recursion then is the exact damped Gauss-Newton step of all
stages jointly. If M already stands for all of `Q_uu` (Kronecker, diagonal, ...), the minimiser is
`y = [1; v_x + v_xx s]`; with one column and per sample this is the scalar recursion
`b_t = b_{t+1} (1 - b_{t+1} g' M^{-1} g)` of rank-one differential dynamic programming. Where M does
not majorise the sample's own curvature, v_xx loses its sign; its negative part is removed before it
is used, as it would otherwise grow from stage to stage.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ocngame.bellman.expansions import QExpansion, ValueExpansion
from ocngame.bellman.policy import AffinePolicy
from ocngame.linalg import project_psd

__all__ = ["SampleSpaceStage", "terminal_value"]


@dataclass(frozen=True, kw_only=True)
class SampleSpaceStage:
    """One network stage in column coordinates, single player.

    Attributes:
        gram: Bordered gram Phi, shape (..., 1 + r, 1 + r).
        exact: Whether M is the running cost's metric alone (true) or all of Q_uu (false).
    """

    gram: Tensor
    exact: bool

    def expand(self, value: ValueExpansion) -> QExpansion:
        """Expand Q in (s, y).

        Args:
            value: Value at the next stage; v_x (..., 1, r), v_xx (..., 1, r, r).

        Returns:
            The Q-function of the stage, with N = 1 and control size 1 + r.
        """
        one = torch.ones_like(value.v_x[..., :1])
        gram = self.gram.unsqueeze(-3)
        columns = gram[..., :, 1:]
        v_xx = value.v_xx if self.exact else project_psd(value.v_xx)
        mixed = columns @ v_xx
        q_uu = gram + mixed @ columns.mT if self.exact else gram
        return QExpansion(
            q=value.v,
            q_x=value.v_x,
            q_u=-(gram @ torch.cat([one, value.v_x], -1).unsqueeze(-1)).squeeze(-1),
            q_xx=v_xx,
            q_ux=-mixed,
            q_uu=q_uu.expand_as(gram),
        )

    def solve(self, q: QExpansion) -> tuple[AffinePolicy, None]:
        """Give the policy y(s); existence is not in question here.

        Args:
            q: Expansion from `expand`.

        Returns:
            The policy with feedforward (..., 1 + r) and feedback (..., 1 + r, r).
        """
        w, core = q.q_x[..., 0, :], q.q_xx[..., 0, :, :]
        if self.exact:
            inner, b = self.gram[..., 1:, 1:], self.gram[..., 1:, 0]
            eye = torch.eye(core.shape[-1], dtype=core.dtype, device=core.device)
            start = w - (core @ b.unsqueeze(-1)).squeeze(-1)
            joint = torch.cat([start.unsqueeze(-1), core], dim=-1)
            solved = torch.linalg.solve(eye + core @ inner, joint)
            start, gain = solved[..., 0], solved[..., 1:]
        else:
            start, gain = w, core
        first = torch.ones_like(start[..., :1])
        border = torch.zeros_like(gain[..., :1, :])
        policy = AffinePolicy(
            feedforward=torch.cat([first, start], dim=-1), feedback=torch.cat([border, gain], -2)
        )
        return policy, None


def terminal_value(shape: tuple[int, ...], columns: int, like: Tensor) -> ValueExpansion:
    """Give the value at the output, `v_x = 0`, `v_xx = I` in column coordinates.

    Args:
        shape: Leading batch shape.
        columns: Number r of columns.
        like: A tensor of the dtype and device wanted.

    Returns:
        The value expansion with N = 1.
    """
    eye = torch.eye(columns, dtype=like.dtype, device=like.device)
    return ValueExpansion(
        v=like.new_zeros(*shape, 1),
        v_x=like.new_zeros(*shape, 1, columns),
        v_xx=eye.expand(*shape, 1, columns, columns),
    )
