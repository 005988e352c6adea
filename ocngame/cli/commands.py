"""The commands and their options; importing them does not import torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ocngame._checks import integer
from ocngame.errors import InvalidInputError
from ocngame.training.adversarial_config import AdversarialConfig
from ocngame.training.config import SupervisedConfig
from ocngame.training.marl_config import MarlConfig
from ocngame.training.ode.config import ODEConfig
from ocngame.training.selfplay_config import SelfPlayConfig

__all__ = [
    "Benchmark",
    "Draw",
    "Evaluate",
    "Play",
    "Resume",
    "Solve",
    "TrainAdversarial",
    "TrainMarl",
    "TrainODE",
    "TrainSelfplay",
    "TrainSupervised",
]


@dataclass(frozen=True, kw_only=True)
class TrainSupervised:
    """Train a network as a game with OCNOpt, next to Adam and SGD with momentum.

    Without options it trains on the handwritten digits that scikit-learn ships. The run folder gets
    config.json, metrics.jsonl, checkpoint.pt, curves.png and game.png.

    Attributes:
        out: Run folder to make.
        config: Settings of the run.
    """

    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: runs/supervised-DATA-TIME)"),
    ] = None
    config: Annotated[SupervisedConfig, tyro.conf.arg(name="")] = field(
        default_factory=SupervisedConfig
    )


@dataclass(frozen=True, kw_only=True)
class TrainAdversarial:
    """Train a robust classifier, or play a differentiable game, by the stage game and its rivals.

    Without options a classifier of the handwritten digits learns against an adversary that perturbs
    its inputs, next to PGD training, TRADES and FGSM. The run folder gets config.json,
    metrics.jsonl, checkpoint.pt, curves.png, and robustness.png or, as the game has them,
    trajectories.png and samples.png.

    Attributes:
        out: Run folder to make.
        config: Settings of the run.
    """

    out: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="PATH", help_behavior_hint="(default: runs/adversarial-PROBLEM-TIME)"
        ),
    ] = None
    config: Annotated[AdversarialConfig, tyro.conf.arg(name="")] = field(
        default_factory=AdversarialConfig
    )


@dataclass(frozen=True, kw_only=True)
class TrainMarl:
    """Train teams of agents in a world by policy gradients, with OCNOpt or Adam.

    Without options three agents learn to spread over three landmarks. The run folder gets
    config.json, metrics.jsonl, checkpoint.pt and curves.png.

    Attributes:
        out: Run folder to make.
        config: Settings of the run.
    """

    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: runs/marl-WORLD-TIME)"),
    ] = None
    config: Annotated[MarlConfig, tyro.conf.arg(name="")] = field(default_factory=MarlConfig)


@dataclass(frozen=True, kw_only=True)
class TrainODE:
    """Train a network with a differential equation inside, with OCNOpt next to Adam and SGD.

    Without options it tells nine speakers apart by vowels that are observed at irregular times; the
    data come with ocngame. The run folder gets config.json, metrics.jsonl, checkpoint.pt,
    curves.png and phase_portrait.png, or density.png where a density is learned.

    Attributes:
        out: Run folder to make.
        config: Settings of the run.
    """

    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: runs/ode-PROBLEM-TIME)"),
    ] = None
    config: Annotated[ODEConfig, tyro.conf.arg(name="")] = field(default_factory=ODEConfig)


@dataclass(frozen=True, kw_only=True)
class TrainSelfplay:
    """Learn a turn-based zero-sum game for two by self-play with a slow reference policy.

    Without options it learns Leduc poker and measures its exploitability. The run folder gets
    config.json, metrics.jsonl, checkpoint.pt and curves.png.

    Attributes:
        out: Run folder to make.
        config: Settings of the run.
    """

    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: runs/selfplay-WORLD-TIME)"),
    ] = None
    config: Annotated[SelfPlayConfig, tyro.conf.arg(name="")] = field(
        default_factory=SelfPlayConfig
    )


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Go on with a run from its last checkpoint, as if it had never stopped.

    Attributes:
        run: Run folder of the training to go on with.
    """

    run: tyro.conf.Positional[Path]


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Read a run back: measure the networks of its last checkpoint anew.

    Attributes:
        run: Run folder to read.
        world: World for teams to play in; empty for that of the run.
        episodes: Episodes that teams play; 0 for those of the run's settings.
    """

    run: tyro.conf.Positional[Path]
    world: str = ""
    episodes: int = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("episodes", self.episodes, low=0)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Compare learning teams: worlds by contenders by seeds.

    The folder gets results.json, results.csv, report.md, curves_frames.png, curves_cpu_seconds.png,
    profiles.png, videos and, where two teams play, crossplay.png. Called again, it goes on with
    what is missing.

    Attributes:
        suite: smoke, cooperative, adversarial, turn-based, games (minutes on two cores), or a TOML
            file.
        out: Folder of the benchmark.
        jobs: Processes that make cells; one that dies costs its cell only.
        tensorboard: Write the curves for TensorBoard as well.
    """

    suite: tyro.conf.Positional[str] = "smoke"
    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: runs/benchmark-SUITE)"),
    ] = None
    jobs: int = 1
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("jobs", self.jobs, low=1)


