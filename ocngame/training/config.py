"""Settings of the supervised job; importing them does not import torch."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ocngame._checks import in_range, integer, non_negative, one_of, positive
from ocngame.errors import InvalidInputError

__all__ = [
    "AdamSettings",
    "OCNOptSettings",
    "SGDSettings",
    "SupervisedConfig",
    "config_from_dict",
]

Activation = Literal["tanh", "relu", "gelu", "silu"]
Feedback = Literal["off", "per_sample", "stacked", "exact"]
Optimizer = Literal["ocnopt", "adam", "sgd"]
Scaling = Literal["standard", "none"]
Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True, kw_only=True)
class OCNOptSettings:
    """Settings of OCNOpt.

    Attributes:
        lr: Scale of the step; 1 is the length that the model of the loss gives.
        weight_decay: Decoupled weight decay of the entries which a step makes smaller anyway; it
            grows as the schedule lowers `lr` (`ocngame.solvers.ocnopt.decay`).
        feedback: Reaction of a stage to the moves of earlier ones. off: none, preconditioned
            backpropagation; per_sample: a value function for every sample; stacked: one for the
            batch; exact: the joint Gauss-Newton step of all stages.
    """

    lr: float = 1.0
    weight_decay: float = 0.15
    feedback: Feedback = "off"

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("ocnopt.lr", self.lr)
        non_negative("ocnopt.weight_decay", self.weight_decay)
        one_of("ocnopt.feedback", self.feedback, get_args(Feedback))


@dataclass(frozen=True, kw_only=True)
class AdamSettings:
    """Settings of Adam.

    Attributes:
        lr: Learning rate; the default is the best of a grid on the digits (see benchmarks/).
    """

    lr: float = 3e-2

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("adam.lr", self.lr)


@dataclass(frozen=True, kw_only=True)
class SGDSettings:
    """Settings of stochastic gradient descent with momentum.

    Attributes:
        lr: Learning rate; the default is the best of a grid on the digits (see benchmarks/).
        momentum: Multiple of the last move.
    """

    lr: float = 0.3
    momentum: float = 0.9

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("sgd.lr", self.lr)
        in_range("sgd.momentum", self.momentum, low=0.0, high=1.0, high_open=True)


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig:
    """Train a network as a game with OCNOpt, next to Adam and SGD with momentum.

    Attributes:
        data: digits, wine, breast_cancer, mnist1d, mnist5k, or a .npz file with the arrays x (one
            row per sample) and y (class numbers), and if you like x_test and y_test.
        scaling: standard: every feature has mean 0 and deviation 1 on the training samples; none:
            as they are.
        test_fraction: Fraction of the samples held out, if the data have no test samples.
        model: mlp, residual, or module:function for a network of your own; the function takes
            the numbers of features and of classes.
        width: Width of the hidden layers.
        depth: Number of hidden layers.
        activation: Activation of the hidden layers.
        optimizers: Who trains: each starts from the same weights and sees the same batches.
        ocnopt: Settings of OCNOpt.
        adam: Settings of Adam.
        sgd: Settings of SGD.
        schedule: Learning rate of Adam and SGD over the run; that of OCNOpt is constant.
        epochs: Passes over the training samples.
        batch_size: Samples per step; what is left of an epoch is dropped.
        seed: Seed of the split, of the first weights and of the batches.
        target_loss: Training loss whose first step is reported.
        evaluate_every: Steps between measurements on all training and test samples.
        checkpoint_every: Steps between checkpoints.
        device: cpu, cuda or another torch device.
        threads: Threads of torch; results are bitwise repeatable for the same number.
    """

    data: str = "digits"
    scaling: Scaling = "standard"
    test_fraction: float = 0.2
    model: str = "mlp"
    width: int = 64
    depth: int = 3
    activation: Activation = "tanh"
    optimizers: tuple[Optimizer, ...] = ("ocnopt", "adam", "sgd")
    ocnopt: OCNOptSettings = field(default_factory=OCNOptSettings)
    adam: AdamSettings = field(default_factory=AdamSettings)
    sgd: SGDSettings = field(default_factory=SGDSettings)
    schedule: Schedule = "cosine"
    epochs: int = 30
    batch_size: int = 128
    seed: int = 0
    target_loss: float = 0.01
    evaluate_every: int = 1
    checkpoint_every: int = 50
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("scaling", self.scaling, get_args(Scaling))
        one_of("activation", self.activation, get_args(Activation))
        one_of("schedule", self.schedule, get_args(Schedule))
        object.__setattr__(self, "optimizers", tuple(self.optimizers))
        for name in self.optimizers:
            one_of("optimizers", name, get_args(Optimizer))
        if not self.optimizers or len(set(self.optimizers)) < len(self.optimizers):
            raise InvalidInputError(
                f"optimizers: expected at least one, each once, got {list(self.optimizers)}"
            )
        in_range(
            "test_fraction", self.test_fraction, low=0.0, high=1.0, low_open=True, high_open=True
        )
        positive("target_loss", self.target_loss)
        integer("depth", self.depth, low=0)
        integer("seed", self.seed, low=0)
        for name in (
            "width",
            "epochs",
            "batch_size",
            "evaluate_every",
            "checkpoint_every",
            "threads",
        ):
            integer(name, getattr(self, name), low=1)

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as plain data.

        Returns:
            Settings by name, nested as they are here.
        """
        return asdict(self) | {"optimizers": list(self.optimizers)}


def config_from_dict(settings: dict[str, Any]) -> SupervisedConfig:
    """Read settings back that `as_dict` gave.

    Args:
        settings: Settings by name.

    Returns:
        The settings, validated.

    Raises:
        InvalidInputError: if a name is missing or not known, or a value is out of range.
    """
    nested = {"ocnopt": OCNOptSettings, "adam": AdamSettings, "sgd": SGDSettings}
    try:
        parts = {name: kind(**settings[name]) for name, kind in nested.items()}
        order = {"optimizers": tuple(settings["optimizers"])}
        return SupervisedConfig(**{**settings, **parts, **order})
    except (KeyError, TypeError) as error:
        raise InvalidInputError(f"config: expected the settings of a run ({error})") from error
