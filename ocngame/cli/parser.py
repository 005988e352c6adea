"""The parser: commands are the dataclasses of `ocngame.cli.commands`, read by tyro.

tyro shows an error of a dataclass's own validation with the path of its internal wrappers. The rule
here lets such an error through instead, so that its one sentence can be shown as it is.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import docstring_parser
import tyro
from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)
from tyro.extras import SubcommandApp

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
from ocngame.errors import OcnGameError

__all__ = ["Command", "UsageError", "parse"]

Command = (
    TrainSupervised
    | TrainAdversarial
    | TrainMarl
    | TrainODE
    | TrainSelfplay
    | Resume
    | Evaluate
    | Solve
    | Benchmark
    | Play
    | Draw
)


class UsageError(Exception):
    """An option has a value that the settings refuse."""


def parse(arguments: Sequence[str] | None = None) -> Command:
    """Read the command line; ends the process with code 2 and a message if it cannot be read.

    Args:
        arguments: The words after the program's name; those of this process if None.

    Returns:
        The command with its options.

    Raises:
        UsageError: if an option has a value that the settings refuse.
    """
    train = SubcommandApp()
    train.command(name="supervised")(TrainSupervised)
    train.command(name="adversarial")(TrainAdversarial)
    train.command(name="marl")(TrainMarl)
    train.command(name="ode")(TrainODE)
    train.command(name="selfplay")(TrainSelfplay)
    app = SubcommandApp()
    app.command(train, name="train", help="Train players.")
    app.command(name="resume")(Resume)
    app.command(name="evaluate")(Evaluate)
    app.command(name="solve")(Solve)
    app.command(name="draw")(Draw)
    app.command(name="benchmark")(Benchmark)
    app.command(name="play")(Play)
    return app.cli(
        prog="ocngame",
        description="Networks and trajectories as dynamic games. "
        "`ocngame COMMAND --help` lists the options of a command.",
        args=arguments,
        registry=_registry(),
        config=(tyro.conf.FlagConversionOff,),
    )


def _registry() -> ConstructorRegistry:
    registry = ConstructorRegistry()
    registry.struct_rule(_struct)
    return registry


def _struct(info: StructTypeInfo) -> StructConstructorSpec | None:
    cls = info.type
    if not getattr(cls, "__module__", "").startswith("ocngame.") or not dataclasses.is_dataclass(
        cls
    ):
        return None
    texts = {p.arg_name: p.description for p in docstring_parser.parse(cls.__doc__ or "").params}
    hints = get_type_hints(cls, include_extras=True)
    # Settings may settle their own defaults when they are made; those stay open here.
    given = info.default if isinstance(info.default, cls) and info.default != cls() else None
    fields = tuple(
        StructFieldSpec(
            name=field.name,
            type=hints[field.name],
            default=_default(field, given),
            helptext=(texts.get(field.name) or "").replace("\n", " "),
        )
        for field in dataclasses.fields(cls)
    )
    return StructConstructorSpec(instantiate=_letting_through(cls), fields=fields)


def _default(field: dataclasses.Field, given: Any) -> Any:
    """Give a field's value in what the settings around it give, else its own default."""
    if given is not None:
        return getattr(given, field.name)
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING


def _letting_through(cls: Callable[..., Any]) -> Callable[..., Any]:
    def make(**values: Any) -> Any:
        try:
            return cls(**values)
        except OcnGameError as error:
            raise UsageError(str(error)) from error

    make.__doc__ = cls.__doc__
    return make
