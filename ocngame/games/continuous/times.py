r"""The trainable times of a network as one control, with what they may be and what they cost.

The control is `T = (t_1 .. t_K)` of every `NeuralODE` with trainable times, one block after
another. What is allowed is a polytope `A T <= b`: of each block, with s = 1 for rising and -1 for
falling times,

    low <= s (t_K - t_0) <= high,        s (t_k - t_{k-1}) >= gap.

The running cost adds to the loss

    r(T) = per_time * sum |t_K - t_0| + per_evaluation * N(T),

with N the evaluations of the field in a pass. Where the number of steps is given N is constant;
where their greatest length h is, an interval of length L has `stages * max(L / h, 1)`, the smooth
number of which the count rounds up: an interval shorter than a step saves nothing. Of adaptive
steps N is what the last pass took, with the slope of as many per unit of time.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ocngame._checks import non_negative, positive
from ocngame.errors import InvalidInputError
from ocngame.games.continuous.block import ROUNDING, NeuralODE

__all__ = ["LearnedTimes", "TimeBounds", "TimeCost"]


@dataclass(frozen=True, kw_only=True)
class TimeBounds:
    """What the times of a block may be.

    Attributes:
        low: Least length of time from t_0 to t_K.
        high: Greatest length of time from t_0 to t_K.
        gap: Least length of time between neighbours.
    """

    low: float = 0.05
    high: float = 10.0
    gap: float = 1e-3

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("low", self.low)
        positive("high", self.high)
        positive("gap", self.gap)
        if not self.low < self.high:
            raise InvalidInputError(
                f"high: expected a length of time above low={self.low}, got {self.high}"
            )


@dataclass(frozen=True, kw_only=True)
class TimeCost:
    """What a pass costs, in units of the loss.

    Attributes:
        per_time: Cost of a unit of time.
        per_evaluation: Cost of an evaluation of the field.
    """

    per_time: float = 0.0
    per_evaluation: float = 0.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        non_negative("per_time", self.per_time)
        non_negative("per_evaluation", self.per_evaluation)


class LearnedTimes:
    """The trainable times of a network.

    Attributes:
        model: The network.
        blocks: Its blocks with trainable times, by name.
        bounds: What the times may be.
    """

    def __init__(self, model: nn.Module, bounds: TimeBounds):
        """Find the times.

        Args:
            model: The network.
            bounds: What the times may be.

        Raises:
            InvalidInputError: if no block has trainable times, or those of one are out of bounds.
        """
        self.model = model
        self.bounds = bounds
        self.blocks: dict[str, NeuralODE] = {
            name: block
            for name, block in model.named_modules()
            if isinstance(block, NeuralODE) and block.ends is not None
        }
        if not self.blocks:
            raise InvalidInputError(
                "model: expected a NeuralODE with learn_times=True inside, got none"
            )
        for name, block in self.blocks.items():
            self._check(name, block)

    @property
    def names(self) -> list[str]:
        """Names of the parameters that hold the times."""
        return [f"{name}.ends" if name else "ends" for name in self.blocks]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that hold the times."""
        return [block.ends for block in self.blocks.values() if block.ends is not None]

    def read(self) -> Tensor:
        """Give T.

        Returns:
            Shape (K,), in double precision on the CPU.
        """
        return torch.cat([p.detach().double().cpu() for p in self.parameters])

    def write(self, times: Tensor) -> None:
        """Set T.

        Args:
            times: Shape (K,).
        """
        parts = times.split([len(p) for p in self.parameters])
        with torch.no_grad():
            for parameter, part in zip(self.parameters, parts, strict=True):
                parameter.copy_(part)

    def constraints(self) -> tuple[Tensor, Tensor, list[str]]:
        """Give the polytope `A T <= b`.

        Returns:
            A of shape (M, K), b of shape (M,), and what each row says.
        """
        rows: list[Tensor] = []
        limits: list[float] = []
        said: list[str] = []
        total, first = sum(len(p) for p in self.parameters), 0
        for name, block in self.blocks.items():
            start, sign, count = _start(block), _sign(block), len(block.times) - 1
            last = torch.zeros(total, dtype=torch.float64)
            last[first + count - 1] = sign
            rows += [last, -last]
            limits += [self.bounds.high + sign * start, -self.bounds.low - sign * start]
            said += [f"{name}: longest time", f"{name}: shortest time"]
            for k in range(count if count > 1 else 0):
                row = torch.zeros(total, dtype=torch.float64)
                row[first + k] = -sign
                if k:
                    row[first + k - 1] = sign
                rows.append(row)
                limits.append(-self.bounds.gap - (0.0 if k else sign * start))
                said.append(f"{name}: gap before time {k + 1}")
            first += count
        return torch.stack(rows), torch.tensor(limits, dtype=torch.float64), said

    def horizons(self) -> Tensor:
        """Give the length of time from t_0 to t_K that belongs to every entry of T.

        Returns:
            Shape (K,).
        """
        return torch.cat(
            [
                torch.full((len(block.times) - 1,), _horizon(block), dtype=torch.float64)
                for block in self.blocks.values()
            ]
        )

    def cost(self, cost: TimeCost) -> tuple[float, Tensor]:
        """Give the running cost.

        Args:
            cost: What a pass costs.

        Returns:
            `r(T)` and its gradient, shape (K,).
        """
        value, slopes = 0.0, []
        for block in self.blocks.values():
            sign, stages = _sign(block), block.method.evaluations
            lengths = block.times.detach().double().cpu().diff() * sign
            value += cost.per_time * float(lengths.sum())
            price = torch.full_like(lengths, cost.per_time)
            if _adaptive(block):
                rate = cost.per_evaluation * block.evaluations / float(lengths.sum())
                value += rate * float(lengths.sum())
                price += rate
            elif block.step is None:
                value += cost.per_evaluation * stages * sum(block.steps)
            else:
                counts = lengths / block.step
                value += cost.per_evaluation * stages * float(counts.clamp(min=1.0).sum())
                price += (
                    (counts > 1.0 + ROUNDING).double() * cost.per_evaluation * stages / block.step
                )
            # t_k ends an interval and, but for the last, begins the next
            slopes.append(sign * (price - torch.cat([price[1:], price.new_zeros(1)])))
        return value, torch.cat(slopes)

    def evaluations(self) -> int:
        """Give the number of evaluations of the fields in a pass.

        Returns:
            Their number at the present times; of adaptive steps that of the last pass.
        """
        return sum(
            b.evaluations if _adaptive(b) else sum(b.steps) * b.method.evaluations
            for b in self.blocks.values()
        )

    def _check(self, name: str, block: NeuralODE) -> None:
        bounds, length, count = self.bounds, _horizon(block), len(block.times) - 1
        slack = 1e-6 * bounds.high
        if not bounds.low - slack <= length <= bounds.high + slack:
            raise InvalidInputError(
                f"bounds: expected low={bounds.low} and high={bounds.high} on either side of the "
                f"length of time of block {name!r}, which is {length:g}"
            )
        gaps = (block.times.detach().diff() * _sign(block)).tolist()
        if count > 1 and min(gaps) < bounds.gap - slack:
            raise InvalidInputError(
                f"bounds: expected gap={bounds.gap} to be at most the distance of neighbouring "
                f"times of block {name!r}, which is {min(gaps):g}"
            )


def _adaptive(block: NeuralODE) -> bool:
    return block.adjoint is not None and block.adjoint.rule.adaptive is not None


def _start(block: NeuralODE) -> float:
    return float(block.times[0].detach())


def _sign(block: NeuralODE) -> float:
    return 1.0 if float((block.times[-1] - block.times[0]).detach()) > 0 else -1.0


def _horizon(block: NeuralODE) -> float:
    return float((block.times[-1] - block.times[0]).detach().abs())
