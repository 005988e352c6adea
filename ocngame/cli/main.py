"""Entry point: parse, run, and turn every expected error into one sentence and an exit code.

0: done; 1: a run could not be read or went wrong; 2: bad usage (an option, the data, the model);
130: interrupted.
"""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.logging import RichHandler

from ocngame.cli.commands import (
    Benchmark,
    Draw,
    Evaluate,
    Play,
    Resume,
    Solve,
    TrainAdversarial,
    TrainMarl,
    TrainODE,
    TrainSelfplay,
    TrainSupervised,
)
from ocngame.cli.parser import Command, UsageError, parse
from ocngame.errors import CheckpointError, InvalidInputError, OcnGameError, UnsupportedModuleError

__all__ = ["main"]

_KINDS = ("adversarial", "marl", "ode", "selfplay")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after the program's name; those of this process if None.

    Returns:
        The exit code.
    """
    errors = Console(stderr=True)
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with _logging(errors):
            _run(parse(arguments or ["--help"]))
    except (UsageError, InvalidInputError, UnsupportedModuleError) as error:
        _say(errors, error)
        return 2
    except OcnGameError as error:
        _say(errors, error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(command: Command) -> None:
    # What a command needs (torch, matplotlib ...) is imported when it runs: --help need not wait.
    if isinstance(command, Solve):
        from ocngame.cli import solve

        solve.solve_ready(command)
        return
    if isinstance(command, Draw):
        from ocngame.cli import draw

        draw.draw_network(command)
        return
    if isinstance(command, Benchmark):
        from ocngame.cli import benchmark

        benchmark.benchmark(command.suite, command.out, command.jobs, command.tensorboard)
        return
    if isinstance(command, Play):
        from ocngame.cli import play

        play.play(command.players, command.world, command.episodes, command.seed, command.gif)
        return
    match command:
        case TrainSupervised():
            _job("supervised").train(command.config, command.out)
        case TrainAdversarial():
            _job("adversarial").train(command.config, command.out)
        case TrainMarl():
            _job("marl").train(command.config, command.out)
        case TrainODE():
            _job("ode").train(command.config, command.out)
        case TrainSelfplay():
            _job("selfplay").train(command.config, command.out)
        case Resume():
            _job(_kind(command.run)).resume(command.run)
        case Evaluate():
            kind = _kind(command.run)
            # Only teams can be measured in another world.
            more = (command.world, command.episodes) if kind == "marl" else ()
            _job(kind).evaluate_run(command.run, *more)


def _job(kind: str) -> ModuleType:
    return import_module(f"ocngame.cli.{kind}")


def _kind(run: Path) -> str:
    """Say which kind of job a run folder is of; supervised where its settings cannot be read."""
    from ocngame.training.run_folder import RunFolder

    try:
        kind = RunFolder(run).read_config().get("job")
    except CheckpointError:
        kind = None
    return kind if kind in _KINDS else "supervised"


@contextmanager
def _logging(console: Console) -> Iterator[None]:
    """Show the library's warnings while a command runs."""
    logger = logging.getLogger("ocngame")
    handler = RichHandler(console=console, show_time=False, show_path=False)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _say(console: Console, error: Exception) -> None:
    console.print(f"ocngame: {error}", style="bold red", markup=False, soft_wrap=True)