@dataclass(frozen=True, kw_only=True)
class Play:
    """Let trained teams play against each other, and show the returns of each team.

    Attributes:
        players: Run folders of train marl, train selfplay or a benchmark, or random, greedy or
            planner; one for each team in the world's order.
        world: World to play in; empty for that of the first run.
        episodes: Episodes.
        seed: Seed of the starts and the draws.
        gif: File for two drawn episodes, of a world that can be drawn.
    """

    players: tyro.conf.Positional[tuple[str, ...]]
    world: str = ""
    episodes: int = 512
    seed: int = 0
    gif: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not self.players:
            raise InvalidInputError("players: expected run folders or random, got none")
        integer("episodes", self.episodes, low=2)
        integer("seed", self.seed, low=0)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Draw a network as a game: stages, players and the states between them.

    Attributes:
        model: mlp, residual, or module:function, whose function takes no arguments or the numbers
            of features and of classes, and returns a torch module.
        out: Picture to write; the ending chooses the format.
        input: Shape of one sample, such as 3 64 64.
        tokens: Size of the vocabulary if a sample holds token numbers; 0 for plain numbers.
        classes: Number of outputs, if the function asks for it.
        players: Who acts: one player for each stage, branch or block, or a single one.
        graphml: File for the graph as GraphML.
        json: File for the graph as JSON, in the node-link form of networkx.
    """

    model: tyro.conf.Positional[str] = "residual"
    out: Path = Path("game.png")
    input: tuple[int, ...] = (64,)
    tokens: int = 0
    classes: int = 10
    players: Literal["stage", "branch", "block", "single"] = "stage"
    graphml: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    json: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        for size in self.input:
            integer("input", size, low=1)
        integer("tokens", self.tokens, low=0)
        integer("classes", self.classes, low=1)
        for name, ending in (("graphml", ".graphml"), ("json", ".json")):
            path = getattr(self, name)
            if path is not None and path.suffix != ending:
                raise InvalidInputError(f"{name}: expected a file ending in {ending}, got {path}")


@dataclass(frozen=True, kw_only=True)
class Solve:
    """Solve a ready game and examine the solution.

    Prints every player's cost, residual, own curvature and deviation gain, and leaves a folder with
    config.json, solution.npz (states, controls, feedback), trajectory.png and, where bodies move in
    the plane, animation.gif.

    Attributes:
        game: Name of a ready game; an unknown one lists those that there are.
        information: Information structure to solve under.
        out: Folder to make.
        starts: Random starts of each player's search for a deviation.
        seed: Seed of these starts.
        threads: Threads of torch.
    """

    game: tyro.conf.Positional[str] = "intersection"
    information: Literal["feedback", "open_loop", "cooperative"] = "feedback"
    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: runs/solve-GAME-TIME)"),
    ] = None
    starts: int = 2
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        integer("starts", self.starts, low=0)
        integer("seed", self.seed, low=0)
        integer("threads", self.threads, low=1)
