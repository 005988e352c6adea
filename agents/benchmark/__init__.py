"""Benchmarks of learning teams: suites, crash-safe cells, statistics, cross-play, reports."""

from ocngame.agents.benchmark.crossplay import CrossPlay, Entrant, as_decider
from ocngame.agents.benchmark.ratings import elo_ratings
from ocngame.agents.benchmark.runner import run_benchmark
from ocngame.agents.benchmark.statistics import (
    Interval,
    inter_quartile_mean,
    stratified_bootstrap,
)
from ocngame.agents.benchmark.suite import SUITES, Suite, load_suite

__all__ = [
    "SUITES",
    "CrossPlay",
    "Entrant",
    "Interval",
    "Suite",
    "as_decider",
    "elo_ratings",
    "inter_quartile_mean",
    "load_suite",
    "run_benchmark",
    "stratified_bootstrap",
]
