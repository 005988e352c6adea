r"""Robust training: a classifier and the player that perturbs its inputs, stage after stage.

With f the network's outputs, p = softmax f(x) and q = softmax f(x + d), the network and the
adversary pay

    f_net = CE(f(x), y) + weight KL(p || q)          f_adv = - KL(p || q)  per sample, d in the ball

the zero-sum part being that of TRADES (Zhang et al., 1901.08573, equation 5). For a fixed p the
divergence is cross-entropy with the targets p less a constant: its slope in the outputs is `q - p`
and its Hessian `diag q - q q' = E E'`, so the value of the adversary's state is that of
`ocngame.solvers.players.adversary`, `v_x = J'(q - p)` and `V_xx = J' E E' J`, J the network's
Jacobian in its input.

The game is a repeated one. A sample's perturbation is kept from one visit to the next, and at each
visit the adversary makes one stage's move from there: it follows the network as the network follows
it, where attacks that start anew spend most passes on the way back. The network is judged by the
average of its iterates (`ocngame.solvers.players.averaging`).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, softmax

from ocngame._checks import in_range, integer, non_negative, positive
from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.games.perturbation import PerturbationBall
from ocngame.solvers.players.adversary import InputAdversary
from ocngame.solvers.players.averaging import IterateAverage

__all__ = ["RobustConfig", "RobustInfo", "RobustOpt", "divergence"]


@dataclass(frozen=True, kw_only=True)
class RobustConfig:
    """Settings of robust training.

    Attributes:
        ball: Perturbations that the adversary may choose from.
        weight: Weight of the divergence in the network's cost.
        stages: The adversary's moves per step.
        inner: Steps of the power method on V_xx per move; 0: along v_x alone.
        reach: Length of a move in radii of the ball.
        lr: Step size of the network.
        memory: Memory of the averaged network, in [0, 1); 0: the last iterate.
    """

    ball: PerturbationBall
    weight: float = 6.0
    stages: int = 1
    inner: int = 0
    reach: float = 0.5
    lr: float = 3e-3
    memory: float = 0.995

    def __post_init__(self) -> None:
        """Validate the settings."""
        non_negative("weight", self.weight)
        integer("stages", self.stages, low=1)
        integer("inner", self.inner, low=0)
        positive("reach", self.reach)
        positive("lr", self.lr)
        in_range("memory", self.memory, low=0.0, high=1.0, high_open=True)


@dataclass(frozen=True, kw_only=True)
class RobustInfo:
    """What happened in one step, costs being those before it.

    Attributes:
        clean: Cross-entropy on the samples as they are.
        gap: Mean divergence that the adversary made.
        accepted: Whether the network moved.
        passes: Forward and backward passes over the batch.
    """

    clean: float
    gap: float
    accepted: bool
    passes: int


class RobustOpt:
    """Trains a classifier against an adversary that remembers every sample's perturbation.

    Attributes:
        model: The classifier; it is moved in place.
        config: Settings.
        kept: The adversary's control: a perturbation of every sample, shape (n, ...).
    """

    def __init__(self, model: nn.Module, samples: Tensor, *, config: RobustConfig, seed: int = 0):
        """Take a classifier and the samples that it will be trained on.

        Args:
            model: The classifier.
            samples: All training inputs, shape (n, ...); batches name their rows.
            config: Settings.
            seed: Seed of the first perturbations, a hundredth of the ball in size: at zero the
                divergence has no slope.

        Raises:
            InvalidInputError: if the model has no trainable parameters.
        """
        self.model, self.config = model, config
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        if not self._parameters:
            raise InvalidInputError("model: expected trainable parameters, got none")
        self._samples = samples
        self._adam = torch.optim.Adam(self._parameters, lr=config.lr)
        self._adversary = InputAdversary(ball=config.ball, inner=config.inner, reach=config.reach)
        generator = torch.Generator().manual_seed(seed)
        self.kept = config.ball.project(0.01 * config.ball.random(samples, generator), samples)
        self._average = IterateAverage(self._parameters, memory=config.memory)

    def step(self, rows: Tensor, y: Tensor) -> RobustInfo:
        """Make one stage: the adversary's moves, then the network's.

        Args:
            rows: Numbers of the batch's samples, shape (B,).
            y: Their classes, shape (B,).

        Returns:
            What happened. A step with non-finite numbers is refused: network and adversary stay as
            they are.
        """
        x, moved = self._samples[rows], self.kept[rows]
        output = self.model(x)
        natural = softmax(output.detach(), dim=1)
        for _ in range(self.config.stages):
            moved = self._adversary.perturb(self.model, _LOSS, x, natural, start=moved)
        clean = cross_entropy(output, y)
        gap = divergence(output, self.model(x + moved)).mean()
        gradients = torch.autograd.grad(clean + self.config.weight * gap, self._parameters)
        sizes = torch.stack([*(g.norm() for g in gradients), clean.detach(), gap.detach()])
        accepted = bool(torch.isfinite(sizes).all() & torch.isfinite(moved).all())
        if accepted:
            self.kept[rows] = moved
            for parameter, gradient in zip(self._parameters, gradients, strict=True):
                parameter.grad = gradient
            self._adam.step()
            self._adam.zero_grad()
            self._average.update()
        return RobustInfo(
            clean=float(clean.detach()),
            gap=float(gap.detach()),
            accepted=accepted,
            passes=2 + self.config.stages,
        )

    @torch.no_grad()
    def average(self, into: nn.Module) -> None:
        """Write the averaged network into another.

        Args:
            into: A network of the same form; buffers are those of the trained one.
        """
        into.load_state_dict(self.model.state_dict())
        targets = [p for p in into.parameters() if p.requires_grad]
        for target, value in zip(targets, self._average.values, strict=True):
            target.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Give what a later run needs to go on, without the network's own tensors.

        Returns:
            Plain data and tensors.
        """
        return {
            "adam": self._adam.state_dict(),
            "kept": self.kept,
            "average": self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Args:
            state: Plain data and tensors.

        Raises:
            CheckpointError: if it belongs to another network or other samples.
        """
        kept = state.get("kept")
        if kept is None or kept.shape != self.kept.shape:
            raise CheckpointError(
                f"state: expected the state of RobustOpt for {len(self.kept)} samples"
            )
        self._average.load_state_dict(state["average"])
        self._adam.load_state_dict(state["adam"])
        self.kept = kept.clone()


def divergence(natural: Tensor, perturbed: Tensor) -> Tensor:
    """Give KL(p || q) per sample.

    Args:
        natural: Outputs whose softmax is p, shape (B, C).
        perturbed: Outputs whose softmax is q, shape (B, C).

    Returns:
        Shape (B,).
    """
    p, q = log_softmax(natural, dim=1), log_softmax(perturbed, dim=1)
    return (p.exp() * (p - q)).sum(dim=1)


_LOSS = nn.CrossEntropyLoss()
