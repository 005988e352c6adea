"""From a name to what makes an environment.

Known are: the ids of PettingZoo's registry (`classic/tictactoe_v3`, also without the version),
modules that have `parallel_env` or `env` (`mpe2.simple_spread_v3`), and `package.module:attribute`,
a function or class that gives an environment. Where there are both, the parallel face is taken.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pettingzoo

from ocngame.envs.adapters.openspiel import OpenSpielEnv, openspiel_names
from ocngame.envs.batched import batched_names
from ocngame.errors import InvalidInputError, UnknownNameError

__all__ = ["Factory", "factory_of", "known_names"]

_EXTRAS = {
    "mpe2": "marl",
    "pyspiel": "openspiel",
    "pygame": "pettingzoo",
    "Box2D": "pettingzoo",
    "pymunk": "pettingzoo",
    "rlcard": "pettingzoo",
    "chess": "pettingzoo",
    "shimmy": "pettingzoo",
}


@dataclass(frozen=True)
class Factory:
    """Makes environments of one name; can be sent to another process.

    Attributes:
        name: As users write it.
        options: Arguments of the environment.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> Any:
        """Make one.

        Returns:
            A ParallelEnv or an AECEnv.

        Raises:
            InvalidInputError: if the environment does not take the options.
        """
        creator = _creator(self.name)
        try:
            return creator(**self.options)
        except (TypeError, ValueError, AssertionError) as error:
            raise InvalidInputError(
                f"{self.name}: cannot be made with options {dict(self.options)}: {error}"
            ) from error


def factory_of(name: str, options: Mapping[str, Any]) -> Factory:
    """Find what makes an environment.

    Args:
        name: Its name.
        options: Its arguments.

    Returns:
        What makes it. An unknown name raises UnknownNameError with near matches, a package that is
        missing InvalidInputError.
    """
    _creator(name)
    return Factory(name, options)


def known_names() -> list[str]:
    """List the names that can be said to be known; modules and attributes may be any.

    Returns:
        Names that `make` takes: ids of the registry, modules of mpe2 and games of OpenSpiel where
        these are installed, and worlds of our own.
    """
    registry = {*pettingzoo.parallel_registry, *pettingzoo.aec_registry}
    names = [identifier.replace("-v", "_v") for identifier in registry]
    if (found := importlib.util.find_spec("mpe2")) is not None:
        folders = list(found.submodule_search_locations or [])
        names += [
            f"mpe2.{module.name}"
            for module in pkgutil.iter_modules(folders)
            if "_v" in module.name and not module.ispkg
        ]
    names += [f"openspiel/{name}" for name in openspiel_names()]
    return sorted([*names, *(f"batched/{name}" for name in batched_names())])


def _creator(name: str) -> Callable[..., Any]:
    if name.startswith("openspiel/"):
        game = name.partition("/")[2]
        return lambda **options: OpenSpielEnv(game, **options)
    if ":" in name:
        module, _, attribute = name.partition(":")
        holder = _module(name, module)
        if not hasattr(holder, attribute):
            raise UnknownNameError(
                f"attribute of module {module}", attribute, [n for n in vars(holder) if n[0] != "_"]
            )
        return getattr(holder, attribute)
    if "/" not in name and "." in name:
        holder = _module(name, name)
        for face in ("parallel_env", "env"):
            if hasattr(holder, face):
                return getattr(holder, face)
        raise InvalidInputError(
            f"name: expected a module with parallel_env or env, {name} has neither; "
            f"{name}:ATTRIBUTE names another"
        )
    for registry in (pettingzoo.parallel_registry, pettingzoo.aec_registry):
        entry = _find(registry, name)
        if entry is not None:
            point = entry.entry_point
            if callable(point):
                creator = point
            else:
                module, _, attribute = str(point).partition(":")
                creator = getattr(_module(name, module), attribute)
            kwargs = dict(entry.kwargs)
            if entry.max_cycles is not None and entry.max_cycles != -1:
                kwargs.setdefault("max_cycles", entry.max_cycles)
            return lambda **options: creator(**{**kwargs, **options})
    raise UnknownNameError("name", name, known_names())


def _find(registry: Mapping[str, Any], name: str) -> Any:
    wanted = name.strip().replace("_v", "-v") if "_v" in name else name.strip()
    if wanted in registry:
        return registry[wanted]
    versions = [
        spec
        for spec in registry.values()
        if wanted == (f"{spec.namespace}/{spec.name}" if spec.namespace else spec.name)
    ]
    return max(versions, key=lambda spec: spec.version or 0, default=None)


def _module(name: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if missing == module or module.startswith(f"{missing}."):
            if (extra := _EXTRAS.get(missing)) is None:
                unknown = UnknownNameError("name", name, known_names())
                if unknown.near:
                    raise unknown from error
                raise InvalidInputError(
                    f"name: {name!r} names the module {missing}, which cannot be found; expected a "
                    f"world such as mpe2.simple_spread_v3, or a module on Python's path"
                ) from error
        else:
            extra = _EXTRAS.get(missing.partition(".")[0])
        hint = f": pip install 'ocngame[{extra}]'" if extra else ""
        raise InvalidInputError(
            f"name: {name!r} needs the package {missing}, which is not installed{hint}"
        ) from error
