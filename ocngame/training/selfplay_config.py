"""Settings of the self-play job; importing them does not import torch."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ocngame._checks import in_range, integer, non_negative, one_of, positive
from ocngame.errors import InvalidInputError

__all__ = ["LeagueConfig", "LearnerConfig", "SelfPlayConfig", "selfplay_config_from_dict"]

Optimizer = Literal["adam", "ocnopt"]


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How networks learn from play.

    Attributes:
        width: Units of the hidden layers of both networks.
        depth: Hidden layers of both.
        optimizer: Of the policy; the critic is trained by Adam.
        policy_lr: Step size of Adam for the policy.
        divergence: For ocnopt: divergence from the policy before that one step may make.
        damping: For ocnopt: added to the curvature.
        critic_lr: Step size of the critic.
        decay: Whether all steps shrink to a twentieth, linearly over the run.
        magnet_weight: Weight alpha of the divergence from the slow reference policy, in units of
            the payoffs' root mean square.
        magnet_rate: Share tau of the way that the reference goes towards the policy per iteration.
        averaging: eta of the average of the trained policy's weights that is learnt: over about the
            last 1 / (1 + eta) of the iterations so far.
        proximal: Step size eta of mirror descent: weight 1 / eta of the divergence from the policy
            that played.
        trace: Lambda of the critic's targets: 0 looks one decision ahead, 1 to the end.
        policy_epochs: Passes of the policy over the newest play.
        critic_epochs: Rounds of the critic; each makes new targets and sees as many decisions as
            two iterations have.
        replay: Iterations of play that the critic learns from.
        minibatch: Decisions per gradient step.
        gradient_norm: Largest norm of a policy gradient, longer ones are shortened.
    """

    width: int = 128
    depth: int = 2
    optimizer: Optimizer = "adam"
    policy_lr: float = 3e-3
    divergence: float = 1e-2
    damping: float = 3e-2
    critic_lr: float = 3e-3
    decay: bool = True
    magnet_weight: float = 0.2
    magnet_rate: float = 0.005
    averaging: float = 8.0
    proximal: float = 1.0
    trace: float = 0.8
    policy_epochs: int = 4
    critic_epochs: int = 4
    replay: int = 4
    minibatch: int = 256
    gradient_norm: float = 1.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("optimizer", self.optimizer, get_args(Optimizer))
        for name in (
            "policy_lr",
            "divergence",
            "damping",
            "critic_lr",
            "proximal",
            "gradient_norm",
        ):
            positive(name, getattr(self, name))
        non_negative("magnet_weight", self.magnet_weight)
        non_negative("averaging", self.averaging)
        in_range("magnet_rate", self.magnet_rate, low=0.0, high=1.0)
        in_range("trace", self.trace, low=0.0, high=1.0)
        for name in ("width", "depth", "policy_epochs", "critic_epochs", "replay", "minibatch"):
            integer(name, getattr(self, name), low=1)


@dataclass(frozen=True, kw_only=True)
class LeagueConfig:
    """How much is played against past policies.

    Attributes:
        share: Part of the copies in which one seat is a past policy's.
        every: Iterations between the policies that are kept.
        size: Most policies kept; the one that is beaten most often leaves.
        power: Sharpness p of matchmaking: an opponent is drawn in proportion to
            (1 - win rate against it) ** p.
    """

    share: float = 0.0
    every: int = 20
    size: int = 8
    power: float = 2.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        in_range("share", self.share, low=0.0, high=1.0)
        non_negative("power", self.power)
        integer("every", self.every, low=1)
        integer("size", self.size, low=1)


@dataclass(frozen=True, kw_only=True)
class SelfPlayConfig:
    """Learn a turn-based zero-sum game for two by playing it with oneself.

    Attributes:
        world: kuhn, leduc, tictactoe, connect_four; spiel:NAME for a game of OpenSpiel that is
            small enough for a tree.
        steps: Decisions of both players together.
        copies: Copies of the world in lockstep.
        horizon: Decisions per copy and iteration.
        learner: How networks learn.
        league: How much is played against past policies.
        seed: Of weights, cards and actions.
        evaluate_every: Iterations between measurements.
        episodes: Games per seat against the random player in a measurement.
        checkpoint_every: Iterations between checkpoints.
        threads: Threads of torch; results are bitwise repeatable for the same number.
    """

    world: str = "leduc"
    steps: int = 400_000
    copies: int = 128
    horizon: int = 16
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    league: LeagueConfig = field(default_factory=LeagueConfig)
    seed: int = 0
    evaluate_every: int = 20
    episodes: int = 256
    checkpoint_every: int = 50
    threads: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("seed", self.seed, low=0)
        for name in (
            "steps",
            "copies",
            "horizon",
            "evaluate_every",
            "episodes",
            "checkpoint_every",
            "threads",
        ):
            integer(name, getattr(self, name), low=1)

    @property
    def iterations(self) -> int:
        """Number of iterations that make at least `steps` decisions."""
        return -(-self.steps // (self.copies * self.horizon))

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as plain data.

        Returns:
            Settings by name, with the name of the job.
        """
        return {"job": "selfplay", **asdict(self)}


def selfplay_config_from_dict(settings: dict[str, Any]) -> SelfPlayConfig:
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
        learner = LearnerConfig(**values.pop("learner"))
        league = LeagueConfig(**values.pop("league"))
        return SelfPlayConfig(**values, learner=learner, league=league)
    except (KeyError, TypeError) as error:
        raise InvalidInputError(f"config: expected the settings of a run ({error})") from error
