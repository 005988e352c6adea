"""The command line: `ocngame train supervised`, `ocngame resume RUN`, `ocngame evaluate RUN`."""

from ocngame.cli.main import main

__all__ = ["main"]
