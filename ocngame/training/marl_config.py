"""Settings of the multi-agent job; importing them does not import torch."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ocngame._checks import in_range, integer, non_negative, one_of, positive
from ocngame.errors import InvalidInputError

__all__ = [
    "CoupledSettings",
    "MarlConfig",
    "NetworkSettings",
    "PolicyAdamSettings",
    "PolicyOCNOptSettings",
    "SurrogateSettings",
    "marl_config_from_dict",
]

Activation = Literal["tanh", "relu"]
Algorithm = Literal["ippo", "mappo"]
Normalisation = Literal["agent", "group", "none"]
Optimizer = Literal["adam", "ocnopt", "coupled"]
Expects = Literal["feedback", "open_loop"]
Own = Literal["diagonal", "full"]
Pictures = Literal["flat", "convolutional"]
Remembers = Literal["nothing", "gated"]
Schedule = Literal["constant", "linear"]
Sharing = Literal["shared", "separate"]
Squash = Literal["clip", "tanh"]


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Policies and critics.

    Attributes:
        sharing: shared: one network for all agents of a group, told who acts; separate: one for
            each agent.
        memory: nothing: feedforward; gated: a gated recurrent unit on top.
        width: Width of the hidden layers.
        depth: Number of hidden layers.
        activation: Activation of the hidden layers.
        pictures: How observations that are pictures are seen. flat: as a list of numbers;
            convolutional: by convolutions, scaled to at most 1.
        channels: Of the convolutions.
        squash: How continuous actions are brought into their bounds.
        observations: Whether observations are scaled by their running moments.
        values: Whether the critic works in units of the running deviation of returns.
    """

    sharing: Sharing = "shared"
    memory: Remembers = "nothing"
    width: int = 64
    depth: int = 2
    activation: Activation = "tanh"
    pictures: Pictures = "flat"
    channels: int = 16
    squash: Squash = "clip"
    observations: bool = False
    values: bool = True

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("network.sharing", self.sharing, get_args(Sharing))
        one_of("network.memory", self.memory, get_args(Remembers))
        one_of("network.activation", self.activation, get_args(Activation))
        one_of("network.pictures", self.pictures, get_args(Pictures))
        integer("network.channels", self.channels, low=1)
        one_of("network.squash", self.squash, get_args(Squash))
        integer("network.width", self.width, low=1)
        integer("network.depth", self.depth, low=1)


