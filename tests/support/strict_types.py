"""The type checker that pytest puts on every function of the library (see pyproject.toml)."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""Beartype that takes an int where a float is asked for, as type checkers do."""
