"""The commands and their options; importing them does not import torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from ocngame.training.config import SupervisedConfig

__all__ = ["Evaluate", "Resume", "TrainSupervised"]


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
    """

    run: tyro.conf.Positional[Path]
