r"""Motion of discs in the plane: inertia with damping, soft contacts, a limit on speed.

One step of length h = 0.1 of agent i with position p, velocity v, mass m, action u in [-1, 1]^2 and
acceleration a (all contacts are those of the positions before the step):

    p+ = p + h v
    w  = (1 - 1/4) v + h (a u + sum_j f_ij) / m
    v+ = w min(1, v_max / |w|)

    f_ij = c (p_i - p_j) / d_ij  k log(1 + exp((r_i + r_j - d_ij) / k)),    d_ij = |p_i - p_j|

over the entities j that collide, with radii r, c = 100 and margin k = 0.001: a force that sets in
where discs overlap. These are the formulas of the multi-agent particle environments (Lowe et al.,
2017, arXiv 1706.02275), as package `mpe2` has them. A larger k gives a softer world, whose second
derivatives (up to c / 4k) a planner can use. Discs with equal centres do not push each other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ocngame.envs.batched.bodies import Body, Layout
from ocngame.envs.batched.shapes import Exact, Shapes

__all__ = ["STEP", "Physics"]

STEP = 0.1
DAMPING = 0.25
STIFFNESS = 100.0


class Physics:
    """The formulas for given bodies, as pure functions of states with their rows first.

    Attributes:
        layout: Of the state.
        shapes: How nonsmooth pieces are computed.
        radii: [E].
    """

    def __init__(
        self,
        agents: Sequence[Body],
        landmarks: Sequence[Body],
        extra: int,
        *,
        dtype: torch.dtype,
        device: torch.device,
        shapes: Shapes | None = None,
        margin: float = 1e-3,
    ):
        """Prepare.

        Args:
            agents: The agents.
            landmarks: The landmarks.
            extra: Number of rows that the world adds to the state.
            dtype: Of the numbers.
            device: Where.
            shapes: How nonsmooth pieces are computed; exactly if None.
            margin: k of the contacts.
        """
        everything = [*agents, *landmarks]
        self.layout = Layout(len(agents), len(everything), extra)
        self.shapes = Exact() if shapes is None else shapes
        self._margin = margin

        def numbers(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)

        self.radii = numbers([body.size for body in everything])
        self._force = numbers([a.acceleration for a in agents])
        self._pull = numbers([STEP / a.mass for a in agents])
        limits = [a.max_speed for a in agents if a.max_speed is not None]
        self._limited = bool(limits)
        # An agent without a limit has one that it cannot reach, whose square is a number still.
        self._limit = numbers([1e18 if a.max_speed is None else a.max_speed for a in agents])
        pairs = [
            (i, j)
            for i in range(len(agents))
            for j in range(i + 1, len(everything))
            if everything[i].collides and everything[j].collides
        ]
        self._first = torch.tensor([i for i, _ in pairs], dtype=torch.long, device=device)
        self._second = torch.tensor([j for _, j in pairs], dtype=torch.long, device=device)
        self._reach = self.radii[self._first] + self.radii[self._second]
        push = torch.zeros(len(agents), len(pairs), dtype=dtype, device=device)
        for k, (i, j) in enumerate(pairs):
            push[i, k] = 1
            if j < len(agents):
                push[j, k] = -1
        self._push = push

    def advance(
        self, x: Tensor, u: Tensor, *, force: Tensor | None = None, limit: Tensor | None = None
    ) -> Tensor:
        """Give the next state.

        Args:
            x: State, shape (F, ...).
            u: Actions, shape (2A, ...): first components of all agents, then second ones.
            force: Accelerations a of the agents, shape (A, ...), if not those of the bodies.
            limit: Limits of speed of the agents, shape (A, ...), if not those of the bodies.

        Returns:
            Shape (F, ...).
        """
        at, count = self.layout, self.layout.agents
        px, py, vx, vy = x[at.px], x[at.py], x[at.vx], x[at.vy]
        a = _along(self._force, x) if force is None else force
        fx, fy = a * u[:count], a * u[count:]
        if len(self._first):
            cx, cy = self._contacts(px, py)
            fx, fy = fx + cx, fy + cy
        pull = _along(self._pull, x)
        wx, wy = (1 - DAMPING) * vx + pull * fx, (1 - DAMPING) * vy + pull * fy
        if self._limited:
            most = _along(self._limit, x) if limit is None else limit
            scale = most * (wx * wx + wy * wy).maximum((most * most).expand_as(wx)).rsqrt()
            wx, wy = wx * scale, wy * scale
        moved = (px[:count] + STEP * vx, px[count:], py[:count] + STEP * vy, py[count:])
        return torch.cat([*moved, wx, wy, x[at.more]])

    def _contacts(self, px: Tensor, py: Tensor) -> tuple[Tensor, Tensor]:
        dx = px[self._first] - px[self._second]
        dy = py[self._first] - py[self._second]
        d = (dx * dx + dy * dy).clamp_min(1e-30).sqrt()
        k = self._margin
        f = STIFFNESS * softplus(_along(self._reach, px) - d, beta=1 / k) / d
        return self._push @ (f * dx), self._push @ (f * dy)

    def distances(self, x: Tensor, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
        """Give distances between entities.

        Args:
            x: State, shape (F, ...).
            rows: Indices of entities.
            columns: Indices of entities.

        Returns:
            Shape (rows, columns, ...).
        """
        at = self.layout
        px, py = x[at.px], x[at.py]
        gaps = [p[list(rows)].unsqueeze(1) - p[list(columns)].unsqueeze(0) for p in (px, py)]
        return self.shapes.length(*gaps)

    def touching(self, x: Tensor, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
        """Say which entities overlap.

        Args:
            x: State, shape (F, ...).
            rows: Indices of entities.
            columns: Indices of entities.

        Returns:
            Ones and zeros, shape (rows, columns, ...); an entity overlaps with itself.
        """
        reach = self.radii[list(rows)].unsqueeze(1) + self.radii[list(columns)].unsqueeze(0)
        return self.shapes.below(self.distances(x, rows, columns), _along(reach, x, 2))


def _along(values: Tensor, x: Tensor, dims: int = 1) -> Tensor:
    """Give constants the axes that a state has after its rows."""
    return values.reshape(*values.shape[:dims], *[1] * (x.ndim - 1))
