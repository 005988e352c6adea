"""Settings of the adversarial job; importing them does not import torch."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from ocngame._checks import integer, one_of, positive
from ocngame.errors import InvalidInputError

__all__ = ["AdversarialConfig", "adversarial_config_from_dict"]

Method = Literal[
    "players",
    "competitive",
    "simultaneous",
    "alternating",
    "extragradient",
    "optimistic",
    "consensus",
    "symplectic",
    "lola",
    "adam",
    "extra_adam",
    "optimistic_adam",
]
Information = Literal["feedback", "open_loop", "cooperative", "zero_sum", "stackelberg"]


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """Play a differentiable game with the coupled stage game, next to first-order methods.

    Attributes:
        problem: Name of a ready game; an unknown one lists those that there are.
        methods: Who plays: each starts from the same tensors and sees the same batches. players:
            the stage game with full own curvature, damped by the reduction ratio; on batches, with
            a diagonal that is averaged over steps. competitive: with identity curvature at step
            `lr`, competitive gradient descent.
        information: What the players of `players` know of each other's move.
        leader: Number of the leader for stackelberg information.
        players_lr: Largest multiple of the stage game's move.
        players_step: Step of `players` per unit of preconditioned gradient, in games with batches.
        lr: Step size of the first-order methods.
        adam_lr: Step size of the methods that use Adam.
        look_ahead: Stages in which the others answer a player's move; 0: none.
        look_ahead_step: Step size of such an answer.
        steps: Steps of every method.
        batch_size: Samples per step, for games that have any.
        seed: Seed of the first tensors and of the batches.
        target_error: Distance to the equilibrium, relative to the start's, whose first step is
            reported.
        evaluate_every: Steps between measurements.
        checkpoint_every: Steps between checkpoints.
        threads: Threads of torch; results are bitwise repeatable for the same number.
    """

    problem: str = "rotation"
    methods: tuple[Method, ...] = ("players", "competitive", "extragradient", "simultaneous")
    information: Information = "feedback"
    leader: int | None = None
    players_lr: float = 1.0
    players_step: float = 3e-3
    lr: float = 0.05
    adam_lr: float = 1e-3
    look_ahead: int = 0
    look_ahead_step: float = 1.0
    steps: int = 100
    batch_size: int = 256
    seed: int = 0
    target_error: float = 1e-6
    evaluate_every: int = 1
    checkpoint_every: int = 100
    threads: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("information", self.information, get_args(Information))
        object.__setattr__(self, "methods", tuple(self.methods))
        for name in self.methods:
            one_of("methods", name, get_args(Method))
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise InvalidInputError(
                f"methods: expected at least one, each once, got {list(self.methods)}"
            )
        for name in (
            "players_lr",
            "players_step",
            "lr",
            "adam_lr",
            "look_ahead_step",
            "target_error",
        ):
            positive(name, getattr(self, name))
        integer("look_ahead", self.look_ahead, low=0)
        integer("seed", self.seed, low=0)
        if self.leader is not None:
            integer("leader", self.leader, low=0)
        for name in ("steps", "batch_size", "evaluate_every", "checkpoint_every", "threads"):
            integer(name, getattr(self, name), low=1)

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as plain data.

        Returns:
            Settings by name, with the name of the job.
        """
        return {"job": "adversarial", **asdict(self), "methods": list(self.methods)}


def adversarial_config_from_dict(settings: dict[str, Any]) -> AdversarialConfig:
    """Read settings back that `as_dict` gave.

    Args:
        settings: Settings by name.

    Returns:
        The settings, validated.

    Raises:
        InvalidInputError: if a name is missing or not known, or a value is out of range.
    """
    values = {name: value for name, value in settings.items() if name != "job"}
    try:
        return AdversarialConfig(**{**values, "methods": tuple(values["methods"])})
    except (KeyError, TypeError) as error:
        raise InvalidInputError(f"config: expected the settings of a run ({error})") from error
