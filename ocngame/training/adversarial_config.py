"""Settings of the adversarial job; importing them does not import torch."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ocngame._checks import in_range, integer, non_negative, one_of, positive
from ocngame.errors import InvalidInputError

__all__ = ["ROBUST_DATA", "AdversarialConfig", "RobustSettings", "adversarial_config_from_dict"]

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
    "pgd",
    "trades",
    "fgsm",
]
ROBUST_DATA = {"robust-digits": "digits", "robust-mnist": "mnist5k"}
"""Data of the robust problems, by name of the problem."""

_STEPS = {"gan25": 8000, "mnist-gan": 1000}
"""Steps that suit a problem, where they are not those of its kind."""
_ROBUST = ("players", "pgd", "trades", "fgsm")
_GAN = ("players", "adam", "extra_adam", "optimistic_adam")
_DILEMMA: dict[str, Any] = {
    "methods": ("players",),
    "look_ahead": 3,
    "look_ahead_step": 25.0,
    "lr": 80.0,
}
_GAMES = ("players", "competitive", "extragradient", "simultaneous")
Information = Literal["feedback", "open_loop", "cooperative", "zero_sum", "stackelberg"]


@dataclass(frozen=True, kw_only=True)
class RobustSettings:
    """Settings of the robust problems alone.

    Attributes:
        norm: Norm of the ball: linf or l2.
        radius: Its radius; inputs are in [0, 1].
        width: Units of the two hidden layers.
        stages: Moves of the adversary of `players` per step.
    """

    norm: Literal["linf", "l2"] = "linf"
    radius: float = 0.1
    width: int = 128
    stages: int = 2

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("robust.norm", self.norm, ("linf", "l2"))
        positive("robust.radius", self.radius)
        integer("robust.width", self.width, low=1)
        integer("robust.stages", self.stages, low=1)


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """Train a robust classifier, or play a differentiable game, by the stage game and its rivals.

    Attributes:
        problem: robust-digits, robust-mnist, mnist-gan, digits-gan, gan8, gan25, or another ready
            game; an unknown name lists those that there are.
        methods: Who plays: each starts from the same tensors and sees the same batches. players:
            the stage game with full own curvature, damped by the reduction ratio; on batches, with
            a diagonal that is averaged over steps, by a sweep over the players; looking ahead,
            with curvature `1 / lr` and nobody expecting a move that its costs foresee already;
            against perturbed inputs, with an adversary
            that remembers. competitive: with identity curvature at step `lr`, competitive gradient
            descent. pgd, trades and fgsm are for the robust problems. None named: the ones that
            suit the problem; for ipd, players that see three answers coming, of step 25, at
            `lr` 80, where these settings are left as they are.
        information: What the players of `players` know of each other's move.
        leader: Number of the leader for stackelberg information.
        players_lr: Largest multiple of the stage game's move.
        players_step: Step of `players` per unit of preconditioned gradient, in games with batches;
            0: as suits the problem.
        lr: Step size of the first-order methods.
        adam_lr: Step size of the methods that use Adam; 0: as suits the problem.
        hold: Part of the run in which step sizes stay, in games with batches: they fall to zero in
            the rest.
        memory: Memory of the averaged players, which are the ones that are measured, shown and
            examined in games with batches; 0: the players as they are.
        look_ahead: Stages in which the others answer a player's move; 0: none.
        look_ahead_step: Step size of such an answer.
        steps: Steps of every method; 0: as many as suit the problem.
        batch_size: Samples per step, for games that have any; 0: as suits the problem.
        seed: Seed of the first tensors and of the batches.
        target_error: Distance to the equilibrium, relative to the start's, whose first step is
            reported.
        evaluate_every: Steps between measurements; 0: as suits the problem.
        checkpoint_every: Steps between checkpoints.
        threads: Threads of torch; results are bitwise repeatable for the same number.
        robust: Settings of the robust problems.
    """

    problem: str = "robust-digits"
    methods: tuple[Method, ...] = ()
    information: Information = "feedback"
    leader: int | None = None
    players_lr: float = 1.0
    players_step: float = 0.0
    lr: float = 0.05
    adam_lr: float = 0.0
    hold: float = 0.5
    memory: float = 0.999
    look_ahead: int = 0
    look_ahead_step: float = 1.0
    steps: int = 0
    batch_size: int = 0
    seed: int = 0
    target_error: float = 1e-6
    evaluate_every: int = 0
    checkpoint_every: int = 100
    threads: int = 1
    robust: RobustSettings = field(default_factory=RobustSettings)

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("information", self.information, get_args(Information))
        for name in ("steps", "evaluate_every", "batch_size"):
            integer(name, getattr(self, name), low=0)
        for name in ("adam_lr", "players_step"):
            non_negative(name, getattr(self, name))
        for name in ("hold", "memory"):
            in_range(name, getattr(self, name), low=0.0, high=1.0, high_open=True)
        self._suit()
        self._check_methods()
        for name in (
            "players_lr",
            "players_step",
            "lr",
            "look_ahead_step",
            "target_error",
        ):
            positive(name, getattr(self, name))
        integer("look_ahead", self.look_ahead, low=0)
        integer("seed", self.seed, low=0)
        if (self.leader is not None) != (self.information == "stackelberg"):
            raise InvalidInputError(
                "leader: expected the index of a player for stackelberg information and None for "
                f"others, got {self.leader!r} for {self.information}"
            )
        if self.leader is not None:
            integer("leader", self.leader, low=0)
        for name in ("checkpoint_every", "threads"):
            integer(name, getattr(self, name), low=1)

    @property
    def is_robust(self) -> bool:
        """Whether the problem is a classifier with perturbed inputs."""
        return self.problem in ROBUST_DATA

    def _suit(self) -> None:
        """Fill in what was left to the problem."""
        if self.problem == "ipd" and not self.methods:
            for name, value in _DILEMMA.items():
                if getattr(self, name) == getattr(type(self), name):
                    object.__setattr__(self, name, value)
        noisy = self.is_robust or "gan" in self.problem.removeprefix("dirac_gan")
        plane = self.problem in ("gan8", "gan25")
        methods = tuple(self.methods) or (_ROBUST if self.is_robust else _GAN if noisy else _GAMES)
        object.__setattr__(self, "methods", methods)
        suited = {
            "steps": _STEPS.get(self.problem, 800 if self.is_robust else 2000 if noisy else 100),
            "evaluate_every": 50 if noisy else 1,
            "adam_lr": 3e-3 if self.is_robust else 2e-3 if plane else 1e-3,
            "players_step": 4e-3 if plane else 1e-3,
            "batch_size": 64 if self.problem == "mnist-gan" else 256,
        }
        for name, value in suited.items():
            if getattr(self, name) == 0:
                object.__setattr__(self, name, value)

    def _check_methods(self) -> None:
        for name in self.methods:
            one_of("methods", name, get_args(Method))
        if len(set(self.methods)) < len(self.methods):
            raise InvalidInputError(f"methods: expected each once, got {list(self.methods)}")
        for name in self.methods:
            fits = name in _ROBUST if self.is_robust else name not in _ROBUST[1:]
            if not fits:
                raise InvalidInputError(
                    f"methods: {name!r} is not for the problem {self.problem!r}"
                )

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
        nested = {
            "methods": tuple(values["methods"]),
            "robust": RobustSettings(**values["robust"]),
        }
        return AdversarialConfig(**{**values, **nested})
    except (KeyError, TypeError) as error:
        raise InvalidInputError(f"config: expected the settings of a run ({error})") from error