@dataclass(frozen=True, kw_only=True)
class SurrogateSettings:
    """What a segment of play is worth, and the clipped surrogate.

    Attributes:
        discount: gamma.
        decay: lambda of the generalised advantages.
        clip: Largest change of a ratio of probabilities that is paid for.
        value_clip: Largest paid change of a value in the critic's units; 0 for no limit.
        entropy: Weight of the entropy.
        advantages: Whose advantages are brought to mean 0 and deviation 1 together.
        divergence: Mean divergence from the old policy at which an update ends early; 0 for no
            limit.
    """

    discount: float = 0.95
    decay: float = 0.95
    clip: float = 0.2
    value_clip: float = 0.0
    entropy: float = 0.01
    advantages: Normalisation = "agent"
    divergence: float = 0.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("surrogate.discount", self.discount, low=0.0, high=1.0)
        in_range("surrogate.decay", self.decay, low=0.0, high=1.0)
        positive("surrogate.clip", self.clip)
        one_of("surrogate.advantages", self.advantages, get_args(Normalisation))
        for name in ("value_clip", "entropy", "divergence"):
            non_negative(f"surrogate.{name}", getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class PolicyAdamSettings:
    """Settings of Adam.

    Attributes:
        lr: Learning rate of the policies.
        critic_lr: Learning rate of the critics.
        epochs: Passes over a segment.
        minibatches: Steps per pass.
        clip_gradient: Largest norm of a gradient; 0 for no limit.
    """

    lr: float = 2e-3
    critic_lr: float = 2e-3
    epochs: int = 10
    minibatches: int = 4
    clip_gradient: float = 0.5

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("adam.lr", self.lr)
        positive("adam.critic_lr", self.critic_lr)
        integer("adam.epochs", self.epochs, low=1)
        integer("adam.minibatches", self.minibatches, low=1)
        non_negative("adam.clip_gradient", self.clip_gradient)


@dataclass(frozen=True, kw_only=True)
class PolicyOCNOptSettings:
    """Settings of OCNOpt.

    Attributes:
        divergence: Divergence from the policy before that one step may make, by the quadratic
            model: it takes the place of a learning rate.
        critic_fraction: Part of the critic's loss that the second-order term of one step may use.
        damping: Added to the curvature.
        measure_every: Steps between measurements of the curvature, after the first ones.
        epochs: Passes over a segment.
        minibatches: Steps per pass.
    """

    divergence: float = 1e-3
    critic_fraction: float = 0.02
    damping: float = 3e-2
    measure_every: int = 4
    epochs: int = 3
    minibatches: int = 4

    def __post_init__(self) -> None:
        """Validate the settings."""
        positive("ocnopt.divergence", self.divergence)
        in_range("ocnopt.critic_fraction", self.critic_fraction, low=0.0, high=1.0, low_open=True)
        positive("ocnopt.damping", self.damping)
        integer("ocnopt.measure_every", self.measure_every, low=1)
        integer("ocnopt.epochs", self.epochs, low=1)
        integer("ocnopt.minibatches", self.minibatches, low=1)


@dataclass(frozen=True, kw_only=True)
class CoupledSettings:
    """Settings of coupled players.

    Attributes:
        curvature: A group's own. diagonal: an average of squared gradients, each move taken as it
            is; full: all second derivatives of its return, each move judged on the plays that it
            was made from.
        lr: Multiple of the stage game's move.
        step: Of the diagonal: step per unit of preconditioned gradient that a group would make
            alone.
        decay: Of the diagonal: memory of the average of squared gradients.
        products: Of the diagonal: most products of the linear solve of one move.
        information: feedback: everybody expects everybody's move; open_loop: nobody expects any.
    """

    curvature: Own = "diagonal"
    lr: float = 1.0
    step: float = 2e-2
    decay: float = 0.9
    products: int = 6
    information: Expects = "feedback"

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("coupled.curvature", self.curvature, get_args(Own))
        positive("coupled.lr", self.lr)
        positive("coupled.step", self.step)
        in_range("coupled.decay", self.decay, low=0.0, high=1.0, high_open=True)
        integer("coupled.products", self.products, low=1)
        one_of("coupled.information", self.information, get_args(Expects))


@dataclass(frozen=True, kw_only=True)
class MarlConfig:
    """Train teams of agents in a world, each team against the others as they learn.

    Attributes:
        world: Name of a world; an unknown one lists those that there are.
        algorithm: ippo: every agent's critic sees what the agent sees; mappo: the whole state.
        optimizer: Who trains policies and critics; coupled: all policies move together by the stage
            game between them, without critics.
        frames: Steps of a world, all agents together, of the whole run.
        copies: Copies of the world that play at once.
        steps: Steps of every copy between two updates.
        network: Policies and critics.
        surrogate: Advantages and the clipped surrogate.
        adam: Settings of Adam.
        ocnopt: Settings of OCNOpt.
        coupled: Settings of coupled players.
        schedule: Length of the optimizers' steps over the run.
        seed: Seed of the first weights, the world and the actions.
        evaluation: World that measured returns are of; empty for that of the training.
        evaluation_copies: Copies of it.
        episodes: Episodes of a measurement.
        evaluate_every: Updates between measurements.
        checkpoint_every: Updates between checkpoints.
        device: cpu, cuda or another torch device.
        threads: Threads of torch; results are bitwise repeatable for the same number.
    """

    world: str = "simple_spread"
    algorithm: Algorithm = "ippo"
    optimizer: Optimizer = "adam"
    frames: int = 1_000_000
    copies: int = 128
    steps: int = 25
    network: NetworkSettings = field(default_factory=NetworkSettings)
    surrogate: SurrogateSettings = field(default_factory=SurrogateSettings)
    adam: PolicyAdamSettings = field(default_factory=PolicyAdamSettings)
    ocnopt: PolicyOCNOptSettings = field(default_factory=PolicyOCNOptSettings)
    coupled: CoupledSettings = field(default_factory=CoupledSettings)
    schedule: Schedule = "linear"
    seed: int = 0
    evaluation: str = ""
    evaluation_copies: int = 128
    episodes: int = 256
    evaluate_every: int = 20
    checkpoint_every: int = 20
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("algorithm", self.algorithm, get_args(Algorithm))
        one_of("optimizer", self.optimizer, get_args(Optimizer))
        one_of("schedule", self.schedule, get_args(Schedule))
        if not self.world:
            raise InvalidInputError("world: expected a name, got an empty one")
        integer("seed", self.seed, low=0)
        if self.optimizer == "coupled" and (
            self.network.memory != "nothing" or self.network.observations or self.copies < 2
        ):
            raise InvalidInputError(
                "optimizer: expected adam or ocnopt for networks with memory, scaled observations "
                "or a single copy, got 'coupled', which trains feedforward policies on several"
            )
        for name in (
            "frames",
            "copies",
            "steps",
            "evaluation_copies",
            "episodes",
            "evaluate_every",
            "checkpoint_every",
            "threads",
        ):
            integer(name, getattr(self, name), low=1)

    @property
    def frames_per_update(self) -> int:
        """Frames of one segment of all copies."""
        return self.copies * self.steps

    @property
    def updates(self) -> int:
        """Updates of the whole run; the last segment may go beyond `frames`."""
        return -(-self.frames // self.frames_per_update)

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as plain data.

        Returns:
            Settings by name, with the name of the job.
        """
        return {"job": "marl", **asdict(self)}


_PARTS = {
    "network": NetworkSettings,
    "surrogate": SurrogateSettings,
    "adam": PolicyAdamSettings,
    "ocnopt": PolicyOCNOptSettings,
    "coupled": CoupledSettings,
}


def marl_config_from_dict(settings: dict[str, Any]) -> MarlConfig:
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
        return MarlConfig(
            **{
                name: _PARTS[name](**value) if name in _PARTS else value
                for name, value in values.items()
            }
        )
    except TypeError as error:
        raise InvalidInputError(f"config: expected the settings of a run ({error})") from error
