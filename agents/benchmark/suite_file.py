"""Suites read from TOML files."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

from ocngame._checks import one_of
from ocngame.agents.benchmark.built_in import SUITES
from ocngame.agents.benchmark.suite import Suite
from ocngame.errors import InvalidInputError, UnknownNameError

__all__ = ["load_suite"]

_LISTS = ("worlds", "algorithms", "optimizers", "players", "seeds")


def load_suite(name: str) -> Suite:
    """Find a suite by its name or read it from a file.

    Args:
        name: One of `SUITES`, or a path that ends in .toml.

    Returns:
        The suite.

    Raises:
        UnknownNameError: if there is no such suite, or an entry is not known.
        InvalidInputError: if the file cannot be read, or an entry is wrong.
    """
    if not name.endswith(".toml"):
        one_of("suite", name, SUITES)
        return SUITES[name]
    path = Path(name)
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"suite: cannot read {path} ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"suite: expected TOML in {path} ({error})") from error
    known = [f.name for f in dataclasses.fields(Suite)]
    for key in content:
        if key not in known:
            raise UnknownNameError(f"{path}", key, known)
    if "worlds" not in content:
        raise InvalidInputError(f"{path}: expected an entry worlds, such as ['simple_spread']")
    for key in _LISTS:
        if not isinstance(content.get(key, []), list):
            raise InvalidInputError(f"{path}: {key}: expected a list, got {content[key]!r}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    try:
        json.dumps(values)
    except TypeError as error:
        raise InvalidInputError(f"{path}: expected texts, numbers and tables ({error})") from error
    try:
        return Suite(**{"name": path.stem, **values})
    except UnknownNameError:
        raise
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
